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
