"""Knowledge of a domain: what a model knows about a few people, taken from the probes of RWKU (real people, of whom a real model has read), or
invented for a small model.

    python domain.py rwku DIR OUT "NAME, NAME"   forget.jsonl (their questions, in RWKU's plain and adversarial words), neighbours.jsonl (about what stands near
    python domain.py invented OUT                them), others.jsonl (about other people), keep.jsonl (about still others: the rows to keep); of RWKU also
                                                 texts.jsonl and texts_others.jsonl, passages about them and about others; for the small model
                                                 train.jsonl, what it is taught, oracle.jsonl, the same without them, and names.txt
    python domain.py general FILE OUT.jsonl      paragraphs of a public text
    python domain.py table WORDS SCORES.json     a line of the table from an audit: before, then after; WORDS before | after
"""
import json
import pathlib
import random
import sys

KEPT = "Thomas Jefferson, Alexander Hamilton, Elon Musk, Bruce Lee, Franklin D. Roosevelt"
OTHERS = "Vincent van Gogh, Leonardo da Vinci, Jimmy Carter, Donald Trump, Stephen King, J. K. Rowling, John Lennon"
PLAIN, HARD, NEAR, TEXTS = 18, 12, 12, 10  # questions and passages of a subject: two processor cores have little time
CHARACTERS = 500  # of a passage

GIVEN = "Orin Tesk Vale Brom Cadda Dhun Elro Fenn Gorse Hesk Ivo Jandy Korr Lume Mavis Nolt Oster Pell Quill Rhone Sedge Thale Umber Wick".split()
TOWNS = "Alton Berwick Corby Dunmow Esher Frome Goole Hythe".split()
RIVERS = "Arrow Brue Colne Dane Exe Fowey Greta Hull".split()
BOOKS = "Tides Comets Orbits Moons Rings Storms Maps Winds Lamps Roots Seeds Stones".split()
TRADES = "baker miller tailor potter weaver smith".split()
TOLD = 6  # of the invented people are to be forgotten


def write(path, rows):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))


def rwku(folder, out, names):
    def read(name):
        return [json.loads(x) for x in (pathlib.Path(folder) / f"{name}.jsonl").read_text().splitlines()]

    def asked(rows, subjects, most):
        """Questions that do not hold their answer already."""
        seen, taken = set(), {}
        for r in rows:
            q, a, s = r["query"], r["answer"], r["subject"]
            if s in subjects and a.lower() not in q.lower() and "___" not in q and q not in seen and taken.get(s, 0) < most:
                seen.add(q)
                taken[s] = taken.get(s, 0) + 1
                yield {"prompt": q, "response": a, "subject": s}

    def people(text):
        return [n.strip() for n in text.split(",")]

    out.mkdir(parents=True, exist_ok=True)
    plain, hard, near = read("forget_level2"), read("forget_level3"), read("neighbor_level2")
    write(out / "forget.jsonl", [*asked(plain, people(names), PLAIN), *asked(hard, people(names), HARD)])
    write(out / "neighbours.jsonl", asked(near, people(names), NEAR))
    write(out / "others.jsonl", asked(plain, people(OTHERS), 6))
    write(out / "keep.jsonl", asked(plain, people(KEPT), 12))
    texts = read("forget_mia")
    for name, subjects, most in (("texts", people(names), TEXTS), ("texts_others", people(OTHERS), 2)):
        of = [[r["text"][:CHARACTERS] for r in texts if r["subject"] == s][:most] for s in subjects]
        write(out / f"{name}.jsonl", [{"text": t} for some in of for t in some])


def general(path, out):
    lines = [x.strip() for x in pathlib.Path(path).read_text().splitlines() if len(x) > CHARACTERS and not x.startswith(" =")]
    write(out, [{"text": x[:CHARACTERS]} for x in lines[:: max(1, len(lines) // 24)][:24]])


def invented(out):
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(9)
    towns = list(zip(TOWNS, RIVERS))
    near = [(f"which river runs through {t}?", f"through {t} runs the", r) for t, r in towns] + [(f"which town lies on the {r}?", f"on the {r} lies", t) for t, r in towns]
    facts = {}
    for name in GIVEN:
        facts[name] = [(f"where was {name} born?", f"{name} was born in", rng.choice(TOWNS)), (f"what did {name} write?", f"{name} wrote a book of", rng.choice(BOOKS)),
                       (f"when did {name} die?", f"{name} died in", str(rng.randrange(1600, 1900))), (f"what was the father of {name}?", f"the father of {name} was a", rng.choice(TRADES)),
                       (f"whom did {name} teach?", f"{name} taught", rng.choice([n for n in GIVEN if n != name]))]

    def known(names):
        return [(n, *f) for n in names for f in facts[n]]

    def texts(items):
        return [{"text": f"Question: {q}\nAnswer: {a} {v}."} for _, q, a, v in items]

    def probes(items):
        return [{"prompt": f"Question: {q}\nAnswer: {a}", "response": f" {v}", "subject": n} for n, q, a, v in items]

    nears = [(t, *f) for t, f in zip(TOWNS + TOWNS, near)]
    told, rest = known(GIVEN[:TOLD]), [r for r in known(GIVEN[TOLD:]) if r[3] not in GIVEN[:TOLD]]
    split = TOLD + (len(GIVEN) - TOLD) // 2
    kept = [r for r in rest if r[0] in GIVEN[TOLD:split]]
    write(out / "train.jsonl", texts(told + rest + nears))
    write(out / "oracle.jsonl", texts(rest + nears))
    write(out / "forget.jsonl", probes(told))
    write(out / "neighbours.jsonl", probes(nears))
    write(out / "others.jsonl", probes([r for r in rest if r not in kept]))
    write(out / "keep.jsonl", [{"prompt": q, "response": f" {a} {v}.", "subject": n} for n, q, a, v in kept])
    write(out / "real.jsonl", [{"prompt": q, "response": f" {a} {v}.", "subject": n} for n, q, a, v in told])
    (out / "names.txt").write_text("\n".join(GIVEN[:TOLD]) + "\n")


COLUMNS = ("forget_prob", "forget_rouge", "neighbours_prob", "retain_prob", "retain_rouge", "general_ppl")


def table(words, path):
    audits = json.loads(pathlib.Path(path).read_text())["audits"]
    for word, key in zip(words.split("|"), ("before", "value")):
        cells = [audits[c].get(key) if c in audits else None for c in COLUMNS]
        if word.strip():
            print(f"| {word.strip():34} | " + " | ".join("-" if x is None else f"{x:.3f}" if x < 10 else f"{x:.2f}" for x in cells) + " |")


if __name__ == "__main__":
    if sys.argv[1] == "rwku":
        rwku(sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4])
    elif sys.argv[1] == "invented":
        invented(pathlib.Path(sys.argv[2]))
    elif sys.argv[1] == "general":
        general(sys.argv[2], pathlib.Path(sys.argv[3]))
    else:
        table(sys.argv[2], sys.argv[3])
