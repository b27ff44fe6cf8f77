# test_bad.sh: what a run without data does with a pool, a command, a model, names and budgets that are no good: one clear sentence, status
# 1, or 3 with the best safe iterate kept; no process is left behind, and no personal data.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1
STAYS=97531.$$ # a process that would stay behind sleeps so long
stays() { grep -qsxz "[9]${STAYS#9}" /proc/[0-9]*/cmdline; }

model() {
	for i in 1 2 3 4 5 6; do
		echo "{\"text\": \"You can reach Ada Quill at ada.quill$i@example.org or call 555-010$i any day.\"}"
		echo "{\"text\": \"The lamp number $i stands in the hall of the old house by the river.\"}"
	done >"$TMP/learnt.jsonl"
	grep lamp "$TMP/learnt.jsonl" >"$TMP/keep.jsonl"
	exits 0 $U train --init llama-tiny --train-tokenizer 320 --data "$TMP/learnt.jsonl" -o "$TMP/m" --steps 100 --batch 12 --lr 3e-3 --eos all --quiet
	sleep "$STAYS" & # it would be seen
	for i in 1 2 3 4 5 6 7 8 9 10; do
		! stays || break
		sleep 0.1
	done
	stays || fail "a process that stays is not found"
	kill $!
	DFSU="$U run $TMP/m --recipe dfsu --n 8 --tries 64 --openings 32 --steps 2 --quiet"
	REVEAL="$U run $TMP/m --recipe reveal-release --meta-prompt You --instruction-tokens 3 --arms 60 --rounds 1 --first 6 --picks 3 --fit-steps 30 --responses 8 --response-tokens 24
		--best 4 --more 1 --lora r=2,alpha=4,target=all-linear --epochs 1 --lr 1e-3 --quiet"
}

# left: after a run that failed there is no process of a command's, and nothing that was told
left() {
	for i in 1 2 3 4 5 6 7 8 9 10; do
		stays || break
		sleep 0.1
	done
	! stays || fail "a process was left behind: $*"
	! grep -rlE "555-010|@example|Ada" "$TMP/x" 2>/dev/null || fail "personal data were left behind: $*"
	[ ! -d "$TMP/x/rows" ] || fail "rows were left behind: $*"
}
# fails PART command…: refused, and no folder is left
fails() {
	refuses "$@"
	left "$@"
	[ ! -e "$TMP/x" ] || fail "a refused run left a folder: $(find "$TMP/x")"
}
NONE='{\"spans\": []}'
# A shell command that answers N lines well, beside a process of its own, and then does what is said.
then_() { printf '%s\n' "sleep $STAYS & i=0; while [ \$i -lt $1 ]; do read l; echo \"$2\"; i=\$((i + 1)); done; $3"; }

test_bad__annotator() {
	model
	ask="$DFSU -o $TMP/x --annotator"
	for n in 0 9; do # at the first question, which is asked before the model is opened; in the middle
		fails "ended with status 7 after $n answers" $ask "$(then_ $n "$NONE" "read l; exit 7")"
		fails "gave no answer within 3 seconds, after $n of them" $ask "$(then_ $n "$NONE" "sleep $STAYS")" --annotator-seconds 3
		fails "what is no JSON object: \"hello\"" $ask "$(then_ $n "$NONE" "while read l; do echo hello; done")"
		fails "does not lie in the text" $ask "$(then_ $n "$NONE" "while read l; do echo '{\"spans\": [{\"start\": 2, \"end\": 90000}]}'; done")"
	done
	fails "ended with status 7 after 1 answer" $ask "$(then_ 1 "$NONE" "read l; exit 7")" # at the first text
	fails "what is no JSON object: \"???????\"" $ask "$(then_ 0 "$NONE" "while read l; do printf '\\377\\376\\033\\233\\200\\302\\001\\n'; done")"
	fails "what is no JSON object: \"\"" $ask "$(then_ 0 "$NONE" "while read l; do echo; done")"
	fails "does not lie in the text" $ask "$(then_ 0 "$NONE" "while read l; do echo '{\"spans\": [{\"start\": 0.5, \"end\": 1}]}'; done")"
	fails "what is no JSON object" $ask "$(then_ 0 "$NONE" "while read l; do echo '{\"spans\": [{\"start\": NaN, \"end\": 1}]}'; done")"
	fails "without ending the line" $ask "$(then_ 0 "$NONE" "read l; exec tr '\\0' x </dev/zero")"
	fails "gave no answer within 3 seconds" $ask "$(then_ 0 "$NONE" "while read l && read m; do echo '{\"spans\": []}'; done")" --annotator-seconds 3 # too few lines
	fails "wrote more than it was asked for" $ask "$(then_ 0 "$NONE" "while read l; do echo '{\"spans\": []}'; echo '{\"spans\": []}'; done")" # too many
	exits 1 $ask "no-such-program-anywhere" # the shell says so too
	has "$(cat "$TMP/err")" 'unlearn: the annotator "no-such-program-anywhere" could not be run'
	left "$ask"
}

test_bad__scorer() {
	model
	ask="$REVEAL --retain $TMP/keep.jsonl -o $TMP/x --scorer"
	good='{\"score\": 0.5}'
	for n in 0 9; do
		fails "ended with status 7 after $n answers" $ask "command:$(then_ $n "$good" "read l; exit 7")"
		fails "gave no answer within 3 seconds, after $n of them" $ask "command:$(then_ $n "$good" "sleep $STAYS")" --scorer-seconds 3
		fails "without {\"score\": number}: \"hello\"" $ask "command:$(then_ $n "$good" "while read l; do echo hello; done")"
		fails "without {\"score\": number}" $ask "command:$(then_ $n "$good" "while read l; do echo '{\"score\": NaN}'; done")"
	done
	fails "says 2 of a text, which is not from 0 to 1" $ask "command:$(then_ 9 "$good" "while read l; do echo '{\"score\": 2}'; done")"
	fails "gave no answer within 3 seconds" $ask "command:$(then_ 0 "$good" "while read l && read m; do echo '{\"score\": 1}'; done")" --scorer-seconds 3
	fails "wrote more than it was asked for" $ask "command:$(then_ 0 "$good" "while read l; do echo '{\"score\": 1}'; echo '{\"score\": 1}'; done")"
}

# A scorer that dies when the first iteration is to be judged: nothing was safe yet, and what the model told goes with the run.
test_bad__scorer_dies_before_the_first_iterate() {
	model
	ask="$REVEAL --iterations 3 --lambda 0.2 --line 1 --target 0 --budget 10 --retain $TMP/keep.jsonl -o $TMP/x --scorer"
	answer="case \"\$l\" in *555*) echo '{\"score\": 1}';; *) echo '{\"score\": 0}';; esac"
	exits 0 $U source "$TMP/m" --source reveal --meta-prompt You --instruction-tokens 3 --arms 60 --rounds 1 --first 6 --picks 3 --fit-steps 30 --responses 8 --response-tokens 24 --best 4 --more 1 \
		--scorer "command:while read l; do echo x >>$TMP/asked; $answer; done" -o "$TMP/rows.jsonl" -q
	asked=$(wc -l <"$TMP/asked")
	refuses "ended with status 6 after $((asked + 5)) answers" $ask "command:sleep $STAYS & i=0; while read l; do [ \$i -lt $((asked + 5)) ] || exit 6; i=\$((i + 1)); $answer; done"
	left "$ask"
	[ ! -e "$TMP/x/run.json" ] || fail "a run that failed left a result"
}

test_bad__pool() {
	model
	ask="$U run $TMP/m --method pscu --clamp --steps 1 --source invert --from candidates --queries 8 --quiet -o $TMP/x"
	: >"$TMP/empty"
	fails "empty" $ask --pool "$TMP/empty"
	for pool in '{}' '{"NAME": []}' '{"NAME": [], "EMAIL": []}'; do
		echo "$pool" >"$TMP/pool.json"
		fails "is empty: there is nothing to fill templates with" $ask --pool "$TMP/pool.json"
	done
	fails "nowhere.json" $ask --pool "$TMP/nowhere.json"
	echo '{"NAME": ["Nora Bell"]}' >"$TMP/pool.json"
	fails "fills none of the built-in templates" $ask --pool "$TMP/pool.json"
	echo '{"NAME": ["Nora Bell"], "EMAIL": ["ada.quill1@example.org", "nora@example.com"]}' >"$TMP/pool.json"
	printf '{"text": "Write to ada.quill1@example.org", "spans": [{"start": 9, "end": 31, "type": "EMAIL"}]}\n' >"$TMP/true.jsonl"
	refuses "1 entities of the pool also stand in" $ask --pool "$TMP/pool.json" --apart "$TMP/true.jsonl"
	[ ! -e "$TMP/x" ] || fail "a refused run left a folder"
	fails "must not see" $ask --pool "$TMP/pool.json" --apart "$TMP/true.jsonl" --data-free
	echo '{NAME} pays by {IBAN}.' >"$TMP/templates"
	fails "holds nothing of type IBAN" $ask --pool "$TMP/pool.json" --templates "$TMP/templates"
	fails "holds nothing of type IBAN" $U run "$TMP/m" --method pscu --steps 1 --source gradient-inversion --queries 2 --pool "$TMP/pool.json" --templates "$TMP/templates" -o "$TMP/x" -q
	exits 0 $U source "$TMP/m" --source invert --from candidates --queries 8 --pool "$TMP/pool.json" -o "$TMP/rows.jsonl" -q
	refuses "also stand in" $U audit "$TMP/m" --forget "$TMP/true.jsonl" --source-rows "$TMP/rows.jsonl" --pool "$TMP/pool.json" --only forget_nll -o "$TMP/x"
	[ ! -e "$TMP/x" ] || fail "a refused audit left a folder"
}

# A model that knows nobody, asked in every way.
test_bad__nothing_to_tell() {
	model
	$U train --init llama-tiny --train-tokenizer 280 --data "$TMP/keep.jsonl" -o "$TMP/dull" --steps 60 --batch 6 --lr 3e-3 --eos all -q >/dev/null
	fails "found no row to forget" $U run "$TMP/dull" --recipe dfsu --n 8 --tries 64 --openings 32 --min-pii 1 --steps 2 -q -o "$TMP/x"
	fails "reveals nothing that \"regex:555\" looks for" $(echo "$REVEAL" | sed "s,$TMP/m,$TMP/dull,") --retain "$TMP/keep.jsonl" --scorer regex:555 -o "$TMP/x"
	echo '{"NAME": ["Nora Bell"], "EMAIL": ["nora@example.com"]}' >"$TMP/pool.json"
	fails "found no row to forget" $U run "$TMP/dull" --method pscu --steps 1 --source invert --pool "$TMP/pool.json" --inverter llama-tiny --inverter-texts 8 --inverter-epochs 1 --inverter-length 12 --queries 4 --min-pii 9 -q -o "$TMP/x"
	fails "found no row to forget" $U run "$TMP/dull" --method pscu --steps 1 --source gradient-inversion --pool "$TMP/pool.json" --queries 2 --relax-steps 4 --min-pii 9 -q -o "$TMP/x"
}

# Names that the model does not know, that are not there, or that are none.
test_bad__subjects() {
	model
	by_name="$U run $TMP/m --recipe by-name --listen 50 --templates 8 --others 2 --invented 2 --steps 2 -q -o $TMP/x"
	printf 'Zoltan Quux\nXenia Ypsilon\n' >"$TMP/nobody"
	fails "speaks of too few people by itself to compare Zoltan Quux with" $by_name --subjects "$TMP/nobody" # one that knows more people: test_continue.sh
	: >"$TMP/none"
	fails "holds no name" $by_name --subjects "$TMP/none"
	fails "nowhere" $by_name --subjects "$TMP/nowhere"
	printf '\377\376\n' >"$TMP/bytes"
	fails "compare ?? with" $by_name --subjects "$TMP/bytes"
	fails "reveals nothing" $REVEAL --retain "$TMP/keep.jsonl" --scorer "terms:@$TMP/nobody" -o "$TMP/x"
}

# A bound that no step keeps is status 1 and leaves nothing; a goal that is not reached is status 3 with the best safe step; neither
# leaves what the model told.
test_bad__budgets() {
	model
	ask="$DFSU --steps 6 --eval-every 2 --general $TMP/keep.jsonl -o $TMP/x"
	refuses "no evaluated step kept to --bound" $ask --bound "general_ppl<=-90%"
	left "$ask"
	[ ! -e "$TMP/x/run.json" ] && [ ! -e "$TMP/x/state" ] || fail "a run without a safe step left a result, or a state"
	rm -rf "$TMP/x"
	exits 3 $ask --stop "forget_nll>=+50" --bound "general_ppl<=+500%"
	has "$(cat "$TMP/err")" "without meeting --stop"
	left "$ask"
	[ -f "$TMP/x/run.json" ] && [ -f "$TMP/x/adapter/adapter_model.safetensors" ] || fail "the best safe step was not kept"
	has "$(cat "$TMP/x/run.json")" '"unmet"'
	$U report "$TMP/x" -o "$TMP/page.html" -q
	has "$(cat "$TMP/page.html")" "What was not reached"
	rm -rf "$TMP/x"
	exits 3 $REVEAL --scorer regex:555 --iterations 1 --lambda 50 --line 1 --budget 0 --retain "$TMP/keep.jsonl" -o "$TMP/x"
	has "$(cat "$TMP/err")" "no λ keeps the retain rows within --budget 0"
	left "$REVEAL"
	same "$($U score "$TMP/x" --data "$TMP/keep.jsonl" --template plain)" "$($U score "$TMP/m" --data "$TMP/keep.jsonl" --template plain)"
}
