/*
 * test_mpu_invert.c: from an update of SGD the client's row is read token by token, on every committed family; from one of AdamW it
 * is not, and neither is what was not in it.
 */
#include "api/mpu_api.h"
#include "protocols/mpu_align.h"
#include "mpu_families.h"

static const int row[] = {5, 17, 8, 23, 11, 30};
enum { LENGTH = sizeof row / sizeof *row };

/* What a client's update says after `steps` steps: how many of the row's tokens, and of another row's. */
static void read_rows(const char *family, const char *optim, const char *steps, int reach[2])
{
	static const int other[] = {6, 17, 8, 23, 11, 30};
	char path[256], file[4200];
	ul_err err = {0};
	ul_mpu_rows found;
	test_file("row.jsonl", "{\"ids\": [5, 17, 8, 23, 11, 30]}\n");
	snprintf(path, sizeof path, "tests/golden/families/%s", family);
	snprintf(file, sizeof file, "%s", test_path("row.jsonl"));
	ul_model *m = ul_model_open_with(path, &(ul_open){.no_tokenizer = true}, &err);
	NEED_OK(m != NULL, err);
	const ul_param *down = m->layer[0].down;
	size_t n = (size_t)down->rows * (size_t)down->cols;
	float *delta = malloc(2 * n * sizeof *delta);
	NEED(delta);
	ul_model *copy = ul_model_clone(m, &err);
	NEED_OK(copy != NULL, err);
	for (int i = 0; i < copy->params; i++)
		NEED_OK(ul_param_own(copy->param[i], &err), err);
	const ul_setting s[] = {{"forget", file}, {"optim", optim}, {"lr", strcmp(optim, "sgd") ? "1e-3" : "1"}, {"steps", steps}, {"batch", "1"}, {"schedule", "constant"}};
	ul_mpu_job job = {.method = "ga", .setting = s, .settings = 6};
	NEED_OK(ul_mpu_unlearn(&job, copy, 0, &err), err);
	ul_param_get_f32(copy->layer[0].down, delta);
	ul_param_get_f32(down, delta + n);
	for (size_t e = 0; e < n; e++)
		delta[e] -= delta[n + e];
	NEED_OK(ul_mpu_invert(m, delta, &found, &err), err);
	reach[0] = ul_mpu_rows_reach(&found, row, LENGTH - 1);
	reach[1] = ul_mpu_rows_reach(&found, other, LENGTH - 1);
	ul_mpu_rows_release(&found);
	free(delta);
	ul_model_free(copy);
	ul_model_free(m);
}

static void test_mpu_invert__sgd_gives_the_row_away(void)
{
	for (int i = 0; i < FAMILIES; i++) {
		int reach[2];
		read_rows(families[i], "sgd", "1", reach);
		CHECK_MSG(reach[0] == LENGTH - 1 && reach[1] == 0, "%s: %d tokens of the row, %d of another", families[i], reach[0], reach[1]);
	}
}

static void test_mpu_invert__adamw_does_not(void)
{
	int reach[2];
	read_rows("llama", "adamw", "3", reach);
	CHECK_MSG(reach[0] == 0, "%d tokens", reach[0]);
}
