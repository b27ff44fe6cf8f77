#!/usr/bin/env python3
"""What `unlearn` exports, opened and run by the programs it is exported for.

usage: check.py UNLEARN WORK      (tests/interop/run, make interop)

transformers and peft must give the golden logits of tests/golden, which they wrote themselves from the original checkpoints. llama.cpp
(inside the package cyllama) must give the same logits from GGUF, and the same ids and greedy text.
"""
import contextlib
import json
import math
import os
import shutil
import subprocess
import sys
import traceback

import torch
import transformers
from safetensors.torch import load_file

UNLEARN, WORK = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
GOLDEN = os.path.abspath("tests/golden")
SHARED = os.path.abspath("../shared/data")
FAMILIES = ["neox_parallel", "neox_sequential", "llama", "llama_bias", "llama_tied_llama3", "llama_yarn", "mistral", "qwen2", "qwen2_window", "qwen3",
            "gpt2", "gemma3", "gemma3_untied"]
ADAPTERS = ["neox_mlp", "neox_qkv_layers", "llama_all", "llama_rslora", "llama_patterns", "gpt2_conv1d", "qwen2_bias", "gemma3_all"]
# llama.cpp looks GELU up in a table of half floats, which moves logits by some thousandths.
GGUF = {"llama": 1e-4, "llama_bias": 1e-4, "llama_tied_llama3": 1e-4, "qwen2": 1e-4, "qwen3": 1e-4, "neox_parallel": 1e-2, "gpt2": 1e-2}
passed, failed, skipped = 0, 0, 0

try:
    import cyllama.llama.llama_cpp as llama_cpp
except ImportError:
    llama_cpp = None


# ---- running things ----

def unlearn(*args, text=True):
    done = subprocess.run([UNLEARN, *map(str, args), "--quiet"], capture_output=True, text=text)
    if done.returncode:
        raise RuntimeError(f"unlearn {' '.join(map(str, args))}: {done.stderr}")
    return done.stdout


def out(name):
    path = os.path.join(WORK, name)
    shutil.rmtree(path, ignore_errors=True)
    if os.path.isfile(path):
        os.remove(path)
    return path


def family(name):
    return os.path.join(GOLDEN, "families", name)


def golden(folder):
    sequences = json.load(open(os.path.join(folder, "golden.json")))["sequences"]
    return sequences, load_file(os.path.join(folder, "golden.safetensors"))


def in_transformers(path):
    return transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def gap_of(logits, sequences, tensors, prefix):
    """logits: a function of ids."""
    return max((logits(ids).double() - tensors[f"{prefix}.{i}"]).abs().max().item() for i, ids in enumerate(sequences))


def torch_logits(model):
    def run(ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0]
    return run


class LlamaCpp:
    """One GGUF in llama.cpp, keys and values kept in float32."""

    def __init__(self, path, vocab):
        class Model(llama_cpp.LlamaModel):
            n_vocab = vocab  # get_logits_ith of cyllama 0.7 asks the model for it
        self.vocab = vocab
        settings = llama_cpp.LlamaModelParams()
        settings.n_gpu_layers = 0
        self.model = Model(path, settings, verbose=False)

    def __call__(self, ids):
        c = llama_cpp.LlamaContextParams()
        c.n_ctx = c.n_batch = 512
        c.n_threads = 1
        c.type_k = c.type_v = c.flash_attn_type = 0
        context = llama_cpp.LlamaContext(self.model, c, verbose=False)
        batch = llama_cpp.LlamaBatch(n_tokens=512, embd=0, n_seq_max=1)
        for i, token in enumerate(ids):
            batch.add(token, i, [0], True)
        context.decode(batch)
        return torch.tensor([list(context.get_logits_ith(i)) for i in range(len(ids))])

    def tokenize(self, text):
        return list(self.model.get_vocab().tokenize(text, True, True))

    def greedy(self, ids, n):
        new = []
        for _ in range(n):
            new.append(int(self(ids + new)[-1].argmax()))
        return new


# ---- checks: each a generator of (name, gap, limit) or (name, bool) ----

def check_hf():
    for name in FAMILIES:
        sequences, tensors = golden(family(name))
        for dtype, limit in (("f32", 1e-4), ("bf16", 0.3)):
            path = out("hf")
            unlearn("export", family(name), "-o", path, "--to", "hf", "--dtype", dtype)
            yield f"hf {dtype} {name}", gap_of(torch_logits(in_transformers(path)), sequences, tensors, "logits"), limit


def check_peft():
    import peft
    for name in ADAPTERS:
        folder = os.path.join(GOLDEN, "adapters", name)
        base = family(json.load(open(os.path.join(folder, "golden.json")))["base"])
        sequences, tensors = golden(folder)
        path = out("adapter")
        unlearn("export", base, "--adapter", folder, "-o", path, "--to", "peft")
        model = peft.PeftModel.from_pretrained(in_transformers(base), path).eval()
        yield f"peft {name}", gap_of(torch_logits(model), sequences, tensors, "logits"), 1e-4
        path = out("merged")
        unlearn("export", base, "--adapter", folder, "-o", path, "--to", "hf", "--merge")
        yield f"merged {name}", gap_of(torch_logits(in_transformers(path)), sequences, tensors, "merged"), 1e-4


def check_trained_adapter():
    """An adapter that began here, trained for a few steps: peft must see what `unlearn score` sees."""
    import peft
    rows = os.path.join(WORK, "rows.jsonl")
    lines = [{"ids": [3, 17, 5, 30, 8, 21, 1, 9, 26]}, {"ids": [11, 2, 29, 14, 7, 7, 3]}]
    open(rows, "w").write("".join(json.dumps(x) + "\n" for x in lines))
    for name in ("llama", "neox_parallel", "gpt2", "gemma3"):
        path = out("run")
        unlearn("train", family(name), "--data", rows, "-o", path, "--lora", "r=3,alpha=6,target=all-linear", "--epochs", 4, "--lr", "0.05")
        score = [json.loads(x) for x in unlearn("score", path, "--data", rows).splitlines()]
        run = torch_logits(peft.PeftModel.from_pretrained(in_transformers(family(name)), os.path.join(path, "adapter")).eval())
        worst = 0
        for line, row in zip(lines, score):
            ids = line["ids"]
            nll = -torch.log_softmax(run(ids).double(), -1)[range(len(ids) - 1), ids[1:]].sum().item()
            worst = max(worst, abs(nll - row["nll"]) / nll)
        yield f"trained adapter {name}", worst, 1e-4


def check_gguf():
    for name, limit in GGUF.items():
        sequences, tensors = golden(family(name))
        vocab = tensors["logits.0"].shape[1]
        for dtype, more in (("f32", 0), ("bf16", 0.3), ("f16", 0.05)):
            path = out("model.gguf")
            unlearn("export", family(name), "-o", path, "--to", "gguf", "--dtype", dtype)
            yield f"gguf {dtype} {name}", gap_of(LlamaCpp(path, vocab), sequences, tensors, "logits"), limit + more


def scores(model, rows):
    return [json.loads(x) for x in unlearn("score", model, "--data", rows, "--tokens").splitlines()]


def check_text():
    """A model with a tokenizer, from scratch: ids, losses and greedy text in transformers and llama.cpp."""
    text = open("LICENSE").read()
    rows, lines = os.path.join(WORK, "text.jsonl"), [x.strip() for x in text.split("\n\n") if len(x.strip()) > 80][:40]
    open(rows, "w").write("".join(json.dumps({"text": x[:300]}) + "\n" for x in lines))
    for init in ("llama-tiny", "qwen3-tiny", "gemma3-tiny", "neox-tiny", "gpt2-tiny"):
        path, gguf = out("scratch"), out("scratch.gguf")
        unlearn("train", "--init", init, "--train-tokenizer", 400, "--data", rows, "-o", path, "--epochs", 3, "--lr", "3e-3")
        hf = out("scratch-hf")
        unlearn("export", path, "-o", hf, "--to", "hf")
        tokenizer, run = transformers.AutoTokenizer.from_pretrained(hf), torch_logits(in_transformers(hf))
        mine = scores(path, rows)
        same = [tokenizer(x[:300])["input_ids"] == row["ids"] for x, row in zip(lines, mine)]
        yield f"tokenizer {init} in transformers", all(same) and len(same) == len(lines)
        worst = 0
        for row in mine[:10]:
            nll = -torch.log_softmax(run(row["ids"]).double(), -1)[range(len(row["ids"]) - 1), row["ids"][1:]].sum().item()
            worst = max(worst, abs(nll - row["nll"]) / nll)
        yield f"losses {init} in transformers", worst, 1e-4
        if not llama_cpp:
            continue
        for dtype, limit in (("f32", 2e-3), ("q8_0", 2e-2)):
            unlearn("export", path, "-o", out("scratch.gguf"), "--to", "gguf", "--dtype", dtype)
            there, here = LlamaCpp(gguf, tokenizer.vocab_size), scores(gguf, rows)
            same = [there.tokenize(x[:300]) == row["ids"] for x, row in zip(lines, here)]
            yield f"tokenizer {init} in llama.cpp, {dtype}", all(same)
            worst = 0
            for row in here[:6]:
                nll = -torch.log_softmax(there(row["ids"]).double(), -1)[range(len(row["ids"]) - 1), row["ids"][1:]].sum().item()
                worst = max(worst, abs(nll - row["nll"]) / nll)
            yield f"losses {init} in llama.cpp, {dtype}", worst, limit
        prompt = lines[0][:40]
        unlearn("export", path, "-o", out("scratch.gguf"), "--to", "gguf", "--dtype", "f32")
        made = json.loads(unlearn("generate", gguf, "--prompt", prompt, "--max-new", 16, "--ignore-eos", "--json"))
        yield f"greedy {init} in llama.cpp", LlamaCpp(gguf, tokenizer.vocab_size).greedy(there.tokenize(prompt), 16) == made["ids"]


def check_stories():
    """stories260K: a SentencePiece vocabulary with byte fallback, from its Hugging Face layout to llama.cpp."""
    model, gguf = os.path.join(SHARED, "model-stories260k", "hf"), out("stories.gguf")
    want = json.load(open(os.path.join(SHARED, "model-stories260k", "expected_greedy_ids.json")))
    unlearn("export", model, "-o", gguf, "--to", "gguf", "--dtype", "f32")
    there = LlamaCpp(gguf, 512)
    yield "stories260K greedy in llama.cpp", there.greedy([want["start_token"]], 60) == want["ids"][:60]
    text = "Once upon a time, there was a little girl named Zoë. She said: \"Hi!\""
    yield "stories260K ids in llama.cpp", there.tokenize(text) == json.loads(unlearn("tokenize", gguf, text, "--json"))["ids"]


# ---- the count ----

def tell(name, *verdict):
    global passed, failed
    ok = verdict[0] if len(verdict) == 1 else math.isfinite(verdict[0]) and verdict[0] <= verdict[1]
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAIL interop/{name}" + (f": differs by {verdict[0]:.3g}, at most {verdict[1]:g}" if len(verdict) == 2 else ""), flush=True)


def main():
    global failed, skipped
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    os.makedirs(WORK, exist_ok=True)
    checks = [check_hf, check_peft, check_trained_adapter, check_text]
    if llama_cpp:
        with contextlib.suppress(AttributeError):
            llama_cpp.disable_logging()
            llama_cpp.ggml_backend_load_all()
        checks.append(check_gguf)
    else:
        skipped += 1
        print("skip interop/llama.cpp: the package cyllama is not here")
    if llama_cpp and os.path.isdir(os.path.join(SHARED, "model-stories260k")):
        checks.append(check_stories)
    else:
        skipped += 1
        print("skip interop/stories260K: ../shared/data/model-stories260k or cyllama is not here")
    for check in checks:
        try:
            for result in check():
                tell(*result)
        except Exception:
            failed += 1
            print(f"FAIL interop/{check.__name__}: {traceback.format_exc(limit=3)}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


main()
