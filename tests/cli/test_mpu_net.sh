# test_mpu_net.sh: MPU over the network with a real model: the same weights as over folders, whoever is killed and however bad the line.

export OMP_NUM_THREADS=1

world() { # rounds
	"$U" synth --tiny -o "$TMP/world" -q
	head -n 24 "$TMP/world/full.jsonl" >"$TMP/rows.jsonl"
	"$U" train --init llama-tiny --train-tokenizer 400 --data "$TMP/rows.jsonl" --steps 2 --batch 4 -o "$TMP/start" -q
	"$U" mpu certs -o "$TMP/certs" --clients 2 --hosts "localhost,127.0.0.1,10.213.7.1" -q
	"$U" mpu publish "$TMP/start" --secret "$TMP/secret" --copies 2 --noise 0.1 --rounds "$1" -o "$TMP/pub" -q
}

method="--method graddiff --forget $TMP/world/forget.jsonl --retain $TMP/world/retain.jsonl --steps 2 --batch 4 -q"

# The same rounds over folders, from a copy of the secret: what the network must arrive at.
by_folders() { # rounds
	cp -r "$TMP/secret" "$TMP/other"
	for r in $(seq "$1"); do
		rm -rf "$TMP/pub" "$TMP/update" "$TMP/want"
		"$U" mpu publish "$TMP/other" -o "$TMP/pub" -q
		"$U" mpu client "$TMP/pub" $method -o "$TMP/update"
		"$U" mpu collect "$TMP/other" "$TMP/update" -o "$TMP/want" -q
	done
}

port() { sed -n 's/.*"listening".*:\([0-9]*\)".*/\1/p' "$1" | tail -n 1; }
wait_for() { # file pattern seconds
	for i in $(seq $(($3 * 10))); do
		! grep -q "$2" "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	fail "$2 does not come in $1: $(tail -n 5 "$1")"
}

# numbers FILE: how often three weights in a row, before or after the rounds, stand in it
numbers() {
	python3 - "$1" "$TMP/start/model/model.safetensors" "$TMP/final/model.safetensors" <<'P'
import struct, sys
pieces = set()
for path in sys.argv[2:]:
    b = open(path, "rb").read()
    n = 8 + struct.unpack("<Q", b[:8])[0]
    pieces |= {b[i:i + 12] for i in range(n, len(b) - 11, 4) if b[i:i + 4] != b[i + 4:i + 8]}
said = open(sys.argv[1], "rb").read()
print(sum(said[i:i + 12] in pieces for i in range(len(said) - 11)))
P
}

test_mpu_net__arrives_where_folders_do() {
	world 2
	by_folders 2
	"$U" mpu serve "$TMP/secret" --certs "$TMP/certs/server" --listen 127.0.0.1:0 -o "$TMP/final" --json >"$TMP/log" 2>"$TMP/server.err" &
	server=$!
	wait_for "$TMP/log" listening 30
	"$U" mpu join "https://127.0.0.1:$(port "$TMP/log")" --certs "$TMP/certs/client-1" $method -o "$TMP/client" --json >"$TMP/client.log" || fail "join: $(cat "$TMP/client.log")"
	wait $server || fail "serve: $(cat "$TMP/server.err")"
	same "$(sha "$TMP/final/model.safetensors")" "$(sha "$TMP/want/model.safetensors")"
	same "$(grep -c '"accepted"' "$TMP/log")" 4
	same "$(grep -c '"applied"' "$TMP/log")" 2
	same "$(find "$TMP/client" -type f | grep -vc '/lock$\|/identity.key$')" 0
	same "$(stat -c %a "$TMP/client/identity.key")" 600
	# Neither a word of the rows nor a number of the weights stands in what the server remembers.
	strings -n 6 "$TMP/secret/net/state.db" >"$TMP/words"
	while read -r name; do ! grep -qF "$name" "$TMP/words" || fail "the audit trail knows $name"; done <"$TMP/world/subjects.txt"
	grep -q accepted "$TMP/words" || fail "the audit trail cannot be read: this test would find nothing"
	same "$(numbers "$TMP/secret/net/state.db")" 0
	{ cat "$TMP/secret/net/state.db"; head -c 40000 "$TMP/final/model.safetensors" | tail -c 20; } >"$TMP/planted"
	[ "$(numbers "$TMP/planted")" -gt 0 ] || fail "planted weights are not found"
}

# starts serve with what is given, and waits until it listens; its output is in $TMP/log
serve() {
	"$U" mpu serve "$TMP/secret" --certs "$TMP/certs/server" --listen 127.0.0.1:0 -o "$TMP/final" --json "$@" >"$TMP/log" 2>"$TMP/server.err" &
	server=$!
	wait_for "$TMP/log" listening 30
}
join() { "$U" mpu join "https://127.0.0.1:$(port "$TMP/log")" --certs "$TMP/certs/client-1" $method -o "$TMP/client" --json "$@" >"$TMP/client.log" 2>"$TMP/client.err"; }
said() { sed -n "s/.*\"event\":\"$1\".*\"detail\":\"\(.*\)\"}/\1/p" "$TMP/log"; } # the sentences of one kind of event

# What the real check refuses, sent by a client who may come, signed as it should be where that can be: one sentence in the server's log
# for each, the same sentence to the client, and the round ends as if they had never come.
test_mpu_net__wrong_updates() {
	world 2
	by_folders 2
	rm -rf "$TMP/pub"
	cp -r "$TMP/secret" "$TMP/copy"
	"$U" mpu publish "$TMP/copy" -o "$TMP/pub" -q
	"$U" mpu client "$TMP/pub" $method --identity "$TMP/key" -o "$TMP/made"
	for k in 0 1; do "$U" mpu client "$TMP/pub" $method --identity "$TMP/key" --copies $k -o "$TMP/made-$k"; done
	serve
	# refused PART: what lies in $TMP/bad is sent as the update of copy 0
	refused() {
		rm -rf "$TMP/client/round-1"
		mkdir -p "$TMP/client/round-1/copy-0"
		mv "$TMP/bad" "$TMP/client/round-1/update-0"
		before=$(said refused | wc -l)
		! join --identity "$TMP/key" || fail "taken: $1"
		same "$(said refused | wc -l)" $((before + 1))
		has "$(said refused | tail -n 1)" "$1"
		has "$(cat "$TMP/client.err" "$TMP/client.log")" "$1"
	}
	# change HOW: copy 0's update with numbers of one tensor changed, listed and signed anew
	change() {
		cp -r "$TMP/made-0" "$TMP/bad"
		python3 - "$TMP/bad/copy-0/model.safetensors" "$1" <<'P'
import json, struct, sys
b = bytearray(open(sys.argv[1], "rb").read())
n = struct.unpack("<Q", b[:8])[0]
t = json.loads(b[8:8 + n])["model.layers.0.mlp.up_proj.weight"]["data_offsets"]
at, end = 8 + n + t[0], 8 + n + t[1]
if sys.argv[2] == "nan":
    b[at + 40:at + 44] = struct.pack("<f", float("nan"))
else:
    b[at:end] = struct.pack("<f", 1e6) * ((end - at) // 4)
open(sys.argv[1], "wb").write(b)
P
		"$U" mpu sign "$TMP/bad" --identity "$TMP/key" -q
	}
	change nan
	refused "model.layers.0.mlp.up_proj.weight"
	has "$(said refused | tail -n 1)" "NaN"
	change huge
	refused "the update of copy 0 is too large: its length is"
	cp -r "$TMP/made-0" "$TMP/bad" # a byte after it was signed
	printf x | dd of="$TMP/bad/copy-0/model.safetensors" bs=1 seek=5000 conv=notrunc 2>/dev/null
	refused "SHA-256"
	cp -r "$TMP/made" "$TMP/bad" # of two copies
	refused "is one of 2 copies"
	cp -r "$TMP/made-1" "$TMP/bad" # of the other copy
	refused "the update came for copy 0, and is one of 1 copies, the first of them 1"
	# The right one is taken; then the other copy comes back as the same bytes under its own name, and signed with another key.
	mkdir -p "$TMP/client/round-1/copy-1"
	rm -rf "$TMP/client/round-1/update-0"
	cp -r "$TMP/made-0" "$TMP/client/round-1/update-0"
	cp -r "$TMP/made-0" "$TMP/client/round-1/update-1"
	mv "$TMP/client/round-1/update-1/copy-0" "$TMP/client/round-1/update-1/copy-1"
	sed -i 's/"copy": *0/"copy":1/; s,copy-0/,copy-1/,g' "$TMP/client/round-1/update-1/manifest.json"
	"$U" mpu sign "$TMP/client/round-1/update-1" --identity "$TMP/key" -q
	! join --identity "$TMP/key" || fail "one update was taken for two"
	same "$(said accepted | wc -l)" 1
	same "$(said refused | tail -n 1)" "copies 0 and 1 came back as the same bytes: one update was sent in place of two"
	rm -rf "$TMP/client/round-1/update-1"
	cp -r "$TMP/made-1" "$TMP/client/round-1/update-1"
	"$U" mpu sign "$TMP/client/round-1/update-1" --identity "$TMP/second-key" -q
	! join --identity "$TMP/key" || fail "a second key was taken"
	has "$(said refused | tail -n 1)" "since its first one"
	rm -rf "$TMP/client/round-1/update-1"
	cp -r "$TMP/made-1" "$TMP/client/round-1/update-1"
	# What was right in round 1 is sent again in round 2.
	mkdir -p "$TMP/client/round-2/copy-0"
	cp -r "$TMP/made-0" "$TMP/client/round-2/update-0"
	! join --identity "$TMP/key" || fail "an update of round 1 was taken in round 2"
	has "$(said refused | tail -n 1)" "is an update of round 1, and round 2 is open: nothing is applied twice"
	rm -rf "$TMP/client"
	join --identity "$TMP/key" || fail "join: $(cat "$TMP/client.log" "$TMP/client.err")"
	wait $server || fail "serve: $(cat "$TMP/server.err")"
	same "$(said refused | wc -l)" 8
	same "$(sha "$TMP/final/model.safetensors")" "$(sha "$TMP/want/model.safetensors")"
}

# The disk of the secret folder is full when a round is collected: said, and tried again until there is room.
test_mpu_net__secret_disk_is_full() {
	unshare -m true 2>/dev/null || skip "mounting a small file system needs privileges"
	world 1
	by_folders 1
	mkdir "$TMP/disk"
	cat >"$TMP/inside.sh" <<'S'
. tests/cli/lib.sh
mount -t tmpfs -o size=64m none "$TMP/disk" 2>/dev/null || exit 77
mv "$TMP/secret" "$TMP/disk/secret"
ln -s "$TMP/disk/secret" "$TMP/secret"
. "$TMP/functions.sh"
serve --state "$TMP/state"
dd if=/dev/zero of="$TMP/disk/ballast" bs=64k 2>/dev/null || true
join &
client=$!
wait_for "$TMP/log" "No space left on device" 60
has "$(said trouble | tail -n 1)" "cannot write"
same "$(said applied | wc -l)" 0
kill -0 $server || fail "the server has ended"
rm "$TMP/disk/ballast"
wait $client || fail "join: $(cat "$TMP/client.log" "$TMP/client.err")"
wait $server || fail "serve: $(cat "$TMP/server.err")"
same "$(said applied | wc -l)" 1
S
	{
		echo "method='$method'"
		sed -n '/^port() /p; /^wait_for() /,/^}/p; /^serve() /,/^}/p; /^join() /p; /^said() /p' tests/cli/test_mpu_net.sh
	} >"$TMP/functions.sh"
	rc=0
	unshare -m sh "$TMP/inside.sh" || rc=$?
	[ $rc != 77 ] || skip "mounting a small file system needs privileges"
	[ $rc = 0 ] || fail "exit status $rc"
	same "$(sha "$TMP/final/model.safetensors")" "$(sha "$TMP/want/model.safetensors")"
}

# What the client's noise guarantees is said where it is made, and what the server publishes is said where it is published.
test_mpu_net__says_what_is_published_and_what_noise_guarantees() {
	world 1
	serve
	join --clip-update 0.0001 --dp-noise 2 || fail "join: $(cat "$TMP/client.log" "$TMP/client.err")"
	wait $server || fail "serve: $(cat "$TMP/server.err")"
	same "$(grep -c '"event":"privacy".*"copy":[01],"detail":"the whole forget set in the update of this copy: ε ' "$TMP/client.log")" 2
	same "$(grep -c privacy "$TMP/log")" 0
	has "$(said published)" "no tensor is published exactly as it is; as f32, noise changes 100 % of the weights it should"
	rm -rf "$TMP/secret" "$TMP/final" "$TMP/client" "$TMP/pub"
	"$U" mpu publish "$TMP/start" --secret "$TMP/secret" --copies 2 --noise 0.0001 --dtype bf16 --reparam paper --rounds 2 -o "$TMP/pub" -q
	serve
	join || fail "join: $(cat "$TMP/client.log" "$TMP/client.err")"
	wait $server || fail "serve: $(cat "$TMP/server.err")"
	same "$(said published | grep -c 'tensors are published exactly as they are, the first of them model.')" 2
	has "$(cat "$TMP/server.err")" "the others are published as they are"
}

# At its fullest `mpu serve` takes little more memory than a copy: publishing, sending, receiving, judging and collecting two of them. What
# the program takes besides is what it takes for a model of 3 MB.
test_mpu_net__memory_of_the_server() {
	! nm "$U" 2>/dev/null | grep -q __asan_init || skip "a sanitizer keeps what is freed"
	world 1
	method="--method ga --forget $TMP/world/forget.jsonl --steps 1 --batch 1 -q"
	peak() { # KiB
		serve
		join || fail "join: $(cat "$TMP/client.log" "$TMP/client.err")"
		wait_for "$TMP/log" '"applied"' 60
		sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$server/status" >"$TMP/peak"
		wait $server || fail "serve: $(cat "$TMP/server.err")"
	}
	peak
	small=$(cat "$TMP/peak")
	rm -rf "$TMP/secret" "$TMP/pub" "$TMP/final" "$TMP/client"
	cat >"$TMP/config.json" <<'J'
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "num_hidden_layers": 20, "hidden_size": 384, "num_attention_heads": 6, "num_key_value_heads": 3,
 "intermediate_size": 1024, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000, "vocab_size": 2000, "tie_word_embeddings": true}
J
	"$U" train --init "$TMP/config.json" --train-tokenizer 400 --data "$TMP/rows.jsonl" --steps 1 --batch 1 -o "$TMP/large" -q
	"$U" mpu publish "$TMP/large" --secret "$TMP/secret" --copies 2 --noise 0.1 -o "$TMP/pub" -q
	copy=$(($(wc -c <"$TMP/large/model/model.safetensors") / 1024))
	peak
	large=$(cat "$TMP/peak")
	[ "$small" -gt 1000 ] && [ "$large" -gt "$small" ] || fail "the peak cannot be read: $small, $large"
	echo "$large KiB with copies of $copy KiB, $small KiB with small ones"
	[ $(((large - small) * 10)) -lt $((copy * 13)) ] || fail "$large KiB with copies of $copy KiB, $small KiB with small ones"
}

# A certificate that `mpu certs --revoke` has revoked is shut out, also while the server runs.
test_mpu_net__revoked() {
	world 1
	"$U" mpu certs -o "$TMP/certs" --revoke client-2 -q
	serve --revoked "$TMP/certs/revoked.pem"
	refuse() {
		! "$U" mpu join "https://127.0.0.1:$(port "$TMP/log")" --certs "$TMP/certs/$1" $method -o "$TMP/out" --json >"$TMP/client.log" 2>"$TMP/client.err" || fail "$1 was let in"
		has "$(said refused | tail -n 1)" "its certificate was revoked"
	}
	refuse client-2
	"$U" mpu certs -o "$TMP/certs" --revoke client-1 -q
	refuse client-1
	kill $server
	wait $server || true
	command -v openssl >/dev/null || return 0
	openssl crl -in "$TMP/certs/revoked.pem" -CAfile "$TMP/certs/ca.pem" -noout -text >"$TMP/crl" 2>&1
	has "$(cat "$TMP/crl")" "verify OK"
	same "$(grep -c 'Serial Number:' "$TMP/crl")" 2
}

# kill -9 of one side after the other, at random moments, until each has died often enough: it counts who was ended by the signal, not who
# had ended before. MPU_SEED repeats a run; LONG=2 kills each side 50 times (TEST_SECONDS=1500).
test_mpu_net__killed_at_random_moments() {
	seed=${MPU_SEED:-$(date +%s)}
	times=$([ "${LONG:-0}" = 2 ] && echo 50 || echo 3)
	rounds=$([ "${LONG:-0}" = 2 ] && echo 60 || echo 3)
	world "$rounds"
	by_folders "$rounds"
	certs=$TMP/certs
	listen=127.0.0.1:0
	serve() { "$U" mpu serve "$TMP/secret" --certs "$certs/server" --listen "$listen" --quota 100000 -o "$TMP/final" --json -q >>"$TMP/log" 2>>"$TMP/server.err" & server=$!; }
	join() { "$U" mpu join "https://$listen" --certs "$certs/client-1" $method -o "$TMP/client" --json >>"$TMP/client.log" 2>>"$TMP/client.err" & client=$!; }
	serve
	wait_for "$TMP/log" listening 30
	listen=127.0.0.1:$(port "$TMP/log")
	join
	echo "seed $seed"
	killed_server=0 killed_client=0 i=0 begun=$(date +%s)
	while [ ! -e "$TMP/final" ] && { [ $killed_server -lt "$times" ] || [ $killed_client -lt "$times" ]; }; do
		i=$((i + 1))
		sleep "$(awk -v s="$seed" -v i="$i" 'BEGIN { srand(s + i * 7919); rand(); printf "%.3f", rand() * 1.2 }')"
		rc=0
		if [ $((i % 2)) = 0 ]; then
			kill -9 $server 2>/dev/null || true
			wait $server 2>/dev/null || rc=$?
			[ $rc != 137 ] || killed_server=$((killed_server + 1))
			[ $rc = 137 ] || [ $rc = 0 ] || fail "seed $seed: serve ended with $rc: $(tail -n 3 "$TMP/server.err")"
			[ -e "$TMP/final" ] || serve
		else
			kill -9 $client 2>/dev/null || true
			wait $client 2>/dev/null || rc=$?
			[ $rc != 137 ] || killed_client=$((killed_client + 1))
			[ $rc = 137 ] || [ $rc = 0 ] || fail "seed $seed: join ended with $rc: $(tail -n 3 "$TMP/client.err")"
			[ $rc != 0 ] || break # it was told that all is over
			[ -e "$TMP/final" ] || join
		fi
	done
	wait $client || [ -e "$TMP/final" ] || fail "seed $seed: join: $(tail -n 3 "$TMP/client.err")"
	wait $server || [ -e "$TMP/final" ] || fail "seed $seed: serve: $(tail -n 3 "$TMP/server.err")"
	echo "the server was killed $killed_server times and the client $killed_client times, in $(($(date +%s) - begun)) seconds, $rounds rounds"
	[ -z "${KILLS:-}" ] || echo "seed $seed: the server was killed $killed_server times and the client $killed_client times, in $(($(date +%s) - begun)) seconds, $rounds rounds" >"$KILLS"
	[ $killed_server -gt 0 ] && [ $killed_client -gt 0 ] || fail "seed $seed: one side was never killed"
	[ "${LONG:-0}" != 2 ] || { [ $killed_server -ge 50 ] && [ $killed_client -ge 50 ]; } || fail "seed $seed: all was over before each side had died 50 times"
	same "seed $seed: $(sha "$TMP/final/model.safetensors")" "seed $seed: $(sha "$TMP/want/model.safetensors")"
}

# What each side writes before it is encrypted, and reads after it was decrypted, one file for each connection and direction: a library
# put before GnuTLS in the server, which sees all of what travels.
spy() {
	command -v cc >/dev/null || skip "cc is not here to build what listens before TLS"
	cat >"$TMP/spy.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
static void note(const void *session, char way, const void *data, ssize_t n)
{
	char path[4096];
	if (n <= 0)
		return;
	snprintf(path, sizeof path, "%s/%p.%c", getenv("SPY"), session, way);
	FILE *f = fopen(path, "ab");
	if (!f || fwrite(data, 1, (size_t)n, f) != (size_t)n || fclose(f))
		abort();
}
ssize_t gnutls_record_send(void *s, const void *data, size_t n)
{
	static ssize_t (*real)(void *, const void *, size_t);
	if (!real)
		real = (ssize_t(*)(void *, const void *, size_t))dlsym(RTLD_NEXT, "gnutls_record_send");
	ssize_t sent = real(s, data, n);
	note(s, 'o', data, sent);
	return sent;
}
ssize_t gnutls_record_recv(void *s, void *data, size_t n)
{
	static ssize_t (*real)(void *, void *, size_t);
	if (!real)
		real = (ssize_t(*)(void *, void *, size_t))dlsym(RTLD_NEXT, "gnutls_record_recv");
	ssize_t got = real(s, data, n);
	note(s, 'i', data, got);
	return got;
}
C
	cc -shared -fPIC -O1 -o "$TMP/spy.so" "$TMP/spy.c" -ldl || fail "the spy cannot be built"
	mkdir "$TMP/line"
}

# heard FOLDER: what of the forbidden was said there: rows (a text of the forget set, or its token ids) and secret tensors by name
heard() {
	python3 - "$1" "$TMP" <<'P'
import json, pathlib, struct, sys
said = [f.read_bytes() for f in pathlib.Path(sys.argv[1]).rglob("*") if f.is_file()]
tmp = pathlib.Path(sys.argv[2])
rows = set()
for line in open(tmp / "world/forget.jsonl"):
    r = json.loads(line)
    rows |= {r[k].encode() for k in ("prompt", "response", "subject") if len(r.get(k) or "") > 5}
for line in open(tmp / "ids"):
    ids = json.loads(line)["ids"][:6]
    rows |= {struct.pack("<6I", *ids), struct.pack("<6Q", *ids), ", ".join(map(str, ids)).encode(), ",".join(map(str, ids)).encode()}
assert len(rows) > 10
if any(n in x for n in rows for x in said):
    print("rows")
b = (tmp / "start/model/model.safetensors").read_bytes()
n = struct.unpack("<Q", b[:8])[0]
for name, t in json.loads(b[8:8 + n]).items():
    if name != "__metadata__":
        data = b[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]]
        if data != data[:4] * (len(data) // 4) and any(data in x for x in said):
            print(name)
P
}

# Before TLS neither a row nor a secret tensor is said; and who listens hears what is planted, and what paper mode publishes.
test_mpu_net__nothing_forbidden_before_tls() {
	! nm "$U" 2>/dev/null | grep -q __asan_init || skip "a sanitizer wants to be the first library"
	world 1
	spy
	"$U" tokenize "$TMP/start" --data "$TMP/world/forget.jsonl" >"$TMP/ids"
	round() { # name secret
		mkdir -p "$TMP/line/$1"
		LD_PRELOAD="$TMP/spy.so" SPY="$TMP/line/$1" "$U" mpu serve "$2" --certs "$TMP/certs/server" --listen 127.0.0.1:0 -o "$TMP/final-$1" --json >"$TMP/log-$1" 2>"$TMP/server.err" &
		server=$!
		wait_for "$TMP/log-$1" listening 30
		"$U" mpu join "https://127.0.0.1:$(port "$TMP/log-$1")" --certs "$TMP/certs/client-1" $method -o "$TMP/client-$1" --json >"$TMP/client.log" || fail "join: $(cat "$TMP/client.log")"
		wait $server || fail "serve: $(cat "$TMP/server.err")"
	}
	round full "$TMP/secret"
	[ "$(cat "$TMP/line/full"/* | wc -c)" -gt "$(wc -c <"$TMP/start/model/model.safetensors")" ] || fail "nothing was heard"
	same "$(heard "$TMP/line/full")" ""
	! grep -qa "$(cat "$TMP/secret/noise.key")" "$TMP/line/full"/* || fail "the noise key was said"
	! grep -qa "$TMP" "$TMP/line/full"/* || fail "a path of this machine was said"
	"$U" mpu publish "$TMP/start" --secret "$TMP/secret-paper" --copies 2 --noise 0.1 --reparam paper -o "$TMP/pub-paper" -q
	round paper "$TMP/secret-paper"
	same "$(heard "$TMP/line/paper" | tr '\n' ' ')" "model.embed_tokens.weight model.norm.weight "
	head -c 3000 "$TMP/line/full"/*.i >"$TMP/line/full/planted"
	head -n 1 "$TMP/world/forget.jsonl" >>"$TMP/line/full/planted"
	same "$(heard "$TMP/line/full")" rows
}

# The same on the disks of both sides, in the middle of a round: a server that gives each client one copy waits for a second client.
test_mpu_net__nothing_forbidden_on_the_disks() {
	world 1
	"$U" tokenize "$TMP/start" --data "$TMP/world/forget.jsonl" >"$TMP/ids"
	serve --per-client 1
	join &
	client=$!
	wait_for "$TMP/log" '"accepted"' 60
	wait_for "$TMP/client.log" '"accepted"' 60
	kill $client $server
	wait $client || true
	wait $server || true
	for f in "$TMP/client/round-1/copy-0" "$TMP/client/round-1/update-0" "$TMP/secret/net/round-1/published/copy-1" "$TMP/secret/net/round-1/update-0" "$TMP/secret/net/state.db"; do
		[ -e "$f" ] || fail "there is no $f: this test would look at nothing"
	done
	same "$(heard "$TMP/secret/net")" ""
	same "$(heard "$TMP/client")" ""
	! grep -qa "$(cat "$TMP/secret/noise.key")" -r "$TMP/client" || fail "the client has the noise key"
	head -n 1 "$TMP/world/forget.jsonl" >"$TMP/secret/net/round-1/planted"
	same "$(heard "$TMP/secret/net")" rows
	cp "$TMP/start/model/model.safetensors" "$TMP/client/round-1/planted"
	has "$(heard "$TMP/client" | tr '\n' ' ')" "model.layers.0.mlp.up_proj.weight "
}

# Made by `mpu certs` and refused: those of another authority, and those that have expired; the log says why in one line.
test_mpu_net__bad_certificates() {
	world 1
	"$U" mpu certs -o "$TMP/foreign" -q
	"$U" mpu certs -o "$TMP/old" --days 0 -q
	"$U" mpu serve "$TMP/secret" --certs "$TMP/certs/server" --listen 127.0.0.1:0 -o "$TMP/final" --json >"$TMP/log" 2>"$TMP/server.err" &
	server=$!
	wait_for "$TMP/log" listening 30
	join() { "$U" mpu join "https://127.0.0.1:$(port "$TMP/log")" --certs "$1" $method -o "$TMP/client" --json >"$TMP/client.log" 2>"$TMP/client.err"; }
	for who in foreign old; do
		! join "$TMP/$who/client-1" || fail "a server of another authority was believed"
		has "$(cat "$TMP/client.log" "$TMP/client.err")" "cannot be trusted"
		cp "$TMP/certs/client-1/ca.pem" "$TMP/$who/client-1/ca.pem"
		! join "$TMP/$who/client-1" || fail "$who was let in"
	done
	same "$(grep -c '"leased"' "$TMP/log")" 0
	[ "$(grep -c 'another authority' "$TMP/log")" -ge 1 ] || fail "$(cat "$TMP/log")"
	join "$TMP/certs/client-1" || fail "join: $(cat "$TMP/client.log")"
	wait $server || fail "serve: $(cat "$TMP/server.err")"
}
