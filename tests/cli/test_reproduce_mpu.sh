# test_reproduce_mpu.sh: the short form of `make reproduce-mpu`, on models that learnt little, for one algorithm.
. tests/cli/lib.sh

short() { exits 0 env SHORT=1 METHODS=graddiff OUT="$TMP/r" tools/reproduce-mpu "$(dirname "$U")" "$@"; }

# The less noise the less difference, none to speak of without; and what is finished is not run again.
test_reproduce_mpu__prints_its_table() {
	short
	has "$(cat "$TMP/out")" "| graddiff | 0."
	same "$(cat "$TMP/r/table.md")" "$(cat "$TMP/out")"
	difference() { awk -F '\t' -v k="$1" -v m="$2" '$2 == k && $3 == m { print $5 }' "$TMP/r/cells.tsv"; }
	awk -v none="$(difference 0 4)" -v little="$(difference 0.01 4)" -v much="$(difference 0.1 2)" -v eight="$(difference 0.1 8)" \
		'BEGIN { exit !(none < little && little < much && much < 0.01 && eight > little) }' || fail "$(cat "$TMP/r/cells.tsv")"
	cells=$(sha "$TMP/r/cells.tsv")
	short
	same "$(sha "$TMP/r/cells.tsv")" "$cells"
}

# The same with adapters, as for SmolLM2: a line for each metric, and a turn that is over leaves cells for the next.
test_reproduce_mpu__with_adapters() {
	TURN=0 exits 1 env SHORT=1 METHODS=graddiff OUT="$TMP/r" tools/reproduce-mpu "$(dirname "$U")" smollm2
	has "$(cat "$TMP/err")" "no cell was begun"
	short smollm2
	same "$(grep -c '^graddiff' "$TMP/r/cells.tsv")" 4
	has "$(cat "$TMP/out")" "| graddiff | forget_prob | 0."
	same "$(ls "$TMP/r" | grep -c '^noise-free-')" 1
	exits 1 env -u UNLEARN_SMOLLM2 OUT="$TMP/none" tools/reproduce-mpu "$(dirname "$U")" smollm2
	has "$(cat "$TMP/err")" "UNLEARN_SMOLLM2 must name"
}
