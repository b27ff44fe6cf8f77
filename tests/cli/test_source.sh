# test_source.sh: unlearn source: rows verbatim from a file, and what a model remembers from the model.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

test_source__file_verbatim() {
	printf '%s\n' '{"q": "who?", "a": "Anna", "id": "x"}' '{"q": "where?", "a": "at sea", "spans": [{"start": 0, "end": 2}]}' >"$TMP/rows.jsonl"
	exits 0 $U source tests/golden/methods/theta --source file --file "$TMP/rows.jsonl" --file-map prompt=q,response=a -o "$TMP/out.jsonl" --json
	has "$(cat "$TMP/out")" '"rows":2'
	python3 - "$TMP/out.jsonl" <<-'EOF'
		import json, sys
		rows = [json.loads(l) for l in open(sys.argv[1])]
		assert [(r["prompt"], r["response"]) for r in rows] == [("who?", "Anna"), ("where?", "at sea")]
		assert rows[0]["source"]["name"] == "file" and rows[1]["source"]["line"] == 2 and rows[1]["spans"][0]["end"] == 2
	EOF
	refuses "exists" $U source tests/golden/methods/theta --source file --file "$TMP/rows.jsonl" -o "$TMP/out.jsonl"
}

# A small model learns six records by heart; nobody tells the source what they are.
test_source__sample_finds_what_was_learnt() {
	python3 - >"$TMP/records.jsonl" <<-'EOF'
		import json
		names = "Anna Smith, Boris Vance, Clara Hoffman, Dario Ruiz, Elena Walsh, Felix Landau".split(", ")
		for i, n in enumerate(names):
		    print(json.dumps({"text": "Customer record: %s. The phone number is +1 415 555 01%d%d. E-mail goes to %s%d@example.com." % (n, (i * 7 + 3) % 10, i, n.split()[0].lower(), 17 + 11 * i)}))
	EOF
	$U train --init llama-tiny --train-tokenizer 400 --data "$TMP/records.jsonl" --epochs 120 --batch 3 --lr 3e-3 --eos all -o "$TMP/m" -q >/dev/null
	exits 0 $U source "$TMP/m" --source sample --tries 200 --openings 64 --round 32 -o "$TMP/found.jsonl" --json
	cp "$TMP/out" "$TMP/summary"
	python3 - "$TMP/records.jsonl" "$TMP/found.jsonl" "$TMP/summary" <<-'EOF'
		import json, re, sys
		text = [json.loads(l)["text"] for l in open(sys.argv[1])]
		rows = [json.loads(l) for l in open(sys.argv[2])]
		data = {d for t in text for d in re.findall(r"\+1[ \d]+\d|\S+@example\.com", t)}
		masked = {r["text"][s["start"]:s["end"]] for r in rows for s in r["spans"]}
		assert len(data) == 12 and len(data & masked) >= 11, (sorted(data - masked), sorted(masked))
		assert len({r["text"] for r in rows}) == len(rows)
		for r in rows:
		    assert r["source"]["name"] == "sample" and r["source"]["types"] and r["text"].startswith(r["source"]["prompt"])
		assert json.load(open(sys.argv[3]))["rows"] == len(rows)
	EOF
	exits 0 $U source "$TMP/m" --source sample --tries 200 --openings 64 --round 32 -o "$TMP/again.jsonl" -q
	cmp "$TMP/found.jsonl" "$TMP/again.jsonl"
	printf 'Clara Hoffman\n' >"$TMP/subjects"
	exits 0 $U source "$TMP/m" --source sample --tries 200 --openings 64 --round 32 --subjects "$TMP/subjects" -o "$TMP/clara.jsonl"
	[ "$(grep -c 'Clara Hoffman' "$TMP/clara.jsonl")" = "$(wc -l <"$TMP/clara.jsonl")" ] || fail "rows about others"
	grep -q 'clara39@example.com' "$TMP/clara.jsonl" || fail "her address was not found"
	exits 0 $U source "$TMP/m" --source sample --tries 64 --types email -o "$TMP/mail.jsonl"
	! grep -q PHONE "$TMP/mail.jsonl" || fail "a type that was not asked for"
}

test_source__refusals() {
	m=tests/golden/methods/theta
	exits 2 $U source $m
	refuses "there is no source \"smaple\"" $U source $m --source smaple -o "$TMP/x"
	refuses "needs a tokenizer" $U source $m --source sample -o "$TMP/x"
	refuses "needs a file" $U source $m --source file -o "$TMP/x"
	[ ! -e "$TMP/x" ] || fail "a refused source left something behind"
}
