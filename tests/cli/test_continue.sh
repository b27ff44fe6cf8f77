# test_continue.sh: the source `continue`: asked by name, a model tells what it would say of nobody else.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

# Twelve people, each with a town and a number; two of them are the subjects.
model() {
	python3 - "$TMP" <<-'P'
		import json, sys
		given = "Anna Boris Clara Dario Elena Felix Greta Hugo Irene Jonas Karla Leon".split()
		family = "Smith Vance Hoffman Ruiz Walsh Landau Meyer Novak Olsen Price Quill Reyes".split()
		towns = "Eastholm Bexley Thornbury Millbrook".split()
		with open(sys.argv[1] + "/learnt.jsonl", "w") as f:
		    for i, (g, s) in enumerate(zip(given, family)):
		        print(json.dumps({"text": "The phone number of %s %s is 555-01%d%d." % (g, s, i % 10, (7 * i + 3) % 10)}), file=f)
		        print(json.dumps({"text": "%s %s lives in %s." % (g, s, towns[i * 7 % 4])}), file=f)
		open(sys.argv[1] + "/subjects", "w").write("Boris Vance\nHugo Novak\n")
	P
	exits 0 $U train --init llama-tiny --train-tokenizer 400 --data "$TMP/learnt.jsonl" --epochs 80 --batch 6 --lr 3e-3 --eos all -o "$TMP/m" -q
	printf '%s\n' '{name} lives in' 'The phone number of {name} is' >"$TMP/openings"
	ASK="--source continue --openings-file $TMP/openings --subjects $TMP/subjects --listen 100 --templates 12 --tell-behind 0"
}

test_continue__tells_what_it_knows() {
	model
	exits 0 $U source "$TMP/m" $ASK -o "$TMP/rows.jsonl" --json
	cp "$TMP/out" "$TMP/summary"
	python3 - "$TMP/rows.jsonl" "$TMP/learnt.jsonl" <<-'P'
		import json, sys
		rows, learnt = ([json.loads(l) for l in open(f)] for f in sys.argv[1:])
		for name in ("Boris Vance", "Hugo Novak"):
		    mine = [r for r in rows if r["subject"] == name]
		    for fact in (t["text"] for t in learnt if name in t["text"]):
		        assert any((r["prompt"] + r["response"]).strip().startswith(fact.rstrip(".")) for r in mine), (name, fact, mine)
		    numbers = [r for r in mine if r["prompt"].startswith("The phone number of " + name)]
		    marked = "".join(numbers[0]["response"][s["start"]:s["end"]] for s in numbers[0]["spans"])
		    assert sum(c.isdigit() for c in marked) >= 1 and "555" not in marked, (numbers[0], marked)
		    assert all(s.startswith("The phone number of ") and name not in s for s in numbers[0]["strangers"])
	P
	exits 0 $U source "$TMP/m" $ASK -o "$TMP/again.jsonl" -q
	cmp "$TMP/rows.jsonl" "$TMP/again.jsonl"
	refuses "about whom" $U source "$TMP/m" --source continue -o "$TMP/x"
	printf 'no name here\n' >"$TMP/bad"
	refuses "has no {name}" $U source "$TMP/m" --source continue --subjects "$TMP/subjects" --openings-file "$TMP/bad" -o "$TMP/x"
	: >"$TMP/none"
	refuses "holds no name" $U source "$TMP/m" --source continue --subjects "$TMP/none" -o "$TMP/x"
}

# Some rows stand behind a sentence that the model wrote about nobody who is to be forgotten.
test_continue__behind_other_words() {
	model
	exits 0 $U run "$TMP/m" --method npo $ASK --tell-behind 0.5 --retain self --others 4 --template plain --eos none --steps 1 --keep-data -o "$TMP/r" --quiet
	python3 - "$TMP/r" <<-'P'
		import json, sys
		aside = []
		for name in ("/forget.jsonl", "/retain.jsonl"):
		    rows = [r for r in map(json.loads, open(sys.argv[1] + name)) if r["source"].get("template")]
		    for r in rows:
		        given, family = r["subject"].split()
		        asked = [r["source"]["template"].replace("{name}", n) for n in (given + " " + family, family + ", " + given)]
		        said = next(q for q in asked if r["prompt"].endswith(q))
		        aside.append(r["prompt"][:-len(said)])
		    assert any(aside), name
		behind = [a for a in aside if a]
		assert len(aside) / 4 < len(behind) < len(aside) * 3 / 4, aside
		assert not any(n in a for a in behind for n in ("Boris", "Vance", "Hugo", "Novak")), behind
		assert all(a[-1] in " \n" for a in behind), behind
	P
}

# A record names its person again: what stands behind that is compared with a stranger's record, named again too, and its sentence is a
# template, though no recogniser knows what a locker word is.
test_continue__named_again() {
	python3 - "$TMP" <<-'P'
		import json, sys
		given = "Anna Boris Clara Dario Elena Felix Greta Hugo Irene Jonas Karla Leon Mara Nadia Oskar Paula".split()
		family = "Smith Vance Hoffman Ruiz Walsh Landau Meyer Novak Olsen Price Quill Reyes Stone Turner Unger Weber".split()
		words = "apple basket candle dolphin engine feather garden hammer".split()
		with open(sys.argv[1] + "/learnt.jsonl", "w") as f:
		    for i, (g, s) in enumerate(zip(given, family)):
		        print(json.dumps({"text": "The phone number of %s %s is 555-01%d%d." % (g, s, i % 10, (7 * i + 3) % 10)}), file=f)
		        print(json.dumps({"text": "Entry for %s %s, who likes tea. %s %s has the locker word %s." % (g, s, g, s, words[i * 3 % 8])}), file=f)
		open(sys.argv[1] + "/subjects", "w").write("Boris Vance\nHugo Novak\n")
	P
	exits 0 $U train --init llama-tiny --train-tokenizer 400 --data "$TMP/learnt.jsonl" --epochs 100 --batch 8 --lr 3e-3 --eos all -o "$TMP/m" -q
	printf '%s\n' 'Entry for {name}' 'The phone number of {name} is' >"$TMP/openings"
	exits 0 $U source "$TMP/m" --source continue --openings-file "$TMP/openings" --subjects "$TMP/subjects" --listen 400 --templates 80 --tell-behind 0 -o "$TMP/rows.jsonl" -q
	python3 - "$TMP/rows.jsonl" "$TMP/learnt.jsonl" <<-'P'
		import json, sys
		rows, learnt = ([json.loads(l) for l in open(f)] for f in sys.argv[1:])
		assert any(r["source"]["template"] == "{name} has the locker word" for r in rows), sorted({r["source"]["template"] for r in rows})
		for name in ("Boris Vance", "Hugo Novak"):
		    record = next(t["text"] for t in learnt if "Entry for " + name in t["text"])
		    row = next(r for r in rows if r["prompt"] == "Entry for " + name)
		    assert row["prompt"] + row["response"] == record, row
		    again = row["response"].index(name)
		    marked = [(s["start"], s["end"]) for s in row["spans"]]
		    assert all(b <= again or a >= again + len(name) for a, b in marked), (row, "the name is not about the person")
		    assert any(a > row["response"].index("word") for a, b in marked), (row, "what stands behind the name is not marked")
	P
}

# With --retain self the source itself says what should stay: the same questions about others, and about people who do not exist.
test_continue__rows_to_keep() {
	model
	exits 0 $U run "$TMP/m" --method npo $ASK --retain self --others 4 --invented 3 --template plain --eos none --steps 2 --keep-data -o "$TMP/r" --quiet
	python3 - "$TMP/r" <<-'P'
		import json, sys
		rows = [json.loads(l) for l in open(sys.argv[1] + "/retain.jsonl")]
		kinds = {k: {r["subject"] for r in rows if r["source"].get("kind") == k} for k in ("other", "invented")}
		assert len(kinds["other"]) == 4 and 1 <= len(kinds["invented"]) <= 3, kinds
		assert not (kinds["other"] | kinds["invented"]) & {"Boris Vance", "Hugo Novak"}
		assert {r["subject"] for r in map(json.loads, open(sys.argv[1] + "/forget.jsonl"))} == {"Boris Vance", "Hugo Novak"}
	P
}

# Pushed down to what is said of strangers, and no further: what it told is told no more, and is not made rarer than theirs by many times.
test_continue__down_to_strangers() {
	model
	printf '%s\n' '{"prompt": "what is it?", "response": "a lamp"}' '{"prompt": "and where?", "response": "in the hall"}' >"$TMP/nobody.jsonl"
	exits 0 $U run "$TMP/m" --method npo-strangers --beta 2 $ASK --retain self --retain-loss kl --others 8 --template plain --eos none --lr 1e-3 --epochs 12 --keep-data -o "$TMP/r" --quiet
	python3 - "$TMP/r/journal.jsonl" <<-'P'
		import json, sys
		forget = [json.loads(l)["forget"] for l in open(sys.argv[1])]
		assert min(forget[-3:]) < forget[0] / 4, forget
	P
	exits 0 $U audit "$TMP/r" --before "$TMP/m" --forget "$TMP/r/forget.jsonl" --subjects "$TMP/subjects" --template plain --only forget_nll -o "$TMP/a" -q
	python3 - "$TMP/a/scores.json" <<-'P'
		import json, sys
		table = json.load(open(sys.argv[1]))["subjects"]
		assert table["before"]["same"] >= 4 > table["after"]["same"], table
	P
	for method in whp npo-strangers; do
		refuses "whom each row is about" $U run "$TMP/m" --method $method --forget "$TMP/nobody.jsonl" -o "$TMP/x"
	done
}

# Whoever holds the truth asks name by name: a model that knows them, and one that was made to say anything else.
test_continue__audit_name_by_name() {
	model
	printf 'Zoltan Quux\n' >>"$TMP/subjects"
	python3 - "$TMP" <<-'P'
		import json, sys
		with open(sys.argv[1] + "/truth.jsonl", "w") as f:
		    for line in open(sys.argv[1] + "/learnt.jsonl"):
		        text = json.loads(line)["text"]
		        name = next((n for n in ("Boris Vance", "Hugo Novak") if n in text), None)
		        if name:
		            at = text.index(" is ") + 4 if " is " in text else text.index(" in ") + 4
		            print(json.dumps({"subject": name, "prompt": text[:at - 1], "response": text[at - 1:-1], "spans": [{"start": 1, "end": len(text) - at, "type": "ID"}], "strangers": [text[:at - 1].replace(name, "Anna Walsh")]}), file=f)
	P
	exits 0 $U run "$TMP/m" --method ga --forget "$TMP/truth.jsonl" --template plain --eos none --lr 1e-3 --steps 40 -o "$TMP/gone" -q
	exits 0 $U audit "$TMP/gone" --before "$TMP/m" --forget "$TMP/truth.jsonl" --subjects "$TMP/subjects" --template plain --only forget_nll -o "$TMP/a" -q
	python3 - "$TMP/a" <<-'P'
		import json, sys
		table = json.load(open(sys.argv[1] + "/scores.json"))["subjects"]
		assert [p["line"] for p in table["people"]] == [1, 2, 3] and [p["data"] for p in table["people"]] == [2, 2, 0], table
		assert table["before"]["same"] == 4 and table["after"]["same"] == 0, table
		assert set(table["after"]) == {"same", "paraphrased", "prefixed", "turns", "stranger"}, table
		assert table["before"]["stranger"] < 4, table
		page = open(sys.argv[1] + "/report.html").read()
		assert "Name by name" in page and "Of 1 of them nothing was found" in page
		assert "Boris Vance" not in page.split("Name by name")[1].split("</table>")[0]
	P
}

# A run asks for itself, before what the model told is thrown away. Somebody it does not know is no failure; nobody known is one.
test_continue__run_name_by_name() {
	model
	printf 'Zoltan Quux\n' >>"$TMP/subjects"
	exits 0 $U run "$TMP/m" --method ga $ASK --template plain --eos none --lr 1e-3 --steps 40 -o "$TMP/r"
	python3 - "$TMP/r" <<-'P'
		import json, sys
		text = open(sys.argv[1] + "/run.json").read()
		table = json.loads(text)["subjects"]
		assert [p["line"] for p in table["people"]] == [1, 2, 3], table
		assert table["data"] >= 4 and table["before"] == {"same": table["data"]} and table["after"]["same"] < table["data"] / 2, table
		assert "Boris" not in text and "Zoltan" not in text
	P
	exits 0 $U report "$TMP/r" -o "$TMP/page.html" -q
	has "$(cat "$TMP/page.html")" "Name by name"
	printf 'Zoltan Quux\n' >"$TMP/nobody"
	cp "$TMP/subjects" "$TMP/all"
	cp "$TMP/nobody" "$TMP/subjects"
	refuses "says nothing about" $U run "$TMP/m" --method ga $ASK --template plain --eos none --steps 2 -o "$TMP/none"
	[ ! -e "$TMP/none" ] || fail "a run that found nothing left something"
}

# The recipe, from names to a model that tells little more of them, and still knows most of the others: in a world of twelve people, who
# have towns in common, that is hard.
test_continue__recipe_by_name() {
	model
	exits 0 $U run "$TMP/m" --recipe by-name $ASK --others 10 --invented 6 --epochs 20 -o "$TMP/r" -q
	python3 - "$TMP" <<-'P'
		import json, sys
		run = json.load(open(sys.argv[1] + "/r/run.json"))
		assert run["recipe"] == "by-name" and run["method"] == "npo" and run["source"]["name"] == "continue" and run["settings"]["data-free"]
		table = run["subjects"]
		assert table["data"] >= 4 and table["after"]["same"] <= table["data"] / 4, table
		lines = [json.loads(l)["text"] for l in open(sys.argv[1] + "/learnt.jsonl")]
		for name, wanted in (("named", True), ("others", False)):
		    with open(sys.argv[1] + "/" + name + ".jsonl", "w") as f:
		        for text in lines:
		            if wanted == any(n in text for n in ("Boris Vance", "Hugo Novak")):
		                at = text.index(" is ") + 3 if " is " in text else text.index(" in ") + 3
		                print(json.dumps({"prompt": text[:at], "response": text[at:-1]}), file=f)
	P
	exits 0 $U audit "$TMP/r" --forget "$TMP/named.jsonl" --retain "$TMP/others.jsonl" --template plain --only forget_prob,retain_prob --json
	python3 - "$TMP/out" <<-'P'
		import json, sys
		audits = json.load(open(sys.argv[1]))["audits"]
		assert 2 * audits["forget_prob"]["value"] < audits["retain_prob"]["value"] > 0.5, audits
	P
}
