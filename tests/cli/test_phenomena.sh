# test_phenomena.sh: the small version of `make phenomena`: A1, A2 and A13 (about a minute).
. tests/cli/lib.sh

test_phenomena__of_the_literature_happen_here() {
	OMP_NUM_THREADS=1 THREADS=1 exits 0 tests/phenomena/run "$(dirname "$U")" small "$TMP/p"
	same "$(grep -c '| holds |' "$TMP/p/table.md")" 12
}
