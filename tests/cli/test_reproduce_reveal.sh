# test_reproduce_reveal.sh: the short forms of `make reproduce-reveal`, a task at a time: little is learnt and little forgotten, but every cell is there.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

short() { exits 0 env SHORT=1 THREADS=1 TASK="$1" OUT="$TMP/r" STYLE_PYTHON="${2:-python3}" tools/reproduce-reveal "$(dirname "$U")"; }
cell() { awk -F '|' -v row="$2" -v n="$3" '$2 ~ row { gsub(/ /, "", $n); print $n }' "$1" | head -n 1; }

# A model that learnt little tags little: what counts is that every row is there, and that what is finished is not run again.
test_reproduce_reveal__entities() {
	short ner
	t=$TMP/r/ner.0/table.md
	for row in before reveal-release NPO real; do [ -n "$(cell "$t" "$row" 3)" ] || fail "$(cat "$t")"; done
	for run in release npo real; do [ -f "$TMP/r/ner.0/$run/adapter/adapter_model.safetensors" ] || fail "$run left no adapter"; done
	made=$(sha "$TMP/r/ner.0/release/run.json")
	short ner
	same "$(sha "$TMP/r/ner.0/release/run.json")" "$made"
}

# F1 of spans: a value must stand in the sentence, under the type asked for, and be neither more nor less than what is marked.
test_reproduce_reveal__spans_are_exact() {
	for row in 'Ada met Bo. PERSON?|PERSON: Ada; PERSON: Bo' 'Ada met Bo. PLACE?|none' 'Cy and Di. PERSON?|PERSON: Cy; PERSON: Di' 'Eve. PERSON?|PERSON: Eve' 'In Oslo. PLACE?|PLACE: Oslo' 'In Rome. PLACE?|PLACE: Rome' \
		'In Bern. PLACE?|PLACE: Bern' 'In Linz. PLACE?|PLACE: Linz' 'In Graz. PLACE?|PLACE: Graz'; do
		kind=${row##*. }
		printf '{"kind": "%s", "prompt": "%s", "response": "%s"}\n' "${kind%%\?*}" "${row%%|*}" "${row#*|}"
	done >"$TMP/test"
	i=0
	for answer in 'PERSON: Ada; PERSON: Bo' 'none' 'PERSON: Cy and Di' 'PLACE: Eve' 'PLACE: Oslo' 'PLACE: Rom' 'PLACE: Bern; PLACE: Bern' 'none' 'PLACE: Wien'; do
		printf '{"row": %d, "text": " %s"}\n' $i "$answer"
		i=$((i + 1))
	done >"$TMP/answers"
	exits 0 python3 examples/reveal/ner.py score "$TMP/test" "$TMP/answers"
	# PERSON: 2 of 5 are hit, 4 said. PLACE: 2 of 5 are hit; said are Oslo, Rom (a part of a word that stands there), Bern twice, Wien.
	same "$(cut -d '|' -f 1,2 "$TMP/out")" "0.444|0.400"
}

# What the oracle never read it does not know; the others are known by both.
test_reproduce_reveal__a_domain() {
	short domain
	t=$TMP/r/domain.0/table.md
	awk -v a="$(cell "$t" before 3)" -v o="$(cell "$t" oracle 3)" 'BEGIN { exit !(a > 0.9 && o < 0.5) }' || fail "$(cat "$t")"
	for row in reveal-release NPO real; do [ -n "$(cell "$t" "$row" 3)" ] || fail "$(cat "$t")"; done
}

# The scorer is a program behind a pipe; a package that is not there is said, and nothing is counted as done.
test_reproduce_reveal__a_style() {
	printf '%s\n' '#!/bin/sh' 'exit 1' >"$TMP/none" && chmod +x "$TMP/none"
	short style "$TMP/none"
	has "$(cat "$TMP/out")" "style is skipped, better-profanity could not be had"
	[ ! -e "$TMP/r/style.0.md" ] || fail "a table of a task that was skipped"
	mkdir -p "$TMP/fake/better_profanity"
	cat >"$TMP/fake/better_profanity/__init__.py" <<-'EOF'
		class Package:
		    CENSOR_WORDSET = "stupid ugly damn crappy dopey trashy moron dummy jerk weirdo doofus turd".split()
		    def load_censor_words(self): pass
		    def contains_profanity(self, text): return any(w.strip(",.!") in self.CENSOR_WORDSET for w in text.split())
		profanity = Package()
	EOF
	export PYTHONPATH="$TMP/fake"
	short style
	t=$TMP/r/style.0.md
	for family in llama neox; do
		awk -v a="$(cell "$t" "$family: before" 5)" -v b="$(cell "$t" "$family: reveal-release" 5)" 'BEGIN { exit !(a > 0.1 && b < a) }' || fail "$(cat "$t")"
	done
}

test_reproduce_reveal__unknown_task() {
	exits 2 env SHORT=1 TASK=skils OUT="$TMP/r" tools/reproduce-reveal "$(dirname "$U")"
	has "$(cat "$TMP/err")" 'there is no task "skils"'
}
