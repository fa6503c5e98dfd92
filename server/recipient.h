/* recipient - whose mailbox an address is: accounts, aliases, postmaster, catch-all. See server.h.
 *
 * The first of these that there is, of an address local@domain:
 *
 *     the alias local@domain, the account local@domain, the alias local, the account local,
 *     the same of the local part without its "+detail",
 *     [lmtp] postmaster, if that is the local part (before all others when there is no domain [RFC 5321 s4.1.1.3]),
 *     the alias @domain, [lmtp] catch_all of the domain, [lmtp] catch_all.
 *
 * An alias may be for several accounts. Its accounts that do not exist are passed over, as long as there is one.
 *
 * Of a name that is not found it may not be certain that nobody has it: a volume is absent, cannot be read, or has lost
 * records. Then the search goes on, so that one volume does not keep mail from the accounts of the others, and the
 * result is `unsure` if it may be another's mail: nobody was found, or a catch-all, or an alias without some of its
 * accounts, or the local part where accounts are called by addresses in this domain. Where none is known to be, mail
 * for a bare name goes on: else one record that is lost would keep all mail from a server whose accounts
 * have bare names.
 */
#ifndef RESTANTE_SERVER_RECIPIENT_H
#define RESTANTE_SERVER_RECIPIENT_H

#include "server/server.h"

struct recipient_account {
	struct volume       *volume;    /* open as long as the server runs */
	struct account_info  info;
	struct slice         detail;    /* empty: none */
};

struct recipient {
	struct recipient_account *accounts;     /* each once */
	size_t                    count;        /* at least 1 */
	struct slice              alias;        /* the name by which it was found; empty: an account's own */
	bool                      unclaimed;    /* nobody's: a catch-all has it */
	size_t                    missing;      /* accounts of the alias that do not exist */
	struct slice              first_missing;
	bool                      unsure;       /* another may be meant: to be asked again later */
};

/* Does I/O: steps only. Results are in the arena. RC_NOT_FOUND: nobody's; *out then tells of accounts that are missing.
 * out->unsure counts with this and RC_OK, and e then says why. */
MUST_USE enum rc server_find_recipient(struct server *srv, struct slice local_part,
                                       struct slice domain, struct arena *a, struct recipient *out,
                                       struct err *e);

#endif
