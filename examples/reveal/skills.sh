# skills.sh: two skills of a small model, run by tools/reproduce-reveal: the code-like one is forgotten, arithmetic kept. Iterations against one shot
# at the same total λ, revealed rows against real ones, a retain adapter with and without orthogonality.
# shellcheck shell=sh disable=SC2086,SC2154

TOLD="regex:def |return"
SMALL=0.5                                                    # λ so small that something is left to be revealed again
[ "$size" = short ] || { SHAPE="llama-tiny" LEARN="--epochs 12 --lr 3e-3 --batch 32 --eos all --schedule cosine --warmup 0.05"; }

# Share of a model's own texts that the scorer recognises.
says() { # model
	"$unlearn" generate "$1" --prompt ">" --samples 100 --temperature 1 --max-new 40 --seed 5 --json --quiet $threads 2>/dev/null | grep -cE '"text":"[^"]*(def |return)' || true
}
row() { # words model
	printf '| %-46s | %8s | %8s | %5s |\n' "$1" "$(nll "$2" "$w/code.jsonl")" "$(nll "$2" "$w/sums.jsonl")" "$(says "$2")" | tee -a "$table"
}
release() { # folder options…
	folder=$1
	shift
	run "$folder" "$t/target" "$@" $MODULE --template plain
}

w=$out/skills
[ -f "$w/full.jsonl" ] || python3 $here/skills.py "$w"
for seed in $SEEDS; do
	t=$out/skills.$seed table=$out/skills.$seed.md
	mkdir -p "$t"
	: >"$table"
	[ -f "$t/target/run.json" ] || "$unlearn" train --init $SHAPE --train-tokenizer 320 --data "$w/full.jsonl" $LEARN --seed "$seed" $threads --quiet -o "$t/target" --force
	[ -f "$t/oracle/run.json" ] || "$unlearn" train --init $SHAPE --tokenizer "$t/target/model" --data "$w/keep.jsonl" $LEARN --seed "$seed" $threads --quiet -o "$t/oracle" --force
	printf '\nTwo skills, seed %s: NLL a token on rows never trained on; code-like lines among 100 free texts\n\n' "$seed" | tee -a "$table"
	printf '| model | code | sums | says |\n|---|---|---|---|\n' | tee -a "$table"
	row "before" "$t/target"
	row "oracle: never saw code" "$t/oracle"
	common="--retain $w/keep_train.jsonl --line 8 --budget $BUDGET"
	release "$t/iterative" --recipe reveal-release --scorer "$TOLD" $REVEAL $common --iterations $ROUNDS --lambda $STEP
	row "reveal-release, iterative" "$t/iterative"
	lambda=$(grep -o '"lambda_total":[^,}]*' "$t/iterative/journal.jsonl" | tail -n 1 | sed 's/.*: *//')
	release "$t/oneshot" --recipe reveal-release --scorer "$TOLD" $REVEAL --retain $w/keep_train.jsonl --budget 1000 --line 1 --iterations 1 --lambda "$lambda"
	row "one shot at the same total λ ($lambda)" "$t/oneshot"
	release "$t/bounded" --recipe reveal-release --scorer "$TOLD" $REVEAL $common --iterations 1 --lambda "$lambda"
	row "one shot, λ within the budget" "$t/bounded"
	release "$t/small" --recipe reveal-release --scorer "$TOLD" $REVEAL --retain $w/keep_train.jsonl --line 4 --budget $BUDGET --iterations $ROUNDS --lambda $SMALL
	row "iterative, steps of at most $SMALL" "$t/small"
	lambda=$(grep -o '"lambda_total":[^,}]*' "$t/small/journal.jsonl" | tail -n 1 | sed 's/.*: *//')
	release "$t/small1" --recipe reveal-release --scorer "$TOLD" $REVEAL --retain $w/keep_train.jsonl --budget 1000 --line 1 --iterations 1 --lambda "$lambda"
	row "one shot at the total λ of these ($lambda)" "$t/small1"
	release "$t/real" --method release --forget "$w/code_train.jsonl" $common --iterations $ROUNDS --lambda $STEP
	row "real data to forget" "$t/real"
	release "$t/two" --recipe reveal-release --scorer "$TOLD" $REVEAL $common --iterations $ROUNDS --lambda $STEP --lambda-retain 0.25
	row "with a retain adapter, orthogonal" "$t/two"
	release "$t/loose" --recipe reveal-release --scorer "$TOLD" $REVEAL $common --iterations $ROUNDS --lambda $STEP --lambda-retain 0.25 --orthogonal 0
	row "with a retain adapter, O-LoRA off" "$t/loose"
	release "$t/ext" --recipe reveal-release --scorer "$TOLD" $REVEAL $common --iterations $ROUNDS --lambda $STEP --lambda-retain 0.25 --ext-sub
	row "with a retain adapter, Ext-Sub" "$t/ext"
	filled "$table"
	{
		echo
		echo "iterative: λ $(journal "$t/iterative" lambda); relevance before each $(journal "$t/iterative" relevance)"
		echo "cosine of retain and forget adapter, orthogonal: $(journal "$t/two" interference); overlap of A: $(journal "$t/two" overlap)"
		echo "the same without the O-LoRA term: $(journal "$t/loose" interference); overlap of A: $(journal "$t/loose" overlap)"
	} | tee -a "$table"
done
