#!/usr/bin/env python3
"""Writes the goldens of this folder: value, gradient norm and some gradient entries of every method, in float64.

Usage: make.py            (needs torch, numpy; transformers only to check the little Llama against, when it is there)

The model is a tiny Llama of random weights; its forward pass is written out below so that everything is really float64
(transformers computes norms, softmax and angles in float32). The losses are the published formulas, one function each, written
over a padded-free list of sequences: `logp(model, rows)` gives for each row log p of every token after the first.
"""
import json, math, os
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))
V, D, H, KV, HD, FF, L, EPS, THETA = 64, 16, 4, 2, 4, 24, 3, 1e-5, 10000.0


# ---- the model ----

def shapes():
    s = {"model.embed_tokens.weight": (V, D)}
    for i in range(L):
        p = f"model.layers.{i}."
        s[p + "input_layernorm.weight"] = (D,)
        s[p + "self_attn.q_proj.weight"] = (H * HD, D)
        s[p + "self_attn.k_proj.weight"] = (KV * HD, D)
        s[p + "self_attn.v_proj.weight"] = (KV * HD, D)
        s[p + "self_attn.o_proj.weight"] = (D, H * HD)
        s[p + "post_attention_layernorm.weight"] = (D,)
        s[p + "mlp.gate_proj.weight"] = (FF, D)
        s[p + "mlp.up_proj.weight"] = (FF, D)
        s[p + "mlp.down_proj.weight"] = (D, FF)
    s["model.norm.weight"] = (D,)
    s["lm_head.weight"] = (V, D)
    return s


def new_weights(seed):
    g = torch.Generator().manual_seed(seed)
    w = {}
    for name, shape in shapes().items():
        x = torch.randn(shape, generator=g, dtype=torch.float32)
        w[name] = 1 + 0.2 * x if len(shape) == 1 else (0.6 if "embed" in name else 0.35) * x
    return w


def as_leaves(w):
    return {k: v.to(torch.float64).clone().requires_grad_(True) for k, v in w.items()}


def rms(x, w):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPS) * w


def rope(x):  # [heads, T, HD], pairs (i, i + HD/2)
    T = x.shape[1]
    inv = THETA ** (-torch.arange(0, HD, 2) / HD)
    a = torch.outer(torch.arange(T).double(), inv)
    c, s = torch.cos(a), torch.sin(a)
    x1, x2 = x[..., : HD // 2], x[..., HD // 2:]
    return torch.cat([x1 * c - x2 * s, x2 * c + x1 * s], -1)


def hidden(w, ids, stop=None):
    """[T, D] after the final norm, or the output of block `stop`."""
    x = w["model.embed_tokens.weight"][torch.tensor(ids)]
    T = len(ids)
    mask = torch.full((T, T), float("-inf")).triu(1)
    for i in range(L):
        p = f"model.layers.{i}."
        h = rms(x, w[p + "input_layernorm.weight"])
        q = (h @ w[p + "self_attn.q_proj.weight"].T).view(T, H, HD).transpose(0, 1)
        k = (h @ w[p + "self_attn.k_proj.weight"].T).view(T, KV, HD).transpose(0, 1)
        v = (h @ w[p + "self_attn.v_proj.weight"].T).view(T, KV, HD).transpose(0, 1)
        q, k = rope(q), rope(k)
        k, v = k.repeat_interleave(H // KV, 0), v.repeat_interleave(H // KV, 0)
        a = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(HD) + mask, -1) @ v
        x = x + a.transpose(0, 1).reshape(T, H * HD) @ w[p + "self_attn.o_proj.weight"].T
        h = rms(x, w[p + "post_attention_layernorm.weight"])
        g = h @ w[p + "mlp.gate_proj.weight"].T
        u = h @ w[p + "mlp.up_proj.weight"].T
        x = x + (g * torch.sigmoid(g) * u) @ w[p + "mlp.down_proj.weight"].T
        if stop == i:
            return x
    return rms(x, w["model.norm.weight"])


def logits(w, ids):
    return hidden(w, ids) @ w["lm_head.weight"].T


# ---- rows ----

def make_rows(seed, lengths, prompts):
    g = torch.Generator().manual_seed(seed)
    rows = []
    for n, p in zip(lengths, prompts):
        ids = torch.randint(0, V, (n,), generator=g).tolist()
        rows.append({"ids": ids, "labels": [-100] * p + ids[p:]})
    return rows


FORGET = make_rows(11, [9, 6, 12, 7], [3, 2, 0, 4])
RETAIN = make_rows(12, [8, 11, 5], [3, 5, 1])
IDK = [{"ids": r["ids"][:p] + a, "labels": [-100] * p + a} for r, p, a in
       zip(FORGET, [3, 2, 1, 4], [[7, 8, 9], [20, 21], [30, 31, 32, 33], [40, 41, 42]])]
SPOTS = [[0, 0, 0, 1, 1, 0, 0, 0, 1], [1, 0, 0, 0, 1, 0], [0] * 6 + [1, 1, 1] + [0] * 3, [0, 1, 0, 0, 0, 0, 0]]


def rename(row, p):
    """The row about somebody else: another prompt of p + 1 tokens, and two others in the place of the name, one token; and the labels both rows have."""
    k = next(k for k in range(p + 1, len(row["ids"]) - 1) if row["ids"].count(row["ids"][k]) == 1)
    fresh = [i for i in range(V) if i not in row["ids"]]
    ids = (fresh[: p + 1] if p else []) + row["ids"][p:k] + fresh[-2:] + row["ids"][k + 1:]
    q = p + 1 if p else 0
    label = lambda n, at, name: [-100 if i < at or i in name else x for i, x in enumerate(n)]
    return {"ids": ids, "labels": [-100] * q + ids[q:]}, {"ids": row["ids"], "labels": label(row["ids"], p, [k])}, {"ids": ids, "labels": label(ids, q, [q + k - p, q + k - p + 1])}


RENAMED = [rename(r, p) for r, p in zip(FORGET, [3, 2, 0, 4])]
STRANGERS, OURS, THEIRS = map(list, zip(*RENAMED))


def row_logp(w, row):
    """log-probabilities [T-1] of ids[1:], and which of them count."""
    z = torch.log_softmax(logits(w, row["ids"])[:-1], -1)
    ids = torch.tensor(row["ids"][1:])
    return z[torch.arange(len(ids)), ids], torch.tensor([l != -100 for l in row["labels"][1:]])


def tokens(w, rows):  # list of log p of labelled tokens, one tensor per row
    return [lp[m] for lp, m in (row_logp(w, r) for r in rows)]


def nll(w, rows):
    return -torch.cat(tokens(w, rows)).mean()


def sums(w, rows):
    return torch.stack([-t.sum() for t in tokens(w, rows)])


def kl(ref, w, rows, mean=True):
    out = []
    for r in rows:
        m = torch.tensor([l != -100 for l in r["labels"][1:]])
        q = torch.log_softmax(logits(ref, r["ids"])[:-1], -1)[m].detach()
        p = torch.log_softmax(logits(w, r["ids"])[:-1], -1)[m]
        out.append((q.exp() * (q - p)).sum(-1))
    return torch.cat(out).mean()


LS = torch.nn.functional.logsigmoid


# ---- the losses ----

def ga(w, ref):
    return -nll(w, FORGET)


def graddiff(w, ref, gamma, alpha, retain="nll"):
    return gamma * ga(w, ref) + alpha * (kl(ref, w, RETAIN) if retain == "kl" else nll(w, RETAIN))


def idk_sft(w, ref, gamma, alpha):
    return gamma * nll(w, IDK) + alpha * nll(w, RETAIN)


def idk_dpo(w, ref, beta, gamma, alpha):
    lose = sums(w, FORGET) - sums(ref, FORGET).detach()
    win = sums(w, IDK) - sums(ref, IDK).detach()
    return gamma * (-2 / beta * LS(beta * (lose - win))).mean() + alpha * nll(w, RETAIN)


def npo(w, ref, beta, gamma, alpha, retain="nll"):
    s = sums(w, FORGET) - sums(ref, FORGET).detach()
    f = gamma * (-2 / beta * LS(beta * s)).mean()
    if alpha == 0:
        return f
    return f + alpha * (kl(ref, w, RETAIN) if retain == "kl" else nll(w, RETAIN))


def npo_strangers(w, ref, beta, gamma, alpha):
    s = sums(w, OURS) - sums(ref, THEIRS).detach()
    return gamma * (-2 / beta * LS(beta * s)).mean() + alpha * nll(w, RETAIN)


def whp(w, ref, gamma, alpha):
    f = []
    for ours, theirs in zip(OURS, THEIRS):
        m, n = (torch.tensor([l != -100 for l in r["labels"][1:]]) for r in (ours, theirs))
        q = torch.log_softmax(logits(ref, theirs["ids"])[:-1], -1)[n].detach()
        p = torch.log_softmax(logits(w, ours["ids"])[:-1], -1)[m]
        f.append((q.exp() * (q - p)).sum(-1))
    return gamma * torch.cat(f).mean() + alpha * kl(ref, w, RETAIN)


def simnpo(w, ref, beta, delta, gamma, alpha, executed=False):
    n = torch.tensor([float(sum(l != -100 for l in r["labels"][(0 if executed else 1):])) for r in FORGET])
    f = gamma * (-2 / beta * LS(beta * (sums(w, FORGET) / n - delta))).mean()
    return f + alpha * nll(w, RETAIN) if alpha else f


def undial(w, ref, beta, gamma, alpha):
    out = []
    for r in FORGET:
        y = torch.tensor(r["ids"][1:])
        m = torch.tensor([l != -100 for l in r["labels"][1:]])
        z = logits(ref, r["ids"])[:-1].detach().clone()
        z[torch.arange(len(y)), y] -= beta
        p = torch.log_softmax(logits(w, r["ids"])[:-1], -1)
        out.append(-(torch.softmax(z, -1) * p).sum(-1)[m])
    f = gamma * torch.cat(out).mean()
    return f + alpha * nll(w, RETAIN) if alpha else f


def wga(w, ref, beta, gamma, alpha):
    t = torch.cat(tokens(w, FORGET))
    f = gamma * (t.detach().exp() ** beta * t).mean()
    return f + alpha * nll(w, RETAIN) if alpha else f


def satimp(w, ref, b1, b2, gamma, alpha):
    t = torch.cat(tokens(w, FORGET))
    p = t.detach().exp()
    f = gamma * (p ** b1 * (1 - p) ** b2 * t).mean()
    return f + alpha * nll(w, RETAIN) if alpha else f


def ceu(w, ref, skip):
    out = []
    for r in FORGET:
        y = torch.tensor(r["ids"][1:])
        z = logits(w, r["ids"])[:-1]
        target = z.detach().clone()
        target[torch.arange(len(y)), y] = float("-inf")
        ce = -(torch.softmax(target, -1) * torch.log_softmax(z, -1)).sum(-1)
        at = [i for i, l in enumerate(r["labels"][1:]) if l != -100][skip:]
        out.append(ce[at])
    return torch.cat(out).mean()


def pscu(w, ref, alpha, beta, clamp=False, retain=0):
    gen, priv = [], []
    for r, spot in zip(FORGET, SPOTS):
        lp, _ = row_logp(w, r)
        m = torch.tensor(spot[1:]) == 1
        gen.append(-lp[~m])
        priv.append(-lp[m])
    p = torch.cat(priv)
    if clamp:
        p = torch.minimum(p, torch.tensor(math.log(V)))
    f = alpha * torch.cat(gen).mean() - beta * p.mean()
    return f + retain * nll(w, RETAIN) if retain else f


def rmu_dist(h, target, rows, executed):
    s, n = [], []
    for x, t, r in zip(h, target, rows):
        m = torch.tensor([l != -100 for l in r["labels"]])
        s.append(((x - t) ** 2).mean(-1)[m].sum())
        n.append(float(m.sum()))
    s, n = torch.stack(s), torch.tensor(n)
    return s.mean() * (1 / n).mean() if executed else (s / n).mean()


def control(c):
    u = torch.rand(D, generator=torch.Generator().manual_seed(77), dtype=torch.float64)
    return c * u / u.norm()


def rmu(w, ref, layer, c, gamma, alpha, adaptive=0, executed=False):
    hf = [hidden(w, r["ids"], layer) for r in FORGET]
    if adaptive:
        u = control(1.0)
        target = [adaptive * hidden(ref, r["ids"], layer).detach().norm(dim=-1, keepdim=True) * u for r in FORGET]
    else:
        target = [control(c).expand(len(r["ids"]), D) for r in FORGET]
    f = gamma * rmu_dist(hf, target, FORGET, executed)
    hr = [hidden(w, r["ids"], layer) for r in RETAIN]
    h0 = [hidden(ref, r["ids"], layer).detach() for r in RETAIN]
    return f + alpha * rmu_dist(hr, h0, RETAIN, executed)


# name: method, settings as typed, loss
CASES = {
    "finetune": ("finetune", {}, lambda w, r: nll(w, FORGET)),
    "ga": ("ga", {}, ga),
    "graddiff": ("graddiff", {"forget-weight": "0.7", "retain-weight": "1.3"}, lambda w, r: graddiff(w, r, 0.7, 1.3)),
    "graddiff_kl": ("graddiff", {"retain-loss": "kl", "retain-weight": "2"}, lambda w, r: graddiff(w, r, 1, 2, "kl")),
    "gd_kl": ("gd-kl", {"forget-weight": "0.5", "retain-weight": "1.5"}, lambda w, r: graddiff(w, r, 0.5, 1.5, "kl")),
    "idk_sft": ("idk-sft", {"forget-weight": "1.2", "retain-weight": "0.4"}, lambda w, r: idk_sft(w, r, 1.2, 0.4)),
    "idk_dpo": ("idk-dpo", {"beta": "0.3", "forget-weight": "0.8"}, lambda w, r: idk_dpo(w, r, 0.3, 0.8, 1)),
    "npo": ("npo", {"retain-weight": "0"}, lambda w, r: npo(w, r, 0.1, 1, 0)),
    "npo_rt": ("npo", {"beta": "0.5", "forget-weight": "0.9", "retain-weight": "1.1"}, lambda w, r: npo(w, r, 0.5, 0.9, 1.1)),
    "npo_kl": ("npo", {"beta": "0.2", "retain-loss": "kl"}, lambda w, r: npo(w, r, 0.2, 1, 1, "kl")),
    "npo_strangers": ("npo-strangers", {"beta": "0.5", "forget-weight": "0.9", "retain-weight": "1.1"}, lambda w, r: npo_strangers(w, r, 0.5, 0.9, 1.1)),
    "whp": ("whp", {"forget-weight": "1.2", "retain-weight": "0.8", "retain-loss": "kl"}, lambda w, r: whp(w, r, 1.2, 0.8)),
    "simnpo": ("simnpo", {"beta": "1.5", "delta": "2", "forget-weight": "0.5"}, lambda w, r: simnpo(w, r, 1.5, 2, 0.5, 1)),
    "simnpo_executed": ("simnpo", {"beta": "1.5", "delta": "2", "compat": "open-unlearning"}, lambda w, r: simnpo(w, r, 1.5, 2, 0.125, 1, True)),
    "undial": ("undial", {"beta": "4"}, lambda w, r: undial(w, r, 4, 1, 0)),
    "undial_rt": ("undial", {"beta": "10", "forget-weight": "0.6", "retain-weight": "0.7"}, lambda w, r: undial(w, r, 10, 0.6, 0.7)),
    "wga": ("wga", {"beta": "0.7", "forget-weight": "1.5"}, lambda w, r: wga(w, r, 0.7, 1.5, 1)),
    "satimp": ("satimp", {"satimp-beta1": "0.6", "satimp-beta2": "1.4", "forget-weight": "2"}, lambda w, r: satimp(w, r, 0.6, 1.4, 2, 1)),
    "satimp_default": ("satimp", {}, lambda w, r: satimp(w, r, 5, 1, 0.1, 1)),
    "ceu": ("ceu", {}, lambda w, r: ceu(w, r, 1)),
    "ceu_all": ("ceu", {"skip": "0"}, lambda w, r: ceu(w, r, 0)),
    "pscu": ("pscu", {"alpha": "0.8", "beta": "1.2", "retain-weight": "0"}, lambda w, r: pscu(w, r, 0.8, 1.2)),
    "pscu_clamp": ("pscu", {"clamp": "yes", "retain-weight": "0"}, lambda w, r: pscu(w, r, 1, 1, True)),
    "pscu_rt": ("pscu", {"retain-weight": "0.5"}, lambda w, r: pscu(w, r, 1, 1, False, 0.5)),
    "rmu": ("rmu", {"layer": "1", "coefficient": "3", "retain-weight": "1.4"}, lambda w, r: rmu(w, r, 1, 3, 1, 1.4)),
    "rmu_adaptive": ("rmu", {"layer": "1", "adaptive": "2"}, lambda w, r: rmu(w, r, 1, 0, 1, 1, 2)),
    "rmu_executed": ("rmu", {"layer": "2", "compat": "open-unlearning"}, lambda w, r: rmu(w, r, 2, 2, 1, 1, 0, True)),
    "task_arithmetic": ("task-arithmetic", {}, lambda w, r: nll(w, FORGET)),
    "release": ("release", {}, lambda w, r: nll(w, FORGET)),
}


def adamw_steps(theta, ref):
    """torch.optim.AdamW over npo_rt with one fixed batch, clipped; and torch.optim.SGD with momentum."""
    out = {}
    for name, make in (("adamw", lambda p: torch.optim.AdamW(p, lr=2e-3, weight_decay=0.01)),
                       ("sgd", lambda p: torch.optim.SGD(p, lr=2e-2, momentum=0.9, weight_decay=0.01))):
        w = as_leaves(theta)
        opt = make(list(w.values()))
        steps = []
        for k in range(4):
            opt.param_groups[0]["lr"] = (2e-3 if name == "adamw" else 2e-2) * min(1, (k + 1) / 2)
            opt.zero_grad()
            loss = npo(w, ref, 0.1, 1, 1)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(list(w.values()), 1.0)
            opt.step()
            steps.append({"loss": loss.item(), "grad_norm": norm.item()})
        out[name] = {"steps": steps, "final": {k: w[k].detach().flatten()[:6].tolist() for k in PROBES}}
    return out


PROBES = ["model.embed_tokens.weight", "model.layers.0.mlp.down_proj.weight", "model.layers.1.self_attn.q_proj.weight",
          "model.layers.1.input_layernorm.weight", "model.layers.2.self_attn.v_proj.weight", "lm_head.weight"]


def write_checkpoint(folder, w):
    os.makedirs(folder, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "bos_token_id": 1, "eos_token_id": 2,
              "head_dim": HD, "hidden_act": "silu", "hidden_size": D, "intermediate_size": FF, "max_position_embeddings": 64, "mlp_bias": False,
              "num_attention_heads": H, "num_hidden_layers": L, "num_key_value_heads": KV, "rms_norm_eps": EPS,
              "rope_parameters": {"rope_theta": THETA, "rope_type": "default"}, "tie_word_embeddings": False, "vocab_size": V}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=1)
        f.write("\n")
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name in sorted(w):
        raw = w[name].numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(w[name].shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    h = json.dumps(header, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(len(h).to_bytes(8, "little") + h + data)


def check_against_transformers(folder, w):
    try:
        from transformers import LlamaForCausalLM
    except ImportError:
        print("transformers is not here: the little Llama was not checked against it")
        return
    torch.set_default_dtype(torch.float32)
    m = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.set_default_dtype(torch.float64)
    ids = FORGET[2]["ids"]
    with torch.no_grad():
        theirs = m(torch.tensor([ids])).logits[0].double()
        ours = logits({k: v.double() for k, v in w.items()}, ids)
    print("largest difference to transformers in float32:", (theirs - ours).abs().max().item())
    assert (theirs - ours).abs().max() < 1e-4


def main():
    theta = new_weights(5)
    g = torch.Generator().manual_seed(6)
    ref32 = {k: v + 0.05 * torch.randn(v.shape, generator=g, dtype=torch.float32) for k, v in theta.items()}
    write_checkpoint(os.path.join(HERE, "theta"), theta)
    write_checkpoint(os.path.join(HERE, "ref"), ref32)
    check_against_transformers(os.path.join(HERE, "theta"), theta)
    ref = {k: v.double() for k, v in ref32.items()}
    rows = {}
    for name, (method, settings, loss) in CASES.items():
        w = as_leaves(theta)
        value = loss(w, ref)
        value.backward()
        grads = {k: (v.grad if v.grad is not None else torch.zeros_like(v)) for k, v in w.items()}
        rows[name] = {"method": method, "settings": settings, "value": value.item(),
                      "grad_norm": math.sqrt(sum((x ** 2).sum().item() for x in grads.values())),
                      "grad_norm_per_tensor": {k: x.norm().item() for k, x in grads.items()},
                      "grad": {k: grads[k].flatten()[:6].tolist() for k in PROBES}}
    out = {"forget": FORGET, "retain": RETAIN, "idk": IDK, "strangers": STRANGERS, "spots": SPOTS, "control": control(1.0).tolist(), "rows": rows, "steps": adamw_steps(theta, ref)}
    with open(os.path.join(HERE, "golden.json"), "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


main()
