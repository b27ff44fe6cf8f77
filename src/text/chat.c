/*
 * chat.c: conversations to text, as the chat templates of the common model families write them.
 *
 * A template is a jinja program; it is recognised by what it contains and never executed. What a family writes is one row of a table.
 * The texts of bos and eos are part of the row: a rendered conversation is tokenized without further special tokens. Llama 3.2 puts the
 * day's date into its system turn; here it is the date that the template itself falls back to.
 */
#include "text/text.h"
#include "text/unicode.h"

#include <string.h>

enum place { TURN,
	IN_FIRST,
	IN_LAST,
	ALWAYS,
	REFUSED };

struct wrap { /* what stands around the content: `end` still belongs to the turn, `after` does not */
	const char *open, *end, *after;
};

struct style {
	const char *name, *bos;
	struct wrap user, assistant, system;
	enum place system_place;
	const char *system_before, *system_after; /* when it stands inside a user turn, or always */
	const char *generate;
	bool any_role; /* the role's own name stands where "@" is in user.open */
	bool trim, alternate, joint_trim;
};

#define CHATML                                        \
	{                                             \
		"<|im_start|>@\n", "<|im_end|>", "\n" \
	}
#define LLAMA3                                                                \
	{                                                                     \
		"<|start_header_id|>@<|end_header_id|>\n\n", "<|eot_id|>", "" \
	}
#define LLAMA3_OPEN "<|start_header_id|>assistant<|end_header_id|>\n\n"
#define GEMMA                                                   \
	{"<start_of_turn>user\n", "<end_of_turn>", "\n"},       \
	{                                                       \
		"<start_of_turn>model\n", "<end_of_turn>", "\n" \
	}

static const struct style styles[] = {
        [UL_CHAT_NONE] = {.name = "none"},
        [UL_CHAT_CHATML] = {"chatml", "", CHATML, CHATML, CHATML, TURN, .generate = "<|im_start|>assistant\n", .any_role = true},
        [UL_CHAT_QWEN] = {"qwen", "", CHATML, CHATML, CHATML, TURN, .generate = "<|im_start|>assistant\n", .any_role = true},
        [UL_CHAT_LLAMA2] = {"llama2", "", {"<s>[INST] ", " [/INST]", ""}, {" ", " </s>", ""}, {0}, IN_FIRST, "<<SYS>>\n", "\n<</SYS>>\n\n",
                .generate = "", .trim = true, .alternate = true, .joint_trim = true},
        [UL_CHAT_LLAMA3] = {"llama3", "<|begin_of_text|>", LLAMA3, LLAMA3, LLAMA3, TURN, .generate = LLAMA3_OPEN, .any_role = true, .trim = true},
        [UL_CHAT_LLAMA31] = {"llama3.1", "<|begin_of_text|>", LLAMA3, LLAMA3, LLAMA3, ALWAYS,
                "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n", "", .generate = LLAMA3_OPEN, .any_role = true, .trim = true},
        [UL_CHAT_GEMMA] = {"gemma", "<bos>", GEMMA, {0}, REFUSED, .generate = "<start_of_turn>model\n", .trim = true, .alternate = true},
        [UL_CHAT_GEMMA3] = {"gemma3", "<bos>", GEMMA, {0}, IN_FIRST, "", "\n\n", .generate = "<start_of_turn>model\n", .trim = true, .alternate = true},
        [UL_CHAT_MISTRAL] = {"mistral", "<s>", {"[INST] ", " [/INST]", ""}, {"", "</s>", ""}, {0}, REFUSED, .generate = "", .alternate = true},
        [UL_CHAT_MISTRAL_V1] = {"mistral-v1", "<s>", {"[INST] ", " [/INST]", ""}, {"", "</s>", " "}, {0}, REFUSED, .generate = "", .alternate = true},
        [UL_CHAT_MISTRAL_SPACED] = {"mistral-spaced", "<s>", {" [INST] ", " [/INST]", ""}, {" ", "</s>", ""}, {0}, IN_FIRST, "", "\n\n", .generate = "",
                .alternate = true},
        [UL_CHAT_MISTRAL_V3] = {"mistral-v3", "<s>", {"[INST] ", "[/INST]", ""}, {" ", "</s>", ""}, {0}, IN_LAST, "", "\n\n", .generate = "",
                .alternate = true},
        [UL_CHAT_ZEPHYR] = {"zephyr", "", {"<|user|>\n", "</s>", "\n"}, {"<|assistant|>\n", "</s>", "\n"}, {"<|system|>\n", "</s>", "\n"}, TURN,
                .generate = "<|assistant|>\n"},
};

const char *ul_chat_name(enum ul_chat c)
{
	return c >= 0 && (size_t)c < sizeof styles / sizeof *styles ? styles[c].name : "none";
}

/* ---- recognising ---- */

static bool has(const char *s, const char *part)
{
	return strstr(s, part) != NULL;
}

/* A newline in a jinja string: itself, or written \n. */
static const char *newline(const char *s)
{
	return *s == '\n' ? s + 1 : s[0] == '\\' && s[1] == 'n' ? s + 2
	                                                        : NULL;
}

/* The system turn that a ChatML template writes when there is none: text between the opening and <|im_end|>. */
static bool default_system_of(const char *jinja, char out[256], ul_err *err)
{
	static const char open[] = "<|im_start|>system";
	size_t n = 0;
	out[0] = 0;
	for (const char *at = jinja; (at = strstr(at, open));) {
		const char *s = newline(at += sizeof open - 1), *end = s ? strstr(s, "<|im_end|>") : NULL;
		if (!end || *s == '\'' || *s == '"' || memchr(s, '}', (size_t)(end - s)))
			continue; /* a literal that ends here: the content comes from the conversation */
		while (s < end && n < 255) {
			const char *after = newline(s);
			if (after)
				out[n++] = '\n', s = after;
			else if (*s == '\\' && s + 1 < end)
				out[n++] = s[1], s += 2;
			else
				out[n++] = *s++;
		}
		out[n] = 0;
		return s == end || ul_fail(err, "the chat template's default system turn is longer than 255 bytes; name another with --template");
	}
	return true;
}

static enum ul_chat mistral(const char *j)
{
	if (has(j, "\" [INST] \"") || has(j, "' [INST] '"))
		return UL_CHAT_MISTRAL_SPACED;
	if (!has(j, " [/INST]"))
		return has(j, "|trim") || has(j, "| trim") ? UL_CHAT_NONE : UL_CHAT_MISTRAL_V3;
	return has(j, "eos_token + ' '") || has(j, "eos_token+ ' '") || has(j, "eos_token + \" \"") ? UL_CHAT_MISTRAL_V1 : UL_CHAT_MISTRAL;
}

static enum ul_chat chatml(const char *j)
{
	if (has(j, "last_query_index") && has(j, "reasoning_content"))
		return UL_CHAT_QWEN;
	return has(j, "<think>") || has(j, "enable_thinking") || has(j, "bos_token") || has(j, "trim") || has(j, "strip") ? UL_CHAT_NONE : UL_CHAT_CHATML;
}

static enum ul_chat family(const char *j)
{
	if (has(j, "<|im_start|>"))
		return chatml(j);
	if (has(j, "<|start_header_id|>") && has(j, "<|eot_id|>"))
		return has(j, "Cutting Knowledge Date") ? UL_CHAT_LLAMA31 : UL_CHAT_LLAMA3;
	if (has(j, "<start_of_turn>"))
		return has(j, "first_user_prefix") ? UL_CHAT_GEMMA3 : UL_CHAT_GEMMA;
	if (has(j, "[INST]"))
		return has(j, "<<SYS>>") ? UL_CHAT_LLAMA2 : mistral(j);
	if (has(j, "<|user|>") && has(j, "<|assistant|>") && has(j, "eos_token") && !has(j, "bos_token") && !has(j, "<|end|>"))
		return UL_CHAT_ZEPHYR;
	return UL_CHAT_NONE;
}

bool ul_chat_detect(const char *jinja, enum ul_chat *out, char default_system[256], ul_err *err)
{
	enum ul_chat c = family(jinja);
	char system[256] = "";
	if (c == UL_CHAT_NONE) {
		ul_fail(err, "the model's chat template is none of those known (ChatML, Llama 2 and 3, Gemma, Mistral, Zephyr, Qwen)");
		ul_hint(err, "say how prompt and response become text with --template qa, --template plain or --template FILE");
		return false;
	}
	if (c == UL_CHAT_CHATML && !default_system_of(jinja, system, err))
		return false;
	memcpy(default_system, system, sizeof system);
	*out = c;
	return true;
}

/* ---- rendering ---- */

static bool space(uint32_t c)
{
	return ul_uni_space(c) || (c >= 0x1C && c <= 0x1F); /* as Python's strip */
}

static void trim(const char **s, size_t *n)
{
	for (size_t k = 0; k < *n && space(ul_utf8_next(*s, &k));) {
		*s += k;
		*n -= k;
		k = 0;
	}
	while (*n) {
		size_t at = *n - 1;
		while (at && ((unsigned char)(*s)[at] & 0xC0) == 0x80)
			at--;
		size_t k = at;
		if (!space(ul_utf8_next(*s, &k)))
			break;
		*n = at;
	}
}

static const char *find_last(const char *s, size_t n, const char *part)
{
	const char *last = NULL;
	for (const char *at = s; (at = memmem(at, n - (size_t)(at - s), part, strlen(part))); at++)
		last = at;
	return last;
}

struct render {
	const struct style *style;
	enum ul_chat chat;
	const ul_turn *turns;
	int n, first_user, last_user;
	const char *system; /* that goes into a user turn */
	ul_buf *out;
	size_t *spans;
	ul_err *err;
};

static void open_turn(struct render *r, const char *open, const char *role)
{
	for (; *open; open++) {
		if (*open == '@' && r->style->any_role)
			ul_buf_str(r->out, role);
		else
			ul_buf_add(r->out, open, 1);
	}
}

/* Qwen 3 keeps the thoughts of answers to the last question only, and writes empty ones for a last answer that has none. */
static void thoughts(struct render *r, int i, const char **s, size_t *n)
{
	static const char mark[] = "</think>";
	const char *end = memmem(*s, *n, mark, 8), *content = *s, *thought = "";
	size_t thought_n = 0;
	if (end) {
		const char *begin = find_last(*s, (size_t)(end - *s), "<think>");
		thought = begin ? begin + 7 : *s;
		thought_n = (size_t)(end - thought);
		content = find_last(*s, *n, mark) + 8;
		*n -= (size_t)(content - *s);
		for (; *n && *content == '\n'; content++, --*n)
			;
		for (; thought_n && *thought == '\n'; thought++, thought_n--)
			;
		for (; thought_n && thought[thought_n - 1] == '\n'; thought_n--)
			;
	}
	*s = content;
	if (i <= r->last_user || (i + 1 < r->n && !thought_n))
		return;
	ul_buf_str(r->out, "<think>\n");
	ul_buf_add(r->out, thought, thought_n);
	ul_buf_str(r->out, "\n</think>\n\n");
	for (; *n && **s == '\n'; ++*s, --*n)
		;
}

static void system_inside(struct render *r)
{
	ul_buf_str(r->out, r->style->system_before);
	ul_buf_str(r->out, r->system);
	ul_buf_str(r->out, r->style->system_after);
}

static void turn(struct render *r, int i, const struct wrap *w)
{
	const char *s = r->turns[i].content;
	size_t n = strlen(s);
	bool inside = r->system && !strcmp(r->turns[i].role, "user") && i == (r->style->system_place == IN_LAST ? r->n - 1 : r->first_user);
	open_turn(r, w->open, r->turns[i].role);
	if (inside)
		system_inside(r);
	if (r->style->trim && !(inside && r->style->joint_trim)) {
		trim(&s, &n);
	} else if (r->style->trim) { /* the system text stands before: only the end can be trimmed */
		const char *whole = s;
		size_t len = n;
		trim(&whole, &len);
		n = (size_t)(whole - s) + len;
	}
	if (r->chat == UL_CHAT_QWEN && !strcmp(r->turns[i].role, "assistant"))
		thoughts(r, i, &s, &n);
	if (r->spans)
		r->spans[2 * i] = r->out->len;
	ul_buf_add(r->out, s, n);
	ul_buf_str(r->out, w->end);
	if (r->spans)
		r->spans[2 * i + 1] = r->out->len;
	ul_buf_str(r->out, w->after);
}

/* The opening: bos, and a system turn that the template writes by itself. Returns the first turn still to be written. */
static int opening(struct render *r, const char *default_system)
{
	const struct style *st = r->style;
	bool given = r->n && !strcmp(r->turns[0].role, "system");
	ul_buf_str(r->out, st->bos);
	if (st->system_place == TURN) {
		if (!given && r->n && default_system && *default_system) {
			open_turn(r, st->system.open, "system");
			ul_buf_str(r->out, default_system);
			ul_buf_str(r->out, st->system.end);
			ul_buf_str(r->out, st->system.after);
		}
		return 0;
	}
	if (st->system_place == ALWAYS) {
		open_turn(r, st->system.open, "system");
		ul_buf_str(r->out, st->system_before);
		const char *s = given ? r->turns[0].content : "";
		size_t n = strlen(s);
		trim(&s, &n);
		if (r->spans && given)
			r->spans[0] = r->out->len;
		ul_buf_add(r->out, s, n);
		ul_buf_str(r->out, st->system.end);
		if (r->spans && given)
			r->spans[1] = r->out->len;
		return given;
	}
	if (given) {
		r->system = r->turns[0].content;
		if (r->spans)
			r->spans[0] = r->spans[1] = r->out->len; /* inside another turn: no place of its own */
	}
	return given;
}

static const struct wrap *wrap_of(const struct render *r, const char *role)
{
	if (!strcmp(role, "user") || r->style->any_role)
		return &r->style->user;
	if (!strcmp(role, "assistant"))
		return &r->style->assistant;
	return !strcmp(role, "system") && r->style->system.open ? &r->style->system : NULL;
}

static bool check_role(const struct render *r, int i, int first)
{
	const char *role = r->turns[i].role;
	bool user = !strcmp(role, "user");
	if (!wrap_of(r, role))
		return ul_fail(r->err, "the %s chat template has no role \"%.40s\"", styles[r->chat].name, role);
	if (r->style->alternate && user != ((i - first) % 2 == 0))
		return ul_fail(r->err, "the %s chat template wants user and assistant to alternate; turn %d is \"%.40s\"", styles[r->chat].name, i + 1, role);
	return true;
}

bool ul_chat_render(enum ul_chat c, const char *default_system, const ul_turn *turns, int n, bool generate, ul_buf *out, size_t *spans, ul_err *err)
{
	if (c <= UL_CHAT_NONE || (size_t)c >= sizeof styles / sizeof *styles)
		return ul_fail(err, "no chat template is chosen; name one with --template");
	struct render r = {.style = &styles[c], .chat = c, .turns = turns, .n = n, .out = out, .spans = spans, .err = err, .first_user = -1, .last_user = -1};
	size_t had = out->len;
	if (n && !strcmp(turns[0].role, "system") && r.style->system_place == REFUSED)
		return ul_fail(err, "the %s chat template has no role \"system\"", r.style->name);
	for (int i = 0; i < n; i++) {
		if (!ul_utf8_ok(turns[i].content, strlen(turns[i].content)))
			return ul_fail(err, "turn %d of a conversation is no UTF-8", i + 1);
		if (strcmp(turns[i].role, "user"))
			continue;
		r.first_user = r.first_user < 0 ? i : r.first_user;
		r.last_user = i;
	}
	int first = opening(&r, default_system);
	for (int i = first; i < n; i++) {
		if (!check_role(&r, i, first)) {
			out->len = had;
			return false;
		}
		turn(&r, i, wrap_of(&r, turns[i].role));
	}
	if (generate)
		ul_buf_str(out, r.style->generate);
	return !out->failed || ul_nomem(err, out->len);
}
