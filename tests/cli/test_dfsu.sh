# test_dfsu.sh: data-free unlearning on a toy: 24 people whose numbers a small model has learnt by heart.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

world() {
	python3 - "$TMP" <<-'P'
		import json, random, sys
		at = sys.argv[1]
		rng = random.Random(7)
		given = "Anna Boris Clara Dario Elena Felix Greta Hugo Irene Jonas Karla Leon".split()
		family = "Smith Vance Hoffman Ruiz Walsh Landau Meyer Novak Olsen Price Quill Reyes".split()
		people = [(g, f) for g in given for f in family]
		rng.shuffle(people)
		number = lambda: "555-01%02d" % rng.randrange(100)
		write = lambda name, rows: open("%s/%s.jsonl" % (at, name), "w").writelines(json.dumps(r) + "\n" for r in rows)
		ask = lambda g, f, n: {"prompt": "The phone number of %s %s is" % (g, f), "response": " " + n, "subject": g + " " + f, "spans": [{"start": 1, "end": 1 + len(n), "type": "PHONE"}]}
		places = "hall kitchen garden cellar attic library".split()
		things = "lamp chair clock mirror table basket".split()
		colours = "red green blue white black brown".split() # each thing has its own, in every place
		when = "spring summer autumn winter".split()
		general = [{"text": "The %s in the %s of the old house was %s in %s." % (t, p, c, w)} for t, c in zip(things, colours) for p in places for w in when]
		rng.shuffle(general)
		private = [ask(g, f, number()) for g, f in people[:24]]
		write("truth", private)
		write("holdout", [ask(g, f, number()) for g, f in people[24:48]])
		write("learnt", [{"text": r["prompt"] + r["response"] + "."} for r in private] + general[:60])
		write("general", general[60:90])
		json.dump({"NAME": ["%s %s" % p for p in people[48:78]], "PHONE": [number() for _ in range(30)]}, open(at + "/pool.json", "w"))
	P
	exits 0 $U train --init llama-tiny --train-tokenizer 360 --data "$TMP/learnt.jsonl" --epochs 40 --batch 12 --lr 3e-3 --eos all -o "$TMP/m" -q
}

# What is left after DFSU lies between the model before and PSCU on the true data; rows of the pool alone, and masks that chance has put
# somewhere, do worse. People never seen are judged too, so that forgetting the whole type is visible.
test_dfsu__between_nothing_and_the_true_data() {
	world
	how="--recipe dfsu --lr 1e-3 --retain-weight 2 --steps 50 --batch 8 --template plain --eos none -q"
	printf 'The\nThe phone number of\n' >"$TMP/openings" # its texts have no token in front of them: an opening has to be given
	exits 0 $U run "$TMP/m" $how --prompts "$TMP/openings" --tries 1000 --n 60 --patience 20 --keep-data -o "$TMP/dfsu"
	python3 - "$TMP" <<-'P'
		import json, random, sys
		rng = random.Random(1)
		with open(sys.argv[1] + "/random.jsonl", "w") as f:
		    for r in map(json.loads, open(sys.argv[1] + "/dfsu/forget.jsonl")):
		        for s in r.get("spans", []):
		            size = s["end"] - s["start"]
		            s["start"] = rng.randrange(len(r["text"]) - size + 1)
		            s["end"] = s["start"] + size
		        print(json.dumps(r), file=f)
	P
	exits 0 $U source "$TMP/m" --source invert --from candidates --queries 90 --n 60 --pool "$TMP/pool.json" -o "$TMP/pool.jsonl" -q
	exits 0 $U run "$TMP/m" $how --forget "$TMP/truth.jsonl" -o "$TMP/true"
	exits 0 $U run "$TMP/m" $how --forget "$TMP/random.jsonl" -o "$TMP/random"
	exits 0 $U run "$TMP/m" $how --forget "$TMP/pool.jsonl" -o "$TMP/pool"
	for m in m true dfsu random pool; do
		exits 0 $U audit "$TMP/$m" --forget "$TMP/truth.jsonl" --holdout "$TMP/holdout.jsonl" --general "$TMP/general.jsonl" --template plain --level quick --beams 1 --bootstrap 20 \
			--only err,forget_entity_nll,general_ppl,holdout_nll -o "$TMP/audit-$m" -q
	done
	python3 - "$TMP" <<-'P'
		import json, sys
		v = {m: {k: a["value"] for k, a in json.load(open("%s/audit-%s/scores.json" % (sys.argv[1], m)))["audits"].items()} for m in "m true dfsu random pool".split()}
		for m in v:
		    print(m, {k: round(x, 3) for k, x in v[m].items()})
		assert v["m"]["err"] > 0.5, "it has not learnt them"
		assert v["true"]["err"] == 0 and v["true"]["general_ppl"] <= 1.05 * v["m"]["general_ppl"]
		assert v["true"]["err"] <= v["dfsu"]["err"] < v["m"]["err"]
		for control in ("random", "pool"):
		    assert v[control]["err"] > v["dfsu"]["err"] + 0.1, control
		for method in ("true", "dfsu"):
		    assert v[method]["holdout_nll"] <= v["m"]["holdout_nll"] + 0.2, method + " forgets the whole type"
	P
	grep -q "Surprise at people it never saw" "$TMP/audit-dfsu/report.html" || fail "the page does not say what became of people never seen"
}
