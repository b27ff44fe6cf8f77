/*
 * porter.c: the stemmer of ROUGE scores. M. F. Porter, "An algorithm for suffix stripping" (1980), with the extensions of NLTK's
 * PorterStemmer, which rouge_score uses: a pool of irregular words, "ies" and "ied" of four letters, y -> i only after a consonant
 * that is not the first letter, bli -> ble, alli -> al, fulli -> ful, logi -> log, and two-letter vowel-consonant stems as *o.
 */
#include "audits/match/match.h"

#include <string.h>

typedef struct word {
	char *s;
	size_t n;
} word;

static bool consonant(const word *w, size_t i)
{
	switch (w->s[i]) {
	case 'a':
	case 'e':
	case 'i':
	case 'o':
	case 'u':
		return false;
	case 'y':
		return i == 0 || !consonant(w, i - 1);
	default:
		return true;
	}
}

/* Porter's m: how many times a vowel run is followed by a consonant run in the first n letters. */
static int measure(const word *w, size_t n)
{
	int m = 0;
	bool was_vowel = false;
	for (size_t i = 0; i < n; i++) {
		bool c = consonant(w, i);
		m += was_vowel && c;
		was_vowel = !c;
	}
	return m;
}

static bool has_vowel(const word *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!consonant(w, i))
			return true;
	}
	return false;
}

static bool double_consonant(const word *w, size_t n)
{
	return n >= 2 && w->s[n - 1] == w->s[n - 2] && consonant(w, n - 1);
}

static bool short_syllable(const word *w, size_t n) /* *o */
{
	if (n == 2)
		return !consonant(w, 0) && consonant(w, 1);
	return n >= 3 && consonant(w, n - 3) && !consonant(w, n - 2) && consonant(w, n - 1) && !strchr("wxy", w->s[n - 1]);
}

static bool ends(const word *w, const char *suffix, size_t *stem)
{
	size_t k = strlen(suffix);
	if (k > w->n || memcmp(w->s + w->n - k, suffix, k) != 0)
		return false;
	*stem = w->n - k;
	return true;
}

/* Never longer than the word was: every replacement fits into what it replaces, or follows a longer deletion. */
static void replace(word *w, size_t stem, const char *by)
{
	memcpy(w->s + stem, by, strlen(by));
	w->n = stem + strlen(by);
}

typedef struct rule {
	const char *suffix, *by;
} rule;

/* The first suffix that fits decides, whether or not its condition (m > least) holds. */
static void apply(word *w, const rule *r, int least)
{
	size_t stem;
	for (; r->suffix; r++) {
		if (!ends(w, r->suffix, &stem))
			continue;
		if (measure(w, stem) > least)
			replace(w, stem, r->by);
		return;
	}
}

static void step1a(word *w)
{
	size_t stem;
	if (ends(w, "sses", &stem))
		replace(w, stem, "ss");
	else if (ends(w, "ies", &stem))
		replace(w, stem, w->n == 4 ? "ie" : "i");
	else if (!ends(w, "ss", &stem) && ends(w, "s", &stem))
		replace(w, stem, "");
}

static void step1b(word *w)
{
	size_t stem;
	if (ends(w, "ied", &stem)) {
		replace(w, stem, w->n == 4 ? "ie" : "i");
		return;
	}
	if (ends(w, "eed", &stem)) {
		if (measure(w, stem) > 0)
			replace(w, stem, "ee");
		return;
	}
	if (!(ends(w, "ed", &stem) && has_vowel(w, stem)) && !(ends(w, "ing", &stem) && has_vowel(w, stem)))
		return;
	w->n = stem;
	if (ends(w, "at", &stem) || ends(w, "bl", &stem) || ends(w, "iz", &stem)) {
		w->s[w->n++] = 'e';
	} else if (double_consonant(w, w->n)) {
		if (!strchr("lsz", w->s[w->n - 1]))
			w->n--;
	} else if (measure(w, w->n) == 1 && short_syllable(w, w->n)) {
		w->s[w->n++] = 'e';
	}
}

static void step1c(word *w)
{
	if (w->n > 2 && w->s[w->n - 1] == 'y' && consonant(w, w->n - 2))
		w->s[w->n - 1] = 'i';
}

static void step2(word *w)
{
	static const rule rules[] = {
	        {"ational", "ate"},
	        {"tional", "tion"},
	        {"enci", "ence"},
	        {"anci", "ance"},
	        {"izer", "ize"},
	        {"bli", "ble"},
	        {"alli", "al"},
	        {"entli", "ent"},
	        {"eli", "e"},
	        {"ousli", "ous"},
	        {"ization", "ize"},
	        {"ation", "ate"},
	        {"ator", "ate"},
	        {"alism", "al"},
	        {"iveness", "ive"},
	        {"fulness", "ful"},
	        {"ousness", "ous"},
	        {"aliti", "al"},
	        {"iviti", "ive"},
	        {"biliti", "ble"},
	        {"fulli", "ful"},
	        {0},
	};
	size_t stem;
	if (ends(w, "alli", &stem) && measure(w, stem) > 0) {
		replace(w, stem, "al");
		step2(w);
		return;
	}
	/* "logi" is the one rule whose condition looks at the stem with its "log" still on. */
	if (ends(w, "logi", &stem)) {
		if (measure(w, w->n - 3) > 0)
			replace(w, stem, "log");
		return;
	}
	apply(w, rules, 0);
}

static void step3(word *w)
{
	static const rule rules[] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""}, {0}};
	apply(w, rules, 0);
}

static void step4(word *w)
{
	static const char *const suffix[] = {"al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize", NULL};
	size_t stem;
	for (const char *const *s = suffix; *s; s++) {
		if (!ends(w, *s, &stem))
			continue;
		bool fits = strcmp(*s, "ion") != 0 || (stem > 0 && strchr("st", w->s[stem - 1]));
		if (fits && measure(w, stem) > 1)
			w->n = stem;
		return;
	}
}

static void step5(word *w)
{
	size_t stem;
	if (ends(w, "e", &stem)) {
		int m = measure(w, stem);
		if (m > 1 || (m == 1 && !short_syllable(w, stem)))
			w->n = stem;
	}
	if (ends(w, "ll", &stem) && measure(w, w->n - 1) > 1)
		w->n--;
}

static const char *irregular(const char *s, size_t n)
{
	static const char *const pool[][2] = {
	        {"sky", "sky"},
	        {"skies", "sky"},
	        {"dying", "die"},
	        {"lying", "lie"},
	        {"tying", "tie"},
	        {"news", "news"},
	        {"innings", "inning"},
	        {"inning", "inning"},
	        {"outings", "outing"},
	        {"outing", "outing"},
	        {"cannings", "canning"},
	        {"canning", "canning"},
	        {"howe", "howe"},
	        {"proceed", "proceed"},
	        {"exceed", "exceed"},
	        {"succeed", "succeed"},
	};
	for (size_t i = 0; i < sizeof pool / sizeof *pool; i++) {
		if (strlen(pool[i][0]) == n && memcmp(pool[i][0], s, n) == 0)
			return pool[i][1];
	}
	return NULL;
}

size_t ul_porter_stem(char *s, size_t n)
{
	const char *known = irregular(s, n);
	if (known) {
		memcpy(s, known, strlen(known));
		return strlen(known);
	}
	if (n <= 2)
		return n;
	word w = {s, n};
	step1a(&w);
	step1b(&w);
	step1c(&w);
	step2(&w);
	step3(&w);
	step4(&w);
	step5(&w);
	return w.n;
}
