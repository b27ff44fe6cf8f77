/*
 * exam_parts.h: the inside of an exam, for exam.c and exam_say.c only.
 */
#ifndef UL_EXAM_PARTS_H
#define UL_EXAM_PARTS_H

#include "audits/audit.h"

struct ul_exam {
	ul_arena arena;
	ul_exam_config cfg;
	enum ul_mode mode;
	int *cluster[UL_SPLITS]; /* [rows] */
	ul_scores *scores[UL_WHOS][UL_SPLITS];
	unsigned have[UL_WHOS][UL_SPLITS]; /* UL_WANT_* of those */
	ul_dataset *asked[UL_SPLITS][UL_ANSWER_KINDS]; /* the variants as rows of their own, row by row */
	int *asked_n[UL_SPLITS][UL_ANSWER_KINDS]; /* [rows] variants of each */
	ul_answers *answers[UL_WHOS][UL_SPLITS][UL_ANSWER_KINDS];
	ul_scores *answer_scores[UL_WHOS][UL_SPLITS][UL_ANSWER_KINDS];
	ul_cut *cut[UL_SPLITS]; /* [rows] */
	struct ul_memo {
		const char *name;
		enum ul_split split;
		void *what;
		struct ul_memo *next;
	} * memo;
	ul_gen *greedy[UL_WHOS][UL_SPLITS], *candidates[UL_WHOS][UL_SPLITS];
};

#endif
