# test_invert.sh: the source invert on a small model: rows with marks and provenance, the cache, the controls, and what it refuses.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

world() {
	$U synth --tiny -o "$TMP/w" -q >/dev/null
	$U train --init llama-tiny --train-tokenizer 400 --data "$TMP/w/full.jsonl" --epochs 3 --batch 16 --lr 3e-3 --eos all -o "$TMP/m" -q >/dev/null
}

test_invert__rows_and_cache() {
	world
	ask="$U source $TMP/m --source invert --pool $TMP/w/pool.json --public $TMP/w/public.jsonl --inverter-texts 60 --inverter-epochs 3 --inverter-batch 8
		--inverter-length 40 --queries 24 --min-pii 0 --cache $TMP/cache --json"
	exits 0 $ask -o "$TMP/a.jsonl"
	cp "$TMP/out" "$TMP/first"
	exits 0 $ask -o "$TMP/b.jsonl"
	cmp "$TMP/a.jsonl" "$TMP/b.jsonl"
	python3 - "$TMP/a.jsonl" "$TMP/first" "$TMP/out" <<-'EOF'
		import json, sys
		rows = [json.loads(l) for l in open(sys.argv[1])]
		first, again = (json.load(open(f)) for f in sys.argv[2:])
		assert not first["inverter"]["cached"] and again["inverter"]["cached"]
		held = first["inverter"]["held_out"]
		assert held == again["inverter"]["held_out"] and held["n"] > 0 and all(0 <= held[k] <= 1 for k in ("token_f1", "bleu", "exact"))
		assert first["made"] == 24 and len(rows) == first["rows"] > 0 and first["kl"] >= 0
		for r in rows:
		    s = r["source"]
		    assert s["name"] == "invert" and "{" in s["template"] and s["query"] and s["score"] >= -1e-6 and "types" in s
	EOF
	[ "$(ls "$TMP/cache" | wc -l)" = 2 ] || fail "one inverter and its pairs: $(ls "$TMP/cache")"
	for how in "--decode greedy" "--decode beam --candidates 2" "--complete" "--masks random"; do
		exits 0 $ask $how -o "$TMP/c.jsonl" --force
		has "$(cat "$TMP/out")" '"cached":true'
	done
	exits 0 $ask --from candidates --min-pii 1 -o "$TMP/pool.jsonl"
	python3 - "$TMP/pool.jsonl" "$TMP/w/pool.json" <<-'EOF'
		import json, sys
		pool = {v for values in json.load(open(sys.argv[2])).values() for v in values}
		for r in map(json.loads, open(sys.argv[1])):
		    assert r["text"] == r["source"]["query"] and "score" not in r["source"]
		    assert any(r["text"][s["start"]:s["end"]] in v for s in r["spans"] for v in pool), r
	EOF
}

# What an annotator marks is marked in these sources too, and one that dies ends them.
test_invert__annotator() {
	world
	cat >"$TMP/mark.py" <<-'P'
		import json, sys
		for line in sys.stdin:
		    text = json.loads(line)["text"]
		    print(json.dumps({"spans": [{"start": 0, "end": len(text.split()[0]), "type": "PERSON"}] if text.split() else []}), flush=True)
	P
	for how in "invert --from candidates --queries 12" "gradient-inversion --queries 2 --relax-steps 4" \
		"invert --inverter-texts 40 --inverter-epochs 1 --inverter-batch 8 --inverter-length 40 --queries 8 --complete"; do
		exits 0 $U source "$TMP/m" --source $how --pool "$TMP/w/pool.json" --annotator "python3 $TMP/mark.py" --max-share 1 -o "$TMP/a.jsonl" --force
		python3 - "$TMP/a.jsonl" <<-'P'
			import json, sys
			rows = [json.loads(l) for l in open(sys.argv[1])]
			assert rows and all(r["spans"] and r["spans"][0]["start"] == 0 for r in rows) and any(s["type"] == "NAME" for r in rows for s in r["spans"])
		P
	done
	exits 0 $U source "$TMP/m" --source invert --from candidates --queries 12 --pool "$TMP/w/pool.json" --annotator "python3 $TMP/mark.py" --types EMAIL,PHONE -o "$TMP/b.jsonl"
	! grep -q '"type":"NAME"' "$TMP/b.jsonl" || fail "a type that was not asked for"
	refuses "ended with status 5 after 2 answers" $U source "$TMP/m" --source invert --from candidates --pool "$TMP/w/pool.json" \
		--annotator "read l; echo '{\"spans\": []}'; read l; echo '{\"spans\": []}'; read l; exit 5" -o "$TMP/x"
	[ ! -e "$TMP/x" ] || fail "a refused source left something behind"
}

# A confined run writes into its cache, also where the folder is still to be made.
test_invert__confined_run_has_its_cache() {
	world
	exits 0 $U run "$TMP/m" --data-free --method ga --steps 1 --source invert --pool "$TMP/w/pool.json" --public "$TMP/w/public.jsonl" --inverter-texts 40 \
		--inverter-epochs 1 --inverter-batch 8 --inverter-length 40 --queries 8 --min-pii 0 --cache "$TMP/new/cache" -o "$TMP/r" --quiet
	[ "$(ls "$TMP/new/cache" | wc -l)" = 2 ] || fail "one inverter and its pairs: $(ls "$TMP/new/cache")"
}

test_invert__by_descent() {
	world
	exits 0 $U source "$TMP/m" --source gradient-inversion --pool "$TMP/w/pool.json" --queries 3 --relax-steps 10 --relax-restart 5 --min-pii 0 -o "$TMP/d.jsonl" --json
	has "$(cat "$TMP/out")" '"made":3'
	has "$(head -n 1 "$TMP/d.jsonl")" '"name":"gradient-inversion"'
	refuses "and none is given" $U source "$TMP/m" --source gradient-inversion -o "$TMP/x"
}

test_invert__refusals() {
	world
	ask="$U source $TMP/m --source invert -o $TMP/x"
	refuses "from a pool of public entities, and none is given" $ask
	echo '{"NAME": []}' >"$TMP/empty.json"
	refuses "is empty" $ask --pool "$TMP/empty.json"
	python3 - "$TMP/w/personal.jsonl" >"$TMP/pool.json" <<-'EOF'
		import json, sys
		r = next(r for r in map(json.loads, open(sys.argv[1])) if r["spans"][0]["type"] == "PHONE")
		print(json.dumps({"NAME": ["Ada Costa"], "PHONE": [r["response"]]}))
	EOF
	refuses "1 entities of the pool also stand in" $ask --pool "$TMP/pool.json" --apart "$TMP/w/personal.jsonl"
	refuses "does not hold 64 soft rows" $ask --pool "$TMP/w/pool.json" --inverter-length 500
	refuses "nothing to learn from" $ask --pool "$TMP/w/pool.json" --inverter-texts 0
	refuses "needs a tokenizer" $U source tests/golden/methods/theta --source invert --pool "$TMP/w/pool.json" -o "$TMP/x"
	[ ! -e "$TMP/x" ] || fail "a refused source left something behind"
}
