#!/usr/bin/env python3
"""Golden values of every architecture, written by transformers and PyTorch.

usage: make.py [NAME...]      needs: torch transformers safetensors

For each family a tiny checkpoint with random weights (biases and norms too) and, computed from the stored values in float64:
logits of two sequences, the mean negative log-likelihood, and its gradient for every parameter. transformers asks for float32 in
norms, softmax and rotary angles even of a float64 model; while the models are built and run here, float32 means float64.
"""
import json
import math
import os
import sys

import torch
import transformers
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
SEQUENCES = [[3, 17, 5, 30, 8, 21, 1, 9, 26], [11, 2, 29, 14], [7]]


class AsFloat64:
    """Inside, everything that asks for float32 gets float64."""

    def __enter__(self):
        self.kept = torch.float32, torch.float, torch.Tensor.float, torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        torch.float32 = torch.float = torch.float64
        torch.Tensor.float = torch.Tensor.double

    def __exit__(self, *why):
        torch.float32, torch.float, torch.Tensor.float = self.kept[:3]
        torch.set_default_dtype(self.kept[3])


def llama(**over):
    return dict(architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=32, hidden_size=16, intermediate_size=20, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, hidden_act="silu", rope_theta=10000.0,
                tie_word_embeddings=False, bos_token_id=1, eos_token_id=2) | over


def neox(**over):
    return dict(architectures=["GPTNeoXForCausalLM"], model_type="gpt_neox", vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                num_attention_heads=2, max_position_embeddings=64, layer_norm_eps=1e-5, hidden_act="gelu", rotary_pct=0.25, rotary_emb_base=10000,
                use_parallel_residual=True, tie_word_embeddings=False, bos_token_id=0, eos_token_id=0) | over


def gemma3(**over):
    return dict(architectures=["Gemma3ForCausalLM"], model_type="gemma3_text", vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=2,
                num_attention_heads=2, num_key_value_heads=1, head_dim=8, max_position_embeddings=64, rms_norm_eps=1e-6,
                hidden_activation="gelu_pytorch_tanh", sliding_window=3, query_pre_attn_scalar=8, bos_token_id=2, eos_token_id=1,
                rope_parameters={"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6},
                                 "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}) | over


def qwen(kind, **over):
    return llama(architectures=[f"Qwen{kind}ForCausalLM"], model_type=f"qwen{kind}", rms_norm_eps=1e-6) | over


LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, rope_theta=100.0)

# name -> (config.json, dtype of the file)
FAMILIES = {
    "neox_parallel": (neox(), "F32"),
    "neox_sequential": (neox(use_parallel_residual=False, hidden_act="gelu_new", rotary_pct=0.5, attention_bias=False), "F32"),
    "llama": (llama(), "F32"),
    "llama_bias": (llama(attention_bias=True, mlp_bias=True, rope_scaling=dict(type="linear", factor=2.0)), "F16"),
    "llama_tied_llama3": (llama(tie_word_embeddings=True, rope_scaling=LLAMA3, num_hidden_layers=1), "BF16"),
    "llama_yarn": (llama(tie_word_embeddings=True, rope_parameters=YARN, num_hidden_layers=1), "BF16"),
    "mistral": (llama(architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=3, head_dim=6, tie_word_embeddings=True), "BF16"),
    "qwen2": (qwen(2, tie_word_embeddings=True), "F16"),
    "qwen2_window": (qwen(2, tie_word_embeddings=True, use_sliding_window=True, sliding_window=3, max_window_layers=1), "BF16"),
    "qwen3": (qwen(3, head_dim=6, tie_word_embeddings=True), "F32"),
    "gpt2": (dict(architectures=["GPT2LMHeadModel"], model_type="gpt2", vocab_size=32, n_embd=16, n_head=2, n_layer=2, n_positions=12, n_inner=24,
                  activation_function="gelu_new", layer_norm_epsilon=1e-5, bos_token_id=0, eos_token_id=0), "F32"),
    "gemma3": (gemma3(num_hidden_layers=3, sliding_window_pattern=2), "F32"),
    "gemma3_untied": (gemma3(tie_word_embeddings=False, query_pre_attn_scalar=20, layer_types=["full_attention", "sliding_attention"]), "BF16"),
}
TORCH = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def build(config):
    """The model in float64, its parameters still to be set."""
    cls = getattr(transformers, config["architectures"][0])
    known = {k: v for k, v in json.loads(json.dumps(config)).items() if k not in ("model_type", "architectures")}
    model = cls(cls.config_class(**known, attn_implementation="eager")).double()
    return model.eval()


def weights(model, dtype, seed):
    g = torch.Generator().manual_seed(seed)
    out = {}
    for name, p in model.named_parameters():
        x = torch.randn(p.shape, generator=g, dtype=TORCH["F32"])
        if p.dim() > 1:
            x = x * (0.6 if "embed" in name or "wte" in name or "wpe" in name else 0.25)
        elif "norm" in name or "ln_" in name:
            x = 0.3 * x + (0 if "bias" in name or "Gemma" in type(model).__name__ else 1)
        else:
            x = 0.2 * x
        out[name] = x.to(TORCH[dtype])
    return out


def in_file(name, model):
    """transformers 5 calls NeoX's head lm_head in memory and embed_out in files."""
    return name.replace("lm_head", "embed_out") if "NeoX" in type(model).__name__ else name


def loss(model):
    total, n = 0, 0
    for ids in SEQUENCES:
        logits = model(torch.tensor([ids])).logits[0]
        total = total - torch.log_softmax(logits, -1)[range(len(ids) - 1), ids[1:]].sum()
        n += len(ids) - 1
    return total / n


def make(name, config, dtype, seed):
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    with AsFloat64():
        model = build(config)
        stored = weights(model, dtype, seed)
        for key, p in model.named_parameters():
            p.data = stored[key].double()
        mean_nll = loss(model)
        mean_nll.backward()
        golden = {f"logits.{i}": model(torch.tensor([ids])).logits[0].detach().clone() for i, ids in enumerate(SEQUENCES)}
        golden |= {f"grad.{in_file(key, model)}": p.grad.clone() for key, p in model.named_parameters()}
    json.dump(config | {"torch_dtype": str(TORCH[dtype])[6:]}, open(os.path.join(folder, "config.json"), "w"), indent=1)
    save_file({in_file(k, model): v.contiguous() for k, v in stored.items()}, os.path.join(folder, "model.safetensors"), {"format": "pt"})
    save_file(golden, os.path.join(folder, "golden.safetensors"))
    json.dump({"sequences": SEQUENCES, "mean_nll": mean_nll.item()}, open(os.path.join(folder, "golden.json"), "w"))
    plain = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=TORCH["F32"], attn_implementation="eager").eval()
    gap = max((plain(torch.tensor([ids])).logits[0].double() - golden[f"logits.{i}"]).abs().max().item() for i, ids in enumerate(SEQUENCES))
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print(f"{name}: mean nll {mean_nll.item():.6f}, transformers in float32 differs by {gap:.1e}, {size} bytes")
    assert gap < 1e-4 and math.isfinite(mean_nll.item())


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for i, (name, (config, dtype)) in enumerate(FAMILIES.items()):
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            make(name, config, dtype, 100 + i)
