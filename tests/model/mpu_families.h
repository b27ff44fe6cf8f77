/*
 * mpu_families.h: the committed checkpoints that every promise of MPU is tested on: random weights of every architecture.
 *
 * The eleven tests of specification 2.9, each on all of them unless said otherwise:
 *
 *    1  the function is kept                  test_mpu_maps; test_mpu_families__smollm2 on a trained checkpoint
 *    2  there and back                        test_mpu_families__exact_turns_come_back_to_the_bit, …__rotations_come_back
 *    3  Σ ε/α = 0, Var, Cov, σ = κ RMS        test_mpu_families__noise_is_what_it_should_be; test_mpu_noise
 *    4  κ = 0                                 test_mpu_round__without_noise…, …__exact_transforms…, …__rotations_let_sgd…
 *    5  slopes over κ                         test_mpu_round__error_falls…, …__independent_noises…, …__under_adamw… (reported)
 *    6  more copies                           test_mpu_round__copies_take_the_fluctuation…
 *    7  plain mean under unequal α: slope 1   test_mpu_round__error_falls…
 *    8  rows in other orders: slope 1         test_mpu_round__error_falls…
 *    9  attacks                               test_mpu_align, test_mpu_invert
 *   10  keys                                  test_mpu_round__a_key_decides…, test_mpu_families__any_order_any_threads
 *   11  rounding                              test_mpu_round__noise_reaches…, test_mpu_families__bfloat16_rounds_noise_away
 */
#ifndef MPU_FAMILIES_H
#define MPU_FAMILIES_H

#include "protocols/mpu.h"
#include "test.h"

static const char *const families[] = {"llama", "llama_bias", "llama_tied_llama3", "llama_yarn", "mistral", "qwen2", "qwen2_window", "qwen3", "neox_parallel", "neox_sequential", "gpt2", "gemma3", "gemma3_untied"};
enum { FAMILIES = sizeof families / sizeof *families };

static inline const char *family_path(const char *name)
{
	static char path[4][256]; /* of the last four */
	static int used;
	char *p = path[used++ % 4];
	snprintf(p, sizeof path[0], "tests/golden/families/%s", name);
	return p;
}

static inline ul_model *family_open(const char *name, const char *backend)
{
	ul_err err = {0};
	ul_model *m = ul_model_open_with(family_path(name), &(ul_open){.backend = backend, .no_tokenizer = true}, &err);
	NEED_OK(m, err);
	return m;
}

#endif
