/*
 * mpu_attack_parts.h: what the attacks on a round share. For mpu_attack*.c only.
 */
#ifndef UL_MPU_ATTACK_PARTS_H
#define UL_MPU_ATTACK_PARTS_H

#include "api/mpu_attack_api.h"

typedef struct ul_mpu_siege {
	const ul_mpu_attack_job *a;
	ul_mpu_server *s; /* the judge's: θ, keys */
	json_t *round; /* manifest */
	ul_model *copy[UL_MPU_MAX_COPIES];
	int copies;
	ul_model *guess; /* of an attacker */
	json_t *found;
	ul_err *err;
} ul_mpu_siege;

/* Mean NLL of the labelled tokens of --data, and the share of them that m finds most probable, into o. Without --data nothing. */
bool ul_mpu_siege_score(const ul_mpu_siege *t, ul_model *m, json_t *o);

bool ul_mpu_siege_learn(ul_mpu_siege *t); /* mpu_attack_learn.c: "updates" */
bool ul_mpu_siege_poison(ul_mpu_siege *t); /* mpu_attack_poison.c: "poison" */

#endif
