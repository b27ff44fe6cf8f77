/*
 * test_sha.c: the vectors of FIPS 180-4.
 */
#include "test.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define TWO_BLOCKS "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
#define MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void test_sha__vectors(void)
{
	const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	char hex[65];
	ul_sha256("", 0, hex);
	CHECK_STR(hex, EMPTY);
	ul_sha256("abc", 3, hex);
	CHECK_STR(hex, ABC);
	ul_sha256(two, strlen(two), hex);
	CHECK_STR(hex, TWO_BLOCKS);
}

static void test_sha__in_pieces(void)
{
	char hex[65], piece[1000];
	memset(piece, 'a', sizeof piece);
	ul_sha *s = ul_sha_new();
	NEED(s);
	for (int i = 0; i < 1000; i++)
		ul_sha_add(s, piece, sizeof piece);
	ul_sha_end(s, hex);
	CHECK_STR(hex, MILLION_A);
}

static void test_sha__file(void)
{
	char hex[65] = "untouched";
	ul_err err = {0};
	test_file("abc", "abc");
	CHECK(ul_sha256_file(test_path("abc"), hex, &err));
	CHECK_STR(hex, ABC);
	CHECK_FAILS(ul_sha256_file(test_path("absent"), hex, &err), err, "absent");
	CHECK_STR(hex, ABC);
}

static void test_sha__no_memory(void)
{
	ul_malloc_fail_at(1);
	CHECK(!ul_sha_new());
	ul_malloc_fail_at(0);
}
