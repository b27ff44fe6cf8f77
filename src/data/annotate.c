/*
 * annotate.c: findings as spans, and guessed names.
 */
#include "data/annotate.h"

#include "base/file.h"

#include <ctype.h>
#include <string.h>

json_t *ul_spans_json(const char *text, const ul_finding *f, int n)
{
	json_t *list = json_array();
	size_t at = 0;
	int points = 0;
	for (int i = 0; i < n; i++) {
		int start, end;
		for (; at < f[i].start; at++)
			points += ((unsigned char)text[at] & 0xC0) != 0x80;
		start = points;
		for (; at < f[i].end; at++)
			points += ((unsigned char)text[at] & 0xC0) != 0x80;
		end = points;
		json_array_append_new(list, json_pack("{s:i, s:i, s:s}", "start", start, "end", end, "type", ul_pii_name(f[i].type)));
	}
	return list;
}

json_t *ul_types_json(const ul_finding *f, int n)
{
	json_t *v = json_object();
	for (int i = 0; i < n; i++) {
		const char *type = ul_pii_name(f[i].type);
		json_object_set_new(v, type, json_integer(json_integer_value(json_object_get(v, type)) + 1));
	}
	return v;
}

double ul_findings_share(size_t bytes, const ul_finding *f, int n)
{
	size_t covered = 0;
	for (int i = 0; i < n; i++)
		covered += f[i].end - f[i].start;
	return bytes ? (double)covered / (double)bytes : 0;
}

bool ul_types_parse(const char *list, unsigned *types, ul_err *err)
{
	char copy[256], *save = NULL;
	unsigned bits = 0;
	if (list && strlen(list) >= sizeof copy)
		return ul_fail(err, "a list of types of %zu characters is over the limit of %zu", strlen(list), sizeof copy - 1);
	strcpy(copy, list ? list : "");
	for (char *name = strtok_r(copy, ", ", &save); name; name = strtok_r(NULL, ", ", &save)) {
		enum ul_pii t;
		for (char *c = name; *c; c++)
			*c = (char)toupper((unsigned char)*c);
		if (!ul_pii_from_name(name, &t))
			return ul_fail(err, "\"%s\" is no type of personal data (EMAIL, PHONE, IP, IBAN, CARD, SSN, DATE, URL, NAME, ADDRESS, ID)", name);
		bits |= 1u << t;
	}
	*types = bits;
	return true;
}

bool ul_gazetteer_file(ul_gazetteer *g, const char *path, ul_err *err)
{
	ul_buf text = {0};
	char *save = NULL;
	bool ok = ul_file_read(&text, path, 64 << 20, err);
	for (char *line = ok && text.data ? strtok_r(text.data, "\r\n", &save) : NULL; ok && line; line = strtok_r(NULL, "\r\n", &save))
		ok = ul_gazetteer_add(g, UL_PII_NAME, line) || ul_fail(err, "%s: \"%.60s\" cannot be added to the names", path, line);
	ul_buf_release(&text);
	return ok;
}

/* ---- names ---- */

/* Length of a capitalised word at s: "Anna", "O'Neil", "Müller", "Smith-Jones"; 0 = none. */
static size_t capitalised(const char *s, size_t n)
{
	size_t i = 1, lower = 0;
	if (n < 2 || !(isupper((unsigned char)s[0]) || (unsigned char)s[0] == 0xC3))
		return 0;
	for (; i < n; i++) {
		bool inner = (s[i] == '\'' || s[i] == '-') && i + 1 < n && isalpha((unsigned char)s[i + 1]);
		if (!isalpha((unsigned char)s[i]) && (unsigned char)s[i] < 0x80 && !inner)
			break;
		lower += islower((unsigned char)s[i]) || (unsigned char)s[i] >= 0x80;
	}
	return lower ? i : 0;
}

static bool covered(size_t start, size_t end, const ul_finding *f, int n)
{
	for (int i = 0; i < n; i++)
		if (f[i].type != UL_PII_NAME && start < f[i].end && end > f[i].start)
			return true;
	return false;
}

int ul_guess_names(const char *text, size_t n, const ul_finding *f, int findings, ul_finding *out, int max)
{
	int found = 0;
	for (size_t i = 0; i < n && found < max;) {
		bool inside = i > 0 && (isalnum((unsigned char)text[i - 1]) || (unsigned char)text[i - 1] >= 0x80);
		size_t first = inside ? 0 : capitalised(text + i, n - i), end = i + first, words = first > 0;
		while (words && words < 3 && end + 1 < n && text[end] == ' ') {
			size_t more = capitalised(text + end + 1, n - end - 1);
			if (!more)
				break;
			end += 1 + more;
			words++;
		}
		if (words >= 2 && !covered(i, end, f, findings))
			out[found++] = (ul_finding){i, end, UL_PII_NAME};
		i = words ? end : i + 1;
	}
	return found;
}
