# test_mpu.sh: unlearn mpu over folders and in one process: the same bits, nothing that should not leave, nothing applied twice.
. tests/cli/lib.sh
export OMP_NUM_THREADS=1
M=tests/golden/methods/theta
C="--method npo --lr 1e-3 --batch 4 --epochs 1 --quiet"

rows() {
	python3 - "$TMP" <<'P'
import json, sys
g = json.load(open("tests/golden/methods/golden.json"))
for name in "forget", "retain":
    with open(f"{sys.argv[1]}/{name}.jsonl", "w") as f:
        f.writelines(json.dumps(r) + "\n" for r in g[name] * 2)
P
	C="$C --forget $TMP/forget.jsonl --retain $TMP/retain.jsonl"
}
publish() { exits 0 $U mpu publish $M --secret "$TMP/secret" --noise-key "$TMP/noise" -o "$TMP/pub" --copies 3 --noise 0.1 --quiet "$@"; }
weights() { sha "$1/model.safetensors"; }

# One process and three commands give the same bits, with all weights and with an adapter.
test_mpu__files_are_the_simulation() {
	rows
	for how in "" "--lora r=2,alpha=4,target=all-linear"; do
		rm -rf "$TMP/sim" "$TMP/secret" "$TMP/pub" "$TMP/pub2" "$TMP/up" "$TMP/up2" "$TMP/final"
		exits 0 $U mpu simulate $M $C $how --noise-key "$TMP/noise" --copies 3 --noise 0.1 --rounds 2 --no-noise-free -o "$TMP/sim"
		publish --rounds 2
		exits 0 $U mpu client "$TMP/pub" $C $how -o "$TMP/up"
		exits 0 $U mpu verify "$TMP/up" --quiet
		exits 0 $U mpu collect "$TMP/secret" "$TMP/up" -o "$TMP/final" --quiet
		exits 0 $U mpu publish "$TMP/secret" -o "$TMP/pub2" --quiet
		exits 0 $U mpu client "$TMP/pub2" $C $how --copies 0,2 -o "$TMP/up" --force
		exits 0 $U mpu client "$TMP/pub2" $C $how --copies 1 -o "$TMP/up2"
		exits 0 $U mpu collect "$TMP/secret" "$TMP/up" "$TMP/up2" -o "$TMP/final" --force --quiet
		same "$(weights "$TMP/final")" "$(weights "$TMP/sim/model")"
		[ "$(weights "$TMP/final")" != "$(weights $M)" ] || fail "nothing was learnt"
	done
}

# Adapters stack: what a round changed is one adapter, its rank the sum of theirs.
test_mpu__adapters_stack() {
	rows
	publish
	exits 0 $U mpu client "$TMP/pub" $C --lora r=2,alpha=4,target=all-linear -o "$TMP/up"
	exits 0 $U mpu client "$TMP/pub" $C --copies 1 -o "$TMP/full"
	exits 0 $U mpu client "$TMP/pub" $C --lora r=2,alpha=4,target=all-linear --copies 0,2 -o "$TMP/two"
	refuses "only adapters stack" $U mpu collect "$TMP/secret" "$TMP/two" "$TMP/full" --stack "$TMP/stack" --quiet
	[ ! -e "$TMP/stack" ] || fail "a refused round left an adapter"
	exits 0 $U mpu collect "$TMP/secret" "$TMP/up" --stack "$TMP/stack" -o "$TMP/final" --quiet
	exits 0 $U export $M --adapter "$TMP/stack" --merge -o "$TMP/merged" --quiet
	python3 - "$TMP" <<'P'
import json, struct, sys
assert json.load(open(sys.argv[1] + "/stack/adapter_config.json"))["r"] == 6
def weights(path):
    b = open(path, "rb").read()
    n = struct.unpack("<Q", b[:8])[0]
    h = json.loads(b[8:8 + n])
    return {k: struct.unpack(f"<{(t['data_offsets'][1] - t['data_offsets'][0]) // 4}f", b[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]]) for k, t in h.items() if k != "__metadata__"}
a, b, was = (weights(p + "/model.safetensors") for p in (sys.argv[1] + "/final", sys.argv[1] + "/merged", "tests/golden/methods/theta"))
assert set(a) == set(b)
moved = sum((x - y) ** 2 for k in a for x, y in zip(a[k], was[k]))
apart = sum((x - y) ** 2 for k in a for x, y in zip(a[k], b[k]))
assert moved > 0 and apart < 1e-8 * moved, (apart, moved)
P
}

# Copies of 16 bits are half the bytes; what that costs the noise is said, and the two ways still agree.
test_mpu__copies_of_16_bits_say_what_they_cost() {
	rows
	exits 0 $U mpu simulate $M $C --noise-key "$TMP/noise" --copies 3 --noise 0.02 --dtype bf16 --no-noise-free -o "$TMP/sim"
	exits 0 $U mpu publish $M --secret "$TMP/secret" --noise-key "$TMP/noise" -o "$TMP/pub" --copies 3 --noise 0.02 --dtype bf16
	has "$(cat "$TMP/err")" "of a copy's noise is left in the average of all copies"
	exits 0 $U mpu client "$TMP/pub" $C -o "$TMP/up"
	exits 0 $U mpu collect "$TMP/secret" "$TMP/up" -o "$TMP/final" --quiet
	same "$(weights "$TMP/final")" "$(weights "$TMP/sim/model")"
	exits 0 $U mpu publish $M --secret "$TMP/secret32" --noise-key "$TMP/noise" -o "$TMP/pub32" --copies 3 --noise 0.1 --json
	! grep -q warning "$TMP/err" || fail "float32 was warned of: $(cat "$TMP/err")"
	has "$(cat "$TMP/out")" '"dtype":"f32","noise_reaches":1'
	size() { wc -c <"$1/copy-0/model.safetensors"; }
	[ $(($(size "$TMP/pub") * 10)) -lt $(($(size "$TMP/pub32") * 7)) ] || fail "$(size "$TMP/pub") bytes are not half of $(size "$TMP/pub32")"
	same "$(grep -c rounding "$TMP/pub32/manifest.json")" 0
	# Noise below the last bit does not arrive.
	exits 0 $U mpu publish $M --secret "$TMP/secret16" -o "$TMP/pub16" --copies 2 --noise 0.0001 --dtype bf16
	has "$(cat "$TMP/err")" "the others are published as they are"
}

# A model stored with 16 bits is published as the same numbers of 32 bits are.
test_mpu__models_of_16_bits_are_published() {
	for d in bf16 f16; do
		exits 0 $U export $M -o "$TMP/$d" --dtype $d --quiet
		exits 0 $U export "$TMP/$d" -o "$TMP/$d-f32" --dtype f32 --quiet
		for m in $d $d-f32; do
			exits 0 $U mpu publish "$TMP/$m" --secret "$TMP/s-$m" --noise-key "$TMP/noise" -o "$TMP/p-$m" --copies 2 --noise 0.1 --quiet
		done
		same "$(weights "$TMP/p-$d/copy-1")" "$(weights "$TMP/p-$d-f32/copy-1")"
	done
}

test_mpu__simulate_says_what_noise_cost() {
	rows
	before=$(tree $M)
	exits 0 $U mpu simulate $M $C --copies 2 --noise 0.1 -o "$TMP/sim" --only forget_prob,retain_prob,extraction_strength --json
	python3 - "$TMP" <<'P'
import json, sys
t = json.load(open(sys.argv[1] + "/out"))
assert t == json.load(open(sys.argv[1] + "/sim/degradation.json"))
m = t["metrics"]
assert set(m) == {"forget_prob", "retain_prob", "extraction_strength"}, m
for v in m.values():
    assert v["difference"] == abs(v["mpu"] - v["noise_free"])
assert m["forget_prob"]["difference"] > 0
assert abs(t["mean_difference"] - sum(v["difference"] for v in m.values()) / 3) < 1e-12
r = json.load(open(sys.argv[1] + "/sim/run.json"))
assert r["inputs"][0]["role"] == "forget" and len(r["inputs"][0]["sha256"]) == 64 and r["settings"]["exact"] is True
P
	same "$(tree $M)" "$before"
	exits 0 $U score "$TMP/sim" --data "$TMP/forget.jsonl"
}

# The noise-free run of an earlier simulation serves another one of the same settings, and no other.
test_mpu__the_noise_free_run_is_made_once() {
	rows
	how="--only forget_prob,retain_prob --json"
	exits 0 $U mpu simulate $M $C --copies 2 --noise 0.1 $how -o "$TMP/first"
	mkdir "$TMP/kept"
	cp "$TMP/first/run.json" "$TMP/first/scores-noise-free.json" "$TMP/kept"
	exits 0 $U mpu simulate $M $C --copies 3 --noise 0.01 $how -o "$TMP/other"
	free() { sed 's/},/\n/g' "$1/degradation.json" | tr -d ' \n' | grep -o '"noise_free":[^,]*'; }
	for dir in "$TMP/kept" "$TMP/other"; do
		exits 0 $U mpu simulate $M $C --copies 3 --noise 0.01 $how --against "$dir" -o "$TMP/again" --force
		same "$(free "$TMP/again")" "$(free "$TMP/other")"
		[ ! -e "$TMP/again/noise-free" ] || fail "it was made again"
	done
	refuses 'differs from this one in its "run"' $U mpu simulate $M $C --copies 3 --lr 1e-4 $how --against "$TMP/kept" -o "$TMP/bad"
	refuses 'differs from this one in its "rounds"' $U mpu simulate $M $C --copies 3 --rounds 2 $how --against "$TMP/kept" -o "$TMP/bad"
	refuses 'differs from this one in its "seed"' $U mpu simulate $M $C --copies 3 --seed 2 $how --against "$TMP/kept" -o "$TMP/bad"
	refuses 'differs from this one in its "compared"' $U mpu simulate $M $C --copies 3 --only forget_prob --json --against "$TMP/kept" -o "$TMP/bad"
	head -n 3 "$TMP/forget.jsonl" >"$TMP/few"
	mv "$TMP/few" "$TMP/forget.jsonl"
	refuses 'differs from this one in its "inputs"' $U mpu simulate $M $C --copies 3 $how --against "$TMP/kept" -o "$TMP/bad"
	refuses "run.json" $U mpu simulate $M $C --copies 3 $how --against "$TMP/nowhere" -o "$TMP/bad"
	[ ! -e "$TMP/bad" ] || fail "a refused simulation left a folder"
}

# Without noise, AdamW under exact transforms does what it does without copies.
test_mpu__zero_noise_is_the_plain_run() {
	rows
	exits 0 $U mpu simulate $M $C --copies 3 --noise 0 --reparam none --only forget_prob -o "$TMP/none"
	same "$(weights "$TMP/none/model")" "$(weights "$TMP/none/noise-free")"
	exits 0 $U mpu simulate $M $C --copies 3 --noise 0 --only forget_prob,retain_prob -o "$TMP/full" --json
	python3 -c 'import json,sys; assert json.load(open(sys.argv[1]))["worst_difference"] < 1e-4' "$TMP/out"
}

# What rounds cost beside the unlearning in them, in processor time.
test_mpu__little_is_paid_for_the_rounds() {
	exits 0 $U synth -o "$TMP/world" --tiny --quiet
	exits 0 $U train --init llama-tiny --train-tokenizer 400 --data "$TMP/world/full.jsonl" --steps 1 -o "$TMP/model" --quiet
	how="--method npo --forget $TMP/world/forget.jsonl --retain $TMP/world/retain.jsonl --quiet --no-noise-free --threads 1"
	exits 0 $U mpu simulate "$TMP/model" $how --copies 2 --noise 0.1 --steps 80 -o "$TMP/sim"
	sed -nE 's/.*"overhead": *([-0-9.e]+).*/\1/p' "$TMP/sim/run.json" | awk '{ exit !($1 > 0 && $1 < 0.05) }' || fail "$(grep -A 4 processor "$TMP/sim/run.json")"
}

test_mpu__secrets_are_for_their_owner() {
	rows
	publish
	same "$(stat -c %a "$TMP/secret")" 700
	for f in noise.key sign.key state.json; do same "$(stat -c %a "$TMP/secret/$f")" 600; done
	first=$(tree "$TMP/pub")
	exits 0 $U mpu publish "$TMP/secret" -o "$TMP/pub" --force --quiet
	same "$(tree "$TMP/pub")" "$first"
	exits 0 $U mpu publish $M --secret "$TMP/other" -o "$TMP/pub3" --copies 3 --noise 0.1 --quiet
	[ "$(weights "$TMP/pub3/copy-0")" != "$(weights "$TMP/pub/copy-0")" ] || fail "another key published the same copy"
}

# finds FOLDER: exit 0 when a text of the forget rows, or their token ids as 32-bit or 64-bit numbers, lies anywhere in the folder
finds() {
	python3 - "$1" "$TMP/world/forget.jsonl" "$TMP/ids" <<'P'
import json, pathlib, struct, sys
needles = set()
for line in open(sys.argv[2]):
    r = json.loads(line)
    needles |= {r[k].encode() for k in ("prompt", "response", "subject") if len(r.get(k) or "") > 5}
for line in open(sys.argv[3]):
    ids = json.loads(line)["ids"][:6]
    needles |= {struct.pack("<6I", *ids), struct.pack("<6Q", *ids), ", ".join(map(str, ids)).encode()}
assert len(needles) > 10
for f in pathlib.Path(sys.argv[1]).rglob("*"):
    if f.is_file() and any(n in f.read_bytes() for n in needles):
        print(f)
        sys.exit(0)
sys.exit(1)
P
}
# secret FOLDER: names of the secret model's tensors whose bytes lie anywhere in the folder; constant ones (norms of ones) do not count
secret() {
	python3 - "$1" "$TMP/model/model/model.safetensors" <<'P'
import json, pathlib, struct, sys
b = pathlib.Path(sys.argv[2]).read_bytes()
n = struct.unpack("<Q", b[:8])[0]
there = [f.read_bytes() for f in pathlib.Path(sys.argv[1]).rglob("*") if f.is_file()]
for name, t in json.loads(b[8:8 + n]).items():
    if name != "__metadata__":
        data = b[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]]
        if data != data[:4] * (len(data) // 4) and any(data in x for x in there):
            print(name)
P
}

test_mpu__nothing_forbidden_leaves() {
	exits 0 $U synth -o "$TMP/world" --tiny --quiet
	exits 0 $U train --init llama-tiny --train-tokenizer 400 --data "$TMP/world/full.jsonl" --steps 3 -o "$TMP/model" --quiet
	$U tokenize "$TMP/model" --data "$TMP/world/forget.jsonl" >"$TMP/ids"
	how="--method npo --forget $TMP/world/forget.jsonl --retain $TMP/world/retain.jsonl --steps 1 --batch 2 --quiet"
	exits 0 $U mpu publish "$TMP/model" --secret "$TMP/secret" -o "$TMP/pub" --copies 2 --noise 0.1 --quiet
	exits 0 $U mpu client "$TMP/pub" $how -o "$TMP/up"
	exits 0 $U mpu client "$TMP/pub" $how --lora r=2,alpha=4,target=mlp -o "$TMP/up-lora"
	for sent in up up-lora; do ! finds "$TMP/$sent" || fail "$sent holds a row of the forget set"; done
	same "$(secret "$TMP/pub")" ""
	! grep -rqa "$(cat "$TMP/secret/noise.key")" "$TMP/pub" || fail "the noise key was published"
	! grep -rqa "$TMP" "$TMP/pub" "$TMP/up" "$TMP/up-lora" || fail "a path of this machine was sent"
	# The same searches find what is there: a row planted in an update, and what paper mode publishes as it is.
	cp -r "$TMP/up" "$TMP/planted"
	python3 - "$TMP" <<'P'
import json, struct, sys
row = json.loads(open(sys.argv[1] + "/ids").readline())["ids"]
with open(sys.argv[1] + "/planted/copy-1/model.safetensors", "r+b") as f:
    f.seek(-4096, 2)
    f.write(struct.pack(f"<{len(row)}I", *row))
P
	finds "$TMP/planted" || fail "a planted row was not found"
	exits 0 $U mpu publish "$TMP/model" --secret "$TMP/secret2" -o "$TMP/paper" --copies 2 --noise 0.1 --reparam paper
	has "$(cat "$TMP/out")" "published exactly as they are"
	same "$(secret "$TMP/paper" | tr '\n' ' ')" "model.embed_tokens.weight model.norm.weight "
	has "$(cat "$TMP/paper/manifest.json")" '"model.embed_tokens.weight"'
}

# edit UPDATE CODE: the weights of copy 0 as a list of floats x changed by python, and signed anew
edit() {
	python3 - "$1" "$2" <<'P'
import pathlib, struct, sys
f = pathlib.Path(sys.argv[1]) / "copy-0/model.safetensors"
b = f.read_bytes()
n = 8 + struct.unpack("<Q", b[:8])[0]
x = list(struct.unpack(f"<{(len(b) - n) // 4}f", b[n:]))
exec(sys.argv[2])
f.write_bytes(b[:n] + struct.pack(f"<{len(x)}f", *x))
P
	exits 0 $U mpu sign "$1" --identity "$TMP/client" --quiet
}

test_mpu__bad_updates_are_refused() {
	rows
	publish
	exits 0 $U mpu client "$TMP/pub" $C --identity "$TMP/client" -o "$TMP/up"
	secret=$(tree "$TMP/secret")
	bad() { # WHAT-IS-SAID SUFFIX
		refuses "$1" $U mpu collect "$TMP/secret" "$TMP/$2" --quiet
		same "$(tree "$TMP/secret")" "$secret"
	}
	fresh() { rm -rf "$TMP/bad"; cp -r "$TMP/up" "$TMP/bad"; }
	fresh; printf x >>"$TMP/bad/copy-0/model.safetensors"; bad "the manifest says" bad
	fresh; sed -i 's/"round": 1/"round": 2/' "$TMP/bad/manifest.json"; bad "signature" bad
	fresh; edit "$TMP/bad" 'x[5] = float("nan")'; bad "NaN" bad
	fresh; edit "$TMP/bad" 'x[5] = float("inf")'; bad "infinite" bad
	fresh; edit "$TMP/bad" 'x[5] = 1e6'; bad "too large" bad
	fresh; edit "$TMP/bad" 'x = x[:-1]'; bad "update of copy 0" bad
	fresh; cp "$TMP/bad/copy-1/model.safetensors" "$TMP/bad/copy-0/model.safetensors"; edit "$TMP/bad" ''; bad "same bytes" bad
	exits 0 $U mpu client "$TMP/pub" $C --copies 1 -o "$TMP/one"
	bad "no update of copy 0" one
	for names in 0,3 0,all 1,,2; do refuses "this round has copies 0 to 2" $U mpu client "$TMP/pub" $C --copies $names -o "$TMP/none"; done
	[ ! -e "$TMP/none" ] || fail "work was begun before --copies was read to its end"
	refuses "came back twice" $U mpu collect "$TMP/secret" "$TMP/up" "$TMP/one"
	exits 0 $U mpu publish tests/golden/methods/ref --secret "$TMP/other" -o "$TMP/otherpub" --copies 3 --noise 0.1 --quiet
	exits 0 $U mpu client "$TMP/otherpub" $C -o "$TMP/foreign"
	bad "another session" foreign
	bad "not an update" pub
	exits 0 $U mpu collect "$TMP/secret" "$TMP/up" --check
	exits 0 $U mpu collect "$TMP/secret" "$TMP/up" --quiet
	refuses "applied twice" $U mpu collect "$TMP/secret" "$TMP/up"
}

test_mpu__only_the_named_client_is_heard() {
	rows
	exits 0 $U mpu publish $M --secret "$TMP/first" -o "$TMP/pub1" --copies 2 --quiet
	exits 0 $U mpu client "$TMP/pub1" $C --identity "$TMP/alice" -o "$TMP/up1" --json
	key=$(sed -E 's/.*"key":"([0-9a-f]*)".*/\1/' "$TMP/out")
	publish --client "$key"
	exits 0 $U mpu client "$TMP/pub" $C --identity "$TMP/mallory" -o "$TMP/bad"
	refuses "was expected" $U mpu collect "$TMP/secret" "$TMP/bad"
	exits 0 $U mpu client "$TMP/pub" $C --identity "$TMP/alice" -o "$TMP/up"
	exits 0 $U mpu collect "$TMP/secret" "$TMP/up"
}

test_mpu__clients_are_told_what_cannot_work() {
	rows
	publish --turns any
	refuses "AdamW does not do the same" $U mpu client "$TMP/pub" $C -o "$TMP/up"
	[ ! -e "$TMP/up" ] || fail "a refused client left a folder"
	exits 0 $U mpu client "$TMP/pub" $C --inexact -o "$TMP/up"
	exits 0 $U mpu client "$TMP/pub" $C --optim sgd -o "$TMP/up2"
	refuses "only exact transforms" $U mpu publish tests/golden/families/qwen3 --secret "$TMP/s3" -o "$TMP/p3" --turns any
	[ ! -e "$TMP/s3" ] && [ ! -e "$TMP/p3" ] || fail "a refused model left a folder"
	refuses "was expected" $U mpu client "$TMP/pub" $C --trust 0000000000000000000000000000000000000000000000000000000000000000 -o "$TMP/up3"
	printf x >>"$TMP/pub/copy-1/model.safetensors"
	refuses "the manifest says" $U mpu client "$TMP/pub" $C --optim sgd -o "$TMP/up3"
}

# With its own clipping and noise the client says what that is worth. What it says is held against the two Gaussians themselves: what comes
# of a forget set and of the one farthest from it, both updates cut to 1 and opposite, so 2 apart in each copy and round, under noise of z.
# How well they are told apart is integrated here.
test_mpu__client_noise_has_an_account() {
	rows
	publish --max-update 0 --rounds 2
	exits 0 $U mpu client "$TMP/pub" $C --clip-update 0.01 --dp-noise 3 -o "$TMP/up" --json
	python3 - "$TMP/out" <<'P'
import json, math, sys
d = json.load(open(sys.argv[1]))["dp"]
def delta(epsilon, mechanisms, z):
    far = 2 * math.sqrt(mechanisms) / z  # along the line between them, in standard deviations
    step, total, x = 1e-3, 0.0, -12.0
    while x < far + 12:
        p, q = (math.exp(-(x - m) ** 2 / 2) / math.sqrt(2 * math.pi) for m in (far, 0))
        total += max(0.0, p - math.exp(epsilon) * q) * step
        x += step
    return total
assert d["delta"] == 1e-5 and d["rounds"] == 2 and "any other rows" in d["neighbours"]
for epsilon, mechanisms in (d["epsilon"], 3), (d["epsilon_rounds"], 6):
    assert delta(epsilon, mechanisms, 3) <= 1e-5, (epsilon, delta(epsilon, mechanisms, 3))
    assert delta(0.6 * epsilon, mechanisms, 3) > 1e-5, epsilon  # and not said far too large
P
	exits 0 $U mpu collect "$TMP/secret" "$TMP/up"
	exits 0 $U mpu publish "$TMP/secret" -o "$TMP/pub2" --quiet
	exits 0 $U mpu client "$TMP/pub2" --method npo --lr 1e-3 --batch 4 --epochs 1 --forget "$TMP/forget.jsonl" --retain "$TMP/retain.jsonl" --clip-update 0.01 --dp-noise 3 --copies 1 -o "$TMP/said"
	has "$(cat "$TMP/out")" "any other rows in place of all that this client holds"
	has "$(cat "$TMP/out")" "all 2 rounds of the session"
	refuses "must name" $U mpu client "$TMP/pub2" $C --dp-noise 3 -o "$TMP/up2"
	refuses "full updates" $U mpu client "$TMP/pub2" $C --clip-update 0.01 --lora r=2 -o "$TMP/up3"
}

# Killed at any moment, both sides go on to the same bits, and a round is applied once.
test_mpu__killed_sides_go_on() {
	rows
	publish
	exits 0 $U mpu client "$TMP/pub" $C --identity "$TMP/client" -o "$TMP/whole"
	cp -r "$TMP/secret" "$TMP/before"
	exits 0 $U mpu collect "$TMP/secret" "$TMP/whole" -o "$TMP/final"
	for at in write:1 write:2 write:4 rename:1 rename:2 fsync:3 fsync:6 rename:4; do
		rm -rf "$TMP/up"
		UNLEARN_CRASH_AT=$at $U mpu client "$TMP/pub" $C --identity "$TMP/client" -o "$TMP/up" >/dev/null 2>&1 && fail "client: $at was never passed" || true
		exits 0 $U mpu client "$TMP/pub" $C --identity "$TMP/client" -o "$TMP/up"
		same "$(tree "$TMP/up")" "$(tree "$TMP/whole")"
	done
	for at in write:1 write:3 rename:1 rename:2 fsync:1 fsync:4; do
		rm -rf "$TMP/secret"
		cp -r "$TMP/before" "$TMP/secret"
		chmod 700 "$TMP/secret"
		UNLEARN_CRASH_AT=$at $U mpu collect "$TMP/secret" "$TMP/whole" >/dev/null 2>&1 && fail "server: $at was never passed" || true
		$U mpu collect "$TMP/secret" "$TMP/whole" >/dev/null 2>"$TMP/err" || has "$(cat "$TMP/err")" "nothing is applied twice"
		same "$(weights "$TMP/secret/weights-2")" "$(weights "$TMP/final")"
	done
}

test_mpu__words_are_checked() {
	exits 2 $U mpu
	has "$(cat "$TMP/err")" "followed by what it should do"
	exits 2 $U mpu simulat
	has "$(cat "$TMP/err")" "mpu simulate"
	exits 2 $U mpu simulate $M --methd npo
	exits 2 $U mpu simulate $M --copies 1
	exits 2 $U mpu client "$TMP" --method npo
	for v in $($U help mpu | sed -n 's/^  mpu \([a-z]*\) .*/\1/p'); do
		exits 0 $U help mpu "$v"
		has "$(cat "$TMP/out")" "usage: unlearn mpu $v"
	done
}

# trained: $TMP/world, $TMP/base and $TMP/model, which was made from it
trained() {
	exits 0 $U synth -o "$TMP/world" --tiny --quiet
	exits 0 $U train --init llama-tiny --train-tokenizer 400 --data "$TMP/world/public.jsonl" --steps 10 --lr 3e-3 --batch 8 -o "$TMP/base" --quiet
	exits 0 $U train "$TMP/base" --data "$TMP/world/full.jsonl" --steps 20 --lr 3e-3 --batch 8 -o "$TMP/model" --quiet
	how="--forget $TMP/world/forget.jsonl --retain $TMP/world/retain.jsonl"
}

# What exact transforms hide is found, among the copies and from the public base, and what is found is the model.
test_mpu__attacks_find_what_copies_and_a_base_show() {
	trained
	for mode in paper full; do
		rm -rf "$TMP/secret" "$TMP/pub"
		exits 0 $U mpu publish "$TMP/model" --base "$TMP/base" --secret "$TMP/secret" -o "$TMP/pub" --copies 3 --noise 0.1 --reparam $mode --quiet
		before=$(tree "$TMP/secret")
		exits 0 $U mpu attack "$TMP/pub" --secret "$TMP/secret" --data "$TMP/world/full.jsonl" --json
		same "$(tree "$TMP/secret")" "$before"
		python3 - "$TMP/out" $mode <<'P'
import json, sys
r = json.load(open(sys.argv[1]))
s = r["settings"]
assert s["reparam"] == sys.argv[2] and s["turns"] == "exact" and s["alpha"] == "steps" and s["alphas"] == [1, 1.5, 2] and s["noise"] == 0.1 and s["copies"] == 3 and s["base"] is True, s
assert r["secret"]["noise_left"] == 0 and r["secret"]["accuracy"] > 0.1, r["secret"]
assert 0.9 < r["one copy"]["noise_left"] < 1.1
assert r["mean"]["noise_left"] > 2 and r["mean"]["nll"] > r["secret"]["nll"] + 0.01
for attack in "copies", "base":
    assert r[attack]["noise_left"] < 1e-3 and r[attack]["exact"] > 0.999 and r[attack]["cosine"] > 0.9999, (attack, r[attack])
    assert abs(r[attack]["nll"] - r["secret"]["nll"]) < 1e-3 and abs(r[attack]["accuracy"] - r["secret"]["accuracy"]) < 0.01, r
P
	done
	rm -rf "$TMP/secret" "$TMP/pub"
	exits 0 $U mpu publish "$TMP/model" --base "$TMP/base" --secret "$TMP/secret" -o "$TMP/pub" --copies 2 --noise 0.1 --turns any --quiet
	exits 0 $U mpu attack "$TMP/pub" --secret "$TMP/secret" --data "$TMP/world/full.jsonl"
	has "$(cat "$TMP/out")" "transforms full (any)"
	has "$(cat "$TMP/out")" "noise 0.1 of the task vector"
	has "$(cat "$TMP/out")" "accuracy"
}

# Bad updates go through the server's own check; how far the one that is taken moves the weights is measured, and is below the bound.
test_mpu__attacks_try_poison() {
	for how in "--max-update 0.5" "--alpha random --max-update 0.5" "--max-update 2 --clip-update 0.25 --server-lr 0.5" "--max-update 0"; do
		rm -rf "$TMP/secret" "$TMP/pub"
		exits 0 $U mpu publish $M --secret "$TMP/secret" -o "$TMP/pub" --copies 3 --noise 0.1 --client 1111111111111111111111111111111111111111111111111111111111111111 --quiet $how
		before=$(tree "$TMP/secret")
		exits 0 $U mpu attack "$TMP/pub" --secret "$TMP/secret" --json
		same "$(tree "$TMP/secret")" "$before"
		python3 - "$TMP/out" <<'P'
import json, sys
r = json.load(open(sys.argv[1]))
s, p = r["settings"], r["poison"]
cuts = [x for x in (s["max_update"], s["clip_update"]) if x > 0]
a = min(s["alphas"])
assert s["alphas"][p["copy"]] == a and len(s["alphas"]) == 3
tried = p["tried"]
twice = [t for t in tried if "once more" in t["what"]]
assert twice[0]["taken"] is False and "same bytes" in twice[0]["refused"] and twice[1]["taken"] is True, tried
last = tried[-1]
assert last["taken"] is True, last
if cuts:
    bound = s["server_lr"] * min(cuts) / a / sum(1 / x for x in s["alphas"])
    assert abs(p["one_copy_moves"] - bound) < 1e-9, (p, bound)
    sent = min(0.99 * s["max_update"], s["clip_update"] or 9)
    assert abs(last["moved"] - bound * sent / min(cuts)) < 1e-4, (last, bound)
    assert tried[0]["taken"] is False and "too large" in tried[0]["refused"], tried
else:
    assert p["one_copy_moves"] is None and last["moved"] > 0.3, p
P
	done
	exits 0 $U mpu attack "$TMP/pub" --secret "$TMP/secret"
	has "$(cat "$TMP/out")" "nothing limits how far"
	exits 2 $U mpu attack "$TMP/pub" --secret "$TMP/secret" --holdout "$TMP/pub/manifest.json"
	has "$(cat "$TMP/err")" "--update DIR must name it"
	! grep -qw "nan\|inf" "$TMP/out" || fail "$(cat "$TMP/out")"
}

# The server tells who was forgotten, from the update of whichever copy it has; SGD gives whole rows away; of an adapter it says what is not tried.
test_mpu__attacks_read_updates() {
	exits 0 $U synth -o "$TMP/world" --tiny --quiet
	exits 0 $U train --init llama-tiny --train-tokenizer 400 --data "$TMP/world/full.jsonl" --steps 20 --lr 3e-3 --batch 8 -o "$TMP/model" --quiet
	how="--forget $TMP/world/forget.jsonl --retain $TMP/world/retain.jsonl"
	exits 0 $U mpu publish "$TMP/model" --secret "$TMP/secret" -o "$TMP/pub" --copies 2 --noise 0.1 --reparam paper --quiet
	exits 0 $U mpu client "$TMP/pub" --method npo $how --batch 8 --epochs 20 --lr 1e-3 --weight-decay 0 -o "$TMP/up" --quiet
	exits 0 $U mpu attack "$TMP/pub" --secret "$TMP/secret" --update "$TMP/up" $how --holdout "$TMP/world/holdout.jsonl" --json
	python3 - "$TMP/out" <<'P'
import json, sys
u = json.load(open(sys.argv[1]))["updates"]
assert u["copy"] == 0 and u["membership_auc"] > 0.6, u
assert abs(u["tokens_auc"] - 0.5) > 0.2, u  # AdamW moves the rows of absent tokens further
assert u["rows_read"] == 0 and u["rows"] > 10, u
P
	head -n 1 "$TMP/world/forget.jsonl" >"$TMP/one"
	head -n 1 "$TMP/world/retain.jsonl" >"$TMP/other"
	few="--method graddiff --forget $TMP/one --retain $TMP/other --steps 1 --quiet"
	exits 0 $U mpu client "$TMP/pub" $few --copies 1 --optim sgd --lr 1 -o "$TMP/sgd"
	exits 0 $U mpu attack "$TMP/pub" --secret "$TMP/secret" --update "$TMP/sgd" --forget "$TMP/one" --retain "$TMP/other"
	has "$(cat "$TMP/out")" "from the update of copy 1"
	has "$(cat "$TMP/out")" "2 of 2 rows read whole, 100.0 % of their tokens"
	exits 0 $U mpu client "$TMP/pub" $few --copies 1 --lora r=2,alpha=4,target=mlp -o "$TMP/lora"
	exits 0 $U mpu attack "$TMP/pub" --secret "$TMP/secret" --update "$TMP/lora" --forget "$TMP/one" --retain "$TMP/other"
	has "$(cat "$TMP/out")" "not tried on an adapter: tokens and gradient inversion"
	exits 0 $U mpu collect "$TMP/secret" "$TMP/up" --quiet
	refuses "before its updates are collected" $U mpu attack "$TMP/pub" --secret "$TMP/secret"
}
