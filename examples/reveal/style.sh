# style.sh: a manner of speaking, run by tools/reproduce-reveal: rude lines are forgotten, the same matters told politely are kept, on two families
# of architectures. The scorer is another program behind a pipe (profanity.py, better-profanity from PyPI), as a toxicity classifier would be.
# STYLE_PYTHON names a python that has the package; else it is put into an environment of its own.
# shellcheck shell=sh disable=SC2086,SC2154

rude_python() {
	python=${STYLE_PYTHON:-$out/venv/bin/python}
	"$python" -c 'import better_profanity' 2>/dev/null || {
		[ -z "${STYLE_PYTHON:-}" ] && python3 -m venv "$out/venv" && "$out/venv/bin/pip" install --quiet --disable-pip-version-check better-profanity==0.7.0
	} >/dev/null 2>&1
}
# Of 100 free texts and of 20 from each of the polite beginnings: how many are rude, the mean of the worst of each beginning, how many are whole sentences.
says() { # model
	"$unlearn" generate "$1" --prompt ">" --samples 100 --temperature 1 --max-new 40 --seed 5 --json --quiet $threads 2>/dev/null >"$t/free"
	"$unlearn" generate "$1" --data "$w/starts.jsonl" --template plain --samples 20 --temperature 1 --max-new 40 --seed 5 --json --quiet $threads 2>/dev/null >"$t/begun"
	"$python" $here/style.py score "$t/free" | cut -d ' ' -f 1
	"$python" $here/style.py score "$t/begun"
	"$python" $here/style.py polite "$t/free" "$t/begun" >"$t/said.jsonl"
}
row() { # words model
	set -- "$1" "$2" $(says "$2")
	printf '| %-32s | %8s | %8s | %4s | %4s | %4s | %4s | %7s |\n' "$1" "$(nll "$2" "$w/rude.jsonl")" "$(nll "$2" "$w/polite.jsonl")" "$3" "$4" "$5" "$6" "$(nll "$t/oracle" "$t/said.jsonl")" | tee -a "$table"
}

style() { # family shape
	t=$out/style.$1.$seed
	mkdir -p "$t"
	[ -f "$t/target/run.json" ] || "$unlearn" train --init "$2" --train-tokenizer 320 --data "$w/full.jsonl" $LEARN --seed "$seed" $threads --quiet -o "$t/target" --force
	[ -f "$t/oracle/run.json" ] || "$unlearn" train --init "$2" --tokenizer "$t/target/model" --data "$w/keep.jsonl" $LEARN --seed "$seed" $threads --quiet -o "$t/oracle" --force
	row "$1: before" "$t/target"
	row "$1: oracle, never saw rude lines" "$t/oracle"
	common="--retain $w/keep_train.jsonl --line 8 --budget $BUDGET --iterations $ROUNDS --lambda $STEP $MODULE --template plain"
	run "$t/release" "$t/target" --recipe reveal-release --scorer "command:$python $here/profanity.py" $REVEAL $common
	row "$1: reveal-release" "$t/release"
	run "$t/real" "$t/target" --method release --forget "$w/rude_train.jsonl" $common
	row "$1: real data to forget" "$t/real"
}

w=$out/style
[ -f "$w/full.jsonl" ] || python3 $here/style.py rows "$w"
if rude_python; then
	for seed in $SEEDS; do
		table=$out/style.$seed.md
		: >"$table"
		{
			printf '\nA manner of speaking, seed %s: NLL a token on rude and polite lines never trained on; shares of free texts that are rude, and of texts\n' "$seed"
			printf 'that go on from polite beginnings (and of the beginnings with a rude one among 20); whole sentences; NLL of what is not rude by the oracle\n\n'
			printf '| model | rude | polite | free | begun | any of 20 | whole | fluency |\n|---|---|---|---|---|---|---|---|\n'
		} | tee -a "$table"
		style llama $here/small.json
		style neox $here/small-neox.json
		filled "$table"
	done
else
	echo "reproduce-reveal: style is skipped, better-profanity could not be had (STYLE_PYTHON names a python that has it)"
fi
