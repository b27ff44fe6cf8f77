/*
 * mpu_serve.c: the server's secret folder with the models it names.
 */
#include "api/mpu_api.h"

ul_mpu_server *ul_mpu_server_load(const char *dir, ul_err *err)
{
	ul_mpu_names n;
	ul_mpu_server *s = NULL;
	if (!ul_mpu_server_names(dir, &n, err))
		return NULL;
	ul_model *theta = ul_model_open(n.model, n.adapter, err), *base = NULL;
	bool ok = theta && (!theta->adapter || ul_lora_merge(theta, 1, err));
	if (ok)
		ul_model_rest(theta); /* opening looked at every number */
	ok = ok && (!n.base || (base = ul_model_open(n.base, NULL, err)));
	if (ok)
		s = ul_mpu_server_new(dir, theta, base, err);
	else
		ul_model_free(theta);
	ul_arena_release(&n.arena);
	return s;
}
