# test_kill.sh: `kill -9` at random moments and at every named point of saving. Afterwards the inputs are untouched, what stands
# in the run folder is whole, and --resume goes on to the bit-identical end. KILL_SEED repeats a run; LONG=1 kills 50 times.

# One thread: the same bytes on every machine, and a moment of death that is not the scheduler's.
export OMP_NUM_THREADS=1
seed=${KILL_SEED:-$(date +%s)}
times=$([ "${LONG:-0}" -ge 1 ] && echo 50 || echo 5)

world() {
	"$U" synth --tiny -o "$TMP/world" -q
	head -n 24 "$TMP/world/full.jsonl" >"$TMP/rows.jsonl"
	"$U" train --init llama-tiny --train-tokenizer 400 --data "$TMP/rows.jsonl" --steps 3 --batch 4 -o "$TMP/start" -q
	tree "$TMP/world" >"$TMP/world.before"
	tree "$TMP/start" >"$TMP/start.before"
}

# The command under test, its result in $TMP/$1; more options follow.
work() {
	out=$TMP/$1
	shift
	case $verb in
	train) "$U" train "$TMP/start" --data "$TMP/rows.jsonl" --steps 12 --batch 4 --checkpoint-every 3 --seed 5 -o "$out" -q "$@" ;;
	run) "$U" run "$TMP/start" --method npo --forget "$TMP/world/forget.jsonl" --retain "$TMP/world/retain.jsonl" --lora r=4 --steps 12 \
		--batch 4 --checkpoint-every 3 --seed 5 -o "$out" -q "$@" ;;
	esac
}

# What counts as the result: all files of model/ or adapter/.
result() { (cd "$1" && for d in model adapter; do [ ! -d $d ] || find $d -type f -exec sha256sum {} +; done | sort -k2); }

# After a death: nothing half-written, inputs untouched, and the end the same as if nothing had happened.
check() { # why
	tree "$TMP/world" | cmp -s - "$TMP/world.before" || fail "$1: the data were touched"
	tree "$TMP/start" | cmp -s - "$TMP/start.before" || fail "$1: the model it started from was touched"
	for d in model adapter; do
		[ ! -d "$TMP/out/$d" ] || same "$1: $(result "$TMP/out")" "$1: $(cat "$TMP/want")"
	done
	if [ -e "$TMP/out/run.json" ] && [ ! -e "$TMP/out/state" ]; then :
	elif [ -e "$TMP/out/state/state.json" ]; then
		"$U" $verb --resume "$TMP/out" -q >"$TMP/log" 2>&1 || fail "$1: it does not resume: $(cat "$TMP/log")"
	else
		work out --force >"$TMP/log" 2>&1 || fail "$1: it does not start again: $(cat "$TMP/log")"
	fi
	same "$1: $(result "$TMP/out")" "$1: $(cat "$TMP/want")"
	[ ! -e "$TMP/out/state" ] || fail "$1: a finished run keeps its state"
	left=$(find "$TMP/out" -name '*.ul-*' | head -n 3)
	[ -z "$left" ] || fail "$1: left behind: $left"
	rm -rf "$TMP/out"
}

random_moments() {
	world
	began=$(date +%s%N)
	work want >"$TMP/log" 2>&1 || fail "the run to be killed does not even run: $(cat "$TMP/log")"
	took=$((($(date +%s%N) - began) / 1000000))
	result "$TMP/want" >"$TMP/want.sums"
	rm -rf "$TMP/want"
	mv "$TMP/want.sums" "$TMP/want"
	[ -s "$TMP/want" ] || fail "the run wrote no model and no adapter"
	echo "seed $seed, $times times within $took ms"
	died=0
	for i in $(seq "$times"); do
		moment=$(awk -v s="$seed" -v i="$i" -v t="$took" 'BEGIN { srand(s + i * 7919); rand(); printf "%.3f", rand() * t / 1000 }')
		work out >"$TMP/log" 2>&1 &
		pid=$!
		sleep "$moment"
		# The function runs in a shell of its own: the program is its child.
		kill -9 $(cat /proc/$pid/task/$pid/children 2>/dev/null) 2>/dev/null && died=$((died + 1))
		wait $pid 2>/dev/null || true
		check "seed $seed, kill $i after $moment s"
	done
	echo "$died of $times were killed while they worked"
	[ "$died" -gt 0 ] || fail "nothing was killed"
}

named_points() {
	world
	work want >"$TMP/log" 2>&1 || fail "the run to be killed does not even run: $(cat "$TMP/log")"
	result "$TMP/want" >"$TMP/want.sums"
	rm -rf "$TMP/want"
	mv "$TMP/want.sums" "$TMP/want"
	for point in write fsync rename manifest; do
		died=0
		for n in $([ "${LONG:-0}" -ge 1 ] && seq 40 || echo 1 2 3 5 8 13 21 34); do
			rc=0
			UNLEARN_CRASH_AT=$point:$n work out >"$TMP/log" 2>&1 || rc=$?
			[ $rc != 0 ] || { rm -rf "$TMP/out"; break; } # it passes this point fewer times
			[ $rc = 137 ] || fail "at $point:$n it ended with status $rc: $(cat "$TMP/log")"
			died=$((died + 1))
			check "$point:$n"
		done
		echo "$point: died $died times"
		[ $died -gt 0 ] || fail "no run passes the point $point"
	done
}

test_kill__train_at_random_moments() { verb=train; random_moments; }
test_kill__run_at_random_moments() { verb=run; random_moments; }
test_kill__train_at_every_named_point() { verb=train; named_points; }
test_kill__run_at_every_named_point() { verb=run; named_points; }

# A resumed run that is killed again, and again, still arrives.
test_kill__resumed_and_killed_again() {
	verb=train
	world
	work want >/dev/null 2>&1
	result "$TMP/want" >"$TMP/want.sums"
	rm -rf "$TMP/want"
	mv "$TMP/want.sums" "$TMP/want"
	UNLEARN_CRASH_AT=fsync:6 work out >/dev/null 2>&1 || true
	for n in 4 9 5; do
		[ ! -e "$TMP/out/state/state.json" ] || UNLEARN_CRASH_AT=fsync:$n "$U" train --resume "$TMP/out" -q >/dev/null 2>&1 || true
	done
	check "killed four times"
}
