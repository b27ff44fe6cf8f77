# test_score.sh: unlearn score: what it prints, that its numbers add up, and what it refuses.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1
M=tests/golden/methods/theta

rows() {
	printf '%s\n' '{"ids": [5, 6, 7, 8, 9]}' '{"ids": [11, 12, 13, 14], "labels": [-100, -100, 13, 14]}' '{"ids": [3]}' >"$TMP/rows.jsonl"
}

# Rows may come through a pipe, and - is standard input, as with curl or jq; once read they are gone, and a run records their hash.
test_score__rows_through_a_pipe() {
	echo '{"ids": [5, 6, 7, 8]}
{"ids": [9, 10, 11]}' >"$TMP/rows.jsonl"
	M=tests/golden/methods/theta
	want=$("$U" score $M --data "$TMP/rows.jsonl" -q)
	same "$(cat "$TMP/rows.jsonl" | "$U" score $M --data - -q)" "$want"
	same "$("$U" score $M --data - -q <"$TMP/rows.jsonl")" "$want"
	same "$(cat "$TMP/rows.jsonl" | "$U" score $M --data /dev/stdin -q)" "$want"
	cat "$TMP/rows.jsonl" | exits 0 "$U" train $M --data - --steps 1 -o "$TMP/r" -q
	has "$(cat "$TMP/r/run.json")" "$(sha "$TMP/rows.jsonl")"
	: | refuses "holds no rows" "$U" score $M --data - -q
	refuses "neither a file nor a pipe" "$U" score $M --data /dev/null -q
	refuses "is not a regular file" "$U" info /dev/null
}

test_score__lines_and_summary() {
	rows
	exits 0 $U score $M --data "$TMP/rows.jsonl"
	python3 - "$TMP/out" <<-'EOF'
		import json, sys
		rows = [json.loads(l) for l in open(sys.argv[1])]
		assert [r["row"] for r in rows] == [0, 1, 2], rows
		assert [r["tokens"] for r in rows] == [4, 2, 0], rows
		assert all(sorted(r) == ["mean_nll", "nll", "row", "tokens"] for r in rows), rows
		assert all(abs(r["mean_nll"] - r["nll"] / r["tokens"]) < 1e-12 for r in rows[:2])
		assert rows[2]["nll"] == 0 and rows[2]["mean_nll"] is None
	EOF
	has "$(tail -n 1 "$TMP/err")" "6 tokens, mean NLL "
	has "$(tail -n 1 "$TMP/err")" "perplexity"
	exits 0 $U score $M --data "$TMP/rows.jsonl" --quiet
	[ ! -s "$TMP/err" ] || fail "--quiet is not quiet"
}

test_score__tokens_add_up() {
	rows
	$U score $M --data "$TMP/rows.jsonl" -q >"$TMP/plain"
	$U score $M --data "$TMP/rows.jsonl" --tokens -q >"$TMP/tokens"
	python3 - "$TMP/plain" "$TMP/tokens" <<-'EOF'
		import json, sys
		plain, tokens = ([json.loads(l) for l in open(f)] for f in sys.argv[1:])
		for p, t in zip(plain, tokens):
		    assert p["tokens"] == t["tokens"] and abs(p["nll"] - t["nll"]) < 1e-5
		    assert len(t["ids"]) == len(t["logp"]) and t["logp"][0] is None
		assert tokens[1]["ids"] == [11, 12, 13, 14]
		assert abs(plain[0]["nll"] + sum(tokens[0]["logp"][1:])) < 1e-5
		assert abs(plain[1]["nll"] + sum(tokens[1]["logp"][2:])) < 1e-5
	EOF
}

test_score__windows() {
	rows
	exits 0 $U score $M --data "$TMP/rows.jsonl" --window 8 -q
	cp "$TMP/out" "$TMP/windows"
	head -n 1 "$TMP/rows.jsonl" >"$TMP/one.jsonl"
	same "$(head -n 1 "$TMP/windows" | cut -c1-40)" "$($U score $M --data "$TMP/one.jsonl" -q | cut -c1-40)"
	awk 'BEGIN { printf "{\"ids\": [0"; for (i = 1; i < 3000; i++) printf ", %d", 7 * i % 50; print "]}" }' >"$TMP/long.jsonl"
	exits 0 $U score $M --data "$TMP/long.jsonl" --window 32 --stride 16 -q
	has "$(cat "$TMP/out")" '"tokens":2999'
	exits 0 $U score $M --data "$TMP/long.jsonl"
	has "$(cat "$TMP/err")" "1 of 1 rows were cut"
	exits 2 $U score $M --data "$TMP/long.jsonl" --window 32 --tokens
}

test_score__refusals() {
	rows
	exits 2 $U score $M
	refuses "nowhere.jsonl" $U score $M --data "$TMP/nowhere.jsonl"
	echo '{"text": "hello"}' >"$TMP/text.jsonl"
	refuses "has no tokenizer" $U score $M --data "$TMP/text.jsonl"
	echo '{"ids": [1, 100000]}' >"$TMP/big.jsonl"
	refuses "line 1: token id 100000" $U score $M --data "$TMP/big.jsonl"
	printf '{"ids": [1, 2]}\n{"ids": [1, 2\n' >"$TMP/broken.jsonl"
	refuses "line 2" $U score $M --data "$TMP/broken.jsonl"
	: >"$TMP/empty.jsonl"
	refuses "holds no rows" $U score $M --data "$TMP/empty.jsonl"
}
