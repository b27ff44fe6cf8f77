/*
 * answer_length.c: words of the answers to retained prompts: a broken model falls silent or does not stop.
 */
#include "audits/audit.h"
#include "audits/match/match.h"

static double value(const ul_ask *q, const char *text)
{
	return ul_word_count(text);
}

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_said(q, value, out);
}

const ul_audit_def ul_audit_answer_length = {
        .name = "answer_length",
        .title = "Words of an answer",
        .paper = "unlearn.c",
        .notes = "Ours: words of each continuation of a retain row. Only fewer than before is a fault here; text without end shows as repetition.",
        .kind = UL_K_UTILITY,
        .split = UL_S_RETAIN,
        .against = UL_VS_BEFORE,
        .sign = +1,
        .margin = 0.1,
        .relative = true,
        .level = UL_QUICK,
        .items = items,
};
