#!/usr/bin/env python3
"""Writes the golden values of tests/unit/test_tok*.c and test_unicode.c with the real libraries.

    pip install tokenizers==0.23.3 transformers jinja2 gguf
    tests/golden/tokenizer/make.py                    base.json cases.json unicode.json: small, needs nothing else
    tests/golden/tokenizer/make.py SHARED SMOLLM2     also shared.json: hashes of ids over all texts of ../shared/data

base.json   two models trained here on the project's own licence: byte-level ("bytes"), SentencePiece-style ("pieces").
cases.json  pipelines (what replaces the base's normalizer, pre_tokenizer ... and model flags) and for each of them cases:
            text and decoded in hex (texts hold NULs), ids with the template, byte offsets, decoded with and without specials.
unicode.json [name, how many, sha256] of the set of code points (as little-endian uint32) that a pattern or pre-tokenizer
            takes, and of the text (UTF-8) that a normalizer makes of all characters, one per line.
shared.json {tokenizer: {file: [number of ids, sha256 of the ids as little-endian uint32]}}
"""
import glob
import hashlib
import json
import os
import random
import struct
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from nasty import nasty

HERE = os.path.dirname(os.path.abspath(__file__))
LICENCE = open(os.path.join(HERE, "../../../LICENSE")).read()
MORE = "日本語のテキスト。 한국어 문장입니다. Привет, мир! Ελληνικά κείμενα, naïve café — “quoted” it's they'll I'm don't we've 12345 3.14 2024-11-24\n\n\t"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level(**kw):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True, **kw}


def split(regex, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}


def sequence(key, *members):
    return {"type": "Sequence", key: list(members)}


def added(id, content, **kw):
    return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **kw}


def bases():
    text = [LICENCE, MORE] * 3
    b = Tokenizer(models.BPE())
    b.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    b.decoder = decoders.ByteLevel()
    b.train_from_iterator(text, trainers.BpeTrainer(vocab_size=700, special_tokens=["<|end|>"], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    p = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    p.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    p.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    p.train_from_iterator([w for t in text for w in t.split()], trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)], show_progress=False))
    out = {"bytes": json.loads(b.to_str()), "pieces": json.loads(p.to_str())}
    out["pieces"]["added_tokens"] = out["pieces"]["added_tokens"][:3]
    return out


def template(name, id, after=False):
    t = {"SpecialToken": {"id": name, "type_id": 0}}
    a, b = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
    return {"type": "TemplateProcessing", "single": [t, a, t] if after else [t, a], "pair": [a, b],
            "special_tokens": {name: {"id": name, "ids": [id], "tokens": [name]}}}


def pipelines(n):
    end = added(0, "<|end|>")
    spaces = [added(n + i, " " * (6 - i), normalized=True, special=False) for i in range(5)]
    return [
        ("gpt2", "bytes", {"pre_tokenizer": byte_level(), "post_processor": byte_level()}, {}),
        ("neox", "bytes", {"normalizer": {"type": "NFC"}, "pre_tokenizer": byte_level(), "added_tokens": [end] + spaces}, {}),
        ("roberta", "bytes", {"pre_tokenizer": byte_level(add_prefix_space=True), "added_tokens": [end, added(n, "<mask>", lstrip=True)],
                              "post_processor": {"type": "RobertaProcessing", "sep": ["<|end|>", 0], "cls": ["<|end|>", 0], "trim_offsets": True, "add_prefix_space": True}}, {}),
        ("smollm", "bytes", {"pre_tokenizer": sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, byte_level())}, {}),
        ("llama3", "bytes", {"pre_tokenizer": sequence("pretokenizers", split(LLAMA3), byte_level(use_regex=False)),
                             "post_processor": sequence("processors", byte_level(), template("<|end|>", 0))}, {"ignore_merges": True}),
        ("qwen2", "bytes", {"normalizer": {"type": "NFC"}, "pre_tokenizer": sequence("pretokenizers", split(QWEN2), byte_level(use_regex=False))}, {}),
        ("gpt4o", "bytes", {"pre_tokenizer": sequence("pretokenizers", split(GPT4O), byte_level(use_regex=False))}, {}),
        ("removed", "bytes", {"normalizer": sequence("normalizers", {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": True}),
                              "pre_tokenizer": sequence("pretokenizers", {"type": "Whitespace"}, {"type": "Punctuation", "behavior": "MergedWithPrevious"}, byte_level()),
                              "added_tokens": [end, added(n, "the", single_word=True, normalized=True), added(n + 1, "<x>", rstrip=True)]}, {}),
        ("llama2", "pieces", {"post_processor": template("<s>", 1)}, {}),
        ("gemma", "pieces", {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
                             "decoder": sequence("decoders", {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}),
                             "post_processor": template("<s>", 1)}, {}),
        ("metaspace", "pieces", {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
                                 "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}}, {}),
        ("unknown", "pieces", {"normalizer": {"type": "NFKC"}, "pre_tokenizer": sequence("pretokenizers", {"type": "WhitespaceSplit"}, split(r"\d+|[^\w\s]++", "Contiguous"))},
         {"byte_fallback": False, "fuse_unk": False}),
    ]


def apply(base, patch, model):
    t = json.loads(json.dumps(base))
    t.update(patch)
    t["model"].update(model)
    return json.dumps(t)


def byte_offsets(text, offsets):
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [[at[a], at[b]] for a, b in offsets]


def case(h, text, offsets):
    e = h.encode(text)
    c = {"text": text.encode().hex(), "ids": e.ids, "decoded": h.decode(e.ids, skip_special_tokens=False).encode().hex(),
         "skipped": h.decode(e.ids, skip_special_tokens=True).encode().hex()}
    if offsets:
        c["offsets"] = byte_offsets(text, e.offsets)
    return c


def write(name, value):
    with open(os.path.join(HERE, name), "w") as f:
        json.dump(value, f, ensure_ascii=True, separators=(",", ":"))
        f.write("\n")


def make_cases():
    base = bases()
    write("base.json", base)
    out = []
    for name, which, patch, model in pipelines(len(base["bytes"]["model"]["vocab"])):
        h = Tokenizer.from_str(apply(base[which], patch, model))
        r = random.Random("golden " + name)
        texts = ["", " ", "a", "Hello, world! It's 2024; I'LL see   you.\n\n  Ok?\r\n", LICENCE[1000:1200], MORE]
        special = [a["content"] for a in json.loads(h.to_str())["added_tokens"]]
        texts += [nasty(r, special, 30) for _ in range(24)]
        out.append({"name": name, "base": which, "patch": patch, "model": model, "cases": [case(h, t, True) for t in texts]})
    write("cases.json", out)


def digest(ids):
    return [len(ids), hashlib.sha256(struct.pack(f"<{len(ids)}I", *ids)).hexdigest()]


def characters():
    return [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def taken(pre, left, right):
    """The characters that a pre-tokenizer cuts out from between two others."""
    return [ord(c) for c in characters() if len(pre.pre_tokenize_str(left + c + right)) > 1]


LEFT = {r"\p{P}": "a", r"\p{S}": "a"}  # a neighbour that the pattern does not take


def make_unicode():
    out = []
    for pattern in [r"\p{L}", r"\p{N}", r"\p{M}", r"\p{P}", r"\p{S}", r"\p{Lu}", r"\p{Ll}", r"\p{Cn}", r"\s", r"\w", r"[\w]", r"\d"]:
        out.append([pattern] + digest(taken(pre_tokenizers.Split(Regex(pattern), "isolated"), LEFT.get(pattern, "!"), "")))
    out.append(["Digits"] + digest(taken(pre_tokenizers.Digits(True), "a", "b")))
    out.append(["Punctuation"] + digest(taken(pre_tokenizers.Punctuation(), "a", "b")))
    out.append(["Whitespace"] + digest(taken(pre_tokenizers.Whitespace(), "a", "b")))
    for name in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"]:
        text = getattr(normalizers, name)().normalize_str("\n".join(characters())).encode()
        out.append([name, len(text), hashlib.sha256(text).hexdigest()])
    write("unicode.json", out)


def smollm2(path):
    from gguf import GGUFReader
    f = GGUFReader(path).fields
    text = lambda k: [bytes(f[k].parts[i]).decode() for i in f[k].data]
    tokens, types = text("tokenizer.ggml.tokens"), f["tokenizer.ggml.token_type"].contents()
    h = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[tuple(m.split(" ")) for m in text("tokenizer.ggml.merges")]))
    h.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    h.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, types) if k == 3])
    return h


def make_shared(data, gguf):
    gpt2 = Tokenizer(models.BPE.from_file(data + "/tok-gpt2/vocab.json", data + "/tok-gpt2/merges.txt"))
    gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    gpt2.add_special_tokens(["<|endoftext|>"])
    toks = {"neox": Tokenizer.from_file(data + "/tok-neox-pythia/pythia-410m/tokenizer.json"),
            "neox20b": Tokenizer.from_file(data + "/tok-neox-pythia/20B_tokenizer.json"), "gpt2": gpt2, "smollm2": smollm2(gguf),
            "stories": Tokenizer.from_file(data + "/model-stories260k/hf/tokenizer.json")}
    out = {}
    for name, h in toks.items():
        out[name] = {}
        for path in sorted(glob.glob(data + "/text-*/*")):
            key = os.path.relpath(path, data)
            out[name][key] = digest(h.encode(open(path, "rb").read().decode(), add_special_tokens=False).ids)
    with open(os.path.join(HERE, "shared.json"), "w") as f:
        json.dump(out, f, indent=0)
        f.write("\n")


if __name__ == "__main__":
    make_cases()
    make_unicode()
    if len(sys.argv) > 2:
        make_shared(sys.argv[1], sys.argv[2])
