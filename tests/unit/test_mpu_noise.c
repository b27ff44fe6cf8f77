/*
 * test_mpu_noise.c: the zero-sum noise of MPU: its sums, variance and covariance (specification 2.9, test 3), and its addresses.
 */
#include "protocols/mpu.h"
#include "test.h"

#include <math.h>
#include <string.h>

enum { M = 4,
	N = 20000 };

static const ul_mpu_key key = {"thirty-two bytes of a secret key"};

static void draw(int copy, const double *alpha, double sigma, float *out)
{
	float *only[M] = {0};
	ul_err err = {0};
	only[copy] = out;
	memset(out, 0, N * sizeof *out);
	CHECK(ul_mpu_add_noise(&key, 1, "model.layers.0.mlp.up_proj.weight", &(ul_mpu_copies){M, alpha}, sigma, 0, only, N, &err));
}

static void test_mpu_noise__cancels_in_the_harmonic_mean(void)
{
	static float e[M][N];
	const double alpha[M] = {1, 4 / 3.0, 5 / 3.0, 2};
	double worst = 0;

	for (int k = 0; k < M; k++)
		draw(k, alpha, 0.5, e[k]);
	for (int i = 0; i < N; i++) {
		double sum = 0;
		for (int k = 0; k < M; k++)
			sum += e[k][i] / alpha[k];
		worst = fmax(worst, fabs(sum));
	}
	CHECK(worst < 1e-6);
}

/* One copy, all of them, or a piece that begins anywhere: the same numbers. */
static void test_mpu_noise__copies_together_are_each_alone(void)
{
	static float alone[N], all[M][N];
	const double alpha[M] = {1, 4 / 3.0, 5 / 3.0, 2};
	float *out[M];
	ul_err err = {0};
	memset(all, 0, sizeof all);
	for (size_t at = 0, step = 1; at < N; at += step, step = step * 3 + 1) {
		for (int k = 0; k < M; k++)
			out[k] = all[k] + at;
		CHECK(ul_mpu_add_noise(&key, 1, "model.layers.0.mlp.up_proj.weight", &(ul_mpu_copies){M, alpha}, 0.5, at, out, at + step < N ? step : N - at, &err));
	}
	for (int k = 0; k < M; k++) {
		draw(k, alpha, 0.5, alone);
		CHECK(!memcmp(alone, all[k], sizeof alone));
	}
}

static void test_mpu_noise__variance_and_covariance(void)
{
	static float e[2][N];
	const double alpha[M] = {1, 1, 1, 1};
	double v = 0, c = 0;

	draw(0, alpha, 0.5, e[0]);
	draw(1, alpha, 0.5, e[1]);
	for (int i = 0; i < N; i++) {
		v += (double)e[0][i] * e[0][i] / N;
		c += (double)e[0][i] * e[1][i] / N;
	}
	CHECK_CLOSE(v, 0.25, 0.04); /* Var = σ² */
	CHECK_CLOSE(c, -0.25 / (M - 1), 0.15); /* Cov = -σ²/(m-1) */
}

static void test_mpu_noise__any_piece_can_be_drawn_again(void)
{
	float whole[300], piece[100];
	ul_err err = {0};

	CHECK(ul_mpu_normals(&key, 3, "w", 2, 0, whole, 300, &err));
	for (size_t at = 0; at <= 200; at += 2) {
		CHECK(ul_mpu_normals(&key, 3, "w", 2, at, piece, 100, &err));
		CHECK(!memcmp(piece, whole + at, sizeof piece));
	}
}

/* The normals are Box and Muller's of the words of the stream: radius from one, angle from the other. */
static void test_mpu_noise__normals_are_those_of_the_words(void)
{
	enum { PAIRS = N / 2 };
	static uint32_t w[N];
	static float x[N];
	ul_err err = {0};
	double worst = 0, far = 0;

	CHECK(ul_mpu_words(&key, 1, "w", 0, w, N, &err));
	CHECK(ul_mpu_normals(&key, 1, "w", 0, 0, x, N, &err));
	for (int i = 0; i < N / 16 * 16; i++) {
		int at = i / 16 * 16, j = i % 8;
		double u = ((w[at + j] >> 1) + 0.5) / 2147483648.0, angle = 2 * 3.14159265358979323846 * (w[at + 8 + j] & 0x3fffffff) / 4294967296.0;
		/* thirty bits of angle count from the middle of their quadrant on: the upper half of them lies below it */
		angle -= w[at + 8 + j] & 0x20000000 ? 3.14159265358979323846 / 2 : 0;
		angle += (w[at + 8 + j] >> 30) * 3.14159265358979323846 / 2;
		double want = sqrt(-2 * log(u)) * (i % 16 < 8 ? cos(angle) : sin(angle));
		worst = fmax(worst, fabs(x[i] - want));
		far = fmax(far, fabs(x[i]));
	}
	CHECK_MSG(worst < 3e-5, "off by %g", worst);
	CHECK_MSG(far > 3.5 && far < 6, "the farthest of %d is %g", N, far);
}

static void test_mpu_noise__another_address_gives_other_numbers(void)
{
	const struct {
		ul_mpu_key key;
		int round, copy;
		const char *name;
	} other[] = {{{"another secret of thirty-two b."}, 1, 0, "w"}, {key, 2, 0, "w"}, {key, 1, 1, "w"}, {key, 1, 0, "v"}};
	float a[64], b[64];
	ul_err err = {0};

	CHECK(ul_mpu_normals(&key, 1, "w", 0, 0, a, 64, &err));
	for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
		double dot = 0, aa = 0, bb = 0;
		CHECK(ul_mpu_normals(&other[i].key, other[i].round, other[i].name, other[i].copy, 0, b, 64, &err));
		for (int j = 0; j < 64; j++)
			dot += a[j] * b[j], aa += a[j] * a[j], bb += b[j] * b[j];
		CHECK(fabs(dot) / sqrt(aa * bb) < 0.6);
	}
}
