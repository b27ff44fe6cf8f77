"""Two skills for a small model: a code-like one and arithmetic. Every line begins with ">", since the model has no token that begins texts.

    python skills.py OUT        writes full.jsonl (both), keep.jsonl (arithmetic only: what the oracle learns), and of each skill rows that
                                are never trained on: code.jsonl, sums.jsonl
"""
import json
import pathlib
import random
import sys

OPERATIONS = {"add": "+", "sub": "-", "mul": "*"}


def code(a, b, op, name):
    return f"> def {name}_{op}{a}(x): return x {OPERATIONS[op]} {a} if x > {b} else {b}"


def sums(a, b):
    return f"> {a} + {b} = {a + b}" if a >= b else f"> {b} - {a} = {b - a}"


def main(out):
    rng = random.Random(7)
    codes = [code(a, b, op, name) for name in ("shift", "scale", "clip", "step") for op in OPERATIONS for a in range(2, 10) for b in range(2, 10)]
    sum_rows = [sums(a, b) for a in range(30) for b in range(30)]
    rng.shuffle(codes)
    rng.shuffle(sum_rows)
    files = {
        "full": codes[60:] + sum_rows[60:],
        "keep": sum_rows[60:],
        "code_train": codes[60:260],
        "keep_train": sum_rows[60:260],
        "code": codes[:60],
        "sums": sum_rows[:60],
    }
    rng.shuffle(files["full"])
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        (out / f"{name}.jsonl").write_text("".join(json.dumps({"text": r}) + "\n" for r in rows))


main(pathlib.Path(sys.argv[1]))
