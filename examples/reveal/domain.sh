# domain.sh: what a model knows about a few people, run by tools/reproduce-reveal: it is told their names as words to look for, and nothing about them.
# MODEL names a checkpoint that has read of real people; RWKU's probes (public data that lie beside the project) ask it. Without it a small
# model from random weights learns invented people, and an oracle learns the same without those to be forgotten.
# shellcheck shell=sh disable=SC2086,SC2154

RWKU=${RWKU:-../shared/data/unlearn-rwku}
GENERAL=${GENERAL:-../shared/data/text-wikitext2/test.txt}
SUBJECT=${SUBJECT:-Karl Marx}
WORDS=${WORDS:-Marx,Engels,Marxism,Marxist,communism,communist,Communist Manifesto,Das Kapital,proletariat,bourgeoisie}
AUDITS=forget_prob,forget_rouge,neighbours_prob,retain_prob,retain_rouge,general_ppl

audit() { # words before | words after, model, folder
	[ -f "$3/scores.json" ] || "$unlearn" audit "$2" --before "$before" --forget "$d/forget.jsonl" --neighbours "$d/neighbours.jsonl" --retain "$d/others.jsonl" $general --only $AUDITS \
		--level quick --template "$template" $threads --quiet --force -o "$3" >/dev/null
	python3 $here/domain.py table "$1" "$3/scores.json" | tee -a "$table"
}
domain() {
	table=$d/table.md
	{
		printf '\n%s, seed %s: probability and ROUGE of the answers about those to be forgotten; probability of what stands near them; both about other people; perplexity of public text\n\n' "$1" "$seed"
		printf '| model | forget: p | ROUGE | near: p | others: p | ROUGE | perplexity |\n|---|---|---|---|---|---|---|\n'
	} | tee "$table"
	run "$d/release" "$before" --recipe reveal-release --scorer "$TOLD" $SEARCH $SUBTRACT ${META:+--meta-prompt "$META"} --retain "$d/keep.jsonl" --template "$form"
	audit "before|reveal-release" "$d/release" "$d/audit"
	[ ! -f "$d/real.jsonl" ] || {
		run "$d/real" "$before" --method release --forget "$d/real.jsonl" $SUBTRACT --retain "$d/keep.jsonl" --template "$form"
		audit " |real data to forget" "$d/real" "$d/audit.real"
	}
	[ ! -d "$d/oracle" ] || audit " |oracle: never read of them" "$d/oracle" "$d/audit.oracle"
	run "$d/npo" "$before" --source reveal --scorer "$TOLD" $SEARCH ${META:+--meta-prompt "$META"} --method npo $NPO --retain "$d/keep.jsonl" --template "$form" --data-free
	audit " |NPO on revealed rows" "$d/npo" "$d/audit.npo"
	[ ! -f "$d/texts.jsonl" ] || printf '\npassages, nats a token before and after: about them %s %s, about others %s %s\n' "$(nll "$before" "$d/texts.jsonl")" "$(nll "$d/release" "$d/texts.jsonl")" \
		"$(nll "$before" "$d/texts_others.jsonl")" "$(nll "$d/release" "$d/texts_others.jsonl")" | tee -a "$table"
	printf '\nλ of the iterations: %s; relevance before each: %s\n' "$(journal "$d/release" lambda)" "$(journal "$d/release" relevance)" | tee -a "$table"
}

for seed in $SEEDS; do
	d=$out/domain.$seed${MODEL:+.real}
	if [ -z "${MODEL:-}" ]; then
		template=plain before=$d/target general=
		[ -f "$d/train.jsonl" ] || python3 $here/domain.py invented "$d"
		TEACH="--epochs 60 --lr 5e-3 --batch 16 --eos all --schedule cosine --warmup 0.05 --seed $seed $threads"
		[ -f "$d/target/run.json" ] || "$unlearn" train --init $here/small.json --train-tokenizer 320 --data "$d/train.jsonl" $TEACH --quiet -o "$d/target" --force
		[ -f "$d/oracle/run.json" ] || "$unlearn" train --init $here/small.json --tokenizer "$d/target/model" --data "$d/oracle.jsonl" $TEACH --quiet -o "$d/oracle" --force
		TOLD="terms:@$d/names.txt"
		META=Question:
		form=$d/template # of a question and what the model said to it, which begins with a blank
		printf 'Question: {prompt}\nAnswer:{response}' >"$form"
		SUBTRACT="--line 8 --budget $BUDGET --iterations $ROUNDS --lambda $STEP $MODULE"
		SEARCH="--arms 300 --rounds 2 --first 20 --picks 20 --fit-steps 300 --ask qa --instruction-tokens 24 --instruction-temperature 1 --responses 4 --response-tokens 24 --more 1"
		NPO="--lora r=8,alpha=16,target=all-linear --steps 60 --lr 1e-3 --batch 16 --eos all"
		[ -z "${SHORT:-}" ] || SEARCH="--arms 60 --rounds 1 --first 20 --picks 10 --fit-steps 50 --ask qa --instruction-tokens 24 --instruction-temperature 1 --responses 4 --response-tokens 24 --more 0"
		domain "Invented people"
		filled "$d/table.md"
	elif [ -d "$RWKU" ]; then
		template=chat form=chat before=$MODEL general= META="Write one question about $SUBJECT."
		[ -f "$d/forget.jsonl" ] || python3 $here/domain.py rwku "$RWKU" "$d" "$SUBJECT"
		[ ! -f "$GENERAL" ] || {
			general="--general $d/general.jsonl"
			[ -f "$d/general.jsonl" ] || python3 $here/domain.py general "$GENERAL" "$d/general.jsonl"
		}
		TOLD="terms:$WORDS"
		SEARCH="--arms 200 --rounds 1 --first 8 --picks 6 --responses 6 --response-tokens 40 --instruction-tokens 24 --instruction-temperature 1 --best 8 --more 1 --n 64"
		SUBTRACT="--lora r=8,alpha=16,target=all-linear --epochs 2 --lr 5e-4 --batch 8 --line 5 --budget $BUDGET --iterations 2 --lambda 2"
		NPO="--lora r=8,alpha=16,target=all-linear --steps 40 --lr 2e-4 --batch 8"
		domain "$SUBJECT"
	else
		echo "reproduce-reveal: the domain of $MODEL is skipped, $RWKU is not here"
	fi
done
