/*
 * test_dtype.c: reading and writing of ggml's block formats and of 16-bit floats, bit for bit against other people's programs.
 */
#include "tensor/tensor.h"
#include "test.h"

#include "tests/golden/dtype/blocks.h"

static void same_floats(enum ul_dtype t, const void *bytes, size_t nbytes, const void *bits, size_t n)
{
	float *y = ul_malloc(n * sizeof *y);

	NEED(y != NULL);
	CHECK_EQ_INT(ul_dtype_bytes(t, n), nbytes);
	ul_dequantize(t, bytes, y, n);
	CHECK_MSG(!memcmp(y, bits, n * sizeof *y), "%s: other bits", ul_dtype_name(t));
	ul_free(y);
}

#define SAME(t, name) same_floats(t, name##_bytes, sizeof name##_bytes, name##_floats, sizeof name##_floats / 4)

static void test_dtype__blocks_are_read_as_ggml_reads_them(void)
{
	SAME(UL_Q8_0, q8_0);
	SAME(UL_Q4_0, q4_0);
	SAME(UL_Q4_1, q4_1);
	SAME(UL_Q5_0, q5_0);
	SAME(UL_Q5_1, q5_1);
	SAME(UL_Q4_K, q4_k);
	SAME(UL_Q5_K, q5_k);
	SAME(UL_Q6_K, q6_k);
}

static void test_dtype__halves_are_written_as_numpy_writes_them(void)
{
	enum { N = sizeof half_in / 4 };
	uint16_t got[N];

	ul_quantize(UL_F16, (const float *)half_in, got, N);
	for (int i = 0; i < N; i++)
		CHECK_MSG(got[i] == half_out[i], "%a: %04x, not %04x", (double)((const float *)half_in)[i], got[i], half_out[i]);
	ul_quantize(UL_BF16, (const float *)half_in, got, N);
	for (int i = 0; i < N; i++)
		CHECK_MSG(got[i] == bfloat_out[i], "%a: %04x, not %04x", (double)((const float *)half_in)[i], got[i], bfloat_out[i]);
}

/* Every 16-bit float survives being read and written; NaNs stay NaNs. */
static void all_survive(enum ul_dtype t, unsigned exponent)
{
	int wrong = 0;

	for (unsigned i = 0; i < 65536; i++) {
		uint16_t in = (uint16_t)i, out;
		float f;
		ul_dequantize(t, &in, &f, 1);
		ul_quantize(t, &f, &out, 1);
		bool nan = (in & exponent) == exponent && (in & 0x7fff) != exponent;
		wrong += nan ? f == f || (out & exponent) != exponent || (out & 0x7fff) == exponent : out != in;
	}
	CHECK_MSG(wrong == 0, "%s: %d values change", ul_dtype_name(t), wrong);
}

static void test_dtype__16_bit_floats_survive(void)
{
	all_survive(UL_F16, 0x7c00);
	all_survive(UL_BF16, 0x7f80);
}

static void test_dtype__q8_0_is_written_as_ggml_writes_it(void)
{
	enum { N = sizeof q8_in / 4 };
	uint8_t got[sizeof q8_out];

	ul_quantize(UL_Q8_0, (const float *)q8_in, got, N);
	CHECK(!memcmp(got, q8_out, sizeof got));
}

static void test_dtype__f64_is_rounded_to_float(void)
{
	static const double x[] = {0.1, -1e300, 1e-320};
	float y[3];

	ul_dequantize(UL_F64, x, y, 3);
	CHECK(y[0] == 0.1f && isinf(y[1]) && y[1] < 0 && y[2] == 0);
}

static void test_dtype__names_and_sizes(void)
{
	CHECK_STR(ul_dtype_name(UL_BF16), "BF16");
	CHECK_STR(ul_dtype_name(UL_Q4_K), "Q4_K");
	CHECK_EQ_INT(ul_dtype_bytes(UL_F64, 3), 24);
	CHECK_EQ_INT(ul_dtype_block(UL_Q6_K), 256);
	CHECK_EQ_INT(ul_dtype_block(UL_Q5_1), 32);
}

/* The blocks of ../shared: tensors follow each other in the order of the list, each from a multiple of 32, and end with the file. */
static void test_dtype__blocks_of_the_oracle(void)
{
	const char *dir = test_shared("oracle-hf/gguf");
	char path[3][4096];
	ul_buf file = {0}, truth = {0};
	ul_err err = {0};
	size_t at = 0, done = 0;

	snprintf(path[0], sizeof path[0], "%s/quant_blocks.json", dir);
	snprintf(path[1], sizeof path[1], "%s/quant_blocks.gguf", dir);
	snprintf(path[2], sizeof path[2], "%s/quant_blocks.oracle.safetensors", dir);
	json_t *list = ul_json_file(path[0], 1 << 20, &err), *t;
	NEED_OK(list && ul_file_read(&file, path[1], 1 << 20, &err) && ul_file_read(&truth, path[2], 1 << 20, &err), err);
	uint64_t head;
	memcpy(&head, truth.data, 8);
	json_t *header = ul_json_parse(truth.data + 8, head, "oracle", &err);
	NEED_OK(header, err);

	for (size_t i = json_array_size(list); i-- > 0;) { /* from the end of the file */
		t = json_array_get(list, i);
		json_t *shape = json_object_get(t, "shape_rows");
		size_t n = (size_t)(json_integer_value(json_array_get(shape, 0)) * json_integer_value(json_array_get(shape, 1)));
		size_t bytes = n / (size_t)json_integer_value(json_object_get(t, "block")) * (size_t)json_integer_value(json_object_get(t, "bytes_per_block"));
		json_t *place = json_object_get(json_object_get(header, ul_json_str(t, "name")), "data_offsets");
		at += (bytes + 31) / 32 * 32;
		for (int d = 0; d < UL_DTYPES; d++)
			if (!strcmp(ul_dtype_name((enum ul_dtype)d), ul_json_str(t, "type"))) {
				same_floats((enum ul_dtype)d, file.data + file.len - at, bytes, truth.data + 8 + head + json_integer_value(json_array_get(place, 0)), n);
				done++;
			}
	}
	CHECK_EQ_INT(done, 8);
	json_decref(list);
	json_decref(header);
	ul_buf_release(&file);
	ul_buf_release(&truth);
}
