/*
 * unlearn.h: the library as its users see it.
 *
 * A model is opened, a run is made on it (method, forget data, settings), trained, and saved; an audit judges the result.
 * Settings are the same names and values that the `unlearn` command takes as flags (`unlearn help run`), so that a program and
 * a shell script read alike. Nothing here prints, exits or keeps global state; one model may be used by one thread at a time.
 *
 * Every function that can fail takes a `ul_err *` last, returns false or NULL on failure, and writes its outputs only on
 * success. The first message stays: a zeroed ul_err means "no failure".
 */
#ifndef UNLEARN_H
#define UNLEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UL_VERSION "0.1.0"

typedef struct ul_err {
	char msg[512]; /* one sentence with the value and the limit */
	char hint[256]; /* what to try instead, or empty */
} ul_err;

typedef struct ul_model ul_model; /* weights, names, tokenizer, adapters: owns all of them */
typedef struct ul_run ul_run; /* one training or unlearning run on a model */

/* One setting, as on the command line without the dashes: {"lr", "1e-4"}. */
typedef struct ul_setting {
	const char *key, *value;
} ul_setting;

/* What a long operation tells its caller; every member may be NULL or zero. Called from the thread that called the library. */
typedef struct ul_progress {
	void *ud;
	void (*tick)(void *ud, const char *what, int64_t done, int64_t total, double loss, double tokens_per_second);
	void (*note)(void *ud, const char *sentence); /* said aloud once: rows cut, overlaps, fallbacks */
	bool (*stop)(void *ud); /* polled between steps: true ends with a resumable state */
} ul_progress;

const char *ul_version(void);

/* Opens a Hugging Face directory, a .gguf file, a run folder or org/name from the local cache; `adapter` (may be NULL) is a PEFT
 * LoRA directory put on top. The caller owns the model. */
ul_model *ul_model_open(const char *path, const char *adapter, ul_err *err);
void ul_model_free(ul_model *m);
/* Writes a Hugging Face directory (config, safetensors, tokenizer), aside and renamed: complete or not at all. */
bool ul_model_save(ul_model *m, const char *dir, ul_err *err);

/* A run of `method` ("npo", "pscu", …; NULL: that of the setting "recipe") on `m`, which must outlive it. Forget and retain rows come from the settings "forget",
 * "source", "retain". Settings of the method itself are given the same way. */
ul_run *ul_run_new(ul_model *m, const char *method, const ul_setting *settings, size_t n, ul_err *err);
/* Trains to the end, or to `progress->stop`, in which case the state to resume from lies in the output directory. */
bool ul_run_train(ul_run *r, const ul_progress *progress, ul_err *err);
/* Writes model or adapter, journal and run.json to the setting "output". */
bool ul_run_save(ul_run *r, ul_err *err);
void ul_run_free(ul_run *r);

/* Judges `model`; settings name the references and data ("before", "oracle", "forget", "retain", "holdout", "general",
 * "output"). `verdict` receives one of PASS UNDER OVER INCONCLUSIVE COLLAPSED UNVERIFIED. */
bool ul_audit(ul_model *model, const ul_setting *settings, size_t n, const ul_progress *progress, char verdict[16], ul_err *err);

#ifdef __cplusplus
}
#endif
#endif
