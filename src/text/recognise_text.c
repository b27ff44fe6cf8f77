/*
 * recognise_text.c: e-mail addresses, URLs, dates, street addresses, and identifiers that a word announces.
 */
#include "text/recognise_match.h"

#include <string.h>
#include <strings.h>

static char low(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool says(const struct pii_text *t, size_t i, const char *word)
{
	size_t n = strlen(word);
	return i + n <= t->n && !strncasecmp(t->s + i, word, n);
}

bool pii_context(const struct pii_text *t, size_t i, size_t reach, const char *const *words)
{
	size_t from = i > reach ? i - reach : 0;
	struct pii_text part = {t->s, i};
	for (size_t k = from; k < i; k++)
		for (int w = 0; words[w]; w++)
			if (low(t->s[k]) == words[w][0] && says(&part, k, words[w]) && (!pii_letter(words[w][0]) || !pii_letter(pii_before(t, k))))
				return true;
	return false;
}

/* ---- e-mail and URL ---- */

static bool label_char(char c)
{
	return pii_alnum(c) || c == '-';
}

/* label(.label)+ with a top level of letters; the end, or 0. */
static size_t host(const struct pii_text *t, size_t i)
{
	size_t k = i, end = 0;
	while (k - i < 253 && label_char(pii_at(t, k)) && t->s[k] != '-') {
		size_t start = k;
		bool letters = true;
		while (label_char(pii_at(t, k)) && k - start < 63)
			letters &= pii_letter(t->s[k++]);
		if (t->s[k - 1] == '-' || label_char(pii_at(t, k)))
			break;
		if (start > i && letters && k - start >= 2)
			end = k;
		if (pii_at(t, k) != '.')
			break;
		k++;
	}
	return end;
}

static bool local_char(char c)
{
	return pii_alnum(c) || (c && strchr("._%+-'", c));
}

size_t pii_email(const struct pii_text *t, size_t i)
{
	size_t k = i;
	if (!pii_alnum(pii_at(t, i)) || local_char(pii_before(t, i)) || (unsigned char)pii_before(t, i) >= 0x80)
		return 0;
	while (k < t->n && k - i <= 64 && local_char(t->s[k]))
		k++;
	if (pii_at(t, k) != '@' || k - i > 64 || t->s[k - 1] == '.')
		return 0;
	return host(t, k + 1);
}

static bool url_char(char c)
{
	return (unsigned char)c > ' ' && c != 127 && !strchr("<>\"{}|\\^`", c);
}

/* The rest of an address after its host: without the punctuation of the sentence around it. */
static size_t url_rest(const struct pii_text *t, size_t i)
{
	size_t k = i;
	int open = 0;
	while (k < t->n && url_char(t->s[k])) {
		open += t->s[k] == '(' ? 1 : t->s[k] == ')' ? -1
		                                            : 0;
		if (open < 0)
			break;
		k++;
	}
	while (k > i && strchr(".,;:!?'*", t->s[k - 1]))
		k--;
	return k;
}

static const char *const top_levels[] = {"com", "org", "net", "edu", "gov", "mil", "info", "biz", "io", "dev", "app", "co", "uk", "de", "fr", "nl", "eu",
        "ch", "es", "se", "dk", "fi", "pl", "cz", "ru", "ca", "au", "nz", "jp", "br", NULL};

static bool known_top_level(const struct pii_text *t, size_t end)
{
	size_t i = end;
	while (i && pii_letter(t->s[i - 1]))
		i--;
	for (int k = 0; top_levels[k]; k++)
		if (strlen(top_levels[k]) == end - i && !strncmp(t->s + i, top_levels[k], end - i))
			return true;
	return false;
}

size_t pii_url(const struct pii_text *t, size_t i)
{
	static const char *const schemes[] = {"https://", "http://", "ftp://", NULL};
	char before = pii_before(t, i);
	if (!pii_alnum(pii_at(t, i)) || pii_alnum(before) || (unsigned char)before >= 0x80)
		return 0;
	for (int k = 0; schemes[k]; k++) {
		size_t from = i + strlen(schemes[k]);
		if (says(t, i, schemes[k]) && url_char(pii_at(t, from)))
			return url_rest(t, from + 1);
	}
	if (before == '@' || before == '.' || before == '-' || before == '_')
		return 0;
	size_t end = host(t, i);
	if (!end || pii_at(t, end) == '@' || (!says(t, i, "www.") && !known_top_level(t, end)))
		return 0;
	char next = pii_at(t, end);
	return next == '/' || next == ':' || next == '?' ? url_rest(t, end) : end;
}

/* ---- dates ---- */

static const char *const months[] = {"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"};

/* Month 1 to 12 written out or as three letters (four for Sept), and its end. */
static int month_name(const struct pii_text *t, size_t i, size_t *end)
{
	if (pii_at(t, i) < 'A' || pii_at(t, i) > 'Z')
		return 0;
	for (int m = 0; m < 12; m++) {
		size_t n = strlen(months[m]);
		if (!says(t, i, months[m]))
			n = says(t, i, "sept") && m == 8 ? 4 : 3;
		if (strncasecmp(t->s + i, months[m], t->n - i < 3 ? t->n - i : 3) || t->n - i < n || pii_alnum(pii_at(t, i + n)))
			continue;
		*end = i + n;
		if (n <= 4 && pii_at(t, *end) == '.')
			++*end;
		return m + 1;
	}
	return 0;
}

static int value(const struct pii_text *t, size_t i, int n)
{
	int v = 0;
	for (int k = 0; k < n; k++)
		v = v * 10 + t->s[i + (size_t)k] - '0';
	return v;
}

static bool day_ok(int day, int month, int year)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] && (month != 2 || day < 29 || leap);
}

static bool ends(const struct pii_text *t, size_t i)
{
	return !pii_alnum(pii_at(t, i));
}

/* hh:mm, hh:mm:ss, fractions and a zone, behind a date. */
static size_t time_after(const struct pii_text *t, size_t i)
{
	size_t k = i + 1;
	char sep = pii_at(t, i);
	if ((sep != ' ' && sep != 'T') || pii_digits(t, k, 3) != 2 || pii_at(t, k + 2) != ':' || pii_digits(t, k + 3, 3) != 2 || value(t, k, 2) > 24)
		return i;
	k += 5;
	if (pii_at(t, k) == ':' && pii_digits(t, k + 1, 3) == 2)
		k += 3;
	if (pii_at(t, k) == '.' && pii_digit(pii_at(t, k + 1)))
		k += 1 + (size_t)pii_digits(t, k + 1, 9);
	if (pii_at(t, k) == 'Z')
		k++;
	else if ((pii_at(t, k) == '+' || pii_at(t, k) == '-') && pii_digits(t, k + 1, 3) == 2 && pii_at(t, k + 3) == ':' && pii_digits(t, k + 4, 3) == 2)
		k += 6;
	return ends(t, k) ? k : i;
}

/* 2021-03-05 and the same with / or . */
static size_t year_first(const struct pii_text *t, size_t i)
{
	char sep = pii_at(t, i + 4);
	int m = pii_digits(t, i + 5, 3), d = m > 0 ? pii_digits(t, i + 6 + (size_t)m, 3) : 0;
	size_t day = i + 6 + (size_t)m, end = day + (size_t)d;
	if (!sep || !strchr("-/.", sep) || m < 1 || m > 2 || pii_at(t, i + 5 + (size_t)m) != sep || d < 1 || d > 2)
		return 0;
	char next = pii_at(t, end);
	if ((!ends(t, end) && next != 'T') || ((next == sep || next == '.') && pii_digit(pii_at(t, end + 1))))
		return 0;
	if (!day_ok(value(t, day, d), value(t, i + 5, m), value(t, i, 4)))
		return 0;
	end = time_after(t, end);
	return ends(t, end) ? end : 0;
}

/* 5/3/2021, 03.05.21: day and month in either order, a year of four digits, or of two behind slashes or dots. */
static size_t year_last(const struct pii_text *t, size_t i)
{
	int a = pii_digits(t, i, 3);
	char sep = pii_at(t, i + (size_t)a);
	size_t second = i + (size_t)a + 1;
	int b = sep && strchr("-/.", sep) ? pii_digits(t, second, 3) : 0;
	size_t year = second + (size_t)b + 1;
	int y = b > 0 && pii_at(t, year - 1) == sep ? pii_digits(t, year, 5) : 0;
	size_t end = year + (size_t)y;
	if (a < 1 || a > 2 || b < 1 || b > 2 || (y != 4 && !(y == 2 && sep != '-')) || !ends(t, end))
		return 0;
	if (strchr("-/.", pii_at(t, end)) && pii_digit(pii_at(t, end + 1)))
		return 0;
	int v = value(t, i, a), w = value(t, second, b), n = value(t, year, y);
	if (y == 4 && (n < 1000 || n > 2999))
		return 0;
	n += y == 2 ? 2000 : 0;
	return day_ok(v, w, n) || day_ok(w, v, n) ? time_after(t, end) : 0;
}

static size_t spaces(const struct pii_text *t, size_t i)
{
	while (pii_at(t, i) == ' ' || pii_at(t, i) == '\t')
		i++;
	return i;
}

/* 5, 5th; 0 when it is no day. */
static int day_number(const struct pii_text *t, size_t i, size_t *end)
{
	int n = pii_digits(t, i, 3), v = n >= 1 && n <= 2 ? value(t, i, n) : 0;
	*end = i + (size_t)n;
	if (says(t, *end, "st") || says(t, *end, "nd") || says(t, *end, "rd") || says(t, *end, "th"))
		*end += 2;
	return ends(t, *end) && v <= 31 ? v : 0;
}

static size_t year_after(const struct pii_text *t, size_t i, int *year)
{
	size_t k = spaces(t, i);
	if (pii_at(t, k) == ',')
		k = spaces(t, k + 1);
	if (k > i && pii_digits(t, k, 5) == 4 && ends(t, k + 4) && value(t, k, 4) >= 1000 && value(t, k, 4) < 3000)
		return *year = value(t, k, 4), k + 4;
	return *year = 0, i;
}

/* March 5, 2021; March 5; March 2021 */
static size_t month_first(const struct pii_text *t, size_t i)
{
	size_t k, end;
	int year, month = month_name(t, i, &k), day = month ? day_number(t, spaces(t, k), &end) : 0;
	if (!month || spaces(t, k) == k)
		return 0;
	if (day) {
		size_t all = year_after(t, end, &year);
		return day_ok(day, month, year ? year : 2000) ? all : 0;
	}
	k = year_after(t, k, &year);
	return year ? k : 0;
}

/* 5 March 2021; 5th of March; 5 March */
static size_t day_first(const struct pii_text *t, size_t i)
{
	size_t k, end;
	int year, day = day_number(t, i, &k);
	size_t name = spaces(t, k);
	if (!day || name == k)
		return 0;
	if (says(t, name, "of "))
		name = spaces(t, name + 3);
	int month = month_name(t, name, &end);
	if (!month)
		return 0;
	end = year_after(t, end, &year);
	return day_ok(day, month, year ? year : 2000) ? end : 0;
}

size_t pii_date(const struct pii_text *t, size_t i)
{
	char c = pii_at(t, i), before = pii_before(t, i);
	if (pii_alnum(before) || (unsigned char)before >= 0x80)
		return 0;
	if (!pii_digit(c))
		return pii_letter(c) ? month_first(t, i) : 0;
	if (before && strchr(".-/,+", before) && i > 1 && pii_alnum(t->s[i - 2]))
		return 0;
	int n = pii_digits(t, i, 5);
	if (n == 4)
		return year_first(t, i);
	if (n > 2)
		return 0;
	size_t end = year_last(t, i);
	return end ? end : day_first(t, i);
}

/* ---- street addresses: a number, capitalised words, and a word for a street ---- */

static const char *const streets[] = {"Street", "St", "Avenue", "Ave", "Road", "Rd", "Lane", "Ln", "Drive", "Dr", "Boulevard", "Blvd", "Court", "Ct", "Way",
        "Place", "Pl", "Square", "Sq", "Terrace", "Crescent", "Highway", "Hwy", "Parkway", "Pkwy", "Close", "Trail", "Circle", NULL};

static bool street_word(const struct pii_text *t, size_t i, size_t n)
{
	for (int k = 0; streets[k]; k++)
		if (strlen(streets[k]) == n && !strncmp(t->s + i, streets[k], n))
			return true;
	return false;
}

static size_t word(const struct pii_text *t, size_t i)
{
	size_t k = i;
	while (pii_letter(pii_at(t, k)) || (k > i && (pii_at(t, k) == '\'' || pii_at(t, k) == '-')) || (unsigned char)pii_at(t, k) >= 0x80)
		k++;
	return k - i <= 40 ? k : i;
}

/* Apt. 4, Suite 300, Unit 12 behind a street. */
static size_t unit(const struct pii_text *t, size_t i)
{
	static const char *const units[] = {"Apt", "Suite", "Unit", "Flat", NULL};
	size_t k = i + (pii_at(t, i) == ',');
	k = spaces(t, k);
	for (int u = 0; units[u]; u++) {
		if (!says(t, k, units[u]))
			continue;
		size_t n = k + strlen(units[u]);
		n = spaces(t, n + (pii_at(t, n) == '.'));
		int digits = pii_digits(t, n, 6);
		return digits ? n + (size_t)digits : i;
	}
	return i;
}

/* A code of four to six digits, or two capitals and perhaps such a code: what follows a town. */
static size_t post_code(const struct pii_text *t, size_t i)
{
	size_t k = i + (pii_at(t, i) == ',');
	k = spaces(t, k);
	if (k == i)
		return i;
	bool state = pii_at(t, k) >= 'A' && pii_at(t, k) <= 'Z' && pii_at(t, k + 1) >= 'A' && pii_at(t, k + 1) <= 'Z' && !pii_alnum(pii_at(t, k + 2));
	size_t end = state ? k + 2 : i;
	size_t at = state ? spaces(t, end) : k;
	int digits = pii_digits(t, at, 6);
	if (digits < 4 || pii_alnum(pii_at(t, at + (size_t)digits)))
		return end;
	end = at + (size_t)digits;
	return pii_at(t, end) == '-' && pii_digits(t, end + 1, 5) == 4 ? end + 5 : end;
}

/* ", San Marino, CA 91108" behind a street: up to three capitalised words that end as a part of a list does. */
static size_t town(const struct pii_text *t, size_t i)
{
	size_t k = i, end = i;
	if (pii_at(t, i) != ',' || pii_at(t, i + 1) != ' ')
		return post_code(t, i);
	k = i + 2;
	for (int words = 0; words < 3; words++) {
		size_t stop = word(t, k);
		char c = pii_at(t, k);
		if (stop < k + 2 || !((c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80))
			break;
		end = stop;
		if (pii_at(t, end) != ' ' || pii_digit(pii_at(t, end + 1)))
			break;
		k = end + 1;
	}
	size_t code = post_code(t, end > i ? end : i);
	if (end > i && (code > end || end == t->n || strchr(".,;:)!?\n", pii_at(t, end))))
		return code;
	return end == i ? code : i;
}

size_t pii_address(const struct pii_text *t, size_t i)
{
	int digits = pii_digits(t, i, 6);
	size_t k = i + (size_t)digits;
	if (digits < 1 || digits > 5 || pii_alnum(pii_before(t, i)) || strchr(".,-/", pii_before(t, i) ? pii_before(t, i) : ' ') || pii_at(t, k) != ' ')
		return 0;
	for (int words = 0; words < 5 && pii_at(t, k) == ' '; words++) {
		size_t start = k + 1, end = word(t, start);
		char c = pii_at(t, start);
		if (end == start || !((c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80))
			return 0;
		if (words && street_word(t, start, end - start))
			return town(t, unit(t, end + (end - start <= 4 && pii_at(t, end) == '.')));
		k = end + (end - start == 1 && pii_at(t, end) == '.');
	}
	return 0;
}

/* ---- identifiers ---- */

static const char *const id_words[] = {"passport", "licence", "license", "account n", "account:", "employee id", "patient id", "member id", "customer id",
        "badge", "policy n", "mrn", "national id", "tax id", "id number", "id card", "id:", NULL};

/* A word of capitals and digits, five of them at least, that one of the words above announces. */
size_t pii_id(const struct pii_text *t, size_t i)
{
	size_t k = i;
	int digits = 0;
	char before = pii_before(t, i);
	if (!pii_alnum(pii_at(t, i)) || pii_alnum(before) || before == '-' || (unsigned char)before >= 0x80)
		return 0;
	while (k < t->n && k - i <= 24 && (pii_digit(t->s[k]) || (t->s[k] >= 'A' && t->s[k] <= 'Z') || (t->s[k] == '-' && pii_alnum(pii_at(t, k + 1)))))
		digits += pii_digit(t->s[k++]);
	if (digits < 5 || k - i > 24 || (pii_alnum(pii_at(t, k))))
		return 0;
	return pii_context(t, i, 28, id_words) ? k : 0;
}
