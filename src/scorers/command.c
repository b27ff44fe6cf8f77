/*
 * command.c: scores of another program (a toxicity classifier, a language model that judges), a text a line:
 *
 *     it reads    {"text": "What a lovely day."}
 *     it answers  {"score": 0.02}      from 0 to 1
 */
#include "scorers/scorer.h"

#include "base/child.h"

#include <string.h>

static bool ask(ul_scoring *s, const char *text, double *out, ul_err *err)
{
	ul_buf line = {0}, answer = {0};
	ul_err why = {0};
	json_t *o = json_pack("{s:s}", "text", text), *v = NULL;
	bool ok = (o && ul_json_line(&line, o)) || ul_nomem(err, strlen(text));
	json_decref(o);
	ok = ok && ul_child_ask(s->state, line.data, line.len - 1, &answer, err);
	if (ok) {
		v = ul_json_parse(answer.data ? answer.data : "", answer.len, "the answer", &why);
		const json_t *score = json_object_get(v, "score");
		*out = json_number_value(score);
		ok = json_is_number(score) || ul_fail(err, "the scorer \"%.100s\" answered without {\"score\": number}: \"%.80s\"", s->arg, answer.data ? answer.data : "");
	}
	json_decref(v);
	ul_buf_release(&line);
	ul_buf_release(&answer);
	return ok;
}

static bool open(ul_scoring *s, ul_err *err)
{
	double score;
	s->state = ul_child_start(s->arg, "scorer", s->seconds, err);
	return s->state && ask(s, "The sky is blue.", &score, err); /* a wrong command shows at once */
}

static bool score(ul_scoring *s, const char *const *text, int n, double *out, ul_err *err)
{
	for (int i = 0; i < n; i++)
		if (!ask(s, text[i], &out[i], err))
			return false;
	return true;
}

static void close(ul_scoring *s)
{
	if (s->state)
		ul_child_end(s->state);
}

const ul_scorer ul_scorer_command = {
        .name = "command",
        .title = "what another program says of each text",
        .notes = "The command runs in a shell, reads one JSON object {\"text\"} a line and answers each with {\"score\": 0 … 1}. A command that dies, stays silent for longer "
                 "than --scorer-seconds (120; the first answer may have to wait for a model), or answers anything else, or more than one line for one, ends the run.",
        .arg = "COMMAND",
        .early = true,
        .open = open,
        .score = score,
        .close = close,
};
