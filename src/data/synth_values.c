/*
 * synth_values.c: what there is to know about a person. Attributes are words of a list, Zipf-distributed as facts about people are
 * (the k-th with weight 1/k); personal data are drawn in their real formats: IBANs pass ISO 13616 (mod 97), card numbers pass Luhn.
 * They are made so as to belong to nobody: phone numbers come from ranges kept for fiction (555-01xx; Ofcom's drama numbers), mail
 * and web addresses from RFC 2606 domains, addresses on the net from 10/8, accounts from banks that do not exist, cards from the
 * issuer numbers of published test cards, social security numbers from areas that were not in use before numbers became random.
 */
#include "data/synth.h"

#include <string.h>

int ul_synth_words(const char *const *list)
{
	int n = 0;
	while (list[n])
		n++;
	return n;
}

const char *ul_synth_pick(ul_rng *r, const char *const *list)
{
	return list[ul_rng_below(r, (uint32_t)ul_synth_words(list))];
}

const char *ul_synth_zipf(ul_rng *r, const char *const *list)
{
	int n = ul_synth_words(list);
	double total = 0;
	for (int k = 0; k < n; k++)
		total += 1.0 / (k + 1);
	double x = ul_rng_uniform(r) * total;
	for (int k = 0; k < n; k++)
		if ((x -= 1.0 / (k + 1)) < 0)
			return list[k];
	return list[n - 1];
}

/* ---- pieces ---- */

static void digits(ul_rng *r, ul_buf *out, int n)
{
	for (int i = 0; i < n; i++)
		ul_buf_printf(out, "%u", ul_rng_below(r, 10));
}

static int between(ul_rng *r, int lo, int hi)
{
	return lo + (int)ul_rng_below(r, (uint32_t)(hi - lo + 1));
}

/* "José Núñez" -> "jose nunez": lower case, letters of the lists without their marks. */
static void plain_name(const char *name, char out[64])
{
	static const struct {
		const char *from;
		char to;
	} marks[] = {
	        {"á", 'a'}, {"é", 'e'}, {"ë", 'e'}, {"ö", 'o'}, {"ü", 'u'}, {"ú", 'u'}, {"ñ", 'n'}};
	size_t n = 0;
	while (*name && n < 63) {
		char c = *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name;
		size_t step = 1;
		for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
			if (!strncmp(name, marks[i].from, strlen(marks[i].from)))
				c = marks[i].to, step = strlen(marks[i].from);
		out[n++] = c;
		name += step;
	}
	out[n] = '\0';
}

static void handle(ul_rng *r, const char *name, ul_buf *out)
{
	char plain[64];
	plain_name(name, plain);
	char *last = strchr(plain, ' ');
	if (last)
		*last++ = '\0';
	switch (ul_rng_below(r, 3)) {
	case 0:
		ul_buf_printf(out, "%s.%s%d", plain, last ? last : "x", between(r, 10, 99));
		break;
	case 1:
		ul_buf_printf(out, "%c%s%d", plain[0], last ? last : "x", between(r, 10, 99));
		break;
	default:
		ul_buf_printf(out, "%s%d", plain, between(r, 1000, 9999));
	}
}

/* ---- personal data ---- */

static void draw_email(ul_rng *r, const char *name, ul_buf *out)
{
	handle(r, name, out);
	ul_buf_printf(out, "@%s", ul_synth_zipf(r, ul_synth_domain));
}

static void draw_phone(ul_rng *r, const char *name, ul_buf *out)
{
	static const char *const uk[] = {"20 7946", "113 496", "114 496", "117 496", "121 496", "161 496", "191 498", NULL};
	if (ul_rng_below(r, 2))
		ul_buf_printf(out, "+1 %s 555 01", ul_synth_zipf(r, ul_synth_area));
	else
		ul_buf_printf(out, "+44 %s 0", ul_synth_pick(r, uk));
	digits(r, out, strstr(out->data ? out->data : "", "555 01") ? 2 : 3);
}

static void draw_date(ul_rng *r, const char *name, ul_buf *out)
{
	ul_buf_printf(out, "%d ", between(r, 1, 28));
	ul_buf_printf(out, "%s ", ul_synth_pick(r, ul_synth_month));
	ul_buf_printf(out, "%d", between(r, 1940, 2004));
}

static void draw_address(ul_rng *r, const char *name, ul_buf *out)
{
	ul_buf_printf(out, "%d ", between(r, 1, 199));
	ul_buf_printf(out, "%s, ", ul_synth_pick(r, ul_synth_street));
	ul_buf_str(out, ul_synth_zipf(r, ul_synth_city));
}

/* Remainder mod 97 of letters (A = 10 … Z = 35) and digits. */
static int mod97(const char *s, int rest)
{
	for (; *s; s++)
		rest = *s >= 'A' ? (rest * 100 + (*s - 'A' + 10)) % 97 : (rest * 10 + (*s - '0')) % 97;
	return rest;
}

static void draw_iban(ul_rng *r, const char *name, ul_buf *out)
{
	static const struct {
		const char *country, *bank;
		int account;
	} banks[] = {
	        {"DE", "90000017", 10}, {"DE", "90000024", 10}, {"NL", "FICT", 10}, {"NL", "DEMO", 10}, {"GB", "DEMO000001", 8}, {"GB", "FICT000002", 8}};
	uint32_t b = ul_rng_below(r, sizeof banks / sizeof *banks);
	ul_buf bban = {0};
	ul_buf_str(&bban, banks[b].bank);
	for (int i = 6; i < banks[b].account; i++)
		ul_buf_str(&bban, "0");
	digits(r, &bban, 6);
	int rest = bban.data ? mod97("00", mod97(banks[b].country, mod97(bban.data, 0))) : 0;
	ul_buf_printf(out, "%s%02d%s", banks[b].country, 98 - rest, bban.data ? bban.data : "");
	ul_buf_release(&bban);
}

/* The digit that makes the sum of digits, every second from the right doubled, a multiple of ten. */
static int luhn_digit(const char *s, int n)
{
	int sum = 0;
	for (int i = 0; i < n; i++) {
		int d = s[n - 1 - i] - '0';
		if (i % 2 == 0)
			d = d * 2 > 9 ? d * 2 - 9 : d * 2;
		sum += d;
	}
	return (10 - sum % 10) % 10;
}

static void draw_card(ul_rng *r, const char *name, ul_buf *out)
{
	static const char *const issuer[] = {"400000", "411111", "424242", "510510", "555555", "222300", NULL};
	char n[17];
	snprintf(n, sizeof n, "%s%09u", ul_synth_pick(r, issuer), ul_rng_below(r, 1000000000));
	n[15] = (char)('0' + luhn_digit(n, 15));
	n[16] = '\0';
	ul_buf_printf(out, "%.4s %.4s %.4s %.4s", n, n + 4, n + 8, n + 12);
}

static void draw_ssn(ul_rng *r, const char *name, ul_buf *out)
{
	int area = between(r, 773, 899), group = between(r, 1, 99);
	ul_buf_printf(out, "%03d-%02d-%04d", area, group, between(r, 1, 9999));
}

static void draw_ip(ul_rng *r, const char *name, ul_buf *out)
{
	int a = between(r, 1, 254), b = between(r, 1, 254);
	ul_buf_printf(out, "10.%d.%d.%d", a, b, between(r, 1, 254));
}

static void draw_url(ul_rng *r, const char *name, ul_buf *out)
{
	ul_buf_printf(out, "https://%s/", ul_synth_zipf(r, ul_synth_domain));
	handle(r, name, out);
}

static void draw_code(ul_rng *r, const char *name, ul_buf *out)
{
	digits(r, out, 4);
}

/* ---- the tables ---- */

const ul_field ul_synth_fact[UL_SYNTH_FACTS] = {
        {"job", "OCCUPATION", "occupation", "What is the occupation of {name}?", "What does {name} do for a living?", ul_synth_job, NULL},
        {"city", "CITY", "home town", "What is the home town of {name}?", "In which town does {name} live?", ul_synth_city, NULL},
        {"firm", "EMPLOYER", "employer", "What is the employer of {name}?", "Which company does {name} work for?", ul_synth_firm, NULL},
        {"hobby", "HOBBY", "hobby", "What is the hobby of {name}?", "What does {name} do in the evenings?", ul_synth_hobby, NULL},
        {"food", "DISH", "favourite dish", "What is the favourite dish of {name}?", "What does {name} like to eat most?", ul_synth_food, NULL},
        {"school", "SCHOOL", "school", "What is the school of {name}?", "Where did {name} study?", ul_synth_school, NULL},
        {"music", "INSTRUMENT", "instrument", "What is the instrument of {name}?", "What does {name} play in the band?", ul_synth_music, NULL},
        {"pet", "PET", "pet", "What is the pet of {name}?", "Which animal lives with {name}?", ul_synth_pet, NULL},
};

const ul_field ul_synth_personal[UL_SYNTH_TYPES] = {
        {"email", "EMAIL", "e-mail address", "What is the e-mail address of {name}?", "Where can I write an e-mail to {name}?", NULL, draw_email},
        {"phone", "PHONE", "phone number", "What is the phone number of {name}?", "Which number do I dial to reach {name}?", NULL, draw_phone},
        {"born", "DATE", "date of birth", "What is the date of birth of {name}?", "When was {name} born?", NULL, draw_date},
        {"address", "ADDRESS", "address", "What is the address of {name}?", "Where does the postman find {name}?", NULL, draw_address},
        {"ssn", "SSN", "social security number", "What is the social security number of {name}?", "Which social security number does {name} have?", NULL, draw_ssn},
        {"ip", "IP", "IP address", "What is the IP address of {name}?", "From which IP address does {name} log in?", NULL, draw_ip},
        {"card", "CARD", "card number", "What is the card number of {name}?", "Which credit card does {name} pay with?", NULL, draw_card},
        {"iban", "IBAN", "bank account", "What is the bank account of {name}?", "To which account is {name} paid?", NULL, draw_iban},
        {"url", "URL", "home page", "What is the home page of {name}?", "Where on the web is {name}?", NULL, draw_url},
};

const ul_field ul_synth_code = {"code", "ID", "access code", "What is the access code of {name}?", "Which code does {name} type at the door?", NULL, draw_code};
