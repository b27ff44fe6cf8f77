/*
 * mpu_sign.h: Ed25519 over bytes, keys and signatures as lower-case hex.
 */
#ifndef UL_MPU_SIGN_H
#define UL_MPU_SIGN_H

#include "protocols/mpu_files.h"

void ul_hex(const unsigned char *bytes, size_t n, char *out); /* 2n digits and NUL */
bool ul_unhex(const char *hex, unsigned char *out, size_t n); /* exactly 2n lower-case digits */
bool ul_mpu_sign_bytes(const ul_mpu_signer *s, const void *data, size_t n, char sig[129], ul_err *err);
bool ul_mpu_signed(const char *key, const void *data, size_t n, const char *sig);

#endif
