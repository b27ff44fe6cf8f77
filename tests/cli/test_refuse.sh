# test_refuse.sh: what strangers hand in. Each is refused with one sentence that names the thing, exit status 1, no output and no
# crash; what is only unusual is said aloud and done. Bytes are bent with perl, which every Debian has.
export OMP_NUM_THREADS=1

# A small whole model in $TMP/m and rows that fit it.
model() {
	"$U" synth --tiny -o "$TMP/world" -q
	head -n 20 "$TMP/world/full.jsonl" >"$TMP/rows.jsonl"
	"$U" train --init llama-tiny --train-tokenizer 400 --data "$TMP/rows.jsonl" --steps 1 --batch 2 -o "$TMP/start" -q
	mv "$TMP/start/model" "$TMP/m"
	exits 0 "$U" score "$TMP/m" --data "$TMP/rows.jsonl" -q
}

# st FILE HEADER BYTES: a safetensors file with that JSON header and so many zero bytes of data
st() { perl -e 'my ($f, $h, $n) = @ARGV; open F, ">", $f or die; binmode F; print F pack("Q<", length $h), $h, "\0" x $n' "$1" "$2" "$3"; }

# bend FILE PERL: runs PERL on the file's bytes in $_
bend() { perl -0777 -i -pe "$2" "$1"; }

# Refused by everything that opens a model: score, train, export; and nothing appears.
bad_model() { # part of the sentence
	refuses "$1" "$U" score "$TMP/m" --data "$TMP/rows.jsonl" -q
	refuses "$1" "$U" train "$TMP/m" --data "$TMP/rows.jsonl" --steps 1 -o "$TMP/result" -q
	refuses "$1" "$U" export "$TMP/m" -o "$TMP/result" --to hf -q
	nothing
}
nothing() { [ -z "$(ls -A "$TMP" | grep '^result\|^\.result\|\.ul-')" ] || fail "left behind: $(ls -A "$TMP")"; }

test_refuse__truncated_safetensors() {
	model
	bend "$TMP/m/model.safetensors" 'substr($_, -1000) = ""'
	bad_model model.safetensors
	bend "$TMP/m/model.safetensors" '$_ = substr($_, 0, 100)'
	bad_model model.safetensors
	bend "$TMP/m/model.safetensors" '$_ = substr($_, 0, 5)'
	bad_model model.safetensors
	: >"$TMP/m/model.safetensors"
	bad_model model.safetensors
}

test_refuse__lying_safetensors() {
	model
	cp "$TMP/m/model.safetensors" "$TMP/good"
	bend "$TMP/m/model.safetensors" 'substr($_, 0, 8) = pack("Q<", 1 << 62)'
	bad_model model.safetensors
	cp "$TMP/good" "$TMP/m/model.safetensors"
	bend "$TMP/m/model.safetensors" 's/"data_offsets":\[0,/"data_offsets":[8,/'
	bad_model model.safetensors
	cp "$TMP/good" "$TMP/m/model.safetensors"
	bend "$TMP/m/model.safetensors" 's/"dtype":"F32"/"dtype":"F99"/'
	bad_model F99
	st "$TMP/m/model.safetensors" '{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]}}' 24
	bad_model model.safetensors
	st "$TMP/m/model.safetensors" '{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}}' 16
	bad_model model.safetensors
	st "$TMP/m/model.safetensors" '{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}' 16
	bad_model uplicate
	st "$TMP/m/model.safetensors" '{"a":{"dtype":"F32","shape":[-2,2],"data_offsets":[0,16]}}' 16
	bad_model model.safetensors
	st "$TMP/m/model.safetensors" '[' 0
	bad_model model.safetensors
	st "$TMP/m/model.safetensors" '{}' 0
	bad_model m
}

test_refuse__missing_shard() {
	model
	mv "$TMP/m/model.safetensors" "$TMP/m/model-00001-of-00002.safetensors"
	echo '{"weight_map":{"model.embed_tokens.weight":"model-00001-of-00002.safetensors","model.norm.weight":"model-00002-of-00002.safetensors"}}' \
		>"$TMP/m/model.safetensors.index.json"
	bad_model model-00002-of-00002.safetensors
	echo '{"weight_map":{"model.embed_tokens.weight":"../../etc/passwd"}}' >"$TMP/m/model.safetensors.index.json"
	bad_model "no file name"
	echo '{"weight_map":' >"$TMP/m/model.safetensors.index.json"
	bad_model index.json
}

test_refuse__config() {
	model
	cp "$TMP/m/config.json" "$TMP/good"
	sed -i 's/"hidden_size": *[0-9]*/"hidden_size": 256/' "$TMP/m/config.json"
	bad_model 256
	cp "$TMP/good" "$TMP/m/config.json"
	sed -i 's/"num_hidden_layers": *[0-9]*/"num_hidden_layers": 9/' "$TMP/m/config.json"
	bad_model model.layers
	cp "$TMP/good" "$TMP/m/config.json"
	sed -i 's/"model_type": *"[a-z]*"/"model_type": "zzzformer"/; s/"LlamaForCausalLM"/"ZzzForCausalLM"/' "$TMP/m/config.json"
	bad_model zzzformer
	cp "$TMP/good" "$TMP/m/config.json"
	sed -i 's/"num_attention_heads": *[0-9]*/"num_attention_heads": 0/' "$TMP/m/config.json"
	bad_model num_attention_heads
	cp "$TMP/good" "$TMP/m/config.json"
	sed -i 's/"num_hidden_layers": *[0-9]*/"num_hidden_layers": 99999999999/' "$TMP/m/config.json"
	bad_model num_hidden_layers
	echo '{"model_type":' >"$TMP/m/config.json"
	bad_model config.json
	rm "$TMP/m/config.json"
	bad_model config.json
}

test_refuse__weights_that_are_no_numbers() {
	model
	cp "$TMP/m/model.safetensors" "$TMP/good"
	bend "$TMP/m/model.safetensors" 'substr($_, -4) = pack("V", 0x7fc00000)'
	bad_model finite
	cp "$TMP/good" "$TMP/m/model.safetensors"
	bend "$TMP/m/model.safetensors" 'substr($_, -4000, 4) = pack("V", 0xff800000)'
	bad_model finite
}

test_refuse__tokenizers() {
	model
	cp "$TMP/m/tokenizer.json" "$TMP/good"
	bend "$TMP/m/tokenizer.json" 's/"merges":\s*\[/"merges":[["zqzqzq","xyxyxy"],/'
	bad_model merge
	cp "$TMP/good" "$TMP/m/tokenizer.json"
	bend "$TMP/m/tokenizer.json" '$_ = substr($_, 0, 3000)'
	bad_model tokenizer.json
	echo '{"model":{"type":"Mystery","vocab":{"a":0}}}' >"$TMP/m/tokenizer.json"
	bad_model Mystery
	echo '{"model":{"type":"BPE","vocab":{"a":-5},"merges":[]}}' >"$TMP/m/tokenizer.json"
	bad_model tokenizer.json
	echo '{"model":{"type":"BPE","vocab":{"a":4000000000},"merges":[]}}' >"$TMP/m/tokenizer.json"
	bad_model tokenizer.json
}

test_refuse__gguf() {
	model
	exits 0 "$U" export "$TMP/m" -o "$TMP/good.gguf" --to gguf --dtype f32 -q
	exits 0 "$U" score "$TMP/good.gguf" --data "$TMP/rows.jsonl" -q
	for how in 'substr($_, 8, 8) = pack("Q<", 1 << 60)' 'substr($_, 16, 8) = pack("Q<", 1 << 60)' 'substr($_, 4, 4) = pack("V", 99)' \
		'substr($_, 0, 4) = "GGUX"' 'substr($_, -5000) = ""' '$_ = substr($_, 0, 200)' '$_ = substr($_, 0, 10)' '$_ = ""' \
		'my $i = index($_, "blk.0.attn_q.weight"); substr($_, $i + 19 + 4 + 16 + 4, 8) = pack("Q<", 1 << 50)' \
		'my $i = index($_, "blk.0.attn_q.weight"); substr($_, $i + 19 + 4 + 16 + 4, 8) = pack("Q<", 33)' \
		'my $i = index($_, "blk.0.attn_q.weight"); substr($_, $i + 19, 4) = pack("V", 77)' \
		'my $i = index($_, "blk.0.attn_q.weight"); substr($_, $i - 8, 8) = pack("Q<", 1 << 40)'; do
		cp "$TMP/good.gguf" "$TMP/bad.gguf"
		bend "$TMP/bad.gguf" "$how"
		echo "bent: $how"
		refuses bad.gguf "$U" score "$TMP/bad.gguf" --data "$TMP/rows.jsonl" -q
		refuses bad.gguf "$U" train "$TMP/bad.gguf" --data "$TMP/rows.jsonl" --steps 1 -o "$TMP/result" -q
		nothing
	done
}

test_refuse__rows() {
	model
	bad_rows() { # part
		refuses "$1" "$U" score "$TMP/m" --data "$TMP/bad.jsonl" -q
		refuses "$1" "$U" train "$TMP/m" --data "$TMP/bad.jsonl" --steps 1 -o "$TMP/result" -q
		refuses "$1" "$U" run "$TMP/m" --method ga --forget "$TMP/bad.jsonl" --steps 1 -o "$TMP/result" -q
		nothing
	}
	: >"$TMP/bad.jsonl"
	bad_rows bad.jsonl
	printf '{"text":"one"}\n{"text":"two\n' >"$TMP/bad.jsonl"
	bad_rows "2"
	printf '{"text":"one"}\n{"prompt":"p","response":"r"}\n' >"$TMP/bad.jsonl"
	bad_rows "2"
	printf '{"text":"one"}\n{"text":"\377\376"}\n' >"$TMP/bad.jsonl"
	bad_rows "2"
	printf '{"unknown":"one"}\n' >"$TMP/bad.jsonl"
	bad_rows "1"
	printf '{"text":5}\n' >"$TMP/bad.jsonl"
	bad_rows "1"
	printf '{"ids":[1,2,999999]}\n' >"$TMP/bad.jsonl"
	bad_rows 999999
	printf '{"text":"abc","spans":[{"start":2,"end":99,"type":"X"}]}\n' >"$TMP/bad.jsonl"
	bad_rows 99
	printf '{"text":"a\\u0000b"}\n' >"$TMP/bad.jsonl"
	bad_rows 'line 1 is not valid JSON: column 18: \u0000 is not allowed'
	printf '\0\0\0' >"$TMP/bad.jsonl"
	bad_rows bad.jsonl
	rm "$TMP/bad.jsonl"
	bad_rows bad.jsonl
}

test_refuse__said_aloud() {
	model
	cat "$TMP/world/retain.jsonl" >"$TMP/retain.jsonl"
	head -n 3 "$TMP/world/forget.jsonl" >>"$TMP/retain.jsonl"
	exits 0 "$U" run "$TMP/m" --method npo --forget "$TMP/world/forget.jsonl" --retain "$TMP/retain.jsonl" --steps 1 -o "$TMP/result"
	has "$(cat "$TMP/err")" 3
	grep -qi 'forget.*retain\|retain.*forget\|overlap' "$TMP/err" || fail "the overlap is not said: $(cat "$TMP/err")"
	perl -e 'print "{\"text\":\"", "many words " x 3000, "\"}\n"' >"$TMP/long.jsonl"
	exits 0 "$U" score "$TMP/m" --data "$TMP/long.jsonl"
	grep -qi 'cut\|longer' "$TMP/err" || fail "that a row was cut is not said: $(cat "$TMP/err")"
	exits 0 "$U" train "$TMP/m" --data "$TMP/long.jsonl" --steps 1 -o "$TMP/result2"
	grep -qi 'cut\|longer' "$TMP/err" || fail "that a row was cut is not said: $(cat "$TMP/err")"
}

test_refuse__full_disk() {
	model
	# 512 KB a file and the signal ignored stands in for a full disk: the weights have 3 MB.
	small() { (trap '' XFSZ; ulimit -f 1000; exec "$@"); }
	refuses "cannot write" small "$U" train "$TMP/m" --data "$TMP/rows.jsonl" --steps 1 -o "$TMP/result" -q
	[ ! -e "$TMP/result/model" ] || fail "half a model was left"
	rm -rf "$TMP/result"
	refuses "cannot write" small "$U" export "$TMP/m" -o "$TMP/result" --to hf -q
	refuses "cannot write" small "$U" export "$TMP/m" -o "$TMP/result.gguf" --to gguf -q
	nothing
	exits 1 sh -c '"$1" score "$2" --data "$3" -q >/dev/full' sh "$U" "$TMP/m" "$TMP/rows.jsonl"
}

test_refuse__read_only_output() {
	model
	mkdir "$TMP/ro"
	chmod 555 "$TMP/ro"
	where=$TMP/ro
	# root writes everywhere but there
	[ "$(id -u)" != 0 ] || where=/proc
	refuses "$where" "$U" train "$TMP/m" --data "$TMP/rows.jsonl" --steps 1 -o "$where/result" -q
	refuses "$where" "$U" run "$TMP/m" --method ga --forget "$TMP/rows.jsonl" --steps 1 -o "$where/result" -q
	refuses "$where" "$U" export "$TMP/m" -o "$where/result" --to hf -q
	refuses "$where" "$U" synth --tiny -o "$where/result" -q
	same "$(ls -A "$TMP/ro")" ""
}

# As somebody who may not: a folder that cannot be written, and inputs that cannot be read. The reason is said, not another one.
test_refuse__without_permission() {
	[ "$(id -u)" = 0 ] || skip "taking another user's place needs privileges"
	command -v setpriv >/dev/null || skip "setpriv is not here"
	model
	mkdir "$TMP/ro" "$TMP/bin"
	cp "$U" "$TMP/bin/unlearn"
	chmod 755 "$TMP" "$TMP/ro" "$TMP/bin"
	chmod -R a+rX "$TMP/m" "$TMP/rows.jsonl" "$TMP/bin"
	: >"$TMP/out" && : >"$TMP/err"
	nobody="setpriv --reuid 65534 --regid 65534 --clear-groups $TMP/bin/unlearn"
	$nobody --version >/dev/null 2>&1 || skip "another user cannot reach $TMP"
	refuses "$TMP/ro/x: Permission denied" $nobody train "$TMP/m" --data "$TMP/rows.jsonl" --steps 1 -o "$TMP/ro/x" -q
	refuses "Permission denied" $nobody run "$TMP/m" --method ga --forget "$TMP/rows.jsonl" --steps 1 -o "$TMP/ro/x/y" -q
	refuses "Permission denied" $nobody export "$TMP/m" --to gguf -o "$TMP/ro/x.gguf" -q
	refuses "Permission denied" $nobody audit "$TMP/m" --forget "$TMP/rows.jsonl" -o "$TMP/ro/x" -q
	same "$(ls -A "$TMP/ro")" ""
	chmod 000 "$TMP/rows.jsonl"
	refuses "rows.jsonl: Permission denied" $nobody score "$TMP/m" --data "$TMP/rows.jsonl" -q
	chmod 000 "$TMP/m/model.safetensors"
	refuses "model.safetensors: Permission denied" $nobody info "$TMP/m"
	chmod 000 "$TMP/m"
	refuses "cannot look into $TMP/m: Permission denied" $nobody info "$TMP/m"
}

# What a run records must be found again from the record; names of any bytes are fine where nothing is recorded.
test_refuse__names_that_are_not_utf8() {
	model
	odd=$(printf '%s/o\377dd' "$TMP")
	mkdir "$odd"
	mv "$TMP/m" "$odd/m"
	exits 0 "$U" score "$odd/m" --data "$TMP/rows.jsonl" -q
	exits 0 "$U" export "$odd/m" --to gguf -o "$odd/m.gguf" -q
	refuses "path of the model is not UTF-8" "$U" train "$odd/m" --data "$TMP/rows.jsonl" --steps 1 --lora r=2 -o "$TMP/result" -q
	mv "$odd/m" "$TMP/m"
	refuses 'option "output" is not UTF-8' "$U" train "$TMP/m" --data "$TMP/rows.jsonl" --steps 1 -o "$odd/result" -q
	cp "$TMP/rows.jsonl" "$odd/rows.jsonl"
	refuses 'option "forget" is not UTF-8' "$U" run "$TMP/m" --method ga --forget "$odd/rows.jsonl" --steps 1 -o "$TMP/result" -q
	nothing
}

test_refuse__output_that_is_an_input() {
	model
	mkdir "$TMP/data"
	cp "$TMP/rows.jsonl" "$TMP/data/rows.jsonl"
	before="$(tree "$TMP/m") $(tree "$TMP/data")"
	for force in "" --force; do
		refuses "$TMP/m" "$U" train "$TMP/m" --data "$TMP/rows.jsonl" --steps 1 -o "$TMP/m" -q $force
		refuses "$TMP/m" "$U" run "$TMP/m" --method ga --forget "$TMP/rows.jsonl" --steps 1 -o "$TMP/m/" -q $force
		refuses "$TMP/m" "$U" export "$TMP/m" -o "$TMP/m" --to hf -q $force
		refuses "$TMP/data" "$U" train "$TMP/m" --data "$TMP/data/rows.jsonl" --steps 1 -o "$TMP/data" -q $force
		refuses "$TMP/data" "$U" audit "$TMP/m" --forget "$TMP/data/rows.jsonl" -o "$TMP/data" -q $force
		same "$(tree "$TMP/m") $(tree "$TMP/data")" "$before"
	done
}
