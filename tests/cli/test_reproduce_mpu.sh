# test_reproduce_mpu.sh: the short form of `make reproduce-mpu`, on models that learnt little, for one algorithm.
. tests/cli/lib.sh

short() { exits 0 env SHORT=1 METHODS=graddiff OUT="$TMP/r" tools/reproduce-mpu "$(dirname "$U")"; }

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
