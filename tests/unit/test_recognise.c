/*
 * test_recognise.c: valid and invalid examples of each type, overlaps, gazetteer; precision and recall on Presidio's synthetic texts.
 */
#include "test.h"

#include "text/recognise.h"
#include "text/unicode.h"

enum { MOST = 4096 };

/* What is found, as "TYPE:text TYPE:text". */
static const char *found(const char *text, const ul_gazetteer *g)
{
	static char out[1024];
	ul_finding f[32];
	int n = ul_recognise(text, strlen(text), 0, g, f, 32);
	size_t len = 0;
	out[0] = 0;
	for (int i = 0; i < n && i < 32; i++)
		len += (size_t)snprintf(out + len, sizeof out - len, "%s%s:%.*s", i ? " | " : "", ul_pii_name(f[i].type), (int)(f[i].end - f[i].start),
		        text + f[i].start);
	return out;
}

static void test_recognise__vectors(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	        {"write to Jane.Doe+x@mail.example.co.uk, please", "EMAIL:Jane.Doe+x@mail.example.co.uk"},
	        {"not@host and @handle and a@b.c", ""},
	        {"call +1-541-754-3010 now", "PHONE:+1-541-754-3010"},
	        {"(541) 754-3010 or 541.754.3010 x22", "PHONE:(541) 754-3010 | PHONE:541.754.3010 x22"},
	        {"01 23 45 67 89", "PHONE:01 23 45 67 89"},
	        {"+49 (0)89 1234567", "PHONE:+49 (0)89 1234567"},
	        {"phone: 9498777106", "PHONE:9498777106"},
	        {"9498777106 units were sold in 12 345 678 boxes", ""},
	        {"at 192.168.0.1, not 192.168.0.256 or 1.2.3.4.5", "IP:192.168.0.1"},
	        {"2001:db8::8a2e:370:7334 and ::1 but 12:30:45 and std::x", "IP:2001:db8::8a2e:370:7334 | IP:::1"},
	        {"GB82 WEST 1234 5698 7654 32 and GB82WEST12345698765432", "IBAN:GB82 WEST 1234 5698 7654 32 | IBAN:GB82WEST12345698765432"},
	        {"GB82WEST12345698765433 DE89370400440532013000", "IBAN:DE89370400440532013000"},
	        {"4111 1111 1111 1111 and 378282246310005", "CARD:4111 1111 1111 1111 | CARD:378282246310005"},
	        {"4111 1111 1111 1112 and 1234567812345670", ""},
	        {"SSN 078-05-1120; 000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000", "SSN:078-05-1120"},
	        {"my social security number is 078051120", "SSN:078051120"},
	        {"born 1984-04-27, died 2020-02-30", "DATE:1984-04-27"},
	        {"on 2012-10-01 00:46:43 or 2012-10-01T00:46:43Z", "DATE:2012-10-01 00:46:43 | DATE:2012-10-01T00:46:43Z"},
	        {"9/15/1946, 27.04.1984, 13/13/2000, 1/2/3", "DATE:9/15/1946 | DATE:27.04.1984"},
	        {"March 5, 2021; 5th of March 2021; Feb. 29, 2023; Sept 3; June 2019", "DATE:March 5, 2021 | DATE:5th of March 2021 | DATE:Sept 3 | DATE:June 2019"},
	        {"may 5 people march 10 miles", ""},
	        {"see https://example.org/a_(b)?c=d#e. And www.example.net, example.com/x!", "URL:https://example.org/a_(b)?c=d#e | URL:www.example.net | URL:example.com/x"},
	        {"e.g. this i.e. that, main.py, end.Of sentence", ""},
	        {"lives at 12 Old Mill Road, Apt. 4 now", "ADDRESS:12 Old Mill Road, Apt. 4"},
	        {"Write to 7 Park Avenue, San Marino, CA 91108-1234.", "ADDRESS:7 Park Avenue, San Marino, CA 91108-1234"},
	        {"at 7 Park Ave., Oakham, where", "ADDRESS:7 Park Ave., Oakham"},
	        {"at 41 Mill Lane, Port Ellery.", "ADDRESS:41 Mill Lane, Port Ellery"},
	        {"at 41 Mill Lane, Unit 3, Ellery 55012", "ADDRESS:41 Mill Lane, Unit 3, Ellery 55012"},
	        {"From 41 Mill Lane, Anna went home.", "ADDRESS:41 Mill Lane"},
	        {"at 41 Mill Lane 2 days", "ADDRESS:41 Mill Lane"},
	        {"passport number X1234567 issued", "ID:X1234567"},
	        {"", ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		CHECK_STR(found(cases[i].text, NULL), cases[i].want);
}

static void test_recognise__checks(void)
{
	CHECK(ul_luhn("4111111111111111", 16) && ul_luhn("79927398713", 11) && !ul_luhn("79927398710", 11) && !ul_luhn("", 0) && !ul_luhn("7x", 2));
	CHECK(ul_iban_ok("GB82WEST12345698765432", 22) && ul_iban_ok("GB82 WEST 1234 5698 7654 32", 27) && ul_iban_ok("NO9386011117947", 15));
	CHECK(!ul_iban_ok("GB82WEST1234569876543", 21) && !ul_iban_ok("XX82WEST12345698765432", 22) && !ul_iban_ok("GB", 2));
	enum ul_pii t = UL_PII_TYPES;
	CHECK(ul_pii_from_name("IBAN", &t) && t == UL_PII_IBAN && !ul_pii_from_name("iban", &t));
	for (int i = 0; i < UL_PII_TYPES; i++)
		CHECK(ul_pii_from_name(ul_pii_name((enum ul_pii)i), &t) && (int)t == i);
}

static void test_recognise__gazetteer(void)
{
	ul_gazetteer *g = ul_gazetteer_new();
	NEED(g && ul_gazetteer_add(g, UL_PII_NAME, "Ana") && ul_gazetteer_add(g, UL_PII_NAME, "Ana María Gómez") && ul_gazetteer_add(g, UL_PII_ID, "K-77"));
	CHECK_STR(found("Ana met Ana María Gómez, not Anatol, Hana or éAna; K-77.", g), "NAME:Ana | NAME:Ana María Gómez | ID:K-77");
	CHECK_STR(found("ana@Ana.org", g), "EMAIL:ana@Ana.org"); /* the longer one wins */
	ul_finding f[4];
	static const char text[] = "Ana Ana Ana Ana Ana Ana";
	CHECK_EQ_INT(ul_recognise(text, sizeof text - 1, 1u << UL_PII_NAME, g, f, 4), 6);
	CHECK_EQ_INT(ul_recognise(text, sizeof text - 1, 1u << UL_PII_DATE, g, f, 4), 0);
	CHECK_EQ_INT(ul_recognise("\xff\xff"
	                          "Ana\xc3",
	                     6, 0, g, f, 4),
	        0);
	ul_gazetteer_free(g);
}

/* A megabyte of what each recogniser looks at first: more than seconds would mean more than linear time. */
static void test_recognise__linear(void)
{
	static const char *const piece[] = {"a", "1", "@", "1.", "1:", "http://", "a.", "(", "+", "4111-", "GB", "Mar ", "1 Aa", "ssn ", "\xff"};
	for (size_t i = 0; i < sizeof piece / sizeof *piece; i++) {
		ul_buf s = {0};
		ul_finding f[1];
		while (s.len < 1 << 20)
			ul_buf_str(&s, piece[i]);
		CHECK(ul_recognise(s.data, s.len, 0, NULL, f, 1) >= 0);
		ul_buf_release(&s);
	}
}

static bool with_failures(void *ud, ul_err *err)
{
	ul_finding f[8];
	static const char text[] = "a@b.org 1984-04-27 +1-541-754-3010";
	return ul_recognise(text, sizeof text - 1, 0, NULL, f, 8) == 3 || ul_nomem(err, 1);
}

static void test_recognise__out_of_memory(void)
{
	CHECK(test_each_alloc(with_failures, NULL) > 1);
}

/* ---- Presidio's synthetic texts ---- */

static const struct {
	const char *theirs;
	enum ul_pii ours;
} types[] = {{"EMAIL_ADDRESS", UL_PII_EMAIL}, {"PHONE_NUMBER", UL_PII_PHONE}, {"IP_ADDRESS", UL_PII_IP}, {"IBAN_CODE", UL_PII_IBAN},
        {"CREDIT_CARD", UL_PII_CARD}, {"US_SSN", UL_PII_SSN}, {"DATE_TIME", UL_PII_DATE}, {"DOMAIN_NAME", UL_PII_URL}, {"US_DRIVER_LICENSE", UL_PII_ID},
        {"STREET_ADDRESS", UL_PII_ADDRESS}, {"ADDRESS", UL_PII_ADDRESS}};

/* Measured: every precision 1.000; recall as below, rounded down. Dates there are also bare years and weekdays, which are no personal
 * data here; addresses are of all countries, and only those of English form are looked for. */
static const double recall[UL_PII_TYPES] = {[UL_PII_EMAIL] = 1, [UL_PII_PHONE] = 0.98, [UL_PII_IP] = 1, [UL_PII_IBAN] = 1, [UL_PII_CARD] = 0.99, [UL_PII_SSN] = 1, [UL_PII_DATE] = 0.62, [UL_PII_URL] = 1, [UL_PII_ADDRESS] = 0.09, [UL_PII_ID] = 0.94};

struct score {
	int hit, missed, wrong;
};

static size_t byte_at(const char *s, size_t n, int64_t character)
{
	size_t i = 0;
	while (character-- > 0 && i < n)
		ul_utf8_next(s, &i);
	return i;
}

static void compare(const json_t *row, struct score score[UL_PII_TYPES])
{
	static ul_finding f[MOST];
	const json_t *text = json_object_get(row, "full_text"), *spans = json_object_get(row, "spans"), *s;
	const char *t = json_string_value(text);
	size_t len = json_string_length(text), k;
	int n = ul_recognise(t, len, 0, NULL, f, MOST);
	bool good[MOST] = {0};
	json_array_foreach((json_t *)spans, k, s)
	{
		size_t from = byte_at(t, len, json_integer_value(json_object_get(s, "start_position")));
		size_t to = byte_at(t, len, json_integer_value(json_object_get(s, "end_position")));
		for (size_t m = 0; m < sizeof types / sizeof *types; m++) {
			if (strcmp(types[m].theirs, ul_json_str(s, "entity_type")))
				continue;
			bool hit = false;
			for (int i = 0; i < n; i++)
				if (f[i].type == types[m].ours && f[i].start < to && f[i].end > from)
					hit = good[i] = true;
			score[types[m].ours].hit += hit;
			score[types[m].ours].missed += !hit;
		}
	}
	for (int i = 0; i < n; i++)
		score[f[i].type].wrong += !good[i];
}

static void test_recognise__presidio(void)
{
	static const char *const files[] = {"pii-presidio-synthetic/synth_dataset_v2.json", "pii-presidio-synthetic/generated_large.json"};
	struct score score[UL_PII_TYPES] = {0};
	for (int k = 0; k < 2; k++) {
		ul_err err = {0};
		json_t *all = ul_json_file(test_shared(files[k]), 16 << 20, &err), *row;
		size_t i;
		NEED_OK(all, err);
		json_array_foreach(all, i, row)
		        compare(row, score);
		json_decref(all);
	}
	for (int k = 0; k < UL_PII_TYPES; k++) {
		const struct score *s = &score[k];
		if (k == UL_PII_NAME)
			continue;
		CHECK_MSG(s->wrong == 0, "%s: %d wrong", ul_pii_name((enum ul_pii)k), s->wrong);
		CHECK_MSG(s->hit >= recall[k] * (s->hit + s->missed) && s->hit > 10, "%s: %d of %d", ul_pii_name((enum ul_pii)k), s->hit, s->hit + s->missed);
	}
}
