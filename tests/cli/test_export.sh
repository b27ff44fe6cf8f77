# test_export.sh: unlearn export: what was written is the same model, and nothing is lost silently.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1
M=tests/golden/families
A=tests/golden/adapters/llama_all

tensors() { # MODEL: name and hash of every tensor
	$U info "$1" --json --tensors | python3 -c 'import json, sys
for t in sorted(json.load(sys.stdin)["tensors"], key=lambda t: t["name"]): print(t["name"], t["sha256"])'
}
score() { $U score "$1" --data "$TMP/rows.jsonl" -q; }
rows() { printf '%s\n' '{"ids": [5, 6, 7, 8, 9]}' '{"ids": [11, 12, 13]}' >"$TMP/rows.jsonl"; }

test_export__hf() {
	rows
	for m in llama gpt2 neox_parallel; do
		exits 0 $U export $M/$m -o "$TMP/$m" --to hf
		same "$(tensors $M/$m)" "$(tensors "$TMP/$m")"
		same "$(score $M/$m)" "$(score "$TMP/$m")"
		refuses "$TMP/$m" $U export $M/$m -o "$TMP/$m"
	done
	exits 0 $U export $M/llama -o "$TMP/half" --dtype bf16 --json
	has "$(cat "$TMP/out")" '"to":"hf"'
	has "$($U info "$TMP/half" --json)" '"dtype":"BF16"'
}

test_export__merged_is_applied() {
	rows
	base=tests/golden/adapters/$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["base_model_name_or_path"])' $A/adapter_config.json)
	[ -d "$base" ] || base=$M/llama
	refuses "carries an adapter" $U export $base --adapter $A -o "$TMP/x"
	[ ! -e "$TMP/x" ] || fail "a refused export left something behind"
	exits 0 $U export $base --adapter $A -o "$TMP/merged" --merge
	exits 0 $U export $base --adapter $A -o "$TMP/peft" --to peft
	$U score $base --adapter $A --data "$TMP/rows.jsonl" -q >"$TMP/applied"
	$U score $base --adapter "$TMP/peft" --data "$TMP/rows.jsonl" -q >"$TMP/again"
	score "$TMP/merged" >"$TMP/merged.jsonl"
	score $base >"$TMP/base.jsonl"
	cmp "$TMP/applied" "$TMP/again"
	python3 - "$TMP/applied" "$TMP/merged.jsonl" "$TMP/base.jsonl" <<-'EOF'
		import json, sys
		a, m, b = ([json.loads(l)["nll"] for l in open(f)] for f in sys.argv[1:])
		assert all(abs(x - y) <= 1e-4 * x for x, y in zip(a, m)), (a, m)
		assert any(abs(x - y) > 1e-2 * x for x, y in zip(a, b)), "the adapter does nothing"
	EOF
}

test_export__refusals() {
	exits 2 $U export $M/llama
	refuses "carries no adapter" $U export $M/llama -o "$TMP/x" --to peft
	refuses "carries no adapter" $U export $M/llama -o "$TMP/x" --merge
	refuses "q8_0 exists in gguf only" $U export $M/llama -o "$TMP/x" --dtype q8_0
	exits 2 $U export $M/llama -o "$TMP/x" --to peft --merge
	[ ! -e "$TMP/x" ] || fail "a refused export left something behind"
}

# The tokenizer goes along; matrices in float32 survive a GGUF bit for bit.
test_export__gguf() {
	rows
	for i in 1 2 3 4; do echo '{"text": "Anna lives at the sea and her number is 555 0199."}'; done >"$TMP/text.jsonl"
	$U train --init llama-tiny --train-tokenizer 280 --data "$TMP/text.jsonl" --epochs 4 --batch 4 -o "$TMP/m" -q >/dev/null
	exits 0 $U export "$TMP/m" -o "$TMP/m.gguf" --to gguf --dtype f32
	same "$(tensors "$TMP/m")" "$(tensors "$TMP/m.gguf")"
	same "$(score "$TMP/m")" "$(score "$TMP/m.gguf")"
	same "$($U tokenize "$TMP/m" "Anna lives at 555")" "$($U tokenize "$TMP/m.gguf" "Anna lives at 555")"
	refuses "m.gguf exists" $U export "$TMP/m" -o "$TMP/m.gguf" --to gguf
	exits 0 $U export "$TMP/m" -o "$TMP/m.gguf" --to gguf --dtype q8_0 --force
	has "$($U info "$TMP/m.gguf" --json)" '"dtype":"Q8_0"'
	same "$(ls -A "$TMP" | grep gguf)" m.gguf
	# Several at once: whoever is first makes the file, and no file is ever made of the halves of two.
	for i in 1 2 3; do $U export "$TMP/m" -o "$TMP/n.gguf" --to gguf --dtype f32 >/dev/null 2>"$TMP/err$i" & done
	wait
	same "$(tensors "$TMP/m")" "$(tensors "$TMP/n.gguf")"
	same "$(ls -A "$TMP" | grep n.gguf)" n.gguf
	mkdir "$TMP/d"
	refuses "is a directory" $U export "$TMP/m" -o "$TMP/d" --to gguf --force
	# What a killed one left goes with the next.
	UNLEARN_CRASH_AT=rename $U export "$TMP/m" -o "$TMP/o.gguf" --to gguf -q || true
	same "$(ls -A "$TMP" | grep -c '^.o.gguf.ul-')" 1
	exits 0 $U export "$TMP/m" -o "$TMP/o.gguf" --to gguf -q
	same "$(ls -A "$TMP" | grep o.gguf)" o.gguf
}
