# test_report.sh: one page from folders.
G=tests/golden/report

test_report__one_page_from_two_requests() {
	exits 0 "$U" report $G/audit-npo $G/audit-free -o "$TMP/r.html"
	has "$(cat "$TMP/r.html")" "class=many"
	"$U" report $G/audit-npo $G/audit-free -o "$TMP/again.html" -q
	cmp "$TMP/r.html" "$TMP/again.html" || fail "the same folders gave another page"
}

test_report__a_run_without_an_audit() {
	exits 0 "$U" report $G/run-npo -o "$TMP/r.html"
	has "$(cat "$TMP/r.html")" "Not audited"
}

test_report__refuses_what_is_not_ours() {
	mkdir "$TMP/empty"
	refuses "neither run.json nor scores.json" "$U" report "$TMP/empty" -o "$TMP/r.html"
	refuses "is not a folder" "$U" report "$TMP/nowhere" -o "$TMP/r.html"
	refuses "is a folder, not a file" "$U" report $G/run-npo -o "$TMP/empty"
	mkdir "$TMP/bad"
	echo '{"audits":' >"$TMP/bad/scores.json"
	refuses "scores.json" "$U" report "$TMP/bad" -o "$TMP/r.html"
	[ ! -e "$TMP/r.html" ] || fail "a refused report was written"
}
