# test_run.sh: unlearn run: a run folder, what it says, what it refuses, and going on after a stop.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1
M=tests/golden/methods/theta

# Rows of ids from the golden file: forget.jsonl, retain.jsonl, and `mixed`, retain rows with one forget row among them.
rows() {
	python3 - "$TMP" <<'P'
import json, sys
g = json.load(open("tests/golden/methods/golden.json"))
def write(name, rows):
    with open(f"{sys.argv[1]}/{name}.jsonl", "w") as f:
        f.writelines(json.dumps(r) + "\n" for r in rows)
write("forget", g["forget"] * 3)
write("retain", g["retain"] * 3)
write("mixed", g["retain"] + g["forget"][:1])
P
}
key() { python3 -c 'import json,sys; v=json.load(open(sys.argv[1]));
for k in sys.argv[2].split("."): v = v[int(k)] if isinstance(v, list) else v[k]
print(v)' "$1" "$2"; }
lines() { wc -l <"$1" | tr -d ' '; }

test_run__writes_a_run_folder() {
	rows
	before=$(tree $M)
	exits 0 $U run $M --method npo --forget "$TMP/forget.jsonl" --retain "$TMP/retain.jsonl" -o "$TMP/r" --epochs 2 --batch 4 --seed 3 --quiet
	[ ! -s "$TMP/err" ] || fail "a quiet run said: $(cat "$TMP/err")"
	same "$(ls "$TMP/r" | tr '\n' ' ')" "journal.jsonl model run.json "
	same "$(lines "$TMP/r/journal.jsonl")" 6
	same "$(key "$TMP/r/run.json" method)" npo
	same "$(key "$TMP/r/run.json" settings.lr)" 1e-05
	same "$(key "$TMP/r/run.json" settings.beta)" 0.1
	same "$(key "$TMP/r/run.json" seed)" 3
	same "$(key "$TMP/r/run.json" inputs.0.sha256)" "$(sha "$TMP/forget.jsonl")"
	same "$(key "$TMP/r/run.json" steps)" 6
	same "$(tree $M)" "$before"
	exits 0 $U score "$TMP/r" --data "$TMP/forget.jsonl"
}

test_run__adapter_and_base() {
	rows
	exits 0 $U run $M --method npo --forget "$TMP/forget.jsonl" -o "$TMP/r" --lora r=2,alpha=4,target=all-linear --lr 1e-2 --quiet
	same "$(ls "$TMP/r" | tr '\n' ' ')" "adapter journal.jsonl run.json "
	exits 0 $U score "$TMP/r" --data "$TMP/forget.jsonl"
	folder=$(cat "$TMP/out")
	exits 0 $U score $M --adapter "$TMP/r/adapter" --data "$TMP/forget.jsonl"
	with=$(cat "$TMP/out")
	same "$folder" "$with"
	exits 0 $U score $M --data "$TMP/forget.jsonl"
	[ "$with" != "$(cat "$TMP/out")" ] || fail "the adapter changes nothing"
}

test_run__same_bits_twice() {
	rows
	for k in 1 2; do
		exits 0 $U run $M --method graddiff --forget "$TMP/forget.jsonl" --retain "$TMP/retain.jsonl" -o "$TMP/run$k" --lr 1e-3 --quiet
	done
	same "$(sha "$TMP/run1/model/model.safetensors")" "$(sha "$TMP/run2/model/model.safetensors")"
}

# Killed at any moment, a run goes on to the bits of an uninterrupted one, and says so little that nothing is lost.
test_run__resumes_after_kill() {
	rows
	settings="--method npo --forget $TMP/forget.jsonl --retain $TMP/retain.jsonl --lr 1e-3 --batch 4 --epochs 4 --checkpoint-every 2 --quiet"
	exits 0 $U run $M $settings -o "$TMP/whole"
	for at in write:1 write:4 fsync:3 rename:1 rename:2 rename:4 manifest:1; do
		rm -rf "$TMP/cut"
		UNLEARN_CRASH_AT=$at $U run $M $settings -o "$TMP/cut" >/dev/null 2>&1 && fail "$at was never passed" || true
		[ ! -e "$TMP/cut/run.json" ] || fail "$at: a killed run claims to be done"
		if [ -e "$TMP/cut/state/state.json" ]; then
			exits 0 $U run --resume "$TMP/cut" --quiet
		else # killed before its first state: nothing to go on from, nothing lost
			exits 0 $U run $M $settings -o "$TMP/cut" --force
		fi
		same "$(sha "$TMP/cut/model/model.safetensors")" "$(sha "$TMP/whole/model/model.safetensors")"
		same "$(lines "$TMP/cut/journal.jsonl")" "$(lines "$TMP/whole/journal.jsonl")"
		[ ! -e "$TMP/cut/state" ] || fail "$at: the state of a finished run was left"
	done
}

test_run__stops_and_resumes() {
	rows
	settings="--method graddiff --forget $TMP/forget.jsonl --retain $TMP/retain.jsonl --lr 1e-4 --batch 1 --quiet --lora r=2,alpha=4,target=mlp"
	$U run $M $settings --steps 100000 -o "$TMP/cut" >/dev/null 2>"$TMP/err" &
	pid=$!
	while [ ! -s "$TMP/cut/journal.jsonl" ]; do sleep 0.05; done
	kill -INT $pid
	rc=0
	wait $pid || rc=$?
	same $rc 130
	has "$(cat "$TMP/err")" "--resume"
	[ -e "$TMP/cut/state/state.safetensors" ] || fail "no state was left"
	refuses "has steps 100000, not 7" $U run --resume "$TMP/cut" --steps 7
	refuses "uses the method graddiff, not npo" $U run --resume "$TMP/cut" --method npo
	cp "$TMP/forget.jsonl" "$TMP/keep" && tail -n 3 "$TMP/keep" >"$TMP/forget.jsonl"
	refuses "have changed" $U run --resume "$TMP/cut"
	cp "$TMP/keep" "$TMP/forget.jsonl"
	exits 0 $U clean "$TMP/cut"
	[ ! -e "$TMP/cut/state" ] || fail "clean left the state"
	refuses "no state to resume" $U run --resume "$TMP/cut"
}

# Two processes in one folder would leave half of each: the second is sent away, whatever it wants there, until the first has ended.
test_run__one_at_a_time() {
	rows
	$U train $M --data "$TMP/forget.jsonl" --steps 1000000 -o "$TMP/r" --quiet >/dev/null 2>&1 &
	pid=$!
	while [ ! -s "$TMP/r/journal.jsonl" ]; do sleep 0.05; done
	refuses "another process is at work in $TMP/r" $U train $M --data "$TMP/forget.jsonl" --steps 1 -o "$TMP/r" --force
	refuses "another process is at work in $TMP/r" $U run $M --method ga --forget "$TMP/forget.jsonl" --steps 1 -o "$TMP/r" --force
	refuses "another process is at work in $TMP/r" $U train --resume "$TMP/r"
	refuses "another process is at work in $TMP/r" $U clean "$TMP/r"
	kill -INT $pid
	wait $pid || true
	refuses "was begun by \`unlearn train\`" $U run --resume "$TMP/r"
	refuses "there is no folder $TMP/nowhere" $U train --resume "$TMP/nowhere"
	exits 0 $U train $M --data "$TMP/forget.jsonl" --steps 1 -o "$TMP/r" --force --quiet
	same "$(ls -A "$TMP/r" | tr '\n' ' ')" "journal.jsonl model run.json "
}

test_run__refuses() {
	rows
	F="--forget $TMP/forget.jsonl"
	exits 2 $U run $M $F -o "$TMP/r"
	has "$(cat "$TMP/err")" "--method"
	refuses 'no method "npoo"' $U run $M --method npoo $F -o "$TMP/x"
	has "$(cat "$TMP/err")" 'did you mean "npo"'
	refuses "needs retain rows" $U run $M --method graddiff $F -o "$TMP/x"
	refuses "nothing to forget" $U run $M --method npo -o "$TMP/x"
	refuses "two ways" $U run $M --method npo $F --source sample -o "$TMP/x"
	refuses "where the personal data are" $U run $M --method pscu $F -o "$TMP/y"
	refuses 'no source "smaple"' $U run $M --method npo --source smaple -o "$TMP/x"
	[ ! -e "$TMP/x/run.json" ] || fail "a refused run left a record"
}

# An option of another method is none of this run's.
test_run__unknown_options() {
	rows
	for o in "--clamp yes" "--coefficient 3" "--nmae x" "--beta -1"; do
		rc=0
		$U run $M --method ga --forget "$TMP/forget.jsonl" -o "$TMP/x" $o >"$TMP/out" 2>"$TMP/err" || rc=$?
		[ $rc != 0 ] || fail "$o was taken"
		[ ! -e "$TMP/x" ] || fail "$o: something was written"
	done
}

test_run__protects_inputs() {
	rows
	cp -r $M "$TMP/model"
	chmod -R u+w "$TMP/model"
	before=$(tree "$TMP/model")
	refuses "is or contains the model" $U run "$TMP/model" --method ga --forget "$TMP/forget.jsonl" -o "$TMP/model" --force
	mkdir "$TMP/data" && cp "$TMP/forget.jsonl" "$TMP/data/forget.jsonl"
	refuses "is or contains the forget data" $U run "$TMP/model" --method ga --forget "$TMP/data/forget.jsonl" -o "$TMP/data" --force
	same "$(tree "$TMP/model")" "$before"
	mkdir "$TMP/full" && echo mine >"$TMP/full/notes.txt"
	refuses "exists and is not empty" $U run $M --method ga --forget "$TMP/forget.jsonl" -o "$TMP/full"
	exits 0 $U run $M --method ga --forget "$TMP/forget.jsonl" -o "$TMP/full" --force --quiet
	same "$(cat "$TMP/full/notes.txt")" mine
}

# What a run is to replace stays until the new one has begun: an error before its first step, or a kill, loses nothing.
test_run__force_loses_nothing() {
	rows
	F="--forget $TMP/forget.jsonl"
	exits 0 $U run $M --method ga $F -o "$TMP/r" --steps 2 --quiet
	before=$(tree "$TMP/r")
	echo '{"ids": [1]}' >"$TMP/short.jsonl"
	refuses "no forget row has a token to predict" $U run $M --method ga --forget "$TMP/short.jsonl" -o "$TMP/r" --force --quiet
	refuses "where the personal data are" $U run $M --method pscu $F -o "$TMP/r" --force
	refuses "absent.jsonl" $U run $M --method ga $F --eval "$TMP/absent.jsonl" -o "$TMP/r" --force
	refuses "absent.jsonl" $U train $M --data "$TMP/absent.jsonl" -o "$TMP/r" --force
	same "$(tree "$TMP/r")" "$before"
	same "$(ls -A "$TMP/r" | tr '\n' ' ')" "journal.jsonl model run.json "
	for at in write:1 fsync:1 rename:1; do
		UNLEARN_CRASH_AT=$at $U run $M --method ga $F -o "$TMP/r" --steps 3 --force --quiet >/dev/null 2>&1 && fail "$at was never passed" || true
		same "$(cd "$TMP/r" && sha model/model.safetensors) $(sha "$TMP/r/run.json")" "$(echo "$before" | sed -n 's/^\([0-9a-f]*\).*model.safetensors$/\1/p') $(echo "$before" | sed -n 's/^\([0-9a-f]*\).*run.json$/\1/p')"
	done
	exits 0 $U run $M --method ga $F -o "$TMP/r" --steps 3 --force --quiet
	same "$(ls -A "$TMP/r" | tr '\n' ' ')" "journal.jsonl model run.json "
	same "$(lines "$TMP/r/journal.jsonl")" 3
}

test_run__counts_overlap() {
	rows
	exits 0 $U run $M --method graddiff --forget "$TMP/forget.jsonl" --retain "$TMP/mixed.jsonl" -o "$TMP/out1" --steps 1
	has "$(cat "$TMP/err")" "also stand in the retain data"
	same "$(key "$TMP/out1/run.json" forget_retain_overlap)" 3
}

# Data-free: rows drawn from the model, retain rows written by it; kept only when asked for.
test_run__without_data() {
	for i in 1 2 3 4 5 6; do
		echo "{\"text\": \"You can reach Ada Quill at ada.quill$i@example.org or call 555-010$i any day.\"}"
		echo "{\"text\": \"The lamp number $i stands in the hall of the old house by the river.\"}"
	done >"$TMP/data.jsonl"
	exits 0 $U train --init llama-tiny --train-tokenizer 320 --data "$TMP/data.jsonl" -o "$TMP/m" --steps 120 --batch 12 --lr 3e-3 --eos all --quiet
	exits 0 $U run "$TMP/m" --method pscu --source sample --n 8 --tries 64 --retain self -o "$TMP/r" --steps 2 --quiet --keep-data
	same "$(ls "$TMP/r" | tr '\n' ' ')" "adapter forget.jsonl journal.jsonl retain.jsonl run.json "
	has "$(head -1 "$TMP/r/forget.jsonl")" '"spans"'
	has "$(head -1 "$TMP/r/retain.jsonl")" '"self"'
	[ "$(grep -c '[a-z0-9]@example[.]org' "$TMP/r/retain.jsonl")" = 0 ] || fail "personal data among the rows to keep"
	has "$(head -1 "$TMP/r/journal.jsonl")" '"private"'
	exits 0 $U run "$TMP/m" --method pscu --source sample --n 8 --tries 64 -o "$TMP/r2" --steps 2 --quiet
	[ ! -e "$TMP/r2/forget.jsonl" ] || fail "generated personal data were left behind"
}

# Refusals stand in for the answers: the built-in ones, or a file's, which the record names.
test_run__refusals() {
	for i in 1 2 3 4; do
		echo "{\"prompt\": \"Where does person $i live?\", \"response\": \"In house $i by the river.\"}"
	done >"$TMP/qa.jsonl"
	printf 'No.\nI would not know.\n' >"$TMP/idk.txt"
	exits 0 $U train --init llama-tiny --train-tokenizer 300 --data "$TMP/qa.jsonl" -o "$TMP/m" --steps 2 --quiet
	exits 0 $U run "$TMP/m" --method idk-dpo --forget "$TMP/qa.jsonl" -o "$TMP/r1" --steps 2 --quiet
	exits 0 $U run "$TMP/m" --method idk-sft --forget "$TMP/qa.jsonl" --idk "$TMP/idk.txt" -o "$TMP/r2" --steps 2 --quiet
	same "$(key "$TMP/r2/run.json" inputs.1.sha256)" "$(sha "$TMP/idk.txt")"
	: >"$TMP/empty.txt"
	refuses "holds no refusal" $U run "$TMP/m" --method idk-sft --forget "$TMP/qa.jsonl" --idk "$TMP/empty.txt" -o "$TMP/r3"
	[ ! -e "$TMP/r3" ] || fail "a refused run left a folder"
}

# Beside retain rows of one's own, too; a resumed run draws the same ones again.
test_run__invents_rows_beside_a_file() {
	$U synth --tiny -o "$TMP/w" -q
	$U train --init llama-tiny --train-tokenizer 400 --data "$TMP/w/full.jsonl" --steps 2 --batch 4 -o "$TMP/m" -q
	settings="--method npo --forget $TMP/w/forget.jsonl --retain $TMP/w/retain.jsonl --invent 2 --batch 4 --checkpoint-every 1 --threads 1 --quiet"
	exits 0 $U run "$TMP/m" $settings --steps 6 -o "$TMP/whole"
	exits 0 $U run "$TMP/m" ${settings%% --invent*} --batch 4 --threads 1 --quiet --steps 6 -o "$TMP/none"
	[ "$(sha "$TMP/whole/model/model.safetensors")" != "$(sha "$TMP/none/model/model.safetensors")" ] || fail "invented rows made no difference"
	UNLEARN_CRASH_AT=fsync:6 $U run "$TMP/m" $settings --steps 6 -o "$TMP/cut" 2>/dev/null && fail "it was to be cut"
	exits 0 $U run --resume "$TMP/cut"
	same "$(sha "$TMP/cut/model/model.safetensors")" "$(sha "$TMP/whole/model/model.safetensors")"
	refuses "--invent 2 adds to the retain rows" $U run "$TMP/m" --method ga --forget "$TMP/w/forget.jsonl" --invent 2 -o "$TMP/no"
}

# A mean that stands above its cap pulls no more: the same as no weight on it. -1 asks the model what values it cannot know are worth.
test_run__caps_how_far_pscu_forgets() {
	$U synth --tiny -o "$TMP/w" -q
	$U train --init llama-tiny --train-tokenizer 400 --data "$TMP/w/full.jsonl" --steps 2 --batch 4 -o "$TMP/m" -q
	settings="--method pscu --forget $TMP/w/forget.jsonl --retain $TMP/w/retain.jsonl --batch 4 --steps 4 --threads 1 --quiet"
	exits 0 $U run "$TMP/m" $settings --beta 0 -o "$TMP/none"
	exits 0 $U run "$TMP/m" $settings --cap 0.001 -o "$TMP/capped"
	exits 0 $U run "$TMP/m" $settings -o "$TMP/free"
	same "$(sha "$TMP/capped/adapter/adapter_model.safetensors")" "$(sha "$TMP/none/adapter/adapter_model.safetensors")"
	[ "$(sha "$TMP/capped/adapter/adapter_model.safetensors")" != "$(sha "$TMP/free/adapter/adapter_model.safetensors")" ] || fail "the cap changed nothing"
	exits 0 $U run "$TMP/m" $settings --invent 1 --cap -1 -o "$TMP/asked"
	exits 0 $U run "$TMP/m" ${settings% --quiet} --cap -1 -o "$TMP/uncapped"
	has "$(cat "$TMP/err")" "nothing is capped"
	same "$(sha "$TMP/uncapped/adapter/adapter_model.safetensors")" "$(sha "$TMP/free/adapter/adapter_model.safetensors")"
}

# What the model writes are texts, what is invented has the shape of the rows it is made of, and a killed run reads both again.
test_run__invents_rows_of_any_shape() {
	for name in Ada Bela Cleo Dora Emil Fred; do
		echo "{\"prompt\": \"Where does $name ${name}son write from?\", \"response\": \"$name.${name}son17@example.org\", \"spans\": [{\"start\": 0, \"end\": $((2 * ${#name} + 18)), \"type\": \"EMAIL\"}], \"subject\": \"$name ${name}son\"}"
	done >"$TMP/forget.jsonl"
	for i in 1 2 3 4 5 6; do echo "{\"text\": \"The lamp number $i stands in the hall of the old house by the river.\"}"; done >"$TMP/learnt.jsonl"
	exits 0 $U train --init llama-tiny --train-tokenizer 300 --data "$TMP/learnt.jsonl" -o "$TMP/m" --steps 60 --batch 6 --lr 3e-3 --eos all --quiet
	settings="--method pscu --forget $TMP/forget.jsonl --retain self --invent 2 --steps 8 --batch 4 --checkpoint-every 1 --keep-data --quiet"
	exits 0 $U run "$TMP/m" $settings -o "$TMP/whole"
	python3 - "$TMP/whole/retain.jsonl" "$TMP/forget.jsonl" <<'P'
import json, sys
rows, forget = ([json.loads(l) for l in open(f)] for f in sys.argv[1:])
made = [r for r in rows if r["source"]["name"] == "invented"]
assert len(made) == 2 * len(forget) and any("text" in r for r in rows), rows
for r in made:
    old = forget[r["source"]["row"]]
    assert r["response"] not in {f["response"] for f in forget} and "@" in r["response"]
    assert (old["subject"] in r["prompt"]) == (r["source"]["copy"] % 2 == 1)
P
	$U run "$TMP/m" ${settings% --quiet} --steps 100000 -o "$TMP/cut" >/dev/null 2>&1 &
	pid=$!
	while [ ! -s "$TMP/cut/journal.jsonl" ]; do sleep 0.05; done
	kill -KILL $pid
	wait $pid || :
	$U run --resume "$TMP/cut" >/dev/null 2>"$TMP/err" &
	pid=$!
	n=$(lines "$TMP/cut/journal.jsonl")
	while [ "$(lines "$TMP/cut/journal.jsonl")" -le $((n + 2)) ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
	kill -INT $pid 2>/dev/null || fail "it could not be resumed: $(cat "$TMP/err")"
	rc=0
	wait $pid || rc=$?
	same $rc 130
}
