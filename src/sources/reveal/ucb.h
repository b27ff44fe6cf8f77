/*
 * ucb.h: a search over arms that are dear to try: a small network guesses what an arm is worth, its gradient says how little is
 * known about it. Numbers only; no model.
 */
#ifndef UL_UCB_H
#define UL_UCB_H

#include "base/base.h"

typedef struct ul_ucb_config {
	int in; /* features of an arm */
	int width; /* hidden units */
	int steps; /* of Adam, each time the network is fitted */
	double lr, lambda, nu;
	bool mirror;
	bool wide; /* all weights begin as N(0,1), as published; otherwise N(0, 1 / units that feed them) */
	uint64_t seed;
} ul_ucb_config;
ul_ucb_config ul_ucb_defaults(int in);

typedef struct ul_ucb ul_ucb;
ul_ucb *ul_ucb_new(const ul_ucb_config *c, ul_err *err);
void ul_ucb_free(ul_ucb *u);
/* The network begins anew from the same weights and learns rewards y [n] of arms x [n, in]. */
bool ul_ucb_fit(ul_ucb *u, const double *x, const double *y, int n, ul_err *err);
/* What each of n arms is thought to be worth, and what not knowing it adds; either may be NULL. */
bool ul_ucb_judge(ul_ucb *u, const double *x, int n, double *worth, double *bonus, ul_err *err);
bool ul_ucb_picked(ul_ucb *u, const double *x, ul_err *err); /* U += g(x)² */
double ul_ucb_predict(const ul_ucb *u, const double *x, double *gradient); /* of one arm; gradient [ul_ucb_size] or NULL */
size_t ul_ucb_size(const ul_ucb *u); /* parameters */
const double *ul_ucb_weights(const ul_ucb *u); /* as fitted, and U: [ul_ucb_size] */
const double *ul_ucb_certainty(const ul_ucb *u);
void ul_ucb_set_weights(ul_ucb *u, const double *w); /* tests: other weights than fitting leaves */

/* ---- the two loops ---- */

typedef struct ul_search {
	int arms;
	const double *x; /* [arms, ucb.in] */
	int rounds, first, keep, picks; /* outer loop; random arms of each; best arms the network begins with, 0 = all; picks of the inner loop */
	int scored; /* random arms looked at for a pick, 0 = all */
	ul_ucb_config ucb;
	bool (*reward)(void *ud, int arm, double *out, ul_err *err); /* each arm is asked for at most once */
	void *ud;
} ul_search;
typedef struct ul_try {
	int arm;
	double reward;
	bool chosen; /* by the network, not by chance */
} ul_try;
/* out: [rounds · (first + picks)], in the order of trying; *n receives how many there were: fewer when the arms run out. */
bool ul_search_run(const ul_search *s, ul_try *out, int *n, ul_err *err);

#endif
