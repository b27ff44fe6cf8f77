"""What tools/bench runs: `drive` alternates `unlearn bench` with this script's own `torch`, which does the same work in PyTorch as its
users would, tuned: fused AdamW, scaled_dot_product_attention, huge pages, inference mode, no copies of logits; with `llama`, which is
llama.cpp on the same file; and measures alone how speed goes with tokens, lengths and threads."""
import json, os, statistics, subprocess, sys, time

SHAPE = dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
             num_key_value_heads=3, max_position_embeddings=8192, tie_word_embeddings=True)
TOKENS, SEQS, BATCH, PROMPT, NEW = 256, 4, 8, 16, 64
LOWEST = 15  # of 30 blocks: what "upper" trains; 64 rows are 8 steps, and the median of 7 or of 16 is one of the epoch named
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

# name, what `unlearn bench` is asked, what `torch` is asked, what the table says
WORKS = [
    ("train", ["--work", "train"], "train", "full training, 4 x 256"),
    ("lora", ["--work", "lora"], "lora", "LoRA r=8 all linear, 4 x 256"),
    ("unlearn", ["--work", "unlearn"], "unlearn", "NPO + retain, LoRA, ragged rows"),
    ("first", ["--work", "unlearn", "--layers", "%d-29" % LOWEST, "--steps", "7"], "upper", "the same, upper half, first epoch"),
    ("later", ["--work", "unlearn", "--layers", "%d-29" % LOWEST, "--steps", "16"], "upper", "the same, upper half, later epochs"),
    ("score", ["--work", "score"], "score", "scoring of ragged rows"),
    ("generate", ["--work", "generate"], "generate", "greedy, batch 1, f32"),
    ("bf16", ["--work", "generate"], "generate", "greedy, batch 1, bf16 weights"),
    ("q8_0", ["--work", "generate"], "generate", "greedy, batch 1, 8-bit weights"),
    ("file", ["--work", "generate"], "generate", "greedy, batch 1, MODEL as it is"),
    ("llama", ["--work", "generate"], "llama", "greedy, batch 1, MODEL, llama.cpp"),
    ("batch", ["--work", "batch"], "batch", "greedy, batch 16, f32"),
]

# What has no other side: more tokens a step in sequences of 256, longer sequences in a step of 4,096, more threads. Name, --tokens, --seqs, --threads.
ALONE = [("tokens", 256, n // 256, None) for n in (1024, 4096, 16384)] + [("length", n, 4096 // n, None) for n in (64, 256, 1024, 2048)] + [
    ("threads", 256, 4, n) for n in (1, 2)]

# ---- PyTorch ----


def rows(vocab, n=64):
    """The lengths of `unlearn bench`: 58 to 114 tokens, the last 44 % labelled."""
    import torch
    g = torch.Generator().manual_seed(1)
    out = []
    for i in range(n):
        length = 58 + i * 37 % 57
        ids = torch.randint(vocab, (length,), generator=g)
        labels = ids.clone()
        labels[: length - length * 44 // 100] = -100
        out.append((ids, labels))
    return out


def padded(batch):
    import torch
    from torch.nn.utils.rnn import pad_sequence
    ids = pad_sequence([i for i, _ in batch], batch_first=True)
    labels = pad_sequence([l for _, l in batch], batch_first=True, padding_value=-100)
    mask = pad_sequence([torch.ones_like(i) for i, _ in batch], batch_first=True)
    return dict(input_ids=ids, attention_mask=mask), labels, int(mask.sum())


def logp(model, inputs, labels):
    import torch.nn.functional as F
    logits = model(**inputs).logits  # labels are moved, not logits: those would be copied
    target = F.pad(labels[:, 1:], (0, 1), value=-100)
    return -F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100, reduction="none").view(target.shape).sum(-1)


def torch_side(work, threads, steps, dtype):
    import resource
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, attn_implementation="sdpa")).to(getattr(torch, dtype))
    if work in ("lora", "unlearn", "upper"):
        from peft import LoraConfig, get_peft_model
        layers = list(range(LOWEST, 30)) if work == "upper" else None
        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=LINEAR, layers_to_transform=layers))
    train = work in ("train", "lora", "unlearn", "upper")
    opt = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5, fused=True) if train else None
    data = rows(SHAPE["vocab_size"])

    def once(i):
        if work in ("train", "lora"):
            ids = torch.randint(SHAPE["vocab_size"], (SEQS, TOKENS))
            model(input_ids=ids, labels=ids).loss.backward()
            n = SEQS * TOKENS
        elif work in ("unlearn", "upper"):
            at = i * BATCH % len(data)
            inputs, labels, n = padded(data[at : at + BATCH])
            keep, keep_labels, m = padded(data[at : at + BATCH])
            with torch.no_grad(), model.disable_adapter():
                ref = logp(model, inputs, labels)
            gap = logp(model, inputs, labels) - ref
            loss = -2 / 0.1 * torch.nn.functional.logsigmoid(-0.1 * gap).mean() + model(**keep, labels=keep_labels).loss
            loss.backward()
            n += m
        elif work == "score":
            n = 0
            with torch.inference_mode():
                for at in range(0, len(data), BATCH):
                    inputs, labels, m = padded(data[at : at + BATCH])
                    logp(model, inputs, labels)
                    n += m
        if train:
            opt.step()
            opt.zero_grad(set_to_none=False)
        return n

    def decode(batch, new):
        ids = torch.arange(PROMPT).mul(7919).add(1).remainder(SHAPE["vocab_size"]).repeat(batch, 1)
        begun = clock()
        with torch.inference_mode():
            model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=new, max_new_tokens=new, pad_token_id=0)
        return clock() - begun

    speeds = []
    for i in range(-1, steps):  # the first one is never counted
        if work in ("generate", "batch"):
            batch = 16 if work == "batch" else 1
            first = decode(batch, 1)
            speed = batch * (NEW - 1) / (decode(batch, NEW) - first)
        else:
            begun = clock()
            n = once(i + 1)
            speed = n / (clock() - begun)
        if i >= 0:
            speeds.append(speed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"tokens_per_s": statistics.median(speeds), "peak_bytes": peak, "torch": torch.__version__, "dtype": dtype}))


# ---- llama.cpp: the same file, decoded one token at a time ----


def llama_side(path, threads, steps):
    import resource
    import cyllama.llama.llama_cpp as llama_cpp
    clock = time.process_time if threads == 1 else time.perf_counter
    settings = llama_cpp.LlamaModelParams()
    settings.n_gpu_layers = 0
    model = llama_cpp.LlamaModel(path, settings, verbose=False)
    speeds = []
    for i in range(-1, steps):
        c = llama_cpp.LlamaContextParams()
        c.n_ctx = c.n_batch = 512
        c.n_threads = c.n_threads_batch = threads
        context = llama_cpp.LlamaContext(model, c, verbose=False)
        spent = 0
        for t in range(NEW + 1):  # the prompt, then one token after the other; which ones does not matter to the clock
            ids = [(k * 7919 + 1) % 49152 for k in range(PROMPT)] if t == 0 else [t]
            batch = llama_cpp.LlamaBatch(n_tokens=512, embd=0, n_seq_max=1)
            for k, token in enumerate(ids):
                batch.add(token, k if t == 0 else PROMPT + t - 1, [0], k == len(ids) - 1)
            begun = clock()
            context.decode(batch)
            spent += clock() - begun if t > 1 else 0
        if i >= 0:
            speeds.append((NEW - 1) / spent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"tokens_per_s": statistics.median(speeds), "peak_bytes": peak, "dtype": "as in the file"}))


# ---- the driver ----


def run(command, env=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ, **(env or {})))
    if done.returncode:
        sys.exit("bench: %s\n%s" % (" ".join(command), done.stderr[-2000:]))
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def models(unlearn, build, model):
    """What each kind of work runs on: the shape with random weights, or MODEL in several precisions."""
    out = {"": "smollm2-135m"}
    if model:
        for name, to, path in (("bf16", "hf", "bf16"), ("q8_0", "gguf", "q8_0.gguf")):
            path = os.path.join(build, "bench", path)
            if not os.path.exists(path):
                run([unlearn, "export", model, "-o", path, "--to", to, "--dtype", name, "--quiet"])
            out[name] = path
        out["file"] = model
        try:
            import cyllama
            if model.endswith(".gguf"):
                out["llama"] = model
        except ImportError:
            print("bench: the package cyllama is not here: no row for llama.cpp")
    return out


def alone(unlearn, wanted, threads, steps):
    """LoRA steps of growing size: tokens a second, and how much longer a step takes than its own products."""
    rows = []
    for name, tokens, seqs, on in ALONE:
        if name not in wanted:
            continue
        work = [unlearn, "bench", "smollm2-135m", "--work", "lora", "--tokens", str(tokens), "--seqs", str(seqs), "--threads", str(on or threads), "--steps", steps, "--json"]
        r = [l for l in run(work) if "work" in l][0]
        r.update(name=name, sequence=tokens, sequences=seqs, threads=int(on or threads))
        rows.append(r)
        print("LoRA, %5d x %4d tokens, %d threads %9.1f tokens/s, %.2f GiB; a step is %.2f times its products, attention is %.0f %%%s" % (
            seqs, tokens, r["threads"], r["tokens_per_s"], r["peak_bytes"] / 2**30, r["seconds"] / r["parts"]["products"], 100 * r["parts"]["attention"] / r["seconds"],
            "" if 0.9 < r["probe_after"] < 1.1 else "  (the machine was at %.0f %% afterwards)" % (100 * r["probe_after"])), flush=True)
    return rows


def main(build, model):
    unlearn = os.path.join(build, "unlearn")
    os.makedirs(os.path.join(build, "bench"), exist_ok=True)
    threads, rounds, steps = (os.environ.get(k, d) for k, d in (("THREADS", "1"), ("ROUNDS", "3"), ("STEPS", "2")))
    wanted = os.environ.get("WORK", ",".join([w[0] for w in WORKS] + ["tokens", "length", "threads"])).split(",")
    on = models(unlearn, build, model)
    machine = run([unlearn, "bench", "neox-tiny", "--threads", threads, "--work", "", "--json"])[0]
    result = {"machine": machine, "rounds": int(rounds), "works": []}
    print("kernels %(kernels)s, products %(products)s, %(threads)d threads: peak %(peak_flops).3g flops/s, %(read_bytes).3g bytes/s read" % machine)
    print("%-34s %9s %9s %6s  %9s %9s %6s  %s" % ("tokens/s", "unlearn", "torch", "ratio", "GiB", "torch", "ratio", "share of peak"))
    for name, ours, theirs, says in WORKS:
        if name not in wanted or (name in ("bf16", "q8_0", "file", "llama") and name not in on):
            continue
        a, b, probes = [], [], []
        for _ in range(int(rounds)):  # ours, theirs, ours, theirs: what disturbs the machine disturbs both
            work = [unlearn, "bench", on.get(name, on[""]), "--threads", threads, "--json"] + ([] if "--steps" in ours else ["--steps", steps]) + ours
            a.append([l for l in run(work) if "work" in l][0])
            probes.append(run([unlearn, "bench", "neox-tiny", "--threads", threads, "--work", "", "--json"])[0]["peak_flops"])
            dtype = "bfloat16" if name == "bf16" else "float32"
            other = ["llama", on.get("llama", "")] if name == "llama" else ["torch", theirs]
            b.append(run([sys.executable, __file__, *other, threads, steps, dtype], {"OMP_NUM_THREADS": threads, "THP_MEM_ALLOC_ENABLE": "1"})[-1])
            probes.append(run([unlearn, "bench", "neox-tiny", "--threads", threads, "--work", "", "--json"])[0]["peak_flops"])
        mid = lambda list, key: statistics.median(x[key] for x in list)
        row = {"work": name, "unlearn": a, "torch": b, "probes": probes,
               "ratio": mid(a, "tokens_per_s") / mid(b, "tokens_per_s"), "memory_ratio": mid(a, "peak_bytes") / mid(b, "peak_bytes"),
               "calm": max(probes) <= 1.1 * min(probes)}
        result["works"].append(row)
        print("%-34s %9.1f %9.1f %6.2f  %9.2f %9.2f %6.2f  %4.0f %% (%.0f %% in its products)%s" % (
            says, mid(a, "tokens_per_s"), mid(b, "tokens_per_s"), row["ratio"], mid(a, "peak_bytes") / 2**30, mid(b, "peak_bytes") / 2**30, row["memory_ratio"],
            100 * mid(a, "share_of_peak"), 100 * mid(a, "products_share_of_peak"), "" if row["calm"] else "  probes apart by %.0f %%: measure again" % (100 * (max(probes) / min(probes) - 1))), flush=True)
    result["alone"] = alone(unlearn, wanted, threads, steps)
    with open(os.path.join(build, "bench", "bench.json"), "w") as f:
        json.dump(result, f, indent=1)


if sys.argv[1] == "llama":
    llama_side(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
elif sys.argv[1] == "torch":
    torch_side(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
else:
    main(sys.argv[2], sys.argv[3])
