# test_help.sh: help, man pages and completion come from the option tables, so every verb has them.

test_help__lists_every_verb() {
	exits 0 "$U" help
	for v in $("$U" help | sed -n '/^verbs$/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		exits 0 "$U" help "$v"
		has "$(cat "$TMP/out")" "usage: unlearn $v"
		has "$(cat "$TMP/out")" "--seed N"
		"$U" "$v" --help >"$TMP/other"
		cmp -s "$TMP/out" "$TMP/other" || fail "unlearn $v --help differs from unlearn help $v"
	done
	has "$("$U" help)" " synth "
	exits 0 "$U" --help
}

test_help__shows_default_and_range() {
	has "$("$U" help synth | grep -- '--people')" "default"
	has "$("$U" help synth | grep -- '--people')" "3 to 20000"
	has "$("$U" help synth | grep -- '--style')" "qa|records"
}

test_help__writes_man_pages() {
	for v in "" synth help run mpu; do
		# shellcheck disable=SC2086
		"$U" help $v --man >"$TMP/page.1"
		has "$(head -n 1 "$TMP/page.1")" ".TH UNLEARN"
		command -v man >/dev/null 2>&1 || continue
		LC_ALL=C.UTF-8 man --warnings -l "$TMP/page.1" >"$TMP/text" 2>"$TMP/err" </dev/null || fail "man cannot read the page of ${v:-unlearn}"
		same "$(cat "$TMP/err")" ""
	done
}

test_help__completion_is_valid_shell() {
	"$U" help --completion bash >"$TMP/bash"
	bash -n "$TMP/bash"
	reply=$(bash -c '. "$1"; COMP_WORDS=(unlearn synth --peo); COMP_CWORD=2; _unlearn; echo "${COMPREPLY[*]}"' bash "$TMP/bash")
	same "$reply" "--people"
	reply=$(bash -c '. "$1"; COMP_WORDS=(unlearn syn); COMP_CWORD=1; _unlearn; echo "${COMPREPLY[*]}"' bash "$TMP/bash")
	same "$reply" "synth"
	reply=$(bash -c '. "$1"; COMP_WORDS=(unlearn synth --style r); COMP_CWORD=3; _unlearn; echo "${COMPREPLY[*]}"' bash "$TMP/bash")
	same "$reply" "records"
	reply=$(bash -c '. "$1"; COMP_WORDS=(unlearn mpu si); COMP_CWORD=2; _unlearn; echo "${COMPREPLY[*]}"' bash "$TMP/bash")
	same "$reply" "sign simulate"
	mkdir "$TMP/bin" && ln -s "$U" "$TMP/bin/unlearn"
	reply=$(PATH="$TMP/bin:$PATH" bash -c '. "$1"; COMP_WORDS=(unlearn run m --recipe d); COMP_CWORD=4; _unlearn; echo "${COMPREPLY[*]}"' bash "$TMP/bash")
	same "$reply" "dfsu"
	"$U" help --completion zsh >"$TMP/zsh"
	has "$(head -n 1 "$TMP/zsh")" "#compdef unlearn"
	! command -v zsh >/dev/null 2>&1 || zsh -n "$TMP/zsh"
	refuses "no completion for the shell" "$U" help --completion fish
}

test_help__version() {
	exits 0 "$U" --version
	has "$(cat "$TMP/out")" "unlearn 0."
}

# Every name a list gives can be asked about, in words, JSON and Markdown.
test_help__lists_say_everything() {
	for kind in methods sources scorers recipes audits archs; do
		exits 0 "$U" $kind
		names=$("$U" $kind --names)
		[ -n "$names" ] || fail "there are no $kind"
		for n in $names; do
			exits 0 "$U" $kind "$n"
			has "$(cat "$TMP/out")" "$n"
			exits 0 "$U" $kind "$n" --json
			has "$(cat "$TMP/out")" "\"name\":\"$n\""
		done
		exits 0 "$U" $kind --markdown
		has "$(cat "$TMP/out")" "|---|"
		exits 0 "$U" $kind --json
		same "$(grep -o '"name":' "$TMP/out" | wc -l)" "$(echo "$names" | wc -l)"
	done
	refuses "there is no method" "$U" methods npoo
	has "$(cat "$TMP/err")" "did you mean \"npo\""
}

# Every kind of model that opens has a line; a table for people, one for documents, and a list for programs.
test_help__families_of_mpu() {
	exits 0 "$U" mpu families
	for type in $("$U" archs --json | python3 -c 'import json, sys; print(*(t for a in json.load(sys.stdin) for t in a["model_types"]))'); do
		grep -qE "^$type +permutation" "$TMP/out" || fail "mpu families does not list $type"
	done
	exits 0 "$U" mpu families --json
	has "$(cat "$TMP/out")" '{"model_type":"qwen3","ffn":"permutation","heads":"permutation","values":"signed permutation","queries":"quarter turns","residual":"signed permutation","adamw":"all"}'
	exits 0 "$U" mpu families --markdown
	has "$(cat "$TMP/out")" '| `qwen3` | permutation |'
}

test_help__for_programs() {
	for v in "" train run export "mpu simulate" mpu; do
		exits 0 "$U" help $v --json
		same "$(wc -l <"$TMP/out")" 1
		python3 -m json.tool "$TMP/out" >/dev/null
	done
	exits 0 "$U" help train --json
	has "$(cat "$TMP/out")" '"name":"lr","type":"real","default":'
	has "$(cat "$TMP/out")" '"name":"seed"'
	exits 0 "$U" help --json
	has "$(cat "$TMP/out")" '"name":"generate"'
	exits 0 "$U" help mpu --json
	has "$(cat "$TMP/out")" '"commands":[{"name":"mpu '
	exits 1 "$U" methods zzzzzz
	has "$(cat "$TMP/err")" '"unlearn methods" lists them'
}
