#!/usr/bin/env python3
"""Writes blocks.h: random blocks of every quantised type and what the gguf package (ggml's own Python reader) makes of them,
and 16-bit floats as numpy rounds them. Needs numpy and gguf."""
import numpy as np
from gguf import quants, GGMLQuantizationType as T

rng = np.random.default_rng(20)
types = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
scales = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def words(name, a):
    body = ", ".join(f"0x{v:x}" for v in a)
    kind = {1: "uint8_t", 2: "uint16_t", 4: "uint32_t"}[a.dtype.itemsize]
    return f"static const {kind} {name}[] = {{{body}}};\n"


out = "/* Written by make.py from the gguf package and numpy. Floats as their bits. */\n#include <stdint.h>\n"
for t in types:
    size = quants.GGML_QUANT_SIZES[T[t]]
    n = 3 if size[0] == 32 else 2
    raw = rng.integers(0, 256, size=(n, size[1]), dtype=np.uint8)
    for at in scales[t]:
        raw[:, at : at + 2] = rng.normal(0, 0.02, n).astype(np.float16).view(np.uint8).reshape(n, 2)
    out += words(f"{t.lower()}_bytes", raw.reshape(-1))
    out += words(f"{t.lower()}_floats", quants.dequantize(raw, T[t]).astype(np.float32).reshape(-1).view(np.uint32))
x = np.concatenate([rng.normal(0, 1, 40), rng.normal(0, 1e-5, 40), rng.normal(0, 1e-7, 40), [0, -0.0, 65519, 65520, 1e9, 2**-24, 2**-25, 2**-25 * 1.001, 2**-14, 1 + 2**-11, 1 + 3 * 2**-11, np.inf, -np.inf]]).astype(np.float32)
out += words("half_in", x.view(np.uint32))
with np.errstate(over="ignore"):
    out += words("half_out", x.astype(np.float16).view(np.uint16))
out += words("bfloat_out", quants.quantize(x, T.BF16).reshape(-1).view(np.uint16))
y = np.concatenate([rng.normal(0, 1, 64), np.zeros(32), [3.0] + [0.0] * 31]).astype(np.float32).reshape(4, 32)
out += words("q8_in", y.reshape(-1).view(np.uint32))
out += words("q8_out", quants.quantize(y, T.Q8_0).reshape(-1))
open(__file__.replace("make.py", "blocks.h"), "w").write(out)
