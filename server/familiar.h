/* familiar - names and passwords that have let somebody in a short while ago, and whom: so that a client that comes
 * again costs no look-up in the index, no hashing, and no turn of the pool.
 *
 * It stands before `remember`, which knows accounts with their credentials as the index has them at the very try. Here
 * nothing is read, so what is kept is bound to a version of all accounts (server_accounts_version): a change of any
 * account or credential makes every entry a stranger, before the change is answered. An entry never lives longer than
 * what `remember` knows of the same password.
 *
 * Entries are found by a sum with a random key of this process over service, name and password as they were sent; no
 * password or verifier is kept. Guests that are locked, admins who enter for others and whoever other sources let in
 * never come here. Fixed number of entries, each of bounded size. Any thread; one lock, never held for long.
 */
#ifndef RESTANTE_SERVER_FAMILIAR_H
#define RESTANTE_SERVER_FAMILIAR_H

#include "index/volume.h"
#include "sasl/exchange.h"

/* Who came. Of `account` only what cannot change without its version: nothing of what is used. */
struct guest {
	struct volume      *volume;
	struct account_info account;
	char                credential[SASL_CREDENTIAL_MAX];
};

struct familiar;

MUST_USE enum rc familiar_new(struct familiar **out, struct err *e);
void familiar_free(struct familiar **f);

/* True: *out is who this name and password let in, at this version; its strings live in `a`. */
bool familiar_find(struct familiar *f, unsigned service, struct slice name, struct slice password,
                   uint64_t version, uint64_t now_s, struct arena *a, struct guest *out);
/* They have just let `g` in, and may until then. `version` was asked for before anything of `g` was read. */
void familiar_put(struct familiar *f, unsigned service, struct slice name, struct slice password,
                  uint64_t version, uint64_t until_s, const struct guest *g);

#endif
