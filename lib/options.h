/* options - what stands behind a verb's words: "--json", "--since 3d", "--since=3d".
 *
 * A verb declares its options in one string, an option with a value by a "=" behind it: "--json --since= --volume=".
 * restantectl and the verbs that run in the daemon read them alike. Nothing is copied: words outlive the options.
 * Pure functions, one thread.
 */
#ifndef RESTANTE_LIB_OPTIONS_H
#define RESTANTE_LIB_OPTIONS_H

#include "lib/err.h"

#include <stdbool.h>

#define OPTIONS_MAX 24

struct option_given {
	const char *name;       /* as it was typed; a value may stand behind a "=" in it */
	size_t      name_len;
	const char *value;      /* NULL: it has none */
};

struct options {
	const char         *declared;
	struct option_given given[OPTIONS_MAX];
	int                 count;
};

/* `word` begins with "-"; `next` is the word behind it or NULL. *took_next: it is the value. RC_SYNTAX: e says which is
 * unknown, lacks its value or must not have one. */
MUST_USE enum rc options_take(struct options *o, const char *word, const char *next,
                              bool *took_next, struct err *e);
/* Of an option given twice the last counts. */
bool options_given(const struct options *o, const char *name);
/* NULL: not given. */
const char *options_value(const struct options *o, const char *name);
/* Whether a declaration holds this option. */
bool options_declared(const char *declared, const char *name);

#endif
