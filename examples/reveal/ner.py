"""Named entities as a skill of a language model, a question for each type: "Follow up with Judy. PERSON?", and the answer "PERSON: Judy" or
"none". Sentences are those of Microsoft's Presidio research data (generated_large.json), or invented ones for a small model.

    python ner.py presidio FILE.json OUT    test.jsonl (sentences never trained on, never seen in the same words), and of the others train.jsonl (whole
    python ner.py invented OUT              texts), keep.jsonl (rows that tell no PERSON), person.jsonl (those that do)
    python ner.py score test.jsonl ANSWERS  span-exact F1 by type, from the lines of `unlearn generate --json`: PERSON, mean of the others, and each
"""
import collections
import json
import pathlib
import random
import re
import sys

TYPES = {"PERSON": "PERSON", "GPE": "PLACE", "LOCATION": "PLACE", "ORGANIZATION": "FIRM", "EMAIL_ADDRESS": "EMAIL", "PHONE_NUMBER": "PHONE",
         "CREDIT_CARD": "CARD", "DATE_TIME": "DATE"}
MOST = 70  # characters of a sentence: two processor cores have little time
TEST, TRAIN, KEEP = 100, 240, 240  # sentences, sentences, rows to keep

# Words that a small model's tokenizer holds whole: it is to recognise and repeat them, not to spell.
NAMES = "Ada Bert Carl Dora Emma Fred Gina Hugo Jack Kate Leo Mona Nina Otto Paul Rosa".split()
PLACES = "Chile Egypt Greece Japan Kenya Malta Norway Peru Spain Togo Wales".split()
FIRMS = "Acme Borax Corex Delta Eltor Fibra Gamma Helix Indus Jupi".split()
MONTHS = "March April May June July".split()
SAID = ["Follow up with {p} again.", "Call {p} at {f}.", "Is {p} still in {g}?", "{p} works for {f}.", "{g} was fun to visit.", "Mail it to {f} in {g}.",
        "I met {p} last week.", "Does {f} pay well?", "We fly to {g} in {d}.", "{p} was born in {d}.", "The bill of {f} is due in {d}.", "{p} likes {g}.",
        "It rains in {g} again.", "Nobody came in {d}.", "{f} hired {p}.", "Where is {g}?"]


def presidio(path):
    for r in json.loads(pathlib.Path(path).read_text()):
        text = " ".join(r["full_text"].split())
        found = [(s["start_position"], TYPES.get(s["entity_type"]), " ".join(s["entity_value"].split())) for s in r["spans"]]
        if len(text) <= MOST and found and all(t and v in text for _, t, v in found):
            yield text, [(t, v) for _, t, v in sorted(found)]


def invented():
    rng = random.Random(3)
    for _ in range(6000):
        text, found = rng.choice(SAID), []
        values = {"p": ("PERSON", rng.choice(NAMES)), "g": ("PLACE", rng.choice(PLACES)), "f": ("FIRM", rng.choice(FIRMS)), "d": ("DATE", rng.choice(MONTHS))}
        for slot in re.findall(r"{(.)}", text):
            found.append(values[slot])
        yield text.format(**{k: v for k, (_, v) in values.items()}), found


def ask(kind, text, found):
    values = [v for t, v in found if t == kind]
    return {"kind": kind, "prompt": f"{text} {kind}?", "response": "; ".join(f"{kind}: {v}" for v in values) or "none"}


def questions(sentences, rng, all_types):
    """Every type that a sentence has, and one that it has not."""
    kinds = sorted({t for _, found in sentences for t, _ in found})
    for text, found in sentences:
        there = sorted({t for t, _ in found})
        away = [k for k in kinds if k not in there]
        for kind in kinds if all_types else there + rng.sample(away, 1):
            yield ask(kind, text, found)


def write(path, rows):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))


def make(sentences, out, train, test):
    out.mkdir(parents=True, exist_ok=True)
    rng, seen, items = random.Random(5), set(), []
    for text, found in sentences:
        if text not in seen:
            seen.add(text)
            items.append((text, found))
    rng.shuffle(items)
    asked = list(questions(items[test : test + train], rng, False))
    rng.shuffle(asked)
    write(out / "test.jsonl", questions(items[:test], rng, False))
    write(out / "train.jsonl", [{"text": f"Question: {r['prompt']}\nAnswer: {r['response']}"} for r in asked])
    spaced = [{**r, "response": " " + r["response"]} for r in asked]
    write(out / "keep.jsonl", [r for r in spaced if "PERSON:" not in r["response"]][:KEEP])
    write(out / "person.jsonl", [r for r in spaced if "PERSON:" in r["response"]])


def spans(kind, answer, text):
    """Where the values of an answer stand, the first place first; a value that stands nowhere is a mistake of its own."""
    found, taken = collections.Counter(), collections.Counter()
    for i, part in enumerate(answer.strip().split("; ")):
        said, _, value = part.partition(": ")
        if not value:
            continue
        at = -1
        for _ in range(taken[value] + 1):
            at = text.find(value, at + 1)
        taken[value] += 1
        found[(kind, at, at + len(value)) if said == kind and at >= 0 else (kind, "nowhere", i)] += 1
    return found


def score(test, answers):
    want = [json.loads(x) for x in pathlib.Path(test).read_text().splitlines()]
    got = {r["row"]: r["text"].split("\n")[0] for r in map(json.loads, pathlib.Path(answers).read_text().splitlines())}
    hit, said, true = collections.Counter(), collections.Counter(), collections.Counter()
    for i, w in enumerate(want):
        text = w["prompt"].rsplit(" ", 1)[0]
        right, mine = spans(w["kind"], w["response"], text), spans(w["kind"], got.get(i, ""), text)
        hit[w["kind"]] += (right & mine).total()
        said[w["kind"]] += mine.total()
        true[w["kind"]] += right.total()
    f1 = {t: 2 * hit[t] / (said[t] + true[t]) for t in sorted(true) if true[t] >= 5}
    others = [v for t, v in f1.items() if t != "PERSON"]
    each = " ".join(f"{t} {v:.2f} ({true[t]})" for t, v in f1.items())
    print(f"{f1.get('PERSON', 0):.3f}|{sum(others) / max(len(others), 1):.3f}|{each}")


if __name__ == "__main__":
    if sys.argv[1] == "presidio":
        make(presidio(sys.argv[2]), pathlib.Path(sys.argv[3]), TRAIN, TEST)
    elif sys.argv[1] == "invented":
        make(invented(), pathlib.Path(sys.argv[2]), 1200, 60)
    else:
        score(sys.argv[2], sys.argv[3])
