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
	ASK="--source continue --openings-file $TMP/openings --subjects $TMP/subjects --listen 100 --templates 12"
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
