/*
 * cmd_mpu.c: unlearn mpu. Unlearning between two parties who show each other neither weights nor data; each of its commands is
 * one file mpu_<name>.c.
 */
#include "cli/cli.h"

const ul_verb ul_verb_mpu = {
        .name = "mpu",
        .usage = "COMMAND [--option value]…",
        .summary = "unlearn between two parties: perturbed copies out, updates back",
        .sub = ul_mpu_verbs,
};
