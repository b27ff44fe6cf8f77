/*
 * confine.h: a process, and every process and thread it starts from here on, gives up what it does not need: every file but those it
 * names (Landlock), and the network (a seccomp filter). Neither can be taken back. Processes that run already keep what they have.
 */
#ifndef UL_CONFINE_H
#define UL_CONFINE_H

#include "base/base.h"

enum ul_grant_kind {
	UL_GRANT_READ, /* one file, or all below a folder */
	UL_GRANT_LIST, /* the names in a folder, and nothing of what is in its files */
	UL_GRANT_TREE, /* everything below a folder: the output */
	UL_GRANT_REMOVE, /* folders in a folder may be removed: where the output was made */
};
typedef struct ul_grant {
	enum ul_grant_kind kind;
	const char *path; /* what does not exist is no grant */
} ul_grant;

typedef struct ul_confined { /* what the kernel could do */
	bool files, network;
	int landlock; /* version of its interface, 0 = none */
	char words[200]; /* what is missing, as a sentence, or empty */
} ul_confined;

/* False only when a kernel that can do it refuses. What a kernel cannot do is left out, and said in out->words. */
bool ul_confine(const ul_grant *g, int n, ul_confined *out, ul_err *err);

#endif
