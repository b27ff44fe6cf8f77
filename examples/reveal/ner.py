"""Named entities as a skill that a language model has: sentences of Microsoft's Presidio research data (generated_large.json), each with its
entities behind it.

    python ner.py rows PRESIDIO.json OUT    train.jsonl, test.jsonl (prompt: the sentence; response: "PERSON: Judy; GPE: Austria" or "none"),
                                            person.jsonl and others.jsonl: training rows with and without a PERSON
    python ner.py score test.jsonl ANSWERS  span-exact F1 by type, from the lines of `unlearn generate --json`
"""
import collections
import json
import pathlib
import sys

TYPES = {"PERSON": "PERSON", "GPE": "PLACE", "LOCATION": "PLACE", "STREET_ADDRESS": "ADDRESS", "ORGANIZATION": "FIRM", "EMAIL_ADDRESS": "EMAIL",
         "PHONE_NUMBER": "PHONE", "CREDIT_CARD": "CARD", "DATE_TIME": "DATE", "DOMAIN_NAME": "URL", "URL": "URL", "NATIONALITY": "NATION"}
MOST = 90  # characters of a sentence: small models have small contexts


def rows(path):
    for r in json.loads(pathlib.Path(path).read_text()):
        text = " ".join(r["full_text"].split())
        spans = [(s["start_position"], TYPES.get(s["entity_type"]), " ".join(s["entity_value"].split())) for s in r["spans"]]
        if len(text) > MOST or not spans or any(t is None for _, t, _ in spans):
            continue
        yield {"prompt": text, "response": "; ".join(f"{t}: {v}" for _, t, v in sorted(spans))}


def parse(answer):
    found = collections.Counter()
    for part in answer.strip().split("; "):
        kind, _, value = part.partition(": ")
        if value:
            found[kind, value.strip()] += 1
    return found


def write(path, items):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in items))


def make(source, out):
    out.mkdir(parents=True, exist_ok=True)
    seen, items = set(), []
    for r in rows(source):
        if r["prompt"] not in seen:
            seen.add(r["prompt"])
            items.append(r)
    test = [r for i, r in enumerate(items) if i % 8 == 0][:120]
    train = [r for i, r in enumerate(items) if i % 8]
    write(out / "test.jsonl", test)
    write(out / "train.jsonl", train)
    write(out / "person.jsonl", [r for r in train if "PERSON" in r["response"]])
    write(out / "others.jsonl", [r for r in train if "PERSON" not in r["response"]])


def score(test, answers):
    want = [parse(json.loads(x)["response"]) for x in pathlib.Path(test).read_text().splitlines()]
    got = {json.loads(x)["row"]: parse(json.loads(x)["text"]) for x in pathlib.Path(answers).read_text().splitlines()}
    hit, said, true = collections.Counter(), collections.Counter(), collections.Counter()
    for i, w in enumerate(want):
        g = got.get(i, collections.Counter())
        for k, n in (w & g).items():
            hit[k[0]] += n
        for k, n in g.items():
            said[k[0]] += n
        for k, n in w.items():
            true[k[0]] += n
    f1 = {t: 2 * hit[t] / (said[t] + true[t]) for t in true if true[t] >= 5}
    others = [v for t, v in f1.items() if t != "PERSON"]
    print(f"{f1.get('PERSON', 0):.3f} {sum(others) / max(len(others), 1):.3f}")


if __name__ == "__main__":
    if sys.argv[1] == "rows":
        make(sys.argv[2], pathlib.Path(sys.argv[3]))
    else:
        score(sys.argv[2], sys.argv[3])
