/*
 * mpu_attack_api.h: attacks on a session of MPU, by who has its secrets and wants to know what they are worth.
 */
#ifndef UL_MPU_ATTACK_API_H
#define UL_MPU_ATTACK_API_H

#include "api/mpu_api.h"
#include "protocols/mpu_align.h"

typedef struct ul_mpu_attack_job {
	const char *published, *secret;
	const char *data; /* rows to score recovered models on, or NULL */
	const char *update, *forget, *retain, *holdout; /* for what the server learns; update NULL: not tried */
} ul_mpu_attack_job;
/* {"settings": of the round, "secret": {"noise_left", "cosine", "exact", "nll", "accuracy"}, "one copy": …, "mean": …, "copies": …,
 * "base": …, "updates": {"copy", "type", "membership_auc", "tokens_auc", and for a full update "rank", "of", "rows", "rows_read",
 * "tokens_read", "prefixes", else "not_tried"}, "poison": {"copy", "one_copy_moves": null where nothing limits it, "tried": [{"what",
 * "taken", "refused" or "moved", "nll", "accuracy"}]}}; "nll" and "accuracy" with data only. The caller owns it. */
bool ul_mpu_attack_run(const ul_mpu_attack_job *a, json_t **found, ul_err *err);

#endif
