/*
 * test_mpu_manifest.c: a folder that was signed is whole or refused.
 */
#include "protocols/mpu_files.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static json_t *round_of(void)
{
	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:[]}", "kind", "mpu round", "session", "00112233445566778899aabbccddeeff", "round", 1, "rounds", 2, "copies", 2, "transforms", "exact", "plain");
}

/* A signed round in the test's folder; its signer. */
static ul_mpu_signer signed_round(void)
{
	ul_err err = {0};
	ul_mpu_signer s;
	json_t *m = round_of();
	NEED_OK(ul_mkdirs(test_path("copy-0"), &err) && ul_mkdirs(test_path("copy-1"), &err), err);
	test_file("copy-0/model.safetensors", "weights of one copy");
	test_file("copy-0/config.json", "{}");
	test_file("copy-1/model.safetensors", "weights of another");
	NEED_OK(ul_mpu_signer_open(&s, test_path("key"), true, &err), err);
	NEED_OK(ul_mpu_manifest_write(test_tmp(), m, &s, &err), err);
	json_decref(m);
	return s;
}

static bool whole(const char *trusted, ul_err *err)
{
	*err = (ul_err){0};
	json_t *m = ul_mpu_manifest_read(test_tmp(), trusted, NULL, err);
	bool ok = m && ul_mpu_files_check(test_tmp(), m, -1, err);
	json_decref(m);
	return ok;
}

static void test_mpu_manifest__what_was_written_is_read(void)
{
	ul_err err;
	char sha[65];
	ul_mpu_signer s = signed_round(), again;
	CHECK(whole(NULL, &err) && whole(s.key, &err));
	json_t *m = ul_mpu_manifest_read(test_tmp(), NULL, sha, &err);
	NEED_OK(m, err);
	CHECK_EQ_INT(json_array_size(json_object_get(m, "files")), 3);
	CHECK_STR(ul_json_str(json_array_get(json_object_get(m, "files"), 0), "path"), "copy-0/config.json");
	CHECK(ul_mpu_signer_open(&again, test_path("key"), true, &err));
	CHECK_STR(again.key, s.key);
	json_decref(m);
}

static void test_mpu_manifest__a_key_others_can_read_is_refused(void)
{
	ul_err err = {0};
	struct stat st;
	ul_mpu_signer s = signed_round();
	NEED(stat(test_path("key"), &st) == 0);
	CHECK_EQ_INT(st.st_mode & 0777, 0600);
	NEED(chmod(test_path("key"), 0644) == 0);
	CHECK_FAILS(ul_mpu_signer_open(&s, test_path("key"), true, &err), err, "can be read by others");
}

static void test_mpu_manifest__every_change_is_noticed(void)
{
	ul_err err;
	signed_round();
	CHECK_FAILS(whole("0000000000000000000000000000000000000000000000000000000000000000", &err), err, "was expected");
	test_file("copy-0/model.safetensors", "weights of one cope");
	CHECK_FAILS(whole(NULL, &err), err, "SHA-256 differs");
	test_file("copy-0/model.safetensors", "weights");
	CHECK_FAILS(whole(NULL, &err), err, "7 bytes, the manifest says 19");
	signed_round();
	test_file("copy-1/pytorch_model.bin", "more");
	CHECK_FAILS(whole(NULL, &err), err, "holds 2 files, the manifest lists 1");
	unlink(test_path("copy-1/pytorch_model.bin"));
	unlink(test_path("copy-1/model.safetensors"));
	NEED(symlink("/etc/hostname", test_path("copy-1/model.safetensors")) == 0);
	CHECK_FAILS(whole(NULL, &err), err, "is no file here");
}

/* The text of a manifest with one thing changed in it. */
static bool changed(const char *from, const char *to, bool resigned, ul_err *err)
{
	ul_buf text = {0}, out = {0};
	ul_mpu_signer s = signed_round();
	*err = (ul_err){0};
	NEED_OK(ul_file_read(&text, test_path("manifest.json"), 1 << 20, err), *err);
	char *at = strstr(text.data, from);
	NEED(at);
	ul_buf_add(&out, text.data, (size_t)(at - text.data));
	ul_buf_str(&out, to);
	ul_buf_str(&out, at + strlen(from));
	json_t *m = ul_mpu_manifest_parse(out.data, out.len, err);
	bool ok = m != NULL;
	if (ok && !resigned) {
		test_file("manifest.json", out.data);
		ok = whole(s.key, err);
	}
	json_decref(m);
	ul_buf_release(&text);
	ul_buf_release(&out);
	return ok;
}

static void test_mpu_manifest__hostile_texts_are_refused(void)
{
	ul_err err;
	CHECK_FAILS(changed("\"round\": 1", "\"round\": 2", false, &err), err, "signature of manifest.json does not belong");
	CHECK_FAILS(changed("copy-0/config.json", "copy-0/../config.json", true, &err), err, "plain name");
	CHECK_FAILS(changed("copy-0/config.json", "/etc/passwd", true, &err), err, "plain name");
	CHECK_FAILS(changed("copy-0/config.json", "copy-99/config.json", true, &err), err, "plain name");
	CHECK_FAILS(changed("copy-0/config.json", "copy-00/config.json", true, &err), err, "plain name");
	CHECK_FAILS(changed("copy-0/config.json", "copy-0/.hidden", true, &err), err, "plain name");
	CHECK_FAILS(changed("copy-0/config.json", "copy-0/model.safetensors", true, &err), err, "listed twice");
	CHECK_FAILS(changed("\"round\": 1", "\"round\": 0", true, &err), err, "round");
	CHECK_FAILS(changed("\"copies\": 2", "\"copies\": 65", true, &err), err, "copies");
	CHECK_FAILS(changed("mpu round", "mpu orbit", true, &err), err, "\"mpu orbit\", neither mpu round nor mpu update");
	CHECK_FAILS(changed("\"transforms\": \"exact\"", "\"transforms\": \"magic\"", true, &err), err, "\"magic\" and none of none, exact, any");
	CHECK_FAILS(changed("\"bytes\": 2", "\"bytes\": -2", true, &err), err, "bytes");
	CHECK_FAILS(changed("00112233445566778899aabbccddeeff", "00112233445566778899aabbccddeefg", true, &err), err, "session");
}

static bool write_and_read(void *ud, ul_err *err)
{
	ul_mpu_signer s;
	json_t *m = round_of();
	bool ok = ul_mpu_signer_open(&s, test_path("key"), true, err) && ul_mpu_manifest_write(test_tmp(), m, &s, err);
	json_decref(m);
	m = ok ? ul_mpu_manifest_read(test_tmp(), s.key, NULL, err) : NULL;
	ok = m && ul_mpu_files_check(test_tmp(), m, -1, err);
	json_decref(m);
	return ok;
}

static void test_mpu_manifest__survives_every_refused_allocation(void)
{
	signed_round();
	CHECK(test_each_alloc(write_and_read, NULL) > 10);
}
