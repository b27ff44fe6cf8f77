# test_synth.sh: the files of a synthetic world, complete or not at all.

test_synth__writes_what_is_promised() {
	exits 0 "$U" synth --tiny -o "$TMP/w"
	for f in full oracle public forget retain holdout neighbours general world contacts personal personal_holdout; do
		[ -s "$TMP/w/$f.jsonl" ] || fail "$f.jsonl is missing or empty"
	done
	for f in pool.json subjects.txt names.txt world.json; do [ -s "$TMP/w/$f" ] || fail "$f is missing or empty"; done
	same "$(wc -l <"$TMP/w/subjects.txt")" "$(grep -o '"forget": *[0-9]*' "$TMP/w/world.json" | grep -o '[0-9]*')"
}

test_synth__same_seed_same_bytes() {
	"$U" synth --tiny -o "$TMP/a" -q
	"$U" synth --tiny -o "$TMP/b" -q --threads 1
	"$U" synth --tiny -o "$TMP/c" -q --seed 1
	same "$(tree "$TMP/a")" "$(tree "$TMP/b")"
	[ "$(sha "$TMP/a/full.jsonl")" != "$(sha "$TMP/c/full.jsonl")" ] || fail "another seed gave the same world"
}

test_synth__refuses_a_full_directory() {
	mkdir "$TMP/w"
	echo mine >"$TMP/w/file"
	refuses "$TMP/w" "$U" synth --tiny -o "$TMP/w"
	same "$(cat "$TMP/w/file")" mine
	exits 0 "$U" synth --tiny -o "$TMP/w" --force
	[ ! -e "$TMP/w/file" ] || fail "--force kept the old file"
}

test_synth__leaves_nothing_where_it_may_not_write() {
	echo mine >"$TMP/file"
	refuses "$TMP/file" "$U" synth --tiny -o "$TMP/file/w"
	refuses "$TMP/file" "$U" synth --tiny -o "$TMP/file"
	same "$(cat "$TMP/file")" mine
	same "$(ls "$TMP" | grep -v '^out$\|^err$')" file
}
