#!/usr/bin/env python3
"""Compares this program's tokenizer with the reference library: random pipelines over the models of base.json, and tokenizer.json
files named on the command line, on nasty strings; ids, offsets (in characters) and decoded text must be equal.

    pip install tokenizers==0.23.3
    make build/libunlearn.so
    tests/golden/tokenizer/fuzz.py [--count N] [--seed N] [tokenizer.json ...]

Not compared, on purpose: strings on which the library panics; offsets where characters vanish (the library's are those of the bytes
before it); special tokens marked "normalized", which the library forgets to skip when it decodes.
"""
import argparse
import ctypes as C
import json
import os
import random

from tokenizers import Tokenizer

from nasty import nasty

HERE = os.path.dirname(os.path.abspath(__file__))
REGEXES = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+",
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺ]+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}{1,3}(?=\p{L})", r"\b", r"\w+", r"[^\w\s]+", r"\d+?", r"(a|b|the)+?x?", r"^.",
    r"\W|_", r"\p{N}{1,3}+", r"(?:\s|x){2}", r"[\s\S]{1,4}", r"[a-z&&[^aeiou]]+", r"[\x{1F300}-\x{1FAFF}]", r"\p{^L}", r"\P{Ll}+",
]


class Err(C.Structure):
    _fields_ = [("msg", C.c_char * 512), ("hint", C.c_char * 256)]


class Ids(C.Structure):
    _fields_ = [("id", C.POINTER(C.c_int)), ("begin", C.POINTER(C.c_int)), ("end", C.POINTER(C.c_int)), ("n", C.c_int), ("cap", C.c_int), ("failed", C.c_bool)]


class Buf(C.Structure):
    _fields_ = [("data", C.POINTER(C.c_char)), ("len", C.c_size_t), ("cap", C.c_size_t), ("failed", C.c_bool)]


def library(path):
    so = C.CDLL(path)
    so.ul_tok_open_json.restype = C.c_void_p
    so.ul_tok_open_json.argtypes = [C.c_char_p, C.c_size_t, C.POINTER(Err)]
    so.ul_tok_encode.restype = C.c_bool
    so.ul_tok_encode.argtypes = [C.c_void_p, C.c_char_p, C.c_size_t, C.c_int, C.c_bool, C.POINTER(Ids), C.POINTER(Err)]
    so.ul_tok_decode.argtypes = [C.c_void_p, C.POINTER(C.c_int), C.c_int, C.c_bool, C.POINTER(Buf)]
    so.ul_tok_free.argtypes = [C.c_void_p]
    return so


class Ours:
    def __init__(self, so, text):
        self.so, err, data = so, Err(), text.encode()
        self.t = so.ul_tok_open_json(data, len(data), C.byref(err))
        if not self.t:
            raise ValueError(err.msg.decode())

    def __del__(self):
        if getattr(self, "t", None):
            self.so.ul_tok_free(self.t)

    def encode(self, text):
        ids, err, data = Ids(), Err(), text.encode()
        if not self.so.ul_tok_encode(self.t, data, len(data), -1, True, C.byref(ids), C.byref(err)):
            raise ValueError(err.msg.decode())
        out = ids.id[: ids.n], list(zip(ids.begin[: ids.n], ids.end[: ids.n])) if ids.n else []
        self.so.ul_ids_release(C.byref(ids))
        return out

    def decode(self, ids, skip):
        buf, array = Buf(), (C.c_int * max(1, len(ids)))(*ids)
        self.so.ul_tok_decode(self.t, array, len(ids), skip, C.byref(buf))
        out = C.string_at(buf.data, buf.len) if buf.len else b""
        self.so.ul_buf_release(C.byref(buf))
        return out.decode("utf-8", "replace")


def characters(text, offsets):
    at, n = {0: 0}, 0
    for i, c in enumerate(text):
        n += len(c.encode())
        at[n] = i + 1
    return [(at.get(a, -1), at.get(b, -1)) for a, b in offsets]


def normalizer(r):
    kind = r.choice(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Prepend", "Replace", "Regex", "Strip"])
    return {"Prepend": {"type": "Prepend", "prepend": r.choice(["▁", "x", "ab"])},
            "Replace": {"type": "Replace", "pattern": {"String": r.choice([" ", "a", "  ", "'"])}, "content": r.choice(["▁", "", "--"])},
            "Regex": {"type": "Replace", "pattern": {"Regex": r.choice([" {2,}", r"\s+", "[aeiou]", "(?i:THE)", r"\p{P}"])}, "content": r.choice([" ", "zz"])},
            "Strip": {"type": "Strip", "strip_left": r.random() < 0.5, "strip_right": r.random() < 0.5}}.get(kind, {"type": kind})


def pre_tokenizer(r):
    kind = r.choice(["ByteLevel", "Split", "Split", "Split", "Digits", "Whitespace", "WhitespaceSplit", "Punctuation", "Metaspace"])
    behavior = r.choice(["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"])
    return {"ByteLevel": {"type": kind, "add_prefix_space": r.random() < 0.5, "trim_offsets": True, "use_regex": r.random() < 0.6},
            "Split": {"type": kind, "pattern": {"Regex": r.choice(REGEXES)}, "behavior": behavior, "invert": r.random() < 0.3},
            "Digits": {"type": kind, "individual_digits": r.random() < 0.5},
            "Punctuation": {"type": kind, "behavior": behavior},
            "Metaspace": {"type": kind, "replacement": "▁", "prepend_scheme": r.choice(["always", "never", "first"]), "split": r.random() < 0.5},
            }.get(kind, {"type": kind})


def decoder(r):
    kind = r.choice(["ByteLevel", "ByteFallback", "Fuse", "Strip", "Replace", "Metaspace"])
    return {"Strip": {"type": kind, "content": r.choice([" ", "a"]), "start": r.randrange(3), "stop": r.randrange(2)},
            "Replace": {"type": kind, "pattern": {"String": r.choice(["▁", "a"])}, "content": r.choice([" ", "b", ""])},
            "Metaspace": {"type": kind, "replacement": "▁", "prepend_scheme": r.choice(["always", "never", "first"]), "split": True},
            "ByteLevel": {"type": kind, "add_prefix_space": True, "trim_offsets": True, "use_regex": True}}.get(kind, {"type": kind})


def several(r, key, make, counts):
    made = [make(r) for _ in range(r.choice(counts))]
    return None if not made else made[0] if len(made) == 1 else {"type": "Sequence", key: made}


def pipeline(r, bases):
    t = json.loads(json.dumps(r.choice(bases)))
    t["normalizer"] = several(r, "normalizers", normalizer, [0, 0, 1, 1, 2, 3])
    t["pre_tokenizer"] = several(r, "pretokenizers", pre_tokenizer, [0, 1, 1, 1, 2, 3])
    t["decoder"] = several(r, "decoders", decoder, [0, 1, 1, 2, 3])
    t["model"].update(ignore_merges=r.random() < 0.3, byte_fallback=r.random() < 0.4, fuse_unk=r.random() < 0.5, unk_token=t["added_tokens"][0]["content"])
    for content in r.sample(["<a>", "<ab>", "<ab", "b>", "foo", "the", "É", "é", "A", "日本", "ing "], r.choice([0, 1, 2, 4])):
        t["added_tokens"].append({"id": len(t["model"]["vocab"]) + len(t["added_tokens"]), "content": content, "single_word": r.random() < 0.3,
                                  "lstrip": r.random() < 0.3, "rstrip": r.random() < 0.3, "normalized": r.random() < 0.5, "special": False})
    return json.dumps(t)


def difference(theirs, ours, text, r):
    try:
        want = theirs.encode(text)
        decoded = [theirs.decode(want.ids, skip_special_tokens=s) for s in (False, True)]
    except BaseException as e:  # a panic of the library
        if isinstance(e, KeyboardInterrupt):
            raise
        return None
    ids, offsets = ours.encode(text)
    if ids != want.ids:
        return "ids", ids, want.ids
    if characters(text, offsets) != want.offsets:
        return "offsets", characters(text, offsets), want.offsets
    got = [ours.decode(ids, s) for s in (False, True)]
    return None if got == decoded else ("decoded", got, decoded)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--count", type=int, default=300)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--library", default=os.path.join(HERE, "../../../build/libunlearn.so"))
    p.add_argument("files", nargs="*")
    a = p.parse_args()
    so, bases = library(a.library), list(json.load(open(os.path.join(HERE, "base.json"))).values())
    tried = wrong = refused = 0
    for k in range(a.count):
        r = random.Random(f"{a.seed} {k}")
        text = open(a.files[k % len(a.files)]).read() if a.files else pipeline(r, bases)
        try:
            ours = Ours(so, text)
        except ValueError:
            refused += 1
            continue
        theirs = Tokenizer.from_str(text)
        special = [t["content"] for t in json.loads(text)["added_tokens"]]
        for _ in range(30):
            s = nasty(r, special)
            tried += 1
            d = difference(theirs, ours, s, r)
            if d:
                wrong += 1
                print(f"seed {a.seed} number {k}: {ascii(s)}\n\t{d[0]}: {ascii(d[1])[:300]}\n\tnot {ascii(d[2])[:300]}")
                break
    print(f"{a.count} tokenizers ({refused} refused), {tried} strings, {wrong} different")
    raise SystemExit(wrong > 0)


main()
