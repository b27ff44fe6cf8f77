# test_install.sh: `make install` into a directory of its own, a program of somebody else against it, and `make uninstall`.
export OMP_NUM_THREADS=1

installed() {
	case $U in */san/*) skip "a sanitized library needs a sanitized program" ;; esac
	make --no-print-directory install PREFIX="$TMP/inst" MAKEFLAGS= >"$TMP/log" 2>&1 || fail "$(cat "$TMP/log")"
	export PKG_CONFIG_PATH="$TMP/inst/lib/pkgconfig"
}

test_install__puts_everything_in_its_place() {
	installed
	for f in bin/unlearn lib/libunlearn.a lib/libunlearn.so include/unlearn.h lib/pkgconfig/unlearn.pc share/man/man1/unlearn.1 \
		share/man/man1/unlearn-run.1 share/bash-completion/completions/unlearn share/zsh/site-functions/_unlearn; do
		[ -s "$TMP/inst/$f" ] || fail "$f is missing"
	done
	same "$("$TMP/inst/bin/unlearn" --version)" "$("$U" --version)"
	has "$("$U" --version)" "$(pkg-config --modversion unlearn)"
	for page in "$TMP"/inst/share/man/man1/*.1; do grep -q '^\.TH ' "$page" || fail "$page is no manual page"; done
	! command -v bash >/dev/null || bash -n "$TMP/inst/share/bash-completion/completions/unlearn"
	# What the library shows is what its header declares.
	nm -D --defined-only "$TMP/inst/lib/libunlearn.so" | awk '{print $3}' | sort >"$TMP/shown"
	sed -nE 's/^[a-z].*[ *](ul_[a-z0-9_]+)\(.*/\1/p' "$TMP/inst/include/unlearn.h" | sort >"$TMP/declared"
	cmp "$TMP/shown" "$TMP/declared"
	make --no-print-directory uninstall PREFIX="$TMP/inst" MAKEFLAGS= >"$TMP/log" 2>&1 || fail "$(cat "$TMP/log")"
	same "$(find "$TMP/inst" -type f -o -type l)" ""
}

test_install__the_example_unlearns() {
	installed
	"$U" synth --tiny -o "$TMP/world" -q
	"$U" train --init llama-tiny --train-tokenizer 400 --data "$TMP/world/full.jsonl" --steps 2 --batch 4 -o "$TMP/target" -q
	for how in shared static; do
		if [ $how = shared ]; then
			gcc -std=c17 -Wall -Wextra -Werror -o "$TMP/example" examples/unlearn.c $(pkg-config --cflags --libs unlearn) -Wl,-rpath,"$TMP/inst/lib"
		else
			rm "$TMP"/inst/lib/libunlearn.so*
			gcc -std=c17 -Wall -Wextra -Werror -o "$TMP/example" examples/unlearn.c $(pkg-config --static --cflags --libs unlearn)
		fi
		rm -rf "$TMP/result"
		exits 0 "$TMP/example" "$TMP/target" "$TMP/world/forget.jsonl" "$TMP/world/retain.jsonl" "$TMP/result"
		exits 0 "$U" info "$TMP/result" --json
	done
}
