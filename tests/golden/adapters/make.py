#!/usr/bin/env python3
"""Golden values of LoRA adapters, written by peft on the checkpoints in ../families.

usage: make.py [NAME...]      needs: torch transformers peft safetensors

For each case an adapter in peft's own files with random A and B and, in float64 (see ../families/make.py): logits with the adapter
on top, logits after peft merged it, the mean negative log-likelihood and its gradient for every A and B.
"""
import importlib.util
import json
import os
import shutil
import sys
import warnings

import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILIES = os.path.join(HERE, "..", "families")
spec = importlib.util.spec_from_file_location("families", os.path.join(FAMILIES, "make.py"))
families = importlib.util.module_from_spec(spec)
spec.loader.exec_module(families)

# name -> (family, LoraConfig)
CASES = {
    "neox_mlp": ("neox_parallel", dict(r=4, lora_alpha=32, target_modules=["dense_h_to_4h", "dense_4h_to_h"])),
    "neox_qkv_layers": ("neox_parallel", dict(r=3, lora_alpha=7, target_modules=["query_key_value", "dense"], layers_to_transform=[1])),
    "llama_all": ("llama", dict(r=2, lora_alpha=4, target_modules="all-linear")),
    "llama_rslora": ("llama", dict(r=9, lora_alpha=5, use_rslora=True, target_modules=["q_proj", "v_proj"])),
    "llama_patterns": ("llama", dict(r=2, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"],
                                     rank_pattern={"down_proj": 3, "model.layers.1.self_attn.q_proj": 1},
                                     alpha_pattern={"down_proj": 3, "layers.0.self_attn.v_proj": 20})),
    "gpt2_conv1d": ("gpt2", dict(r=3, lora_alpha=8, fan_in_fan_out=True, target_modules=["c_attn", "mlp.c_proj"])),
    "qwen2_bias": ("qwen2", dict(r=2, lora_alpha=6, target_modules=["q_proj", "k_proj", "o_proj"])),
    "gemma3_all": ("gemma3", dict(r=1, lora_alpha=3, target_modules="all-linear")),
    "llama_regex": ("llama", dict(r=2, lora_alpha=8, target_modules=r"model\.layers\.\d+\.(self_attn\.(q|o)_proj|mlp\.(up|down)_proj)",
                                  exclude_modules=r".*\.0\.mlp\.up_proj", rank_pattern={"(o|down)_proj": 3, r"^model\.layers\.1\.self_attn.*": 1},
                                  alpha_pattern={r"[a-z_]+\.o_proj": 20, r"layers.\d.mlp.down_proj": 5, r"self_attn\.q_proj|up_proj": 7})),
    "llama_layers": ("llama", dict(r=2, lora_alpha=8, target_modules=["q_proj", "up_proj", "model.layers.0.mlp.gate_proj"],
                                   exclude_modules=["self_attn.q_proj"], layers_to_transform=[1], layers_pattern="layers")),
}


def make(name, family, settings, seed):
    folder, base = os.path.join(HERE, name), os.path.join(FAMILIES, family)
    config, dtype = families.FAMILIES[family]
    stored = load_file(os.path.join(base, "model.safetensors"))
    with families.AsFloat64():
        model = families.build(config)
        for key, p in model.named_parameters():
            p.data = stored[families.in_file(key, model)].double()
        adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings)).eval()
        g = torch.Generator().manual_seed(seed)
        for key, p in adapted.named_parameters():
            if "lora_" in key:
                p.data = (0.3 * torch.randn(p.shape, generator=g, dtype=families.TORCH["F32"])).double()
        mean_nll = families.loss(adapted)
        mean_nll.backward()
        golden = {f"logits.{i}": adapted(torch.tensor([ids])).logits[0].detach().clone() for i, ids in enumerate(families.SEQUENCES)}
        golden |= {"grad." + key.replace(".default.", "."): p.grad.clone() for key, p in adapted.named_parameters() if "lora_" in key}
    shutil.rmtree(folder, ignore_errors=True)
    adapted.save_pretrained(folder)
    os.remove(os.path.join(folder, "README.md"))
    # The stored adapter is float32, which is what A and B were drawn in.
    path = os.path.join(folder, "adapter_model.safetensors")
    save_file({k: v.to(families.TORCH["F32"]).contiguous() for k, v in load_file(path).items()}, path, {"format": "pt"})
    config_path = os.path.join(folder, "adapter_config.json")
    written = json.load(open(config_path)) | {"base_model_name_or_path": f"../../families/{family}"}
    if isinstance(written["target_modules"], list):
        written["target_modules"] = sorted(written["target_modules"])
    json.dump(written, open(config_path, "w"), indent=1)
    with families.AsFloat64():
        merged = adapted.merge_and_unload()
        golden |= {f"merged.{i}": merged(torch.tensor([ids])).logits[0].detach().clone() for i, ids in enumerate(families.SEQUENCES)}
    save_file(golden, os.path.join(folder, "golden.safetensors"))
    json.dump({"base": family, "sequences": families.SEQUENCES, "mean_nll": mean_nll.item()}, open(os.path.join(folder, "golden.json"), "w"))
    gap = max((golden[f"merged.{i}"] - golden[f"logits.{i}"]).abs().max().item() for i in range(len(families.SEQUENCES)))
    print(f"{name}: mean nll {mean_nll.item():.6f}, merged differs by {gap:.1e}, {sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))} bytes")
    assert gap < 1e-9


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    for i, (name, (family, settings)) in enumerate(CASES.items()):
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            make(name, family, settings, 200 + i)
