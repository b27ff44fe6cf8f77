# test_free.sh: --data-free: what a run may read, what it says it read, and where the rows it makes lie.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1

model() {
	for i in 1 2 3 4 5 6; do
		echo "{\"text\": \"You can reach Ada Quill at ada.quill$i@example.org or call 555-010$i any day.\"}"
		echo "{\"text\": \"The lamp number $i stands in the hall of the old house by the river.\"}"
	done >"$TMP/learnt.jsonl"
	exits 0 $U train --init llama-tiny --train-tokenizer 320 --data "$TMP/learnt.jsonl" -o "$TMP/m" --steps 100 --batch 12 --lr 3e-3 --eos all --quiet
	RUN="$U run $TMP/m --recipe dfsu --n 8 --tries 64 --steps 2 --quiet"
}
key() { python3 -c 'import json,sys; v=json.load(open(sys.argv[1]));
for k in sys.argv[2].split("."): v = v[int(k)] if isinstance(v, list) else v[k]
print(v)' "$1" "$2"; }

# A forget file that lies beside the model, in its folder: a model that makes the process open it is refused by the kernel; without
# confinement the same file is opened, and found to be no weights.
test_free__the_truth_is_out_of_reach() {
	model
	cp "$TMP/learnt.jsonl" "$TMP/m/model/forget.jsonl"
	exits 0 $RUN -o "$TMP/r"
	[ "$(key "$TMP/r/run.json" data_free.files_confined)" = True ] || skip "this kernel has no Landlock"
	same "$(key "$TMP/r/run.json" data_free.network_shut)" True
	same "$(key "$TMP/r/run.json" recipe)" dfsu
	# The positive control: an option that names the file opens it; one that the process opens without its being named cannot.
	exits 0 $RUN --names "$TMP/m/model/forget.jsonl" -o "$TMP/named"
	has "$(key "$TMP/named/run.json" data_free.files_read)" forget.jsonl
	ln -s "$TMP/m/model/forget.jsonl" "$TMP/m/model/chat_template.jinja" # a known name that leads elsewhere is the file it leads to
	exits 0 $RUN -o "$TMP/linked"
	has "$(key "$TMP/linked/run.json" data_free.files_read)" forget.jsonl
	rm "$TMP/m/model/chat_template.jinja"
	printf '{"weight_map": {"model.norm.weight": "forget.jsonl"}}' >"$TMP/m/model/model.safetensors.index.json"
	mv "$TMP/m/model/model.safetensors" "$TMP/m/model/other.safetensors"
	refuses "forget.jsonl: Permission denied" $RUN -o "$TMP/sneaky"
	[ ! -e "$TMP/sneaky" ] || fail "a refused run left a folder"
	rc=0
	$RUN --no-data-free -o "$TMP/open" >"$TMP/out" 2>"$TMP/err" || rc=$?
	same $rc 1
	! grep -q "Permission denied" "$TMP/err" || fail "without confinement it could not be opened either"
	has "$(cat "$TMP/err")" forget.jsonl
}

# The same for every recipe that has no data: what makes the process open the truth is refused before anything is read of it.
test_free__no_recipe_sees_the_truth() {
	model
	cp "$TMP/learnt.jsonl" "$TMP/m/model/forget.jsonl"
	printf '{"weight_map": {"model.norm.weight": "forget.jsonl"}}' >"$TMP/m/model/model.safetensors.index.json"
	mv "$TMP/m/model/model.safetensors" "$TMP/m/model/other.safetensors"
	printf 'Ada Quill\n' >"$TMP/names"
	for how in "dfsu" "by-name --subjects $TMP/names" "reveal-release --scorer regex:555"; do
		rc=0
		$U run "$TMP/m" --recipe $how -o "$TMP/x" -q >"$TMP/out" 2>"$TMP/err" || rc=$?
		same $rc 1
		! grep -q "kernel" "$TMP/err" || skip "this kernel has no Landlock"
		has "$(cat "$TMP/err")" "forget.jsonl: Permission denied"
		[ ! -e "$TMP/x" ] || fail "a refused run left a folder: $how"
	done
}

test_free__lists_every_file() {
	model
	printf 'Ada\n' >"$TMP/names"
	exits 0 $RUN --names "$TMP/names" -o "$TMP/r"
	python3 - "$TMP/r/run.json" "$TMP" <<-'P'
		import hashlib, json, os, sys
		read = {f["path"]: f["sha256"] for f in json.load(open(sys.argv[1]))["data_free"]["files_read"]}
		want = {os.path.realpath(sys.argv[2] + "/" + p) for p in ("m/run.json", "m/model/config.json", "m/model/model.safetensors", "m/model/tokenizer.json", "m/model/tokenizer_config.json", "names")}
		assert set(read) == want, set(read) ^ want
		for p, h in read.items():
		    assert hashlib.sha256(open(p, "rb").read()).hexdigest() == h, p
	P
}

# What the run wrote itself is for its owner's eyes until it ends, and gone then.
test_free__rows_are_private() {
	model
	umask 022
	$RUN --steps 100000 -o "$TMP/cut" >/dev/null 2>"$TMP/err" &
	pid=$!
	while [ ! -s "$TMP/cut/journal.jsonl" ]; do sleep 0.05; done
	kill -9 $pid
	wait $pid || true
	same "$(stat -c %a "$TMP/cut/rows")" 700
	same "$(stat -c %a "$TMP/cut/rows/forget.jsonl" "$TMP/cut/rows/retain.jsonl" | sort -u)" 600
	cp -r "$TMP/cut" "$TMP/cut2"
	exits 0 $U clean "$TMP/cut2"
	[ ! -e "$TMP/cut2/rows" ] && [ ! -e "$TMP/cut2/state" ] || fail "clean left rows"
	$U run --resume "$TMP/cut" --quiet >/dev/null 2>"$TMP/err" &
	pid=$!
	sleep 2
	kill -INT $pid
	rc=0
	wait $pid || rc=$?
	same $rc 130
	exits 0 $U clean "$TMP/cut"
	exits 0 $RUN -o "$TMP/r"
	[ ! -e "$TMP/r/rows" ] && [ ! -e "$TMP/r/forget.jsonl" ] || fail "generated rows were left behind"
	exits 0 $RUN --keep-data -o "$TMP/kept"
	same "$(stat -c %a "$TMP/kept/forget.jsonl")" 600
	[ ! -e "$TMP/kept/rows" ] || fail "rows were left beside those that were kept"
}

# An annotator started before the confinement still works, and what it marks is forgotten.
test_free__annotator() {
	model
	cat >"$TMP/mark.py" <<-'P'
		import json, re, sys
		for line in sys.stdin:
		    text = json.loads(line)["text"]
		    print(json.dumps({"spans": [{"start": m.start(), "end": m.end(), "type": "PERSON"} for m in re.finditer("Ada Quill", text)]}), flush=True)
	P
	exits 0 $RUN --annotator "python3 $TMP/mark.py" --keep-data -o "$TMP/r"
	has "$(cat "$TMP/r/forget.jsonl")" '"type":"NAME"'
	same "$(key "$TMP/r/run.json" data_free.annotator)" "python3 $TMP/mark.py"
	exits 0 $U source "$TMP/m" --source sample --n 8 --tries 64 --annotator "python3 $TMP/mark.py" -o "$TMP/rows.jsonl" -q
	has "$(cat "$TMP/rows.jsonl")" '"type":"NAME"'
	refuses "ended with status 7" $RUN --annotator "exit 7" -o "$TMP/x"
	refuses "no JSON object" $RUN --annotator "while read l; do echo hello; done" -o "$TMP/x"
	refuses "gave no answer within 0.3 seconds" $RUN --annotator "sleep 9" --annotator-seconds 0.3 -o "$TMP/x"
	refuses "after 1 answer" $RUN --annotator "read l; echo '{\"spans\": []}'; read l; exit 5" -o "$TMP/x"
	[ ! -e "$TMP/x" ] || fail "a refused run left a folder"
}

test_free__recipes() {
	model
	refuses "needs --subjects" $U run "$TMP/m" --recipe by-name -o "$TMP/x"
	refuses 'no recipe "dsfu"' $U run "$TMP/m" --recipe dsfu -o "$TMP/x"
	exits 2 $U run "$TMP/m" -o "$TMP/x"
	[ ! -e "$TMP/x" ] || fail "a refused run left a folder"
	# The same method on the true rows: the source and the confinement go, the rest of the recipe stays.
	printf '{"text": "You can reach Ada Quill at ada.quill1@example.org any day.", "spans": [{"start": 27, "end": 49, "type": "EMAIL"}]}\n' >"$TMP/true.jsonl"
	exits 0 $U run "$TMP/m" --recipe dfsu --forget "$TMP/true.jsonl" --steps 2 --quiet -o "$TMP/r"
	same "$(key "$TMP/r/run.json" settings.source)" None
	same "$(key "$TMP/r/run.json" settings.clamp)" True
	same "$(key "$TMP/r/run.json" settings.data-free)" False
}
