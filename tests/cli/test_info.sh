# test_info.sh: unlearn info: the keys that scripts rely on.
. tests/cli/lib.sh
M=tests/golden/families

test_info__json() {
	for m in llama gpt2 neox_parallel gemma3 qwen3; do
		exits 0 $U info $M/$m --json --tensors
		python3 - "$TMP/out" $M/$m <<-'EOF'
			import hashlib, json, struct, sys
			v, where = json.load(open(sys.argv[1])), sys.argv[2]
			for key in "architecture parameters layers hidden heads kv_heads vocab context dtype tied tensors sha256 tokenizer memory".split():
			    assert key in v, key
			raw = open(where + "/model.safetensors", "rb").read()
			n = struct.unpack("<Q", raw[:8])[0]
			head = json.loads(raw[8:8 + n])
			head.pop("__metadata__", None)
			assert v["sha256"] == hashlib.sha256(raw).hexdigest()
			seen = 0
			for t in v["tensors"]:
			    h = head[t["name"]]
			    assert t["shape"] == h["shape"], (t, h)
			    assert t["dtype"] == h["dtype"], (t, h)
			    if h["dtype"] == "F32":
			        a, b = h["data_offsets"]
			        assert t["sha256"] == hashlib.sha256(raw[8 + n + a:8 + n + b]).hexdigest(), t["name"]
			    seen += 1
			    size = 1
			    for d in h["shape"]:
			        size *= d
			    v["parameters"] -= size
			assert v["parameters"] == 0, "parameters are not the sum of the tensors"
			assert seen > 5
		EOF
	done
}

test_info__for_people() {
	exits 0 $U info $M/llama
	has "$(cat "$TMP/out")" "architecture   llama"
	has "$(cat "$TMP/out")" "MiB to train all"
	refuses "nowhere" $U info "$TMP/nowhere"
	exits 2 $U info
}
