# test_reveal.sh: the source reveal and the recipe reveal-release: what the model tells, and that it tells less afterwards.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1
FEW="--meta-prompt Note: --instruction-tokens 3 --arms 60 --rounds 1 --first 8 --picks 4 --fit-steps 50 --responses 8 --response-tokens 24 --best 4 --more 1"

# A small model that has learnt two kinds of lines.
learn() {
	python3 - >"$TMP/rows.jsonl" <<-'EOF'
		import json
		for i in range(24):
		    print(json.dumps({"text": "Note: the ticket of box %d is blue%d green%d" % (i, i % 5, i % 3)}))
		    print(json.dumps({"text": "Note: %d plus %d makes %d" % (i, i % 7, i + i % 7)}))
	EOF
	grep plus "$TMP/rows.jsonl" >"$TMP/keep.jsonl"
	$U train --init llama-tiny --train-tokenizer 300 --data "$TMP/rows.jsonl" --epochs 25 --batch 12 --lr 3e-3 --eos all -o "$TMP/m" -q >/dev/null
}

test_reveal__tells_what_a_scorer_looks_for() {
	learn
	exits 0 $U source "$TMP/m" --source reveal --scorer terms:ticket $FEW -o "$TMP/found.jsonl" --json
	cp "$TMP/out" "$TMP/summary"
	python3 - "$TMP/found.jsonl" "$TMP/summary" <<-'EOF'
		import json, sys
		rows = [json.loads(l) for l in open(sys.argv[1])]
		s = json.load(open(sys.argv[2]))
		assert rows and s["rows"] == len(rows) and s["tried"] == 12 and s["instructions"] <= 12
		assert max(s["best_by_chance"], s["best_picked"]) > 0 and s["relevance"] > 0
		for r in rows:
		    p = r["source"]
		    assert p["name"] == "reveal" and p["scorer"] == "terms:ticket" and p["score"] >= 0.5 and p["vendi"] >= 1
		    assert "ticket" in r["text"] and r["text"].startswith(p["instruction"]) and p["instruction"]
		assert len({r["text"] for r in rows}) == len(rows)
	EOF
	exits 0 $U source "$TMP/m" --source reveal --scorer terms:ticket $FEW -o "$TMP/again.jsonl" -q
	cmp "$TMP/found.jsonl" "$TMP/again.jsonl"
	refuses "reveals nothing that \"terms:zebra\" looks for" $U source "$TMP/m" --source reveal --scorer terms:zebra $FEW -o "$TMP/x"
	refuses "must know what to look for" $U source "$TMP/m" --source reveal -o "$TMP/x"
	refuses "there is no scorer \"tersm\"" $U source "$TMP/m" --source reveal --scorer tersm:a -o "$TMP/x"
	[ ! -e "$TMP/x" ] || fail "a refused source left something behind"
}

test_reveal__release_leaves_one_adapter() {
	learn
	exits 0 $U run "$TMP/m" --recipe reveal-release --scorer terms:ticket $FEW --iterations 2 --lambda 4 --line 4 --budget 5 --retain "$TMP/keep.jsonl" --lora r=4,alpha=8,target=all-linear \
		--epochs 4 --lr 3e-3 --keep-data -q -o "$TMP/run"
	[ -f "$TMP/run/adapter/adapter_model.safetensors" ] && [ -f "$TMP/run/forget.jsonl" ] && [ ! -e "$TMP/run/state" ] || fail "the run folder is not whole"
	python3 - "$TMP/run" <<-'EOF'
		import json, sys
		run = json.load(open(sys.argv[1] + "/run.json"))
		lines = [json.loads(l) for l in open(sys.argv[1] + "/journal.jsonl")]
		it = [l for l in lines if "iteration" in l]
		assert run["recipe"] == "reveal-release" and run["method"] == "release"
		assert 1 <= len(it) <= 2 and all(0 <= l["lambda"] <= 4 for l in it)
		assert it[0]["lambda"] == 0 or it[0]["forget_nll_after"] > it[0]["forget_nll_before"]
		assert any("nll" in l and "loss" in l for l in lines) and "kept_iterations" in lines[-1]
	EOF
	exits 0 $U score "$TMP/run" --data "$TMP/rows.jsonl" --template plain
	refuses "reveals nothing" $U run "$TMP/m" --recipe reveal-release --scorer terms:zebra $FEW -q -o "$TMP/none"
	[ ! -e "$TMP/none" ] || fail "a run that could not begin left a folder"
}

# A budget that nothing can meet: the model as it was, one sentence, exit 3.
test_reveal__no_budget() {
	learn
	exits 3 $U run "$TMP/m" --recipe reveal-release --scorer terms:ticket $FEW --iterations 1 --lambda 50 --line 1 --budget 0 --retain "$TMP/keep.jsonl" --lora r=4,alpha=8,target=all-linear \
		--epochs 2 --lr 2e-3 -q -o "$TMP/run"
	has "$(cat "$TMP/err")" "no λ keeps the retain rows within --budget 0"
	same "$($U score "$TMP/run" --data "$TMP/keep.jsonl" --template plain)" "$($U score "$TMP/m" --data "$TMP/keep.jsonl" --template plain)"
}

# A scorer that dies, hangs or prints rubbish: one sentence, exit 1, and nothing left behind.
test_reveal__bad_scorers() {
	learn
	ask="$U run $TMP/m --recipe reveal-release $FEW -q -o $TMP/x"
	refuses "ended with status 3 after 0 answers" $ask --scorer "command:exit 3"
	refuses "hello" $ask --scorer "command:while read l; do echo hello; done"
	refuses "ended with status 4 after 5 answers" $ask --scorer "command:for i in 1 2 3 4 5; do read l; echo '{\"score\": 1}'; done; read l; exit 4"
	[ ! -e "$TMP/x" ] || fail "a refused run left a folder"
}

# One that dies later costs only the iteration it cannot judge.
test_reveal__scorer_dies_late() {
	learn
	exits 3 $U run "$TMP/m" --recipe reveal-release --scorer "command:n=0; while read l; do n=\$((n + 1)); [ \$n -lt 330 ] || exit 6; case \"\$l\" in *ticket*) echo '{\"score\": 1}';; *) echo '{\"score\": 0}';; esac; done" \
		$FEW --iterations 6 --lambda 0.2 --line 1 --target 0 --budget 10 --retain "$TMP/keep.jsonl" --lora r=4,alpha=8,target=all-linear --epochs 1 --lr 2e-3 -q -o "$TMP/run"
	has "$(cat "$TMP/err")" "the best one before it is kept: the scorer"
	[ -f "$TMP/run/adapter/adapter_model.safetensors" ] || fail "nothing was kept"
}

test_reveal__scorers_are_listed() {
	exits 0 $U scorers --names
	for name in command regex terms entities similarity likelihood-ratio; do grep -qx -- "$name" "$TMP/out" || fail "no scorer $name"; done
}
