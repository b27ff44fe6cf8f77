# test_mpu_methods.sh: any method can be the client's. Without noise a round under transforms is the run without copies, for every method
# that there is; those for which it is not are named here, and say so themselves.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

# apart: how far the model of $TMP/sim is from its noise-free run, over how far that went
apart() {
	python3 - "$TMP/sim/model" "$TMP/sim/noise-free" "$TMP/model/model" <<'P'
import json, struct, sys
def weights(path):
    b = open(path + "/model.safetensors", "rb").read()
    n = struct.unpack("<Q", b[:8])[0]
    h = json.loads(b[8:8 + n])
    return {k: struct.unpack(f"<{(t['data_offsets'][1] - t['data_offsets'][0]) // 4}f", b[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]]) for k, t in h.items() if k != "__metadata__"}
a, b, was = map(weights, sys.argv[1:])
far = sum((x - y) ** 2 for k in b for x, y in zip(b[k], was[k]))
assert far > 0
print((sum((x - y) ** 2 for k in a for x, y in zip(a[k], b[k])) / far) ** 0.5)
P
}
under() { awk -v x="$1" -v most="$2" 'BEGIN { exit !(x < most) }'; }

test_mpu_methods__every_method_keeps_its_result() {
	exits 0 $U synth -o "$TMP/world" --tiny --quiet
	exits 0 $U train --init llama-tiny --train-tokenizer 400 --data "$TMP/world/full.jsonl" --steps 5 -o "$TMP/model" --quiet
	how="--forget $TMP/world/forget.jsonl --retain $TMP/world/retain.jsonl --copies 2 --noise 0 --only forget_prob --batch 2 --steps 2 --force -o $TMP/sim"
	seen=0
	for m in $($U methods --names); do
		seen=$((seen + 1))
		case $m in
		pscu | release | task-arithmetic) # adapters: each begins in another subspace under full, and in the same one without transforms
			exits 0 $U mpu simulate "$TMP/model" --method "$m" $how --reparam none
			d=$(apart)
			under "$d" 1e-3 || fail "$m, an adapter without transforms: $d of what was learnt differs"
			continue
			;;
		rmu) # its direction lies in the coordinates of the residual stream
			exits 0 $U mpu simulate "$TMP/model" --method "$m" $how --reparam full
			has "$(cat "$TMP/err")" "warning: rmu drives the residual stream to a direction of its own"
			! under "$(apart)" 0.1 || fail "rmu does the same under full: then it need not be named"
			exits 0 $U mpu simulate "$TMP/model" --method "$m" $how --reparam paper
			! grep -q "direction of its own" "$TMP/err" || fail "rmu was warned of under paper"
			;;
		*)
			exits 0 $U mpu simulate "$TMP/model" --method "$m" $how --reparam full
			! grep -q "direction of its own" "$TMP/err" || fail "$m was warned of"
			;;
		esac
		d=$(apart)
		under "$d" 1e-3 || fail "$m: $d of what was learnt differs"
	done
	[ $seen -ge 15 ] || fail "$seen methods only"
	exits 0 $U mpu publish "$TMP/model" --secret "$TMP/secret" -o "$TMP/pub" --copies 2 --noise 0.1 --quiet
	exits 0 $U mpu client "$TMP/pub" --method rmu --forget "$TMP/world/forget.jsonl" --retain "$TMP/world/retain.jsonl" --batch 2 --steps 1 -o "$TMP/up"
	has "$(cat "$TMP/err")" "direction of its own"
}

# One copy is trained after the other: a client takes what `unlearn run` takes on one of them, however many there are.
test_mpu_methods__a_client_takes_what_a_run_takes() {
	! nm "$U" 2>/dev/null | grep -q __asan_init || skip "a sanitizer keeps what is freed"
	exits 0 $U synth -o "$TMP/world" --people 6 --public 4 --facts 2 --personal 2 --general 8 -q
	exits 0 $U train --init llama-small --train-tokenizer 400 --data "$TMP/world/public.jsonl" --steps 1 --batch 1 -o "$TMP/m" -q
	exits 0 $U mpu publish "$TMP/m" --secret "$TMP/secret-2" --copies 2 --noise 0.1 -o "$TMP/round-2" -q
	exits 0 $U mpu publish "$TMP/m" --secret "$TMP/secret-6" --copies 6 --noise 0.1 -o "$TMP/round-6" -q
	taken() { # KiB of VERB… with the same rows and steps
		python3 -c 'import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' \
			$U "$@" --forget "$TMP/world/forget.jsonl" --steps 2 --batch 4 --lr 1e-4 --threads 1 -q >"$TMP/taken" 2>"$TMP/err" || fail "$(cat "$TMP/err")"
		cat "$TMP/taken"
	}
	for how in "--method npo" "--method npo --lora r=4,alpha=8,target=all-linear"; do
		rm -rf "$TMP/out"
		# shellcheck disable=SC2086
		run=$(taken run "$TMP/round-2/copy-0" $how -o "$TMP/out/run") two=$(taken mpu client "$TMP/round-2" $how -o "$TMP/out/two") six=$(taken mpu client "$TMP/round-6" $how -o "$TMP/out/six")
		[ "$run" -gt 40000 ] || fail "$run KiB: nothing was measured"
		[ $((100 * two)) -le $((110 * run)) ] || fail "$how: a client takes $two KiB where unlearn run takes $run"
		[ $((100 * six)) -le $((105 * two)) ] || fail "$how: a client takes $six KiB for six copies and $two for two"
	done
}
