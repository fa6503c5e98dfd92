/* keywords - sets of IMAP keywords as text: atoms in ASCII order of their bytes, one space between.
 *
 * Keywords compare without regard to ASCII case; which spelling a mailbox keeps is the writer's affair (spell).
 * Pure functions over an arena, any thread.
 */
#ifndef RESTANTE_INDEX_KEYWORDS_H
#define RESTANTE_INDEX_KEYWORDS_H

#include "lib/arena.h"
#include "lib/err.h"

#define KEYWORD_LEN_MAX   255
#define KEYWORD_COUNT_MAX 512

struct keyword_list {
	struct slice *words;
	size_t        count;
};

/* Split at spaces, duplicates dropped (first spelling stays). RC_LIMIT: too many, too long; RC_DENIED: no atoms. */
MUST_USE enum rc keywords_split(struct slice text, struct arena *a, struct keyword_list *out,
                                struct err *e);
/* The words in ASCII order, joined. RC_LIMIT: longer than KEYWORDS_MAX. */
MUST_USE enum rc keywords_join(const struct keyword_list *l, struct arena *a, struct slice *out,
                               struct err *e);
bool keywords_contain(const struct keyword_list *l, struct slice word);
/* a and b together, or what of a is not in b. */
MUST_USE enum rc keywords_add(const struct keyword_list *x, const struct keyword_list *y,
                              struct arena *a, struct keyword_list *out, struct err *e);
MUST_USE enum rc keywords_remove(const struct keyword_list *x, const struct keyword_list *y,
                                 struct arena *a, struct keyword_list *out, struct err *e);
/* Lower case of one keyword: what it is compared by. ptr NULL without memory. */
struct slice keyword_key(struct slice word, struct arena *a);

#endif
