# test_audit.sh: unlearn audit: what it writes, how it ends, what it refuses.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

# A tiny world and a model that has hardly seen it: enough to be asked everything.
world() {
	$U synth --tiny -o "$TMP/w" -q
	$U train --init llama-tiny --train-tokenizer 400 --data "$TMP/w/full.jsonl" --steps 2 --batch 4 -o "$TMP/m" -q
	$U train "$TMP/m" --data "$TMP/w/full.jsonl" --steps 2 --batch 4 -o "$TMP/n" -q
	all="--forget $TMP/w/forget.jsonl --retain $TMP/w/retain.jsonl --holdout $TMP/w/holdout.jsonl --neighbours $TMP/w/neighbours.jsonl --general $TMP/w/general.jsonl --level quick --bootstrap 50 --max-new 8 --beams 2"
}
key() { python3 -c 'import json,sys; v=json.load(open(sys.argv[1]));
for k in sys.argv[2].split("."): v = v[int(k)] if isinstance(v, list) else v[k]
print(v)' "$1" "$2"; }

# Text is generated for as many rows as are asked for.
test_audit__asks_as_many_rows() {
	world
	exits 0 $U audit "$TMP/n" --oracle "$TMP/m" $all --asked 5 --only err,retain_rouge,forget_nll -o "$TMP/a" -q
	same "$(key "$TMP/a/scores.json" audits.err.n)" 5
	same "$(key "$TMP/a/scores.json" audits.retain_rouge.n)" 5
	[ "$(key "$TMP/a/scores.json" audits.forget_nll.n)" -gt 5 ] || fail "scores need no text"
}

test_audit__writes_scores_and_report() {
	world
	exits 0 $U audit "$TMP/n" --before "$TMP/m" --oracle "$TMP/m" $all -o "$TMP/a"
	has "$(cat "$TMP/out")" "$(key "$TMP/a/scores.json" verdict):"
	same "$(ls "$TMP/a" | tr '\n' ' ')" "report.html scores.json scores.jsonl "
	same "$(key "$TMP/a/scores.json" schema)" 1
	same "$(key "$TMP/a/scores.json" mode)" oracle
	same "$(key "$TMP/a/scores.json" data.forget.sha256)" "$(sha "$TMP/w/forget.jsonl")"
	python3 - "$TMP/a" <<'P'
import json, sys
scores = json.load(open(sys.argv[1] + "/scores.json"))
for name, line in scores["audits"].items():
    for k in ("value", "n", "ci", "before", "reference", "margin", "verdict"):
        assert k in line, (name, k)
    lo, hi = line["ci"]
    if line["verdict"] == "PASS" and lo is not None and name != "forget_quality":
        ref, m = line["reference"], line["margin"]
        if line["kind"] != "utility":
            assert ref - m - 1e-9 <= lo and hi <= ref + m + 1e-9, (name, line)
items = [json.loads(l) for l in open(sys.argv[1] + "/scores.jsonl")]
by = {}
for i in items:
    by.setdefault((i["who"], i["audit"]), []).append(i["value"])
for name in ("forget_nll", "forget_prob", "extraction_strength", "err", "frs", "retain_prob"):
    values = by["after", name]
    assert abs(sum(values) / len(values) - scores["audits"][name]["value"]) < 1e-9, name
P
}

test_audit__same_input_same_bytes() {
	world
	$U audit "$TMP/n" --before "$TMP/m" $all -o "$TMP/a" -q
	$U audit "$TMP/n" --before "$TMP/m" $all -o "$TMP/b" -q
	same "$(sha "$TMP/a/scores.json")" "$(sha "$TMP/b/scores.json")"
	same "$(sha "$TMP/a/scores.jsonl")" "$(sha "$TMP/b/scores.jsonl")"
	same "$(key "$TMP/a/scores.json" mode)" holdout
}

test_audit__require_decides_the_exit_code() {
	world
	exits 3 $U audit "$TMP/n" --forget "$TMP/w/forget.jsonl" --only forget_nll --require PASS -o "$TMP/a"
	has "$(cat "$TMP/err")" "UNVERIFIED, and PASS was required"
	same "$(key "$TMP/a/scores.json" verdict)" UNVERIFIED
	exits 0 $U audit "$TMP/n" --forget "$TMP/w/forget.jsonl" --only forget_nll --require UNVERIFIED --json
	python3 -c 'import json,sys; assert json.load(open(sys.argv[1]))["mode"] == "before"' "$TMP/out"
}

test_audit__rows_of_ids_need_no_tokenizer() {
	python3 - "$TMP" <<'P'
import json, sys
g = json.load(open("tests/golden/methods/golden.json"))
for name in ("forget", "retain"):
    with open(f"{sys.argv[1]}/{name}.jsonl", "w") as f:
        f.writelines(json.dumps(r) + "\n" for r in g[name])
P
	exits 0 $U audit tests/golden/methods/theta --forget "$TMP/forget.jsonl" --holdout "$TMP/retain.jsonl" -o "$TMP/a"
	has "$(key "$TMP/a/scores.json" not_tested.forget_rouge)" "no tokenizer"
	[ "$(key "$TMP/a/scores.json" audits.extraction_strength.n)" -gt 0 ]
}

test_audit__refuses_and_leaves_nothing() {
	world
	exits 2 $U audit "$TMP/n" -o "$TMP/a"
	exits 2 $U audit "$TMP/n" --forgett "$TMP/w/forget.jsonl"
	has "$(cat "$TMP/err")" "forget"
	refuses "no_such_audit" $U audit "$TMP/n" --forget "$TMP/w/forget.jsonl" --only no_such_audit -o "$TMP/a"
	refuses "$TMP/none" $U audit "$TMP/n" --forget "$TMP/none.jsonl" -o "$TMP/a"
	refuses "vocabulary" $U audit "$TMP/n" --oracle tests/golden/methods/theta --forget "$TMP/w/forget.jsonl" -o "$TMP/a"
	[ ! -e "$TMP/a" ] || fail "a refused audit left a folder"
	mkdir "$TMP/full"
	echo mine >"$TMP/full/file"
	refuses "$TMP/full" $U audit "$TMP/n" --forget "$TMP/w/forget.jsonl" --only forget_nll -o "$TMP/full"
	same "$(cat "$TMP/full/file")" mine
}

test_audit__says_what_overlaps() {
	world
	exits 0 $U audit "$TMP/n" --forget "$TMP/w/forget.jsonl" --retain "$TMP/w/forget.jsonl" --only forget_nll
	has "$(cat "$TMP/err")" "also stand in the retain data"
}
