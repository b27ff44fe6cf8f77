/*
 * fuzz.h: one fuzz target is tests/fuzz/fuzz_<parser>.c with
 *
 *	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
 *
 * which parses, releases everything, calls fuzz_verdict and returns 0. `make fuzz` gives it to libFuzzer under ASan and UBSan;
 * `make test` replays tests/fuzz/corpus/<parser>/ (must not crash) and tests/fuzz/refuse/<parser>/ (must be refused).
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the parser said. Aborts if it contradicts its message: refused without a sentence, or accepted with one. */
void fuzz_verdict(bool accepted, const ul_err *err);

/* The bytes as a file, for parsers that open a path. The name ends in `suffix` (".gguf"); the next call replaces the file. */
const char *fuzz_file(const uint8_t *data, size_t size, const char *suffix);
/* An empty directory of this process with one file `name` in it holding the bytes; more can be added by name. */
const char *fuzz_dir(void);
void fuzz_dir_file(const char *name, const void *data, size_t size);

#endif
