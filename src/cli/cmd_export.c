/*
 * cmd_export.c: export MODEL -o PATH --to hf|peft|gguf. The same model for transformers, PEFT, llama.cpp and Ollama.
 */
#include "cli/work.h"
#include "model/gguf.h"
#include "model/lora.h"

#include <string.h>

enum { TO_HF,
	TO_PEFT,
	TO_GGUF };
enum { AS_AUTO,
	AS_F32,
	AS_BF16,
	AS_F16,
	AS_Q8_0 };

struct config {
	const char *output;
	int to, dtype;
	bool merge;
};

#define AT(field) offsetof(struct config, field)
static const ul_opt opts[] = {
        {"output", UL_OPT_TEXT, AT(output), NULL, 0, 0, NULL, "a directory, or a file for gguf", "PATH"},
        {"to", UL_OPT_ENUM, AT(to), "hf", 0, 0, "hf|peft|gguf", "whose format", NULL},
        {"merge", UL_OPT_BOOL, AT(merge), "no", 0, 0, NULL, "fold the adapter into the weights", NULL},
        {"dtype", UL_OPT_ENUM, AT(dtype), "auto", 0, 0, "auto|f32|bf16|f16|q8_0", "of the matrices; auto is f32 for hf and f16 for gguf", NULL},
        {0},
};

static bool write_dir(ul_cli *c, const struct config *o, ul_model *m)
{
	static const int save[] = {[AS_AUTO] = UL_SAVE_F32, [AS_F32] = UL_SAVE_F32, [AS_BF16] = UL_SAVE_BF16, [AS_F16] = UL_SAVE_F16};
	ul_stage stage = {0};
	bool ok = ul_stage_begin(&stage, o->output, c->force, &c->err);
	if (ok)
		ok = o->to == TO_PEFT ? ul_lora_write(m, stage.dir, &c->err) : ul_model_write(m, stage.dir, save[o->dtype], &c->err);
	ok = ok && ul_stage_commit(&stage, &c->err);
	ul_stage_abort(&stage);
	return ok;
}

/* Written under another name first: a reader sees the whole file or none. */
static bool write_gguf(ul_cli *c, const struct config *o, ul_model *m)
{
	static const int as[] = {[AS_AUTO] = UL_F16, [AS_F32] = UL_F32, [AS_BF16] = UL_BF16, [AS_F16] = UL_F16, [AS_Q8_0] = UL_Q8_0};
	if (ul_file_exists(o->output) && !c->force) {
		ul_fail(&c->err, "%s exists", o->output);
		ul_hint(&c->err, "--force replaces it");
		return false;
	}
	if (ul_is_dir(o->output))
		return ul_fail(&c->err, "%s is a directory, and a GGUF is one file", o->output);
	ul_stage_sweep_of(o->output);
	ul_aside aside;
	bool ok = ul_aside_begin(&aside, o->output, &c->err) && ul_gguf_write(m, aside.path, as[o->dtype], &c->err) && ul_aside_commit(&aside, c->force, &c->err);
	ul_aside_abort(&aside);
	return ok;
}

/* What was asked for must exist: an adapter to write or to fold in, and none that would be lost silently. */
static bool fits(ul_cli *c, const struct config *o, const ul_model *m)
{
	if (!m->adapter && (o->merge || o->to == TO_PEFT))
		return ul_fail(&c->err, "%s carries no adapter to %s", c->arg[0], o->merge ? "merge" : "export");
	if (m->adapter && o->to != TO_PEFT && !o->merge) {
		ul_fail(&c->err, "%s carries an adapter, which %s cannot hold beside the weights", c->arg[0], o->to == TO_GGUF ? "gguf" : "hf");
		ul_hint(&c->err, "--merge folds it into the weights, --to peft writes it alone");
		return false;
	}
	if (o->dtype == AS_Q8_0 && o->to != TO_GGUF)
		return ul_fail(&c->err, "q8_0 exists in gguf only");
	return true;
}

static int run(ul_cli *c, const void *given)
{
	const struct config *o = given;
	if (!o->output)
		return ul_work_usage(c, "export needs -o PATH");
	if (o->merge && o->to == TO_PEFT)
		return ul_work_usage(c, "--merge and --to peft do not go together");
	ul_model *m = ul_work_model(c, c->arg[0]);
	bool ok = m && ul_output_apart(o->output, "model", m->path, &c->err) && ul_output_apart(o->output, "adapter", c->adapter, &c->err);
	ok = ok && fits(c, o, m) && (!o->merge || ul_lora_merge(m, 1, &c->err));
	ok = ok && (o->to == TO_GGUF ? write_gguf(c, o, m) : write_dir(c, o, m));
	if (ok && c->json) {
		static const char *const to[] = {"hf", "peft", "gguf"};
		json_t *v = json_pack("{s:s, s:s, s:b}", "output", o->output, "to", to[o->to], "merged", o->merge);
		ul_cli_print(c, v);
		json_decref(v);
	} else if (ok && !c->quiet) {
		printf("%s\n", o->output);
	}
	ul_model_free(m);
	return ok ? UL_EXIT_DONE : ul_cli_fail(c);
}

const ul_verb ul_verb_export = {
        .name = "export",
        .usage = "MODEL -o PATH --to hf|peft|gguf [--merge] [--dtype f32|bf16|f16|q8_0]",
        .summary = "write a model for transformers, PEFT, llama.cpp or Ollama",
        .min_args = 1,
        .max_args = 1,
        .opts = opts,
        .config = sizeof(struct config),
        .main = run,
};
