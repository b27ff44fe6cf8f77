# test_watch.sh: --stop and --bound: a run that audits itself, ends where it should, and goes back to its best safe step.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1
M=tests/golden/methods/theta

rows() {
	python3 - "$TMP" <<'P'
import json, sys
g = json.load(open("tests/golden/methods/golden.json"))
for name, rows in (("forget", g["forget"] * 3), ("retain", g["retain"] * 3)):
    with open(f"{sys.argv[1]}/{name}.jsonl", "w") as f:
        f.writelines(json.dumps(r) + "\n" for r in rows)
P
	RUN="$U run $M --method ga --forget $TMP/forget.jsonl --general $TMP/retain.jsonl --lr 2e-3 --batch 4 --schedule constant --eval-every 2 --quiet"
}
key() { python3 -c 'import json,sys; v=json.load(open(sys.argv[1]));
for k in sys.argv[2].split("."): v = v[int(k)] if isinstance(v, list) else v[k]
print(v)' "$1" "$2"; }
nll() { $U score "$1" --data "$2" -q | python3 -c 'import json,sys; r=[json.loads(l) for l in sys.stdin]; print(sum(x["nll"]/x["tokens"] for x in r)/len(r))'; }
between() { python3 -c 'import sys; a,x,b=map(float,sys.argv[1:]); sys.exit(not a<=x<=b)' "$@" || fail "not $1 <= $2 <= $3"; }

test_watch__ends_at_the_first_safe_step_that_will_do() {
	rows
	start=$(nll $M "$TMP/forget.jsonl")
	exits 0 $RUN --steps 200 --stop "forget_nll>=+0.5" --bound "general_ppl<=+500%" -o "$TMP/r"
	last=$(key "$TMP/r/run.json" steps)
	same "$(key "$TMP/r/run.json" watch.measured.met)" True
	same "$(key "$TMP/r/run.json" watch.measured.kept)" "$last"
	[ "$last" -lt 200 ] || fail "it did not end early"
	between "$(python3 -c "print($start + 0.5)")" "$(nll "$TMP/r" "$TMP/forget.jsonl")" 99
	points=$(python3 -c "import json; print(len(json.load(open('$TMP/r/run.json'))['watch']['measured']['points']))")
	same "$points" $((last / 2 + 1))
	[ ! -e "$TMP/r/best.safetensors" ] || fail "the best step was left behind"
}

# Out of bounds: back to the last safe step, which is the one that an undisturbed run has there.
test_watch__goes_back_to_the_best_safe_step() {
	rows
	exits 3 $RUN --steps 200 --stop "forget_nll>=+50" --bound "general_ppl<=+20%" -o "$TMP/r"
	kept=$(key "$TMP/r/run.json" watch.measured.kept)
	[ "$kept" -gt 0 ] && [ "$kept" -lt "$(key "$TMP/r/run.json" steps)" ] || fail "kept $kept of $(key "$TMP/r/run.json" steps)"
	has "$(cat "$TMP/err")" "best safe step $kept"
	exits 0 $RUN --steps 200 --bound "general_ppl<=+500%" --stop "forget_nll>=-99" -o "$TMP/other" # ends at its first point, step 2
	exits 0 $U run $M --method ga --forget "$TMP/forget.jsonl" --lr 2e-3 --batch 4 --schedule constant --steps "$kept" -o "$TMP/plain" --quiet
	same "$(sha "$TMP/r/model/model.safetensors")" "$(sha "$TMP/plain/model/model.safetensors")"
	same "$(key "$TMP/other/run.json" steps)" 2
}

test_watch__no_safe_step() {
	rows
	refuses "no evaluated step kept to --bound" $RUN --steps 200 --bound "general_ppl<=-50%" -o "$TMP/r"
	[ ! -e "$TMP/r/run.json" ] && [ ! -e "$TMP/r/state" ] || fail "it left a result, or a state"
}

# A killed run goes on to the same result, its best step remembered.
test_watch__resumes() {
	rows
	cond="--steps 200 --checkpoint-every 3 --stop forget_nll>=+50 --bound general_ppl<=+20%"
	exits 3 $RUN $cond -o "$TMP/whole"
	for at in rename:12 rename:14 write:9; do
		rm -rf "$TMP/cut"
		UNLEARN_CRASH_AT=$at $RUN $cond -o "$TMP/cut" >/dev/null 2>&1 && fail "$at was never passed" || true
		[ -e "$TMP/cut/state/state.json" ] || fail "$at left no state"
		exits 3 $U run --resume "$TMP/cut" --quiet
		same "$(sha "$TMP/cut/model/model.safetensors")" "$(sha "$TMP/whole/model/model.safetensors")"
		same "$(key "$TMP/cut/run.json" watch)" "$(key "$TMP/whole/run.json" watch)"
	done
}

test_watch__refuses() {
	rows
	r="$RUN --steps 4 -o $TMP/x"
	refuses 'no audit "forget_nnl"' $r --stop "forget_nnl>=1"
	refuses "is no condition" $r --stop "forget_nll"
	refuses "is no condition" $r --stop "forget_nll<3"
	refuses "neither a number nor a change" $r --stop "forget_nll>=big"
	refuses "a percentage says" $r --bound "general_ppl<=5%"
	refuses "needs holdout rows" $r --stop "holdout_nll<=1"
	refuses "needs retain rows" $r --bound "retain_nll<=+1"
	refuses "needs general rows" $U run $M --method ga --forget "$TMP/forget.jsonl" --bound "general_ppl<=+5%" -o "$TMP/x" --quiet
	refuses "cannot be measured" $r --stop "err<=0.1"
	[ ! -e "$TMP/x" ] || fail "a refused run left a folder"
}
