# ner.sh: entities of one type, run by tools/reproduce-reveal: a model that tags entities is made to forget PERSON and to keep the other types. The
# recipe is told only that the tag is not to be said. MODEL names a checkpoint, which is taught the Presidio sentences (PRESIDIO, public data that
# lie beside the project); without it a small model from random weights learns invented ones.
# shellcheck shell=sh disable=SC2086,SC2154

PRESIDIO=${PRESIDIO:-../shared/data/pii-presidio-synthetic/generated_large.json}
TOLD="regex:PERSON:"

# One line of the table: PERSON, mean of the others, each with its number of entities.
row() { # words model
	"$unlearn" generate "$2" --data "$n/test.jsonl" --template qa --max-new 24 --stop '
' --json --quiet $threads >"$n/answers"
	python3 $here/ner.py score "$n/test.jsonl" "$n/answers" | { IFS='|' read -r person others each; printf '| %s | %s | %s | %s |\n' "$1" "$person" "$others" "$each"; } | tee -a "$table"
}
ner() { # what learns it
	[ -f "$n/target/run.json" ] || "$unlearn" train "$@" --data "$n/train.jsonl" $TEACH --template plain --seed "$seed" $threads --quiet -o "$n/target" --force
	table=$n/table.md
	printf '\nEntities, seed %s: span-exact F1 on sentences never trained on (number of entities)\n\n| model | PERSON | mean of the others | each |\n|---|---|---|---|\n' "$seed" | tee "$table"
	row "before" "$n/target"
	run "$n/release" "$n/target" --recipe reveal-release --scorer "$TOLD" $ENTITIES $SUBTRACT --retain "$n/keep.jsonl" --template "$n/template"
	row "reveal-release" "$n/release"
	run "$n/npo" "$n/target" --source reveal --scorer "$TOLD" $ENTITIES --method npo $NPO --retain "$n/keep.jsonl" --template "$n/template" --data-free
	row "NPO on revealed rows" "$n/npo"
	run "$n/real" "$n/target" --method release --forget "$n/person.jsonl" $SUBTRACT --retain "$n/keep.jsonl" --template "$n/template"
	row "real data to forget" "$n/real"
	filled "$table"
}

for seed in $SEEDS; do
	n=$out/ner.$seed${MODEL:+.real}
	# Whole sentences with a question behind them are what the model writes after "Question:"; each has one answer, so few draws of it will do.
	ASK="--ask qa --meta-prompt Question: --instruction-tokens 32 --instruction-temperature 1 --responses 2 --more 0"
	mkdir -p "$n"
	printf 'Question: {prompt}\nAnswer:{response}' >"$n/template"
	if [ -z "${MODEL:-}" ]; then
		TEACH="--epochs 25 --lr 5e-3 --batch 16 --eos all --schedule cosine --warmup 0.05"
		SUBTRACT="$MODULE --line 8 --budget $BUDGET --iterations $ROUNDS --lambda $STEP"
		NPO="--lora r=8,alpha=16,target=all-linear --steps 60 --lr 1e-3 --batch 16 --eos all"
		ENTITIES="--arms 300 --rounds 2 --first 40 --picks 40 --fit-steps 300 --response-tokens 24 $ASK"
		[ -z "${SHORT:-}" ] || {
			TEACH="--epochs 4 --lr 5e-3 --batch 16 --eos all --schedule cosine --warmup 0.05"
			ENTITIES="--arms 60 --rounds 1 --first 30 --picks 10 --fit-steps 50 --response-tokens 24 $ASK"
		}
		[ -f "$n/train.jsonl" ] || python3 $here/ner.py invented "$n"
		sed 's/"vocab_size": 320/"vocab_size": 512/' $here/small.json >"$n/shape.json"
		ner --init "$n/shape.json" --train-tokenizer 512
	elif [ -f "$PRESIDIO" ]; then
		TEACH="--epochs 2 --lr 5e-4 --lora r=16,alpha=32,target=all-linear --batch 16 --schedule cosine --warmup 0.05 --eos all"
		SUBTRACT="--lora r=8,alpha=16,target=all-linear --epochs 2 --lr 5e-4 --batch 16 --eos all --line 5 --budget $BUDGET --iterations 2 --lambda 2"
		NPO="--lora r=8,alpha=16,target=all-linear --steps 40 --lr 2e-4 --batch 16 --eos all"
		ENTITIES="--arms 200 --rounds 1 --first 50 --picks 50 --fit-steps 300 --response-tokens 24 $ASK"
		[ -f "$n/train.jsonl" ] || python3 $here/ner.py presidio "$PRESIDIO" "$n"
		ner "$MODEL"
	else
		echo "reproduce-reveal: the entities of $MODEL are skipped, $PRESIDIO is not here"
	fi
done
