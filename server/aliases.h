/* aliases - further names of accounts, from a file of the admin's ([lmtp] aliases).
 *
 *     # comment
 *     team:               anna, boris+projects
 *     sales@example.org:  anna,
 *                         carla
 *     @example.net:       carla
 *
 * A name is a local part (in any domain), an address, or "@domain": all of a domain that have no name of their own.
 * What is behind the colon are accounts, each perhaps with a "+detail"; never other aliases, so there are no loops, and
 * never addresses elsewhere, commands or files, as nothing leaves this server. Names compare case-folded,
 * as accounts do.
 *
 * Pure but for `struct alias_book`, which keeps the present state of the file.
 */
#ifndef RESTANTE_SERVER_ALIASES_H
#define RESTANTE_SERVER_ALIASES_H

#include "lib/arena.h"
#include "lib/err.h"

#define ALIASES_FILE_MAX    (16u << 20) /* bytes */
#define ALIAS_TARGETS_MAX   1000u
#define ALIAS_NAME_MAX      512u        /* octets of a name: local part, "@", domain */

struct alias {
	struct slice        name;       /* folded */
	unsigned            number;     /* of its first line */
	const struct slice *targets;
	size_t              count;      /* at least 1 */
};

struct aliases;                         /* one state of the file; unchanging, so any thread */

/* e->text begins with "FILE:LINE: ". */
MUST_USE enum rc aliases_parse(struct slice text, const char *path, struct aliases **out,
                               struct err *e);
void aliases_unref(struct aliases **a);
/* local, "local@domain", or "@domain". RC_NOT_FOUND, or RC_NOMEM: whether there is one is unknown. `a`
 * is for scratch. */
MUST_USE enum rc aliases_find(const struct aliases *all, struct slice name, struct arena *a,
                              const struct alias **out, struct err *e);

/* The file and what was last read of it. Any thread. */
struct alias_book;

MUST_USE enum rc alias_book_new(struct alias_book **out, struct err *e);
void alias_book_free(struct alias_book **b);
/* Read `path` now; "": there is no file. On failure the book stays as it was. Blocks shortly. */
MUST_USE enum rc alias_book_load(struct alias_book *b, const char *path, struct err *e);
/* The present aliases, the caller's reference; NULL: none. Looks once a second whether the file has changed: one that
 * cannot be read is logged, and what was read before stays in force. Does I/O: never on a reactor. */
struct aliases *alias_book_get(struct alias_book *b);

#endif
