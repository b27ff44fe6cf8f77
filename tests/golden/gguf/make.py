#!/usr/bin/env python3
"""The checkpoints of ../families as GGUF files, written by the gguf package the way llama.cpp's converter does.

usage: make.py      needs: torch transformers gguf safetensors

What the converter does to the tensors: architecture "llama" gets the rows of q and k interleaved, gptneox gets its q, k and v of each
head regrouped into all q, all k, all v, GPT-2's matrices are turned, Gemma's norms are stored as 1 + w, Llama 3's slowed frequencies
become rope_freqs.weight. The logits to expect are those of ../families, since all values are kept as F32. Where transformers reads
the architecture from GGUF, it is asked to agree.
"""
import json
import os
import re

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILIES = os.path.join(HERE, "..", "families")

LLAMA = {"embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm"}
GEMMA = LLAMA | {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm"}
NEOX = {"embed_in": "token_embd", "embed_out": "output", "final_layer_norm": "output_norm", "attention.query_key_value": "attn_qkv",
        "attention.dense": "attn_output", "dense_h_to_4h": "ffn_up", "dense_4h_to_h": "ffn_down", "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm"}
GPT2 = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "lm_head": "output", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
        "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down", "ln_1": "attn_norm", "ln_2": "ffn_norm"}
NAMES = {"llama": LLAMA, "qwen2": LLAMA, "qwen3": LLAMA, "gemma3": GEMMA, "gptneox": NEOX, "gpt2": GPT2}


def gguf_name(name, table):
    kind = name.rsplit(".", 1)[1]
    stem = next(v for k, v in sorted(table.items(), key=lambda kv: -len(kv[0])) if name.rsplit(".", 1)[0].endswith(k))
    layer = re.search(r"\.(\d+)\.", name)
    return f"blk.{layer[1]}.{stem}.{kind}" if layer else f"{stem}.{kind}"


def interleave(x, heads):
    rest = x.shape[1:]
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *rest).swapaxes(1, 2).reshape(x.shape)


def regroup(x, heads):
    rest = x.shape[1:]
    return x.reshape(heads, 3, x.shape[0] // heads // 3, *rest).swapaxes(0, 1).reshape(x.shape)


def convert(arch, name, x, c):
    if arch == "llama" and re.search(r"[qk]_proj\.", name):
        return interleave(x, c["num_attention_heads"] if "q_proj" in name else c["num_key_value_heads"])
    if "query_key_value" in name:
        return regroup(x, c["num_attention_heads"])
    if arch == "gpt2" and re.search(r"c_(attn|proj|fc)\.weight", name):
        return x.T
    if arch == "gemma3" and name.endswith("norm.weight"):
        return x + 1
    return x


def keys(w, arch, c, listed):
    heads = c.get("num_attention_heads", c.get("n_head"))
    hidden = c.get("hidden_size", c.get("n_embd"))
    w.add_context_length(c.get("max_position_embeddings", c.get("n_positions")))
    w.add_embedding_length(hidden)
    w.add_block_count(c.get("num_hidden_layers", c.get("n_layer")))
    w.add_feed_forward_length(c.get("intermediate_size", c.get("n_inner")))
    w.add_head_count(heads)
    w.add_vocab_size(c["vocab_size"])
    if arch in ("gptneox", "gpt2"):
        w.add_layer_norm_eps(1e-5)
    else:
        w.add_head_count_kv(c["num_key_value_heads"])
        w.add_layer_norm_rms_eps(c["rms_norm_eps"])
        w.add_key_length(c.get("head_dim", hidden // heads))
        w.add_value_length(c.get("head_dim", hidden // heads))
        w.add_rope_freq_base(c["rope_parameters"]["full_attention"]["rope_theta"] if arch == "gemma3" else c["rope_theta"])
    if arch == "gptneox":
        w.add_rope_dimension_count(int(hidden // heads * c["rotary_pct"]))
        w.add_parallel_residual(c["use_parallel_residual"])
    if arch == "gemma3":
        w.add_sliding_window(c["sliding_window"])
        period = c["sliding_window_pattern"]
        if listed:
            w.add_sliding_window_pattern([(i + 1) % period != 0 for i in range(c["num_hidden_layers"])])
        else:
            w.add_uint32("gemma3.attention.sliding_window_pattern", period)
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(c["rope_parameters"]["full_attention"]["factor"])
    scaling = c.get("rope_scaling") or {}
    if scaling.get("type") == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(scaling["factor"])


def llama3_factors(c):
    s, d = c["rope_scaling"], c["hidden_size"] // c["num_attention_heads"]
    low, high, old = s["low_freq_factor"], s["high_freq_factor"], s["original_max_position_embeddings"]
    out = []
    for i in range(0, d, 2):
        wave = 2 * np.pi * c["rope_theta"] ** (i / d)
        blend = (old / wave - low) / (high - low)
        out.append(1 if wave < old / high else s["factor"] if wave > old / low else 1 / ((1 - blend) / s["factor"] + blend))
    return np.array(out, np.float32)


def make(family, arch, split=False, listed=False):
    folder = os.path.join(FAMILIES, family)
    c = json.load(open(os.path.join(folder, "config.json")))
    path = os.path.join(HERE, family + ("_split" if split else "_listed" if listed else "") + ".gguf")
    w = gguf.GGUFWriter(path, arch)
    keys(w, arch, c, listed)
    for name, x in load_file(os.path.join(folder, "model.safetensors")).items():
        x, to = convert(arch, name, x.float().numpy(), c), gguf_name(name, NAMES[arch])
        if split and "attn_qkv" in to:
            for part, y in zip("qkv", np.split(x, 3)):
                w.add_tensor(to.replace("attn_qkv", "attn_" + part), np.ascontiguousarray(y))
        else:
            w.add_tensor(to, np.ascontiguousarray(x))
    if (c.get("rope_scaling") or {}).get("rope_type") == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_factors(c))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    print(f"{os.path.basename(path)}: {os.path.getsize(path)} bytes, {agree(family, path)}")


def agree(family, path):
    """transformers' own reader; it has no NeoX, drops some keys, and needs none of this to be called right."""
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(HERE, gguf_file=os.path.basename(path), dtype=torch.float32, attn_implementation="eager").eval()
    except Exception as why:
        return f"transformers does not read it ({type(why).__name__})"
    golden = load_file(os.path.join(FAMILIES, family, "golden.safetensors"))
    ids = json.load(open(os.path.join(FAMILIES, family, "golden.json")))["sequences"]
    gap = max((model(torch.tensor([s])).logits[0].double() - golden[f"logits.{i}"]).abs().max().item() for i, s in enumerate(ids))
    return f"transformers' reader differs by {gap:.1e}"


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    for family, arch in [("llama", "llama"), ("llama_bias", "llama"), ("llama_tied_llama3", "llama"), ("qwen2", "qwen2"), ("qwen3", "qwen3"),
                         ("neox_parallel", "gptneox"), ("gpt2", "gpt2"), ("gemma3", "gemma3")]:
        make(family, arch)
    make("neox_parallel", "gptneox", split=True)
    make("gpt2", "gpt2", split=True)
    make("gemma3", "gemma3", listed=True)
