/* regulars - for whom mail came a moment ago, and where it went: so that the next RCPT of the same address asks no index
 * and takes no turn of the pool.
 *
 * Only addresses that are plainly one account's INBOX are kept: no detail, no catch-all, no doubt, no lock and no
 * quota, as a quota is to be compared with what is used now. What is kept is bound to a version of all that decides it
 * (server_recipients_version): accounts, mailboxes, configuration. The file of aliases is looked at once a second and
 * no entry lives longer, so what it said before is followed for two seconds at most. Fixed number of entries of fixed
 * size; who chooses addresses chooses no set, as they are found by a keyed sum. Any thread; one lock, never held for
 * long.
 */
#ifndef RESTANTE_SERVER_REGULARS_H
#define RESTANTE_SERVER_REGULARS_H

#include "index/volume.h"

#define REGULARS_LIFE_MS 1000u
#define REGULARS_TEXT    200u   /* octets of address and names together; who has more is looked up each time */

struct regular {
	struct volume *volume;
	account_id     account;
	mailbox_id     mailbox;
	struct slice   name;            /* of the account, */
	struct slice   folder;          /* of the mailbox */
};

struct regulars;

MUST_USE enum rc regulars_new(struct regulars **out, struct err *e);
void regulars_free(struct regulars **r);

/* True: mail for local@domain goes there, at this version; the strings live in `a`. */
bool regulars_find(struct regulars *r, struct slice local, struct slice domain, uint64_t version,
                   uint64_t now_ms, struct arena *a, struct regular *out);
/* It has just been looked up. `version` and `now_ms` are of before that. */
void regulars_put(struct regulars *r, struct slice local, struct slice domain, uint64_t version,
                  uint64_t now_ms, const struct regular *to);

#endif
