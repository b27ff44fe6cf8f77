/*
 * fuzz_manifest.c: the manifest of a round or an update of MPU, which the other party wrote.
 */
#include "fuzz.h"

#include "protocols/mpu_files.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_err err = {0}, none = {0};
	json_t *m = ul_mpu_manifest_parse((const char *)data, size, &err), *f;
	size_t i;
	json_array_foreach(json_object_get(m, "files"), i, f)
	{
		/* One folder and a name in it that does not begin with a dot; dots further on are a name's own affair. */
		const char *path = ul_json_str(f, "path"), *slash = strchr(path, '/');
		UL_ASSERT(!strncmp(path, "copy-", 5) && slash && slash == strrchr(path, '/') && slash[1] != '.', "%s", path);
	}
	if (m) {
		UL_ASSERT(!ul_mpu_manifest_signed(m, (const char *)data, size, "00", NULL, &none), "%zu bytes", size);
		UL_ASSERT(!ul_mpu_files_check(fuzz_dir(), m, -1, &none), "%zu bytes", size);
	}
	fuzz_verdict(m != NULL, &err);
	json_decref(m);
	return 0;
}
