# lib.sh: what shell tests share. A test is a function test_<verb>__<what>() in tests/cli/test_<verb>.sh; it runs from the top of
# the tree in a shell of its own, with $UNLEARN the program and $TMP an empty directory of its own.
set -eu
U=$UNLEARN

fail() { echo "fail: $*"; exit 1; }
skip() { echo "skip: $*" >&2; exit 77; }
need() { [ -e "$1" ] || skip "$1 is not here"; }         # real data beside the project
same() { [ "$1" = "$2" ] || fail "\"$1\" is not \"$2\""; }
has() { case "$1" in *"$2"*) ;; *) fail "\"$1\" does not contain \"$2\"" ;; esac; }

# exits CODE command…: runs it; output is in $TMP/out, messages in $TMP/err
exits() {
	want=$1
	shift
	rc=0
	"$@" >"$TMP/out" 2>"$TMP/err" || rc=$?
	[ $rc = "$want" ] || { cat "$TMP/out" "$TMP/err"; fail "exit status $rc, not $want: $*"; }
}

# Python reads JSON for some tests. Neither the program nor `make test` may need it, so where it is missing those skip.
command -v python3 >/dev/null 2>&1 || python3() { skip "python3 is not here"; }

# refuses PART command…: exit 1, nothing on stdout, one sentence `unlearn: …` (and perhaps `hint: …`) that contains PART
refuses() {
	part=$1
	shift
	exits 1 "$@"
	[ ! -s "$TMP/out" ] || fail "a refused command wrote to stdout: $(head -c 300 "$TMP/out")"
	same "$(grep -c '^unlearn: ' "$TMP/err")" 1
	[ "$(grep -vc '^unlearn: \|^hint: ' "$TMP/err")" = 0 ] || fail "more than one sentence: $(cat "$TMP/err")"
	has "$(cat "$TMP/err")" "$part"
}

sha() { sha256sum "$1" | cut -d' ' -f1; }
tree() { (cd "$1" && find . -type f -exec sha256sum {} + | sort -k2); } # what a directory holds, to compare before and after
