# test_pages.sh: the page of each recipe that has no data: what the model told, covered and with its marks, curves, verdicts, and nothing
# of what was to be forgotten.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

# Twelve people, each with a number and an address, and ordinary sentences beside them.
model() {
	python3 - "$TMP" <<-'P'
		import json, sys
		given = "Anna Boris Clara Dario Elena Felix Greta Hugo Irene Jonas Karla Leon".split()
		family = "Smith Vance Hoffman Ruiz Walsh Landau Meyer Novak Olsen Price Quill Reyes".split()
		with open(sys.argv[1] + "/learnt.jsonl", "w") as f:
		    for i, (g, s) in enumerate(zip(given, family)):
		        print(json.dumps({"text": "The phone number of %s %s is 555-01%d%d." % (g, s, i % 10, (7 * i + 3) % 10)}), file=f)
		        print(json.dumps({"text": "You can write to %s %s at %s.%s@example.org any day." % (g, s, g.lower(), s.lower())}), file=f)
		        print(json.dumps({"text": "The lamp number %d stands in the hall of the old house by the river." % i}), file=f)
		open(sys.argv[1] + "/subjects", "w").write("Boris Vance\nHugo Novak\n")
		open(sys.argv[1] + "/public.jsonl", "w").writelines(json.dumps({"text": "The lamp number %d stands in the hall of the old house by the river." % i}) + "\n" for i in range(20, 40))
	P
	exits 0 $U train --init llama-tiny --train-tokenizer 400 --data "$TMP/learnt.jsonl" --epochs 120 --batch 9 --lr 3e-3 --eos all -o "$TMP/m" -q
}

# page DIR: $TMP/page.html, which names nobody
page() {
	exits 0 $U report "$1" -o "$TMP/page.html" -q
	python3 - "$TMP" <<-'P'
		import json, re, sys
		page, record = open(sys.argv[1] + "/page.html").read(), open(sys.argv[1] + "/r/run.json").read()
		names = set("Anna Boris Clara Dario Elena Felix Greta Hugo Irene Jonas Karla Leon Smith Vance Hoffman Ruiz Walsh Landau Meyer Novak Olsen Price Quill Reyes".split())
		for where, text in (("page", page), ("record", record)):
		    said = names & set(re.findall("[A-Za-z]+", text)) | {n for n in names if n.lower() + "." in text or n.lower() + "@" in text}
		    assert not said, (where, said)
		    assert not re.search("555-01[0-9]|@example", text), where
		told = json.loads(record)["told"]["shown"]
		assert len(told) <= json.loads(record)["told"]["rows"]
		assert 1 <= len(told) <= 6 and page.count("<div class=told>") == len(told), told
		assert all(set(m) <= set("█ \n") for m in re.findall("<mark>(.*?)</mark>", page, re.S)), "a mark is not covered"
		assert "<script" not in page and "http" not in page
	P
	has "$(cat "$TMP/page.html")" "What the model told, to be forgotten"
	has "$(cat "$TMP/page.html")" "They are redacted"
	has "$(cat "$TMP/page.html")" 'aria-label="training curve"'
	has "$(cat "$TMP/page.html")" "without having the data"
}
kept() { grep -q "^.*$1" "$TMP/page.html" || fail "the page does not say \"$1\""; }

test_pages__dfsu() {
	model
	exits 0 $U run "$TMP/m" --recipe dfsu --n 24 --tries 128 --openings 32 --steps 8 -o "$TMP/r" -q
	page "$TMP/r"
	kept "<mark>[^<]*</mark><sup>[A-Z]*</sup>"
	kept "Not audited"
	kept "in which are marked: "
	refuses "only a run with --keep-data leaves them" $U report "$TMP/r" --rows -o "$TMP/plain.html"
	# Its audit is about it: the same rows, and a verdict.
	grep phone "$TMP/learnt.jsonl" | sed -E 's/"text": "(.*) is (555-[0-9]*)\."/"prompt": "\1 is", "response": " \2", "subject": "\1", "spans": [{"start": 1, "end": 9, "type": "PHONE"}]/' >"$TMP/truth.jsonl"
	exits 0 $U audit "$TMP/r" --before "$TMP/m" --forget "$TMP/truth.jsonl" --general "$TMP/public.jsonl" --template plain --level quick --only err,forget_nll,general_ppl -o "$TMP/a" -q
	grep -q "<div class=told>" "$TMP/a/report.html" || fail "the audit's page does not show what the model told"
	grep -q "class=\"chip open\".*UNVERIFIED" "$TMP/a/report.html" || fail "the audit's page has no verdict"
}

test_pages__by_name() {
	model
	printf '%s\n' 'You can write to {name} at' 'The phone number of {name} is' >"$TMP/openings"
	exits 0 $U run "$TMP/m" --recipe by-name --openings-file "$TMP/openings" --subjects "$TMP/subjects" --listen 400 --templates 12 --others 6 --invented 0 --epochs 2 --keep-data -o "$TMP/r" -q
	page "$TMP/r"
	kept "<i>.* of [^<]* is</i> .*<mark>"
	kept "Name by name"
	# Whoever kept the rows may see them.
	exits 0 $U report "$TMP/r" --rows -o "$TMP/plain.html" -q
	grep -q "Boris\|Hugo" "$TMP/plain.html" || fail "--rows shows no row as it is"
	grep -q "treat this page as you treat that" "$TMP/plain.html" || fail "--rows does not warn"
}

test_pages__reveal_release() {
	model
	head -n 12 "$TMP/public.jsonl" >"$TMP/keep.jsonl"
	exits 0 $U run "$TMP/m" --recipe reveal-release --scorer "regex:555-" --meta-prompt The --instruction-tokens 3 --arms 60 --rounds 1 --first 8 --picks 4 --fit-steps 50 --responses 8 --response-tokens 24 \
		--best 4 --more 1 --iterations 2 --lambda 4 --line 4 --budget 10 --target 0 --retain "$TMP/keep.jsonl" --lora r=4,alpha=8,target=all-linear --epochs 4 --lr 3e-3 -o "$TMP/r" -q
	page "$TMP/r"
	kept "Nothing in them is marked: the whole answer"
	kept "Iteration by iteration"
	kept 'aria-label="relevance after each iteration"'
	kept "<th>λ subtracted</th>"
	grep -qE '^<tr><td>1</td><td>[0-9.e-]+</td><td>[0-9.e-]+</td><td>[0-9.e-]+</td><td>[-+][0-9.]+.%</td><td>[0-9]+</td></tr>' "$TMP/page.html" || fail "no line of numbers for the first iteration"
}
