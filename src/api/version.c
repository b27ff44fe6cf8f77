/*
 * version.c: the version of the library, one string for the program, the records and the package.
 */
#include "unlearn.h"

const char *ul_version(void)
{
	return UL_VERSION;
}
