/*
 * empty_answers.c: share of retained prompts that the model answers with nothing, or declines.
 */
#include "audits/audit.h"
#include "audits/match/match.h"

#include <string.h>

/* How refusals begin, in the built-in list of the idk methods and in assistants that decline. */
static bool declines(const char *s)
{
	static const char *const begin[] = {"I don't know", "I do not know", "I'm not", "I am not", "I can't", "I cannot", "I have no ", "I'm unable", "I'm afraid", "I couldn't say", "Sorry", "Unfortunately", "No idea"};
	s += strspn(s, " \t\r\n");
	for (size_t i = 0; i < sizeof begin / sizeof *begin; i++) {
		if (strncasecmp(s, begin[i], strlen(begin[i])) == 0)
			return true;
	}
	return false;
}

static double value(const ul_ask *q, const char *text)
{
	return ul_word_count(text) == 0 || declines(text);
}

static bool items(const ul_ask *q, ul_items *out)
{
	return ul_items_said(q, value, out);
}

const ul_audit_def ul_audit_empty_answers = {
        .name = "empty_answers",
        .title = "Answers that are empty or decline",
        .paper = "unlearn.c",
        .notes = "Ours: share of continuations of retain rows without a word, or that begin as refusals do.",
        .kind = UL_K_UTILITY,
        .split = UL_S_RETAIN,
        .against = UL_VS_BEFORE,
        .sign = -1,
        .margin = 0.1,
        .rate = true,
        .level = UL_QUICK,
        .items = items,
};
