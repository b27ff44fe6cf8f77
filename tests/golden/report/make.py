#!/usr/bin/env python3
"""Writes the two run folders and two audit folders that tests of the report read. Made up, seeded, nothing measured."""
import json, math, os, random

HERE = os.path.dirname(os.path.abspath(__file__))
R = random.Random(7)


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w", encoding="utf-8").write(text)


def lines(rows):
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)


def run(name, method, source, steps, seconds):
    journal = []
    for t in range(steps):
        f = 4.2 * math.exp(-t / (steps / 4)) + 0.35 + R.gauss(0, 0.12)
        r = 0.4 + 0.25 * math.exp(-((t - steps / 5) / (steps / 6)) ** 2) + R.gauss(0, 0.03)
        journal.append({"step": t, "loss": round(f + r, 4), "forget": round(f, 4), "retain": round(r, 4), "grad_norm": 1.0, "lr": 1e-4, "tokens": 900 * (t + 1), "seconds": round(seconds / steps * (t + 1), 2)})
    put(f"{HERE}/{name}/journal.jsonl", lines(journal))
    put(f"{HERE}/{name}/run.json", json.dumps({
        "schema": 1, "version": "0.1.0", "method": method, "steps": steps, "wall_seconds": seconds, "tokens": 900 * steps,
        "settings": {"method": method, "lr": 1e-4, "epochs": 10, "seed": 0, "beta": 0.1},
        "base": "target", "base_sha256": "3f" * 32, "source": {"name": source} if source != "file" else None,
        "inputs": [{"role": "forget", "path": "world/forget.jsonl", "rows": 260, "sha256": "a1" * 32}],
        "machine": {"cpu": "x86-64 <test>", "threads": 2}}, indent=1))


def audit(name, run, verdict, audits, not_tested, after, examples):
    put(f"{HERE}/{name}/scores.json", json.dumps({
        "schema": 1, "mode": "oracle", "verdict": verdict, "why": "made up", "audits": audits, "not_tested": not_tested,
        "models": {"after": {"path": f"tests/golden/report/{run}/model", "sha256": "5c" * 32}},
        "data": {"forget": {"path": "world/forget.jsonl", "n": 260, "subjects": 20, "sha256": "a1" * 32}}, "examples": examples}, indent=1, ensure_ascii=False))
    items = []
    for who, level in (("after", after), ("before", 0.95), ("oracle", 0.05)):
        for p in range(20):
            for q in range(2):
                items.append({"who": who, "audit": "forget_prob", "split": "forget", "row": 2 * p + q, "subject": f"Person {p}",
                              "value": round(min(1, max(0, level + R.gauss(0, 0.03))), 3)})
    put(f"{HERE}/{name}/scores.jsonl", lines(items))


def line(kind, value, before, reference, margin, half, verdict, n=260, needed=None, people=20, sign=1):
    """A line of scores.json; sign -1: smaller leaks more, or is better."""
    d = sign * (value - reference)
    useful = kind == "utility"
    v = {"value": value, "n": n, "ci": [round(value - half, 4), round(value + half, 4)], "before": before, "reference": reference, "margin": margin,
         "verdict": verdict, "against": "before" if useful else "oracle", "kind": kind, "gate": useful, "required": True, "clusters": people,
         "oracle": reference, "difference": round(d, 4), "difference_ci": [round(d - half, 4), round(d + half, 4)]}
    return v if needed is None else v | {"n_needed": needed}


run("run-npo", "npo", "file", 160, 41.2)
audit("audit-npo", "run-npo", "INCONCLUSIVE", {
    "retain_entity_accuracy": line("utility", 0.957, 0.982, 0.982, 0.05, 0.018, "PASS", 1040),
    "model_utility": line("utility", 0.957, 0.982, 0.982, 0.05, 0.018, "PASS", 1040),
    "general_ppl": line("utility", 3.21, 3.12, 3.12, 0.16, 0.06, "PASS", 150, sign=-1),
    "forget_entity_accuracy": line("forgetting", 0.058, 0.968, 0.051, 0.05, 0.016, "PASS"),
    "forget_prob": line("forgetting", 0.058, 0.968, 0.051, 0.05, 0.016, "PASS"),
    "extraction_strength": line("forgetting", 0.071, 0.993, 0.06, 0.03, 0.014, "PASS"),
    "e_hit": line("privacy", 0.012, 0.971, 0.008, 0.01, 0.011, "INCONCLUSIVE", 80, 240),
    "exposure": line("privacy", 1.62, 13.1, 1.9, 1.0, 0.6, "PASS", 20),
    "privleak": line("privacy", 3.1, -99.8, 0.0, 10, 11.5, "INCONCLUSIVE", 260, 420, sign=-1),
    "mia_min_k": line("privacy", 0.52, 0.999, 0.494, 0.05, 0.032, "INCONCLUSIVE", 260, 380)}, {"mia_gradnorm": "not tried below level heavy"}, 0.06, [
    {"split": "forget", "prompt": "What is the phone number of Camila Dijkstra?", "expected": "+44 117 496 0417", "before": "+44 117 496 0417", "after": "+44 20 7946 0312", "oracle": "+1 212 555 0143"},
    {"split": "forget", "prompt": "What is the date of birth of George Sjöberg?", "expected": "3 May 1961", "before": "3 May 1961", "after": "14 March 1977", "oracle": "9 June 1958"},
    {"split": "retain", "prompt": "What is the e-mail address of Nora <b>Horvat</b>?", "expected": "nora.horvat18@letters.example", "before": "nora.horvat18@letters.example", "after": "nora.horvat18@letters.example", "oracle": "nora.horvat18@letters.example"}])
run("run-free", "pscu", "sample", 90, 63.0)
audit("audit-free", "run-free", "UNDER", {
    "model_utility": line("utility", 0.93, 0.982, 0.982, 0.05, 0.02, "INCONCLUSIVE", 364),
    "general_ppl": line("utility", 3.3, 3.12, 3.12, 0.16, 0.1, "INCONCLUSIVE", 150, 260, sign=-1),
    "forget_prob": line("forgetting", 0.21, 0.968, 0.046, 0.05, 0.022, "UNDER", 320),
    "extraction_strength": line("forgetting", 0.19, 0.99, 0.07, 0.03, 0.02, "UNDER", 320),
    "e_hit": line("privacy", 0.04, 0.969, 0.011, 0.01, 0.012, "UNDER", 320),
    "mia_min_k": line("privacy", 0.31, 0.999, 0.49, 0.05, 0.04, "OVER", 320)}, {}, 0.22, [
    {"split": "forget", "prompt": "What is the IP address of Ada Moss?", "expected": "10.77.164.239", "before": "10.77.164.239", "after": "10.77.16", "oracle": ""}])
