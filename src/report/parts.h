/*
 * parts.h: the inside of a report, for the files of this folder only.
 */
#ifndef UL_REPORT_PARTS_H
#define UL_REPORT_PARTS_H

#include "base/json.h"

enum ul_unit { UL_U_PLAIN,
	UL_U_SHARE,
	UL_U_BITS,
	UL_U_NATS,
	UL_U_POINTS,
	UL_U_LOG10 };
enum ul_group { UL_G_USEFUL,
	UL_G_FORGET,
	UL_G_PRIVACY,
	UL_G_INFO,
	UL_G_GROUPS };

/* One number of an audit. Missing ones are NAN. */
typedef struct ul_entry {
	const char *name, *label, *verdict; /* label: plain words */
	const char *against; /* "oracle" "before" "holdout" "chance": where reference comes from */
	const char *untested; /* why there is no value, or NULL */
	const char *note; /* what an attack finds at few false alarms, or NULL */
	enum ul_unit unit;
	enum ul_group group;
	double value, before, reference, oracle, margin;
	double diff, lo, hi; /* value - reference with its 95 % interval, turned so that larger leaks more (useful: is better) */
	double was; /* the same of the model before */
	int n, people, needed;
	bool required, gate, tested, judged;
} ul_entry;

/* One request: what was done to a model and what the audit found. */
typedef struct ul_story {
	ul_arena *arena;
	const char *dir, *title;
	json_t *run, *scores; /* objects or NULL */
	json_t *journal, *items; /* arrays of the lines of journal.jsonl, scores.jsonl */
	json_t *rows; /* of forget.jsonl, where they are to be shown as they are; else NULL */
	ul_entry *line;
	int lines;
	const char *verdict, *mode;
} ul_story;

/* load.c */
bool ul_story_load(ul_story *s, const char *dir, bool rows, ul_arena *a, ul_err *err);
void ul_story_release(ul_story *s);
const ul_entry *ul_story_line(const ul_story *s, const char *name); /* NULL = not there */
double ul_json_get(const json_t *o, const char *key); /* NAN when missing or no number */

/* words.c: what a number or a verdict is called where no specialist reads */
typedef struct ul_wording {
	const char *name, *label;
	enum ul_unit unit;
	enum ul_group group;
} ul_wording;
const ul_wording *ul_wording_of(const char *name); /* NULL: unknown, its own title is used */
void ul_say_value(ul_buf *b, enum ul_unit unit, double x);
void ul_say_reference(ul_buf *b, const ul_entry *l);
void ul_say_verdict(ul_buf *b, const ul_story *s); /* the headline and its explanation */
void ul_say_facts(ul_buf *b, const ul_story *s); /* asked, done, known, useful, undecided, untested */
const char *ul_reference_words(const ul_story *s);

/* html.c */
void ul_html(ul_buf *b, const char *text); /* escaped */
void ul_html_byte(ul_buf *b, char c); /* the same, of one byte */
void ul_html_n(ul_buf *b, const char *text, size_t most); /* the same, cut with an ellipsis after `most` bytes at a character */
extern const char ul_css[];
const char *ul_verdict_class(const char *verdict); /* "good" "bad" "open" */
void ul_chip(ul_buf *b, const char *verdict, bool useful); /* useful: of a line on usefulness, where OVER means worse */

/* plots */
void ul_plot_interval(ul_buf *b, const ul_entry *l);
void ul_plot_axis(ul_buf *b, enum ul_group g, const char *title);
void ul_plot_training(ul_buf *b, const ul_story *s);
void ul_plot_tradeoff(ul_buf *b, const ul_story *s);
void ul_plot_people(ul_buf *b, const ul_story *s);

/* examples.c, settings.c, subjects.c, rounds.c, told.c */
void ul_show_rounds(ul_buf *b, const ul_story *s); /* iterations of a run that reveals and releases: relevance, λ, utility */
void ul_show_told(ul_buf *b, const ul_story *s); /* what the model told, and what of it was marked */
void ul_show_subjects(ul_buf *b, const ul_story *s); /* one line for each person of a list of names */
void ul_show_examples(ul_buf *b, const ul_story *s);
void ul_show_settings(ul_buf *b, const ul_story *s);

#endif
