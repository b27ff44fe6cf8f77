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

# The loss in bf16 is that of f32 within what rounding to 8 bits brings, and the record says so.
test_train__precision_bf16() {
	data
	settings="--init llama-tiny --train-tokenizer 300 --data $TMP/data.jsonl --epochs 2 --batch 4 --seed 5"
	UNLEARN_KERNELS=amx-emulated exits 0 $U train $settings -o "$TMP/a"
	UNLEARN_KERNELS=amx-emulated exits 0 $U train $settings -o "$TMP/b" --precision bf16
	has "$(cat "$TMP/err")" "note: matrix products round their factors to bf16"
	python3 - "$TMP/a" "$TMP/b" <<-'EOF'
		import json, sys
		a, b = (json.load(open(d + "/run.json")) for d in sys.argv[1:])
		assert a["precision"] == "f32" and "product_error" not in a and b["precision"] == "bf16" and 1e-3 < b["product_error"] < 2**-7, (a, b)
		a, b = ([json.loads(l)["loss"] for l in open(d + "/journal.jsonl")] for d in sys.argv[1:])
		assert a != b and all(abs(x / y - 1) < 0.01 for x, y in zip(a, b)), (a, b)
	EOF
}

test_train__adapter_on_rows_of_ids() {
	data
	exits 0 $U train $M --data "$TMP/ids.jsonl" --lora r=2,alpha=4,target=all-linear -o "$TMP/m" --quiet
	[ -e "$TMP/m/adapter/adapter_model.safetensors" ] || fail "no adapter"
	exits 0 $U train "$TMP/m" --data "$TMP/ids.jsonl" --lora r=2,alpha=4,target=all-linear -o "$TMP/m2" --quiet
	[ -e "$TMP/m2/model/model.safetensors" ] || fail "an adapter over an adapter is saved as a whole model"
}

# Redrawn in place, a line wider than the terminal would fill the screen.
test_train__the_bar_fits_the_terminal() {
	command -v script >/dev/null && command -v stty >/dev/null || skip "script is not here"
	script -qec true /dev/null </dev/null >/dev/null 2>&1 || skip "no pseudo-terminal can be had here"
	data
	for cols in 24 40 60 120; do
		LC_ALL=C script -qec "stty cols $cols; '$U' train $M --data '$TMP/ids.jsonl' --steps 20 -o '$TMP/t$cols'" /dev/null </dev/null >"$TMP/screen" || fail "the run failed"
		tr '\r' '\n' <"$TMP/screen" | sed "s/$(printf '\033')\[K//g" >"$TMP/drawn"
		[ "$(awk '{ if (length > m) m = length } END { print m }' "$TMP/drawn")" -lt $cols ] || fail "wider than $cols columns: $(cat "$TMP/drawn")"
		grep -q '20/20' "$TMP/drawn" || fail "the bar never reached its end: $(cat "$TMP/drawn")"
	done
	grep -q -- '====.*tokens/s' "$TMP/drawn" || fail "no bar: $(cat "$TMP/drawn")"
}

# What the first step takes is measured, and blocks keep what still fits: more than none, less than all, and the same bits. A limit that
# no step fits is said with what it takes.
test_train__memory_is_held() {
	! nm "$U" 2>/dev/null | grep -q __asan_init || skip "a sanitizer keeps what is freed"
	python3 - "$TMP" <<-'P'
		import json, random, sys
		random.seed(1)
		words = "river house lamp stone green light train table window garden paper silver morning".split()
		with open(sys.argv[1] + "/long.jsonl", "w") as f:
		    for i in range(64):
		        print(json.dumps({"text": " ".join(random.choice(words) for _ in range(300))}), file=f)
	P
	exits 0 $U train --init llama-tiny --train-tokenizer 400 --data "$TMP/long.jsonl" --steps 1 --batch 1 -o "$TMP/start" -q
	taken() { # MiB at most, of 2 steps with OPTION…
		python3 -c 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)' \
			$U train "$TMP/start" --data "$TMP/long.jsonl" --batch 32 --steps 2 --lr 1e-4 --force -q -o "$TMP/out-$1" --threads 1 --"$2" "$3" >"$TMP/taken" 2>"$TMP/err" || fail "$(cat "$TMP/err")"
		cat "$TMP/taken"
	}
	none=$(taken none recompute yes) all=$(taken all recompute no)
	[ "$all" -gt $((none + 40)) ] || fail "keeping all blocks takes $all MiB and none $none: nothing to choose from"
	limit=$((none + 75)) # room for one block of four
	some=$(taken some memory $limit)
	[ "$some" -le $limit ] && [ "$some" -gt $((none + 30)) ] || fail "--memory $limit took $some MiB ($none with no block kept, $all with all)"
	for how in all some; do
		cmp -s "$TMP/out-none/model/model.safetensors" "$TMP/out-$how/model/model.safetensors" || fail "other weights where blocks are kept ($how)"
	done
	refuses "MiB even with every block run again, and --memory allows 20" $U train "$TMP/start" --data "$TMP/long.jsonl" --batch 32 --steps 2 --memory 20 -o "$TMP/no"
	[ ! -e "$TMP/no/model" ] || fail "a refused run left a model"
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
