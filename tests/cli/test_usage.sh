# test_usage.sh: wrong use is told in one sentence with the nearest right one, and ends with 2.

# wrong PART command…: exit 2, nothing on stdout, a sentence that contains PART
wrong() {
	part=$1
	shift
	exits 2 "$@"
	[ ! -s "$TMP/out" ] || fail "wrong use wrote to stdout"
	same "$(grep -c '^unlearn: ' "$TMP/err")" 1
	has "$(cat "$TMP/err")" "$part"
}

test_usage__without_a_verb_shows_how() {
	exits 2 "$U"
	has "$(cat "$TMP/err")" "usage: unlearn VERB"
}

test_usage__names_the_nearest() {
	wrong 'there is no command "sinth"' "$U" sinth
	has "$(cat "$TMP/err")" 'did you mean "unlearn synth"?'
	wrong 'did you mean "unlearn generate"?' "$U" gen
	wrong 'did you mean "unlearn mpu simulate"?' "$U" mpu sim
	wrong 'did you mean "people"?' "$U" synth --peopel 3 -o "$TMP/w"
	wrong 'unknown option "-x"' "$U" synth -x -o "$TMP/w"
	wrong 'no argument' "$U" synth somewhere -o "$TMP/w"
	wrong 'needs a value' "$U" synth --people
	wrong 'must lie between 3 and 20000' "$U" synth --people 2 -o "$TMP/w"
	wrong 'must be a whole number' "$U" synth --people many -o "$TMP/w"
	wrong 'must be one of qa, records' "$U" synth --style prose -o "$TMP/w"
	wrong 'synth needs -o DIR' "$U" synth
	wrong 'report needs -o FILE.html' "$U" report "$TMP"
	[ ! -e "$TMP/w" ] || fail "a refused command left something behind"
}

# A value that no option of its name takes is wrong use, also where the option is the library's, a method's or a source's.
test_usage__values() {
	for v in nan inf 1e999 0x10 " 1" 1x "" -1; do
		wrong 'option "lr" is' "$U" train "$TMP" --data "$TMP" --lr "$v" -o "$TMP/w"
		wrong 'option "beta" is' "$U" run "$TMP" --method npo --forget "$TMP" --beta "$v" -o "$TMP/w"
	done
	for v in nan 1.5 99999999999999999999 0x10 " 3" ""; do
		wrong 'must be a whole number' "$U" train "$TMP" --data "$TMP" --steps "$v" -o "$TMP/w"
	done
	wrong 'must lie between 0 and 1000000000' "$U" train "$TMP" --data "$TMP" --steps -1 -o "$TMP/w"
	wrong 'must lie between 0 and 9007199254740992' "$U" score "$TMP" --data "$TMP" --seed -1
	wrong 'must be one of linear, cosine, constant' "$U" train "$TMP" --data "$TMP" --schedule cosinus -o "$TMP/w"
	echo '{"lr": "fast"}' >"$TMP/o.json"
	wrong 'option "lr" is "fast"' "$U" train "$TMP" --data "$TMP" --config "$TMP/o.json" -o "$TMP/w"
	wrong 'at most 2 arguments, and "c" is one more' "$U" tokenize a b c
	refuses 'the name of a model is empty' "$U" info ""
	[ ! -e "$TMP/w" ] || fail "a refused command left something behind"
}

test_usage__options_in_every_form() {
	"$U" synth --tiny -o "$TMP/a" --seed 7 -q
	"$U" synth --seed=7 --tiny=yes --output="$TMP/b" --quiet
	"$U" synth --tiny yes --no-json -o "$TMP/c" --seed 9 --seed 7 -q
	same "$(tree "$TMP/a")" "$(tree "$TMP/b")"
	same "$(tree "$TMP/a")" "$(tree "$TMP/c")"
}

# It starts itself once more to set what libgomp reads before main; whoever lists processes still finds it by its name.
test_usage__keeps_its_name() {
	[ -e /proc/self/comm ] || skip "there is no /proc here"
	mkfifo "$TMP/in"
	env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT "$U" synth --config "$TMP/in" -o "$TMP/w" >"$TMP/out" 2>&1 & # waits for somebody to write
	p=$!
	sleep 1
	name=$(cat /proc/$p/comm || true)
	kill -9 $p
	wait $p || true
	same "$name" unlearn
}

test_usage__a_flag_wins_over_the_file() {
	echo '{"people": 5, "forget_share": 0.5, "facts": 2, "tiny": false, "style": "qa", "json": true, "holdout": null}' >"$TMP/o.json"
	has "$("$U" synth --config "$TMP/o.json" -o "$TMP/a")" '"people":5'
	has "$("$U" synth --config "$TMP/o.json" --people 8 -o "$TMP/b")" '"people":8,"forget":4'
	echo '{"peeple": 5}' >"$TMP/o.json"
	wrong 'did you mean "people"?' "$U" synth --config "$TMP/o.json" -o "$TMP/c"
	echo '{"people": [5]}' >"$TMP/o.json"
	wrong 'neither a string nor a number' "$U" synth --config "$TMP/o.json" -o "$TMP/c"
	echo '[1]' >"$TMP/o.json"
	wrong 'not a JSON object' "$U" synth --config "$TMP/o.json" -o "$TMP/c"
	echo '{"people": 5' >"$TMP/o.json"
	wrong 'o.json' "$U" synth --config "$TMP/o.json" -o "$TMP/c"
	wrong 'nowhere.json' "$U" synth --config "$TMP/nowhere.json" -o "$TMP/c"
}

# A file that is opened where a standard stream was closed must not receive what was meant for the stream.
test_usage__closed_streams() {
	rc=0
	"$U" help >&- 2>"$TMP/err" || rc=$?
	same $rc 1
	has "$(cat "$TMP/err")" "cannot write to standard output"
	rc=0
	"$U" --version >&- || rc=$?
	same $rc 1
	"$U" synth --tiny -o "$TMP/a"
	"$U" synth --tiny -o "$TMP/b" <&- >&- 2>&- || true
	same "$(tree "$TMP/a")" "$(tree "$TMP/b")"
	rc=0
	"$U" nowhere <&- >&- 2>&- || rc=$?
	same $rc 2
}

test_usage__a_full_disk_is_no_success() {
	[ -e /dev/full ] || skip "no /dev/full here"
	rc=0
	"$U" help >/dev/full 2>"$TMP/err" || rc=$?
	same $rc 1
	has "$(cat "$TMP/err")" "cannot write to standard output"
}

# What a path cannot do is refused, not passed over.
test_usage__precision_bf16() {
	UNLEARN_KERNELS=base exits 2 $U bench llama-tiny --vocab 200 --work "" --precision bf16
	has "$(cat "$TMP/err")" "--precision bf16 is not to be had: every matrix product here runs in f32"
	exits 0 $U bench llama-tiny --vocab 200 --work "" --precision f32
}
