/*
 * model.c: opening and saving a model for users of the library.
 */
#include "api/api.h"
#include "model/lora.h"

/* The adapters of a run folder, which may stand on another run folder: the lowest first. ul_model_resolve has bounded the depth. */
static bool put_run(ul_model *m, const char *path, ul_arena *a, ul_err *err)
{
	const char *own = ul_model_adapter_of(path, a);
	if (!own)
		return true;
	const char *base = ul_model_base_of(path, a, err);
	return base && put_run(m, base, a, err) && ul_lora_open(m, own, err);
}

static bool put_adapters(ul_model *m, const char *path, const char *adapter, ul_err *err)
{
	ul_arena a = {0};
	bool ok = put_run(m, path, &a, err) && (!adapter || ul_lora_open(m, adapter, err));
	ul_arena_release(&a);
	return ok;
}

ul_model *ul_model_open(const char *path, const char *adapter, ul_err *err)
{
	ul_model *m = ul_model_open_with(path, NULL, err);
	if (m && !put_adapters(m, path, adapter, err)) {
		ul_model_free(m);
		return NULL;
	}
	return m;
}

/* In float32: what training moved may be smaller than a step of the dtype the model came in. */
bool ul_model_save(ul_model *m, const char *dir, ul_err *err)
{
	return ul_model_put(m, dir, false, err);
}

bool ul_model_put(ul_model *m, const char *dir, bool force, ul_err *err)
{
	ul_stage s;
	if (!ul_stage_begin(&s, dir, force, err))
		return false;
	if (ul_model_write(m, s.dir, UL_SAVE_F32, err) && ul_stage_commit(&s, err))
		return true;
	ul_stage_abort(&s);
	return false;
}
