# test_tokenize.sh: unlearn tokenize: a text, rows, a file, and back.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

# A directory with nothing but a tokenizer, learnt from a few lines.
tokenizer() {
	printf '%s\n' '{"text": "The keeper of the lighthouse is Anna Smith, and Anna likes the sea."}' '{"text": "Question: who?\nAnswer: caf\u00e9 \ud83d\ude00."}' >"$TMP/text.jsonl"
	$U train --init llama-tiny --train-tokenizer 300 --data "$TMP/text.jsonl" --steps 1 -o "$TMP/m" -q >/dev/null
	mkdir "$TMP/tok"
	cp "$TMP/m/model/tokenizer.json" "$TMP/tok"
}

test_tokenize__text_and_back() {
	tokenizer
	text="The keeper of Anna, café 😀"
	ids=$($U tokenize "$TMP/tok" "$text")
	same "$($U tokenize "$TMP/tok" --decode "$ids")" "$text"
	same "$($U tokenize "$TMP/m" "$text")" "$ids"
	same "$($U tokenize "$TMP/tok" "$text" --json)" "{\"row\":0,\"ids\":[$(echo $ids | tr ' ' ',')]}"
	same "$($U tokenize "$TMP/tok" "")" ""
}

test_tokenize__rows_and_back() {
	tokenizer
	exits 0 $U tokenize "$TMP/tok" --data "$TMP/text.jsonl"
	cp "$TMP/out" "$TMP/ids.jsonl"
	exits 0 $U tokenize "$TMP/tok" --data "$TMP/ids.jsonl" --decode
	python3 - "$TMP/text.jsonl" "$TMP/ids.jsonl" "$TMP/out" <<-'EOF'
		import json, sys
		text, ids, back = ([json.loads(l) for l in open(f)] for f in sys.argv[1:])
		assert [r["row"] for r in ids] == [0, 1] and sorted(ids[0]) == ["ids", "row"]
		assert [t["text"] for t in text] == [b["text"] for b in back], back
	EOF
	echo '{"question": "who?", "answer": "Anna"}' >"$TMP/qa.jsonl"
	exits 0 $U tokenize "$TMP/tok" --data "$TMP/qa.jsonl" --template qa
	cp "$TMP/out" "$TMP/ids.jsonl"
	same "$($U tokenize "$TMP/tok" --data "$TMP/ids.jsonl" --decode)" '{"row":0,"text":"Question: who?\nAnswer: Anna"}'
}

test_tokenize__file_is_one_text() {
	tokenizer
	printf 'The keeper\nof the sea.\n' >"$TMP/file"
	exits 0 $U tokenize "$TMP/tok" --file "$TMP/file"
	python3 - "$TMP/out" $($U tokenize "$TMP/tok" "$(printf 'The keeper\nof the sea.\n.')" | sed 's/ [0-9]*$//') <<-'EOF'
		import hashlib, json, struct, sys
		got, ids = json.load(open(sys.argv[1])), [int(x) for x in sys.argv[2:]]
		assert got["count"] in (len(ids), len(ids) + 1), (got, ids)
		if got["count"] == len(ids):
		    assert got["sha256"] == hashlib.sha256(b"".join(struct.pack("<I", i) for i in ids)).hexdigest()
	EOF
}

test_tokenize__refusals() {
	tokenizer
	exits 2 $U tokenize "$TMP/tok"
	exits 2 $U tokenize "$TMP/tok" text --file "$TMP/text.jsonl"
	refuses "--decode takes rows of ids" $U tokenize "$TMP/tok" --data "$TMP/text.jsonl" --decode
	refuses "is not a token id" $U tokenize "$TMP/tok" --decode "1 two"
	refuses "has no tokenizer" $U tokenize tests/golden/methods/theta hello
}
