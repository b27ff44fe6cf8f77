# test_train.sh: unlearn train: from a model, from random weights, with evaluation, and what it refuses.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1
M=tests/golden/methods/theta

data() {
	for i in 1 2 3 4 5 6 7 8; do
		echo "{\"text\": \"The lamp number $i stands in the hall of house $i.\"}"
	done >"$TMP/data.jsonl"
	echo '{"ids": [5, 6, 7, 8, 9, 10]}
{"ids": [11, 12, 13, 14]}' >"$TMP/ids.jsonl"
}

test_train__from_random_weights() {
	data
	exits 0 $U train --init llama-tiny --train-tokenizer 300 --data "$TMP/data.jsonl" -o "$TMP/m" --epochs 30 --batch 4 --eval "$TMP/data.jsonl" --quiet
	same "$(ls "$TMP/m" | tr '\n' ' ')" "journal.jsonl model run.json "
	[ -e "$TMP/m/model/tokenizer.json" ] || fail "the tokenizer was not saved"
	same "$(grep -c eval_nll "$TMP/m/journal.jsonl")" 30
	first=$(head -1 "$TMP/m/journal.jsonl") last=$(grep loss "$TMP/m/journal.jsonl" | tail -1)
	python3 -c 'import json,sys; a,b=(json.loads(x)["loss"] for x in sys.argv[1:]); assert b < 0.7 * a, (a, b)' "$first" "$last"
	exits 0 $U score "$TMP/m" --data "$TMP/data.jsonl"
}

test_train__same_bits_and_resume() {
	data
	settings="--init llama-tiny --train-tokenizer 300 --data $TMP/data.jsonl --epochs 4 --batch 4 --checkpoint-every 3 --quiet --seed 5"
	exits 0 $U train $settings -o "$TMP/a"
	UNLEARN_CRASH_AT=rename:4 $U train $settings -o "$TMP/b" >/dev/null 2>&1 && fail "it was not killed" || true
	exits 0 $U train --resume "$TMP/b" --quiet
	same "$(sha "$TMP/a/model/model.safetensors")" "$(sha "$TMP/b/model/model.safetensors")"
}

test_train__adapter_on_rows_of_ids() {
	data
	exits 0 $U train $M --data "$TMP/ids.jsonl" --lora r=2,alpha=4,target=all-linear -o "$TMP/m" --quiet
	[ -e "$TMP/m/adapter/adapter_model.safetensors" ] || fail "no adapter"
	exits 0 $U train "$TMP/m" --data "$TMP/ids.jsonl" --lora r=2,alpha=4,target=all-linear -o "$TMP/m2" --quiet
	[ -e "$TMP/m2/model/model.safetensors" ] || fail "an adapter over an adapter is saved as a whole model"
}

test_train__refuses() {
	data
	exits 2 $U train --data "$TMP/ids.jsonl" -o "$TMP/x"
	has "$(cat "$TMP/err")" "which model"
	exits 2 $U train $M --data "$TMP/ids.jsonl"
	has "$(cat "$TMP/err")" "where to"
	refuses "no rows to learn" $U train $M -o "$TMP/x"
	refuses "has no tokenizer" $U train $M --data "$TMP/data.jsonl" -o "$TMP/x"
	refuses "missing" $U train $M --data "$TMP/missing.jsonl" -o "$TMP/x"
	exits 2 $U train $M --init llama-tiny --data "$TMP/ids.jsonl" -o "$TMP/x"
}
