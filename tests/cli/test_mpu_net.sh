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
	same "$(find "$TMP/client" -type f | grep -vc '/lock$')" 0
	# Neither a word of the rows nor a number of the weights stands in what the server remembers.
	strings -n 6 "$TMP/secret/net/state.db" >"$TMP/words"
	"$U" source "$TMP/start" --source file --file "$TMP/world/forget.jsonl" -o "$TMP/rows" -q 2>/dev/null || cp "$TMP/world/forget.jsonl" "$TMP/rows"
	while read -r name; do ! grep -qF "$name" "$TMP/words" || fail "the audit trail knows $name"; done <"$TMP/world/subjects.txt"
	grep -q accepted "$TMP/words" || fail "the audit trail cannot be read: this test would find nothing"
}

# kill -9 of one side after the other, at random moments; MPU_SEED repeats a run, LONG=2 kills 50 times each (TEST_SECONDS=900).
test_mpu_net__killed_at_random_moments() {
	seed=${MPU_SEED:-$(date +%s)}
	times=$([ "${LONG:-0}" = 2 ] && echo 100 || echo 6)
	rounds=$([ "${LONG:-0}" = 2 ] && echo 12 || echo 2)
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
	died=0
	for i in $(seq "$times"); do
		sleep "$(awk -v s="$seed" -v i="$i" 'BEGIN { srand(s + i * 7919); rand(); printf "%.3f", rand() * 1.5 }')"
		if [ $((i % 2)) = 0 ]; then
			kill -9 $server 2>/dev/null && died=$((died + 1))
			wait $server 2>/dev/null || true
			[ -e "$TMP/final" ] || serve
		else
			kill -9 $client 2>/dev/null && died=$((died + 1))
			wait $client 2>/dev/null || true
			[ -e "$TMP/final" ] || join
		fi
	done
	wait $client || [ -e "$TMP/final" ] || fail "seed $seed: join: $(tail -n 3 "$TMP/client.err")"
	wait $server || [ -e "$TMP/final" ] || fail "seed $seed: serve: $(tail -n 3 "$TMP/server.err")"
	echo "$died of $times were killed while they worked"
	[ $died -gt 0 ] || fail "nothing was killed"
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
said = [f.read_bytes() for f in pathlib.Path(sys.argv[1]).iterdir()]
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
