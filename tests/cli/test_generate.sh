# test_generate.sh: unlearn generate: shapes of its output, and that settings do what they say.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1
M=tests/golden/methods/theta

rows() {
	printf '%s\n' '{"ids": [5, 6, 7]}' '{"ids": [11, 12, 13, 14], "labels": [-100, -100, 13, 14]}' '{"ids": [3]}' >"$TMP/rows.jsonl"
}

# A model that has learnt one sentence by heart.
learnt() {
	for i in 1 2 3 4 5 6 7 8; do echo '{"text": "Anna lives at the sea and her number is 555 0199."}'; done >"$TMP/text.jsonl"
	$U train --init llama-tiny --train-tokenizer 280 --data "$TMP/text.jsonl" --epochs 40 --batch 4 --lr 3e-3 --eos all -o "$TMP/m" -q >/dev/null
}

test_generate__json_lines() {
	rows
	exits 0 $U generate $M --data "$TMP/rows.jsonl" --max-new 4 --samples 2 --temperature 1 --ignore-eos --json
	python3 - "$TMP/out" <<-'EOF'
		import json, sys
		rows = [json.loads(l) for l in open(sys.argv[1])]
		assert [(r["row"], r["sample"]) for r in rows] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
		assert all(len(r["ids"]) == 4 and r["finish"] == "length" and r["text"] is None for r in rows)
		assert rows[0]["prompt"] == [5, 6, 7] and rows[2]["prompt"] == [11, 12], rows
	EOF
}

test_generate__seed_decides() {
	rows
	run="$U generate $M --data $TMP/rows.jsonl --max-new 8 --samples 3 --temperature 1 --ignore-eos --json"
	$run --seed 1 >"$TMP/a"
	$run --seed 1 --batch 2 >"$TMP/b"
	$run --seed 2 >"$TMP/c"
	same "$(sed 's/"logp".*//' "$TMP/a")" "$(sed 's/"logp".*//' "$TMP/b")"
	[ "$(sed 's/"logp".*//' "$TMP/a")" != "$(sed 's/"logp".*//' "$TMP/c")" ] || fail "another seed, the same text"
}

test_generate__recites_and_stops() {
	learnt
	same "$($U generate "$TMP/m" --prompt "Anna lives")" " at the sea and her number is 555 0199."
	same "$($U generate "$TMP/m" --prompt "Anna lives" --stop "never" --stop "her num")" " at the sea and "
	has "$($U generate "$TMP/m" --prompt "Anna lives" --json)" '"finish":"eos"'
	has "$($U generate "$TMP/m" --prompt "Anna lives" --stop sea --json)" '"finish":"stop"'
	same "$($U generate "$TMP/m" --prompt "Anna lives" --beams 3)" " at the sea and her number is 555 0199."
	exits 0 $U generate "$TMP/m" --data "$TMP/text.jsonl" --max-new 2
	same "$(grep -c '^--- row' "$TMP/out")" 8
}

test_generate__refusals() {
	rows
	exits 2 $U generate $M
	exits 2 $U generate $M --prompt a --data "$TMP/rows.jsonl"
	exits 2 $U generate $M --data "$TMP/rows.jsonl" --beams 2 --samples 3
	exits 2 $U generate $M --data "$TMP/rows.jsonl" --beams 2 --temperature 0.5
	exits 2 $U generate $M --data "$TMP/rows.jsonl" --stop ""
	refuses "has no tokenizer" $U generate $M --prompt hello
	awk 'BEGIN { printf "{\"ids\": [1"; for (i = 1; i < 5000; i++) printf ", 1"; print "]}" }' >"$TMP/long.jsonl"
	refuses "prompt 1 has 5000 tokens" $U generate $M --data "$TMP/long.jsonl"
}
