/* lint_tags - tag lists of DKIM and ARC [RFC 6376 s3.2]. Of lib/lint*.c only. */
#ifndef RESTANTE_LIB_LINT_TAGS_H
#define RESTANTE_LIB_LINT_TAGS_H

#include "lib/lint_impl.h"

#define LINT_TAGS_MAX 32u

struct lint_tag {
	struct slice name;
	struct slice value;     /* without blanks around; folding within stays */
};

struct lint_tags {
	struct lint_tag      items[LINT_TAGS_MAX];      /* of one name the first only */
	size_t               n;
	struct lint_cursor  *c;
	enum lint_code       missing, bad;      /* codes of a missing tag and of a bad value */
};

/* Read the list; bad syntax and duplicates are told. False: nothing more can be said. */
bool lint_tags_take(struct lint_cursor *c, enum lint_code syntax, enum lint_code duplicate,
                    struct lint_tags *t);
/* NULL if there is none. */
const struct lint_tag *lint_tags_find(const struct lint_tags *t, const char *name);
/* Tell if it is missing or empty. */
const struct lint_tag *lint_tags_need(const struct lint_tags *t, const char *name);
void lint_tags_bad(const struct lint_tags *t, const struct lint_tag *tag, const char *why);
/* base64 with folding [RFC 6376 s2.10]; missing is told if it must be there. */
void lint_tags_base64(const struct lint_tags *t, const char *name);
/* A number within; false, and told, if it is none. *out is kept when the tag is missing. */
bool lint_tags_number(const struct lint_tags *t, const char *name, uint64_t *out);
/* Does the list of names, ":" between, have this one? */
bool lint_tags_names(struct slice list, const char *name);
/* a=, b=, d=, s= as every signature has them. */
void lint_tags_signature(const struct lint_tags *t);
/* h=: it is there, and has From. */
const struct lint_tag *lint_tags_signed(const struct lint_tags *t);

#endif
