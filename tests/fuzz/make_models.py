#!/usr/bin/env python3
"""Writes the model files of corpus/ and refuse/: safetensors headers, GGUF files, adapter and model configurations, each broken in one way.

usage: make_models.py
"""
import json
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "golden")


def put(kind, target, name, data):
    folder = os.path.join(HERE, kind, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


# ---- safetensors ----

def st(header, data=b"", size=None):
    text = header if isinstance(header, bytes) else (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors():
    good = {"__metadata__": {"format": "pt"}, "a": entry([2, 3], 0, 24), "b": entry([4], 24, 32, "F16"), "m": entry([1, 8], 32, 40, "BOOL")}
    put("corpus", "safetensors", "good", st(good, bytes(40)))
    put("corpus", "safetensors", "empty_header", st("{}"))
    put("corpus", "safetensors", "no_elements", st({"a": entry([0, 3], 0, 0), "s": entry([], 0, 4)}, bytes(4)))
    put("corpus", "safetensors", "padded", st(json.dumps(good) + "   ", bytes(40)))
    whole = st(good, bytes(40))
    one = {"a": entry([2, 3], 0, 24)}
    bad = {
        "empty": b"", "seven_bytes": bytes(7), "truncated_header": whole[:40], "truncated_data": whole[:-1], "trailing_bytes": whole + b"x",
        "header_longer_than_file": st(good, bytes(40), size=1 << 40), "header_of_2_to_64": st(good, bytes(40), size=(1 << 64) - 1),
        "header_no_json": st("hello", bytes(4)), "header_array": st("[1]"), "header_null": st("null"), "header_bad_utf8": st(b'{"\xff":1}'),
        "overlap": st({"a": entry([2, 3], 0, 24), "b": entry([2, 3], 16, 40)}, bytes(40)),
        "same_bytes_twice": st({"a": entry([2, 3], 0, 24), "b": entry([2, 3], 0, 24)}, bytes(24)),
        "hole": st({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)), "hole_in_front": st({"a": entry([1], 4, 8)}, bytes(8)),
        "duplicate_key": st('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        "duplicate_field": st('{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        "unknown_dtype": st({"a": entry([2], 0, 8, "F33")}, bytes(8)), "dtype_missing": st({"a": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        "dtype_number": st({"a": entry([1], 0, 4, 7)}, bytes(4)), "shape_missing": st({"a": {"dtype": "F32", "data_offsets": [0, 4]}}, bytes(4)),
        "shape_negative": st({"a": entry([-1, -6], 0, 24)}, bytes(24)), "shape_fraction": st({"a": entry([1.5], 0, 4)}, bytes(4)),
        "shape_overflow": st({"a": entry([1 << 33, 1 << 33], 0, 24)}, bytes(24)), "shape_overflow_bytes": st({"a": entry([1 << 62], 0, 0)}),
        "shape_five": st({"a": entry([1, 1, 1, 1, 1], 0, 4)}, bytes(4)), "shape_too_small": st({"a": entry([2, 2], 0, 24)}, bytes(24)),
        "offsets_missing": st({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)), "offsets_reversed": st({"a": entry([1], 4, 0)}, bytes(4)),
        "offsets_negative": st({"a": entry([1], -4, 0)}, bytes(4)), "offsets_beyond": st({"a": entry([6], 0, 24)}, bytes(20)),
        "offsets_three": st({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}, bytes(8)),
        "offsets_huge": st({"a": entry([1], 1 << 62, (1 << 62) + 4)}, bytes(4)), "tensor_no_object": st({"a": [1, 2]}, bytes(4)),
        "deep": st('{"a":' + "[" * 500 + "]" * 500 + "}"), "nul_in_name": st('{"a\\u0000b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        "data_without_header": st("{}", bytes(8)), "one_short": st(one, bytes(23)),
    }
    for name, data in bad.items():
        put("refuse", "safetensors", name, data)


# ---- GGUF ----

def s(x):
    x = x if isinstance(x, bytes) else x.encode()
    return struct.pack("<Q", len(x)) + x


def kv(key, kind, value):
    return s(key) + struct.pack("<I", kind) + value


def u32(key, x):
    return kv(key, 4, struct.pack("<I", x))


def f32(key, x):
    return kv(key, 6, struct.pack("<f", x))


def text(key, x):
    return kv(key, 8, s(x))


def info(name, ne, kind, offset):
    return s(name) + struct.pack("<I", len(ne)) + b"".join(struct.pack("<Q", n) for n in ne) + struct.pack("<IQ", kind, offset)


def gg(keys, infos=(), data=b"", version=3, n_keys=None, n_infos=None, magic=b"GGUF", align=32):
    head = magic + struct.pack("<IQQ", version, len(infos) if n_infos is None else n_infos, len(keys) if n_keys is None else n_keys)
    head += b"".join(keys) + b"".join(infos)
    return head + bytes(-len(head) % align) + data


LLAMA = [text("general.architecture", "llama"), u32("llama.block_count", 1), u32("llama.context_length", 16), u32("llama.embedding_length", 4),
         u32("llama.feed_forward_length", 4), u32("llama.attention.head_count", 2), f32("llama.attention.layer_norm_rms_epsilon", 1e-5),
         u32("llama.vocab_size", 3)]
TENSORS = [("token_embd.weight", (4, 3)), ("output_norm.weight", (4,)), ("blk.0.attn_norm.weight", (4,)), ("blk.0.ffn_norm.weight", (4,)),
           ("blk.0.attn_q.weight", (4, 4)), ("blk.0.attn_k.weight", (4, 4)), ("blk.0.attn_v.weight", (4, 4)), ("blk.0.attn_output.weight", (4, 4)),
           ("blk.0.ffn_gate.weight", (4, 4)), ("blk.0.ffn_up.weight", (4, 4)), ("blk.0.ffn_down.weight", (4, 4))]


def model(change=lambda name, ne, kind, offset: (name, ne, kind, offset), keys=LLAMA, fill=b"\0", **how):
    infos, data = [], b""
    for name, ne in TENSORS:
        size = 4
        for n in ne:
            size *= n
        infos.append(info(*change(name, ne, 0, len(data))))
        data += (fill * size)[:size] + bytes(-size % 32)
    return gg(keys, infos, data, **how)


def swap(key, new):
    return [new if k.startswith(s(key)) else k for k in LLAMA]


def only(which, **what):
    """Changes one tensor's entry."""
    def change(name, ne, kind, offset):
        entry = dict(name=name, ne=ne, kind=kind, offset=offset)
        return tuple((entry | (what if name == which else {})).values())
    return change


def gguf():
    q = "blk.0.attn_q.weight"
    tokens = [text("tokenizer.ggml.model", "gpt2"), kv("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 3) + s("a") + s("b") + s("ab"))]
    put("corpus", "gguf", "llama", model())
    put("corpus", "gguf", "llama_v2", model(version=2))
    put("corpus", "gguf", "tokenizer", model(keys=LLAMA + tokens + [kv("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, 1) + s("a b"))]))
    every = [kv(f"x.{i}", i, bytes(n)) for i, n in enumerate([1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8])]
    put("corpus", "gguf", "every_type", model(keys=LLAMA + every + [kv("x.nested", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 0, 3) + b"abc")]))
    put("corpus", "gguf", "alignment_64", gg([text("general.architecture", "llama"), u32("general.alignment", 64)], align=64))
    for name in ("neox_parallel", "gpt2", "gemma3", "qwen3", "llama_tied_llama3"):
        put("corpus", "gguf", name, open(os.path.join(GOLDEN, "gguf", name + ".gguf"), "rb").read())
    whole = model()
    nan = struct.pack("<f", float("nan"))
    bad = {
        "empty": b"", "magic": model(magic=b"GGML"), "magic_only": b"GGUF", "version_1": model(version=1), "version_4": model(version=4),
        "big_endian": model(version=3 << 24), "truncated_keys": whole[:60], "truncated_infos": whole[:500], "truncated_data": whole[:-40],
        "count_of_keys": model(n_keys=1 << 60), "count_of_keys_plus_1": model(n_keys=len(LLAMA) + 1), "count_of_tensors": model(n_infos=1 << 60),
        "count_of_tensors_plus_1": model(n_infos=len(TENSORS) + 1), "key_length": gg([struct.pack("<Q", 1 << 63) + b"x"]),
        "string_length": model(keys=LLAMA + [kv("x", 8, struct.pack("<Q", 1 << 62) + b"abc")]),
        "array_length": model(keys=LLAMA + [kv("x", 9, struct.pack("<IQ", 4, 1 << 61))]),
        "array_of_strings_length": model(keys=LLAMA + [kv("x", 9, struct.pack("<IQ", 8, 1 << 61))]),
        "array_type": model(keys=LLAMA + [kv("x", 9, struct.pack("<IQ", 77, 0))]), "value_type": model(keys=LLAMA + [kv("x", 13, b"")]),
        "array_too_deep": model(keys=LLAMA + [kv("x", 9, struct.pack("<IQ", 9, 1) * 60)]), "key_twice": model(keys=LLAMA + LLAMA[1:2]),
        "key_with_nul": model(keys=LLAMA + [u32("a\0b", 1)]), "tensor_twice": model(only(q, name="blk.0.attn_k.weight")),
        "offset_beyond": model(only(q, offset=1 << 40)), "offset_overflow": model(only(q, offset=(1 << 64) - 32)), "offset_unaligned": model(only(q, offset=200)),
        "overlap": model(only(q, offset=0)), "dims_0": model(only(q, ne=())), "dims_5": model(only(q, ne=(1, 1, 1, 1, 1))),
        "shape_overflow": model(only(q, ne=(1 << 33, 1 << 33))), "shape_negative": model(only(q, ne=((1 << 64) - 1, 4))),
        "type_unknown": model(only(q, kind=4242)), "type_iq4": model(only(q, kind=20, ne=(32, 4))), "block": model(only(q, kind=2)),
        "shape_of_q": model(only(q, ne=(4, 3))), "shape_of_norm": model(only("output_norm.weight", ne=(5,))), "norm_as_matrix": model(only("output_norm.weight", ne=(4, 1))),
        "missing_tensor": model(only(q, name="blk.0.attn_x.weight")), "extra_tensor": model(keys=swap("llama.block_count", u32("llama.block_count", 2))),
        "nan": model(fill=nan), "infinity": model(fill=struct.pack("<f", float("-inf"))),
        "architecture": model(keys=[text("general.architecture", "mamba")] + LLAMA[1:]), "architecture_missing": model(keys=LLAMA[1:]),
        "architecture_number": model(keys=[u32("general.architecture", 1)] + LLAMA[1:]), "no_layers": model(keys=swap("llama.block_count", u32("llama.block_count", 0))),
        "layers_negative": model(keys=swap("llama.block_count", kv("llama.block_count", 5, struct.pack("<i", -1)))),
        "layers_text": model(keys=swap("llama.block_count", text("llama.block_count", "1"))), "heads_0": model(keys=swap("llama.attention.head_count", u32("llama.attention.head_count", 0))),
        "heads_3": model(keys=swap("llama.attention.head_count", u32("llama.attention.head_count", 3))), "vocab_huge": model(keys=swap("llama.vocab_size", u32("llama.vocab_size", (1 << 32) - 1))),
        "alignment_0": model(keys=LLAMA + [u32("general.alignment", 0)]), "alignment_3": model(keys=LLAMA + [u32("general.alignment", 3)]),
        "epsilon_nan": model(keys=swap("llama.attention.layer_norm_rms_epsilon", f32("llama.attention.layer_norm_rms_epsilon", float("nan")))),
        "tokens_no_array": model(keys=LLAMA + [tokens[0], u32("tokenizer.ggml.tokens", 3)]), "tokens_missing": model(keys=LLAMA + tokens[:1]),
        "scores_too_few": model(keys=LLAMA + tokens + [kv("tokenizer.ggml.scores", 9, struct.pack("<IQf", 6, 1, 0))]),
        "bos_beyond": model(keys=LLAMA + tokens + [u32("tokenizer.ggml.bos_token_id", 3)]),
        "merge_impossible": model(keys=LLAMA + tokens + [kv("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, 1) + s("x y"))]),
        "rope_scaling": model(keys=LLAMA + [text("llama.rope.scaling.type", "yarn")]),
    }
    for name, data in bad.items():
        put("refuse", "gguf", name, data)


# ---- adapter_config.json and config.json ----

def changed(base, **over):
    return json.dumps({k: v for k, v in (base | over).items() if v is not ...})


def adapter():
    path = os.path.join(GOLDEN, "adapters", "llama_all", "adapter_config.json")
    base = json.load(open(path))
    put("corpus", "adapter", "peft", json.dumps(base))
    put("corpus", "adapter", "smallest", json.dumps({"peft_type": "LORA", "r": 2, "target_modules": "all-linear"}))
    put("corpus", "adapter", "regex", changed(base, rank_pattern={".*q_proj$": 2, "(k|v)_proj": 2}, alpha_pattern={r"layers\.\d\..*": 3}, target_modules=r"model\..*_proj"))
    put("corpus", "adapter", "patterns", changed(base, rank_pattern={"none": 4}, alpha_pattern={"q_proj": 3, "layers.1.mlp.up_proj": 0.5}, use_rslora=True))
    bad = {
        "empty": "", "truncated": json.dumps(base)[:300], "array": "[]", "dora": changed(base, use_dora=True), "bias": changed(base, bias="lora_only"),
        "modules_to_save": changed(base, modules_to_save=["lm_head"]), "loha": changed(base, peft_type="LOHA"), "kind_missing": changed(base, peft_type=...),
        "rank_0": changed(base, r=0), "rank_fraction": changed(base, r=1.5), "rank_other": changed(base, r=3), "rank_huge": changed(base, r=1e300),
        "rank_text": changed(base, r="two"), "alpha_text": changed(base, lora_alpha="two"), "alpha_huge": changed(base, lora_alpha=1e300),
        "rank_pattern_array": changed(base, rank_pattern=[1]), "rank_pattern_other": changed(base, rank_pattern={"q_proj": 3}),
        "rank_pattern_regex": changed(base, rank_pattern={"(?<=self_attn.)q_proj": 2}), "alpha_pattern_text": changed(base, alpha_pattern={"q_proj": "x"}),
        "pissa": changed(base, init_lora_weights="pissa"), "layer_replication": changed(base, layer_replication=[[0, 2]]),
        "targets_missing": changed(base, target_modules=None), "targets_few": changed(base, target_modules=["q_proj"]), "targets_number": changed(base, target_modules=[3]),
        "targets_endless": changed(base, target_modules="(" * 200), "excluded": changed(base, exclude_modules=".*"),
        "target_parameters": changed(base, target_parameters=["x"]), "rslora_text": changed(base, use_rslora="maybe"),
    }
    for name, data in bad.items():
        put("refuse", "adapter", name, data)


def config():
    for family in sorted(os.listdir(os.path.join(GOLDEN, "families"))):
        path = os.path.join(GOLDEN, "families", family, "config.json")
        if os.path.exists(path):
            put("corpus", "config", family, open(path).read())
    base = json.load(open(os.path.join(GOLDEN, "families", "llama", "config.json")))
    neox = json.load(open(os.path.join(GOLDEN, "families", "neox_parallel", "config.json")))
    gemma = json.load(open(os.path.join(GOLDEN, "families", "gemma3", "config.json")))
    put("corpus", "config", "multimodal", json.dumps({"model_type": "gemma3", "eos_token_id": [1, 106], "text_config": gemma | {"model_type": "gemma3_text"}}))
    bad = {
        "empty": "", "array": "[]", "truncated": json.dumps(base)[:100], "duplicate_key": '{"model_type":"llama","model_type":"gpt2"}', "no_type": changed(base, model_type=...),
        "type_unknown": changed(base, model_type="mamba"), "type_number": changed(base, model_type=3), "hidden_0": changed(base, hidden_size=0),
        "hidden_negative": changed(base, hidden_size=-16), "hidden_huge": changed(base, hidden_size=1 << 40), "hidden_fraction": changed(base, hidden_size=16.5),
        "hidden_text": changed(base, hidden_size="16"), "hidden_missing": changed(base, hidden_size=...), "layers_huge": changed(base, num_hidden_layers=1 << 30),
        "heads_0": changed(base, num_attention_heads=0), "kv_heads_3": changed(base, num_key_value_heads=3), "head_dim_odd": changed(base, head_dim=5),
        "eps_negative": changed(base, rms_norm_eps=-1), "activation": changed(base, hidden_act="quick_gelu"), "rope_unknown": changed(base, rope_scaling={"rope_type": "spiral", "factor": 2}),
        "rope_linear_no_factor": changed(base, rope_scaling={"type": "linear"}), "rope_linear_0": changed(base, rope_scaling={"type": "linear", "factor": 0}),
        "rope_llama3_incomplete": changed(base, rope_scaling={"rope_type": "llama3", "factor": 8}), "rope_llama3_senseless": changed(base, rope_scaling={"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1}),
        "rope_yarn_senseless": changed(base, rope_scaling={"rope_type": "yarn", "factor": 0.5, "original_max_position_embeddings": 4}),
        "rope_longrope_short": changed(base, rope_scaling={"rope_type": "longrope", "short_factor": [1], "long_factor": [1], "original_max_position_embeddings": 4}),
        "rope_theta_0": changed(base, rope_theta=0), "rope_theta_text": changed(base, rope_theta="x"), "eos_many": changed(base, eos_token_id=list(range(20))),
        "eos_text": changed(base, eos_token_id=["x"]), "tied_text": changed(base, tie_word_embeddings="yes"), "rotary_pct_2": changed(neox, rotary_pct=2),
        "rotary_odd": changed(neox, rotary_pct=0.4), "heads_do_not_divide": changed(neox, num_attention_heads=3), "layer_types_short": changed(gemma, layer_types=["full_attention"]),
        "layer_types_unknown": changed(gemma, layer_types=["full_attention", "chunked_attention", "full_attention"]), "softcapping": changed(gemma, final_logit_softcapping=30.0),
        "bidirectional": changed(gemma, use_bidirectional_attention=True), "gpt2_inverse": json.dumps({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": True}),
        "window_negative": changed(gemma, sliding_window=-1), "deep": '{"model_type":' + "[" * 200 + "]" * 200 + "}",
    }
    for name, data in bad.items():
        put("refuse", "config", name, data)


if __name__ == "__main__":
    safetensors()
    gguf()
    adapter()
    config()
