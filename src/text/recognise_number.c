/*
 * recognise_number.c: numbers that carry a check (cards, IBAN), a fixed form (IP, SSN), or look like a telephone number.
 */
#include "text/recognise_match.h"

#include <arpa/inet.h>
#include <string.h>

bool ul_luhn(const char *digits, size_t n)
{
	int sum = 0;
	for (size_t i = 0; i < n; i++) {
		int d = digits[n - 1 - i] - '0';
		if (d < 0 || d > 9)
			return false;
		sum += i % 2 ? (d > 4 ? 2 * d - 9 : 2 * d) : d;
	}
	return n > 1 && sum % 10 == 0;
}

/* ---- IBAN (ISO 13616): country, two check digits, and a length that the country fixes ---- */

static const char lengths[] =
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 "
        "FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 "
        "MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 "
        "SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30 ";

static size_t iban_length(const char *s)
{
	for (const char *p = lengths; *p; p += 5)
		if (p[0] == s[0] && p[1] == s[1])
			return (size_t)((p[2] - '0') * 10 + p[3] - '0');
	return 0;
}

bool ul_iban_ok(const char *s, size_t n)
{
	char c[40];
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == ' ' && i)
			continue;
		if (!pii_alnum(s[i]) || k == 34)
			return false;
		c[k++] = s[i] >= 'a' ? (char)(s[i] - 32) : s[i];
	}
	if (k < 5 || !pii_digit(c[2]) || !pii_digit(c[3]) || iban_length(c) != k)
		return false;
	int rest = 0;
	for (size_t i = 0; i < k; i++) { /* the first four go last; a letter is two digits */
		char d = c[(i + 4) % k];
		rest = pii_digit(d) ? (rest * 10 + d - '0') % 97 : (rest * 100 + d - 'A' + 10) % 97;
	}
	return rest == 1;
}

static bool capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* Both cases are met, never mixed; the check digits decide. */
static bool iban_char(char c, bool lower)
{
	return pii_digit(c) || (lower ? c >= 'a' && c <= 'z' : capital(c));
}

size_t pii_iban(const struct pii_text *t, size_t i)
{
	char country[2] = {pii_at(t, i), pii_at(t, i + 1)};
	bool lower = !capital(country[0]);
	if (!pii_letter(country[0]) || !pii_letter(country[1]) || lower == capital(country[1]) || pii_digits(t, i + 2, 2) < 2 || pii_alnum(pii_before(t, i)))
		return 0;
	for (int c = 0; lower && c < 2; c++)
		country[c] = (char)(country[c] - 32);
	size_t want = iban_length(country), k = i, have = 0;
	while (have < want && k < t->n) {
		if (iban_char(t->s[k], lower))
			have++;
		else if (t->s[k] != ' ' || t->s[k - 1] == ' ')
			return 0;
		k++;
	}
	return want && have == want && !pii_alnum(pii_at(t, k)) && ul_iban_ok(t->s + i, k - i) ? k : 0;
}

/* ---- payment cards ---- */

static int prefix(const char *d, int n)
{
	int v = 0;
	for (int i = 0; i < n; i++)
		v = v * 10 + d[i] - '0';
	return v;
}

/* A range of issuers and the lengths it has: bit k stands for 12 + k digits. */
static const struct {
	int digits, first, last;
	unsigned lengths;
} issuers[] = {
        {1, 4, 4, 1 << 1 | 1 << 4 | 1 << 7}, /* Visa 13, 16, 19 */
        {2, 51, 55, 1 << 4},
        {4, 2221, 2720, 1 << 4}, /* Mastercard */
        {2, 34, 34, 1 << 3},
        {2, 37, 37, 1 << 3}, /* American Express */
        {4, 6011, 6011, 1 << 4 | 1 << 7},
        {3, 644, 649, 1 << 4 | 1 << 7},
        {2, 65, 65, 1 << 4 | 1 << 7},
        {3, 300, 305, 1 << 2 | 1 << 4},
        {2, 36, 36, 1 << 2},
        {2, 38, 39, 1 << 2 | 1 << 4},
        {2, 35, 35, 1 << 4},
        {4, 2131, 2131, 1 << 3},
        {4, 1800, 1800, 1 << 3},
        {2, 62, 62, 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7},
        {2, 50, 50, 0xFF},
        {2, 56, 58, 0xFF},
        {4, 6304, 6304, 0xFF},
        {2, 67, 67, 0xFF},
};

static bool issued(const char *d, int n)
{
	for (size_t k = 0; k < sizeof issuers / sizeof *issuers; k++) {
		int p = prefix(d, issuers[k].digits);
		if (p >= issuers[k].first && p <= issuers[k].last && (issuers[k].lengths >> (n - 12) & 1))
			return true;
	}
	return false;
}

static bool mid_number(const struct pii_text *t, size_t i)
{
	char c = pii_before(t, i);
	return pii_alnum(c) || ((c == '.' || c == ',') && i > 1 && pii_digit(t->s[i - 2]));
}

size_t pii_card(const struct pii_text *t, size_t i)
{
	char d[20];
	int n = 0;
	size_t k = i;
	if (!pii_digit(pii_at(t, i)) || mid_number(t, i))
		return 0;
	char sep = 0;
	for (; k < t->n && n < 19; k++) {
		if (pii_digit(t->s[k])) {
			d[n++] = t->s[k];
		} else if ((t->s[k] == ' ' || t->s[k] == '-') && (!sep || sep == t->s[k]) && n >= 4 && pii_digit(pii_at(t, k + 1))) {
			sep = t->s[k];
		} else {
			break;
		}
	}
	if (n < 12 || pii_alnum(pii_at(t, k)) || !issued(d, n) || !ul_luhn(d, (size_t)n))
		return 0;
	return k;
}

/* ---- social security numbers (USA) ---- */

static const char *const ssn_words[] = {"ssn", "social security", NULL};

size_t pii_ssn(const struct pii_text *t, size_t i)
{
	char sep = pii_at(t, i + 3);
	if (pii_digits(t, i, 3) < 3 || mid_number(t, i) || pii_before(t, i) == '-')
		return 0;
	bool plain = pii_digit(sep);
	size_t group = i + 3 + !plain, serial = group + 2 + !plain;
	if ((!plain && sep != '-' && sep != ' ') || pii_digits(t, group, 2) < 2 || pii_digits(t, serial, 4) < 4 ||
	        (!plain && pii_at(t, group + 2) != sep))
		return 0;
	char next = pii_at(t, serial + 4);
	if (pii_alnum(next) || (next == '-' && pii_digit(pii_at(t, serial + 5))))
		return 0;
	int area = prefix(t->s + i, 3);
	if (area == 0 || area == 666 || area >= 900 || !prefix(t->s + group, 2) || !prefix(t->s + serial, 4))
		return 0;
	return sep == '-' || pii_context(t, i, 40, ssn_words) ? serial + 4 : 0;
}

/* ---- IP addresses ---- */

static size_t ip4(const struct pii_text *t, size_t i)
{
	size_t k = i;
	for (int part = 0; part < 4; part++) {
		int n = pii_digits(t, k, 4);
		if (n < 1 || n > 3 || prefix(t->s + k, n) > 255 || (n > 1 && t->s[k] == '0'))
			return 0;
		k += (size_t)n;
		if (part < 3 && pii_at(t, k++) != '.')
			return 0;
	}
	char next = pii_at(t, k);
	return pii_alnum(next) || (next == '.' && pii_digit(pii_at(t, k + 1))) ? 0 : k;
}

static bool hexadecimal(char c)
{
	return pii_digit(c) || (((unsigned char)c | 32) >= 'a' && ((unsigned char)c | 32) <= 'f');
}

static size_t ip6(const struct pii_text *t, size_t i)
{
	char text[48];
	struct in6_addr a;
	size_t n = 0, colons = 0;
	while (i + n < t->n && n < 46 && (hexadecimal(t->s[i + n]) || t->s[i + n] == ':' || t->s[i + n] == '.')) {
		colons += t->s[i + n] == ':';
		n++;
	}
	while (n && (t->s[i + n - 1] == '.' || (t->s[i + n - 1] == ':' && n > 1 && t->s[i + n - 2] != ':')))
		n--; /* a full stop or a colon of the sentence */
	if (n < 3 || n > 45 || colons < 2 || pii_alnum(pii_at(t, i + n)))
		return 0;
	memcpy(text, t->s + i, n);
	text[n] = 0;
	return strpbrk(text, "0123456789") && inet_pton(AF_INET6, text, &a) == 1 ? i + n : 0;
}

size_t pii_ip(const struct pii_text *t, size_t i)
{
	char c = pii_at(t, i), before = pii_before(t, i);
	if (pii_alnum(before) || before == ':' || before == '.' || (unsigned char)before >= 0x80 || (!hexadecimal(c) && c != ':'))
		return 0;
	size_t end = pii_digit(c) ? ip4(t, i) : 0;
	return end ? end : ip6(t, i);
}

/* ---- telephone numbers ----
 * With a country code, an area code in brackets, or the groups that a country writes, a number speaks for itself; anything vaguer
 * needs a word like "phone" close by. */

static const char *const phone_words[] = {"phone", "mobile", "call", "tel:", "tel.", "tel ", "fax", "desk:", "cell", "answering at", "messages to", "dial",
        "whatsapp", "sms", "contact number", "reach me", "ring", NULL};
static const char *const phone_after[] = {"office", "fax", "mobile", "cell", "(work", "(home", NULL};

struct phone {
	int digits, groups, size[8]; /* digits in each group */
	bool plus, brackets, dots, slash;
	size_t end, extension; /* 0 = none */
};

static bool separator(const struct pii_text *t, size_t *k, struct phone *p)
{
	size_t i = *k;
	int n = 0;
	for (; n < 3 && i < t->n && strchr(" .-()/", t->s[i]) && t->s[i]; i++, n++) {
		p->dots |= t->s[i] == '.';
		p->slash |= t->s[i] == '/';
		p->brackets |= t->s[i] == '(';
		if ((t->s[i] == ' ' || t->s[i] == '-' || t->s[i] == '.') && n && t->s[i] == t->s[i - 1])
			return false;
	}
	if (!n || !pii_digit(pii_at(t, i)))
		return false;
	*k = i;
	return true;
}

static void extension(const struct pii_text *t, struct phone *p)
{
	size_t k = p->end;
	while (pii_at(t, k) == ' ' && k < p->end + 2)
		k++;
	size_t name = k;
	if (t->n - k > 4 && !strncmp(t->s + k, "ext", 3))
		k += 3 + (t->s[k + 3] == '.');
	else if (pii_at(t, k) == 'x')
		k++;
	if (k == name)
		return;
	k += pii_at(t, k) == ' ';
	int n = pii_digits(t, k, 7);
	if (n >= 1 && n <= 6 && !pii_alnum(pii_at(t, k + (size_t)n)))
		p->extension = k + (size_t)n;
}

static bool read_phone(const struct pii_text *t, size_t i, struct phone *p)
{
	size_t k = i;
	*p = (struct phone){.plus = t->s[i] == '+'};
	k += p->plus;
	if (pii_at(t, k) == '(') {
		p->brackets = true;
		k++;
	}
	for (;;) {
		int n = pii_digits(t, k, 16);
		if (!n || p->groups == 8)
			return false;
		p->size[p->groups++] = n;
		p->digits += n;
		k += (size_t)n;
		p->end = k;
		if (!separator(t, &k, p))
			break;
	}
	if (pii_at(t, p->end) == ')' && p->groups == 1)
		return false;
	extension(t, p);
	return p->digits >= 5 && p->digits <= 15;
}

/* 3-3-4 with or without 1 in front (North America), 2-2-2-2-2 (France), or a leading 0 or 00 and groups of two to five. */
static bool national(const struct pii_text *t, size_t i, const struct phone *p)
{
	const int *g = p->size;
	int n = p->groups;
	int k = n >= 4 && (g[0] == 1 || (g[0] == 3 && !strncmp(t->s + i, "001", 3))) ? 1 : 0;
	if (n - k == 3 && g[k] == 3 && g[k + 1] == 3 && g[k + 2] == 4 && !p->slash)
		return true;
	if (n == 2 && p->brackets && g[0] == 3 && p->digits == 10)
		return true;
	if (n == 5 && g[0] == 2 && g[1] == 2 && g[2] == 2 && g[3] == 2 && g[4] == 2 && t->s[i] == '0')
		return true;
	bool even = n >= 2 && !(n == 3 && g[0] == 3 && g[1] == 2 && g[2] == 4); /* the form of an SSN */
	for (int m = 0; m < n; m++)
		even &= g[m] >= 2 && g[m] <= 8;
	return even && (t->s[i] == '0' || t->s[i] == '(') && p->digits >= 8 && p->digits <= 12 && !p->slash && !p->dots;
}

static bool named(const struct pii_text *t, size_t i, const struct phone *p)
{
	struct pii_text after = {t->s, p->end + 9 < t->n ? p->end + 9 : t->n};
	return pii_context(t, i, 32, phone_words) || (after.n > p->end && pii_context(&after, after.n, after.n - p->end, phone_after));
}

/* 1984-04-27, 27.4.1984: groups that read as a date are left to the dates. */
static bool like_date(const struct pii_text *t, size_t i, const struct phone *p)
{
	return !p->plus && p->groups >= 3 && pii_date(t, i) >= p->end;
}

size_t pii_phone(const struct pii_text *t, size_t i)
{
	struct phone p;
	char c = pii_at(t, i), before = pii_before(t, i);
	if ((c != '+' && c != '(' && !pii_digit(c)) || (c != '(' && mid_number(t, i)) || before == '+' || before == '$' || before == '#' || before == '/' ||
	        (before == '-' && i > 1 && pii_alnum(t->s[i - 2])) || (before == '(' && c != '+' && i > 1))
		return 0;
	if (!read_phone(t, i, &p) || (pii_alnum(pii_at(t, p.end)) && !p.extension) || like_date(t, i, &p) || pii_ssn(t, i))
		return 0;
	if (pii_at(t, p.end) == '.' && pii_digit(pii_at(t, p.end + 1)))
		return 0;
	bool good = p.plus ? p.digits >= 8 : national(t, i, &p) || (p.digits >= 6 && named(t, i, &p));
	return good ? (p.extension ? p.extension : p.end) : 0;
}
