#!/usr/bin/env python3
"""Writes golden.json: the steps of a logits-to-embeddings inverter, in float64 by PyTorch, from the published description.

Usage: make.py            (needs torch)

Nine target tokens map many-to-one onto seven of the inverter (one of which nothing maps to), two groups, width 3. The vocabulary of
seven is padded with a zero to eight. Two batches of training and one look without learning follow one another.
"""
import json
import os

import torch

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
V_M, V_I, S, D, MID, BETA = 9, 7, 2, 3, 4, 0.01
TAU = [0, 1, 1, 2, 3, 3, 3, 5, 6]

table = torch.randn(V_I, D)
first, act, second = torch.nn.Linear(D, MID), torch.nn.GELU(), torch.nn.Linear(MID, D)
batches = [torch.randn(3, V_M) * 3, torch.randn(2, V_M) * 3, torch.randn(2, V_M) * 3]

unigram, steps = None, []
for number, logits in enumerate(batches):
    logp = logits.log_softmax(1)
    p = torch.zeros(len(logits), V_I).index_add(1, torch.tensor(TAU), logp.exp())
    joined = p.log().to(torch.float32).nan_to_num().to(torch.float64)  # float32's most negative number stands for -inf
    joined = torch.where(torch.isinf(p.log()), joined, p.log())
    learn = number < 2
    if learn:
        mean = joined.mean(0)
        unigram = mean.clone() if unigram is None else unigram
        unigram = (1 - BETA) * unigram + BETA * mean
    white = (joined - unigram).nan_to_num(posinf=0, neginf=0)
    pad = (-V_I) % S
    x = torch.cat([white, torch.zeros(len(white), pad)], 1).reshape(len(white), S, (V_I + pad) // S)
    e = torch.cat([table, torch.zeros(pad, D)], 0).reshape(S, (V_I + pad) // S, D)
    soft = torch.einsum("bsm,smd->bsd", x, e)
    steps.append({
        "learn": learn, "logp": logp.tolist(), "sum": p.sum(1).tolist(), "joined": joined.tolist(), "white": white.tolist(),
        "unigram": unigram.tolist(), "soft": soft.tolist(), "projected": second(act(first(soft))).tolist(),
    })

out = {
    "map": TAU, "vocab": V_I, "groups": S, "width": D, "middle": MID, "beta": BETA, "table": table.tolist(), "steps": steps,
    "in.weight": first.weight.tolist(), "in.bias": first.bias.tolist(), "out.weight": second.weight.tolist(), "out.bias": second.bias.tolist(),
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.json"), "w") as f:
    json.dump(out, f, indent=0)
    f.write("\n")
