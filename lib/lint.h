/* lint - what in a message violates the standards it should follow, with line numbers.
 *
 * The message is fed in any pieces as it stands in a file or in the log; findings come out at its end, in the order of
 * lines. Nothing is decoded, repaired or guessed: where the parsers of delivery are lenient, this one says what is
 * wrong. Time is linear in the input. Memory is bounded (one field of LINT_FIELD_MAX, one piece of a line, the
 * boundaries that are open) whatever the input, and so is the number of findings: of one code the first few are told,
 * the others counted. How the bytes are split changes nothing. One thread at a time.
 */
#ifndef RESTANTE_LIB_LINT_H
#define RESTANTE_LIB_LINT_H

#include "lib/slice.h"

#define LINT_FIELD_MAX  (1u << 20)      /* bytes looked at of one header field */
#define LINT_TOLD_MAX   20u             /* findings told of one code; of a note LINT_NOTES_MAX */
#define LINT_NOTES_MAX  3u

enum lint_severity {
	LINT_NOTE,              /* allowed, but worth to know: obsolete forms, limits of ours */
	LINT_WARNING,           /* against a SHOULD, or apt to be misread */
	LINT_ERROR,             /* against the grammar or a MUST */
};

/* A code: a short word that never changes its meaning. */
struct lint_code_info {
	const char        *name;
	enum lint_severity severity;
	unsigned           rfc;
	const char        *section;
};

struct lint_finding {
	uint64_t                     line;      /* from 1; missing fields count for the first line of their header */
	const struct lint_code_info *code;
	struct slice                 text;      /* one line of printable ASCII, valid during the call */
};

struct lint;

/* NULL without memory. */
struct lint *lint_new(void);
void lint_free(struct lint **l);                /* accepts a pointer to NULL, leaves NULL behind */
void lint_feed(struct lint *l, struct slice bytes);
/* The end of the message: `found` is called for each finding. Call once. False: memory ran out, something may have been
 * missed. */
bool lint_finish(struct lint *l, void (*found)(void *arg, const struct lint_finding *f), void *arg);
/* Findings of that severity so far, the untold ones too. */
uint64_t lint_count(const struct lint *l, enum lint_severity severity);

/* "note", "warning", "error" */
const char *lint_severity_name(enum lint_severity s);
/* The i-th of all codes, NULL behind the last. */
const struct lint_code_info *lint_code_at(size_t i);

#endif
