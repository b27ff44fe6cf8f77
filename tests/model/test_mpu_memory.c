/*
 * test_mpu_memory.c: a server needs little more memory than one copy, however many copies go out and updates come back. Every piece of
 * work is done in a process of its own, and what the kernel saw at its fullest is compared with a process that does nothing.
 */
#include "api/mpu_api.h"
#include "test.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COPIES = 4 };

/* Bytes of memory at its fullest, of a process that does `work`. */
static double peak(void (*work)(void))
{
	struct rusage used;
	int status = 1;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		work();
		_exit(0);
	}
	NEED(pid > 0 && wait4(pid, &status, 0, &used) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 1024.0 * (double)used.ru_maxrss;
}

static void nothing(void)
{
}

static void make_models(void)
{
	static const char *const name[] = {"model", "base"};
	ul_err err = {0};
	json_t *config = ul_model_preset("llama-small", 2000, &err);
	NEED_OK(config != NULL, err);
	json_object_set_new(config, "num_hidden_layers", json_integer(20));
	for (int i = 0; i < 2; i++) {
		ul_model *m = ul_model_random(config, (uint64_t)i, "cpu", &err);
		NEED_OK(m && ul_mkdirs(test_path(name[i]), &err) && ul_model_write(m, test_path(name[i]), UL_SAVE_F32, &err), err);
		ul_model_free(m);
	}
	json_decref(config);
}

static void publish(void)
{
	ul_err err = {0};
	char secret[4200], model[4200], base[4200], round[4200];
	snprintf(secret, sizeof secret, "%s", test_path("secret"));
	snprintf(model, sizeof model, "%s", test_path("model"));
	snprintf(base, sizeof base, "%s", test_path("base"));
	snprintf(round, sizeof round, "%s", test_path("round"));
	ul_mpu_secret s = {.dir = secret, .model = model, .base = base, .how = {.copies = COPIES, .rounds = 2, .noise = 0.1, .server_lr = 1, .reparam = UL_REPARAM_FULL, .exact = true}};
	NEED_OK(ul_mpu_server_make(&s, &err), err);
	ul_mpu_server *server = ul_mpu_server_load(secret, &err);
	NEED_OK(server && ul_mpu_server_publish(server, round, false, NULL, &err), err);
	ul_mpu_server_free(server);
}

typedef struct sent {
	ul_model *model;
	int copy;
} sent;

static bool some(void *ud, int i, float *room, ul_err *err)
{
	const sent *s = ud;
	const ul_model *m = s->model;
	ul_rng r = ul_rng_at(1, m->param[i]->name, 0);
	for (size_t e = 0, n = (size_t)m->param[i]->rows * (size_t)m->param[i]->cols; e < n; e++)
		room[e] = 1e-7f * ((float)ul_rng_below(&r, 1000) - 500);
	room[0] = 1e-5f * (float)s->copy; /* no two updates are the same */
	return true;
}

static void make_update(void)
{
	ul_err err = {0};
	char sha[65], dir[4200];
	json_t *round = ul_mpu_manifest_read(test_path("round"), NULL, sha, &err);
	NEED_OK(round != NULL, err);
	json_t *list = json_array(), *m = json_pack("{s:s, s:O, s:i, s:s, s:o}", "kind", "mpu update", "session", json_object_get(round, "session"), "round", 1, "of", sha, "updates", list);
	for (int k = 0; k < COPIES; k++) {
		snprintf(dir, sizeof dir, "%s/round/copy-%d", test_tmp(), k);
		ul_model *copy = ul_model_open_with(dir, &(ul_open){.no_tokenizer = true}, &err);
		NEED_OK(copy != NULL, err);
		snprintf(dir, sizeof dir, "%s/update/copy-%d", test_tmp(), k);
		NEED_OK(ul_mkdirs(dir, &err) && ul_model_write_as(copy, dir, UL_SAVE_F32, some, &(sent){copy, k}, &err), err);
		ul_model_free(copy);
		json_array_append_new(list, json_pack("{s:i, s:s}", "copy", k, "type", "full"));
	}
	ul_mpu_signer signer;
	NEED_OK(ul_mpu_signer_open(&signer, test_path("client"), true, &err), err);
	NEED_OK(ul_mpu_manifest_write(test_path("update"), m, &signer, &err), err);
	json_decref(m);
	json_decref(round);
}

static void collect(void)
{
	ul_err err = {0};
	char update[4200], *list[1] = {update};
	snprintf(update, sizeof update, "%s", test_path("update"));
	ul_mpu_server *server = ul_mpu_server_load(test_path("secret"), &err);
	NEED_OK(server && ul_mpu_server_collect(server, list, 1, NULL, &err), err);
	ul_mpu_server_free(server);
}

static void test_mpu_memory__one_copy_and_little_more(void)
{
#ifdef __SANITIZE_ADDRESS__
	SKIP("a sanitizer keeps memory of its own");
#endif
	char file[4200];
	size_t bytes = 0;
	ul_err err = {0};
	peak(make_models);
	snprintf(file, sizeof file, "%s/model/model.safetensors", test_tmp());
	ul_map map;
	NEED_OK(ul_map_open(&map, file, &err), err);
	bytes = map.len;
	ul_map_close(&map);
	NEED(bytes > 50000000);
	double idle = peak(nothing), out = peak(publish) - idle;
	peak(make_update);
	double in = peak(collect) - idle;
	CHECK_MSG(out < 1.3 * (double)bytes, "publishing %d copies of %zu bytes took %.0f bytes of memory", COPIES, bytes, out);
	CHECK_MSG(in < 1.3 * (double)bytes, "collecting %d updates of %zu bytes took %.0f bytes of memory", COPIES, bytes, in);
	CHECK_MSG(in > 0.1 * (double)bytes, "%.0f bytes: nothing was measured", in);
}
