/* account - who may log in, as far as authentication needs to know, and the one password check.
 *
 * sasl/ has no storage of its own: whoever starts it hands in `struct sasl_accounts`. Names are canonicalised there
 * (DESIGN 7: compared in NFC, case-folded), once, for every protocol.
 *
 * A failed try costs the same whether the account exists or not: an unknown name, or one without a verifier, is
 * checked against a verifier that nothing matches. An account with several verifiers, or with one of another
 * iteration count than CREDENTIAL_ITERATIONS, still differs by that.
 */
#ifndef RESTANTE_SASL_ACCOUNT_H
#define RESTANTE_SASL_ACCOUNT_H

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/slice.h"

#define SASL_NAME_MAX 255       /* octets of an account name as a client sends it, and of a canonical name */

struct sasl_account {
	struct slice        name;               /* canonical, 1..SASL_NAME_MAX bytes without NUL */
	uint64_t            id;
	bool                disabled;
	const struct slice *verifiers;          /* as credential_make_scram writes them */
	size_t              nverifiers;
};

/* How accounts are found. `find` is called on pool threads, by several at once, and may block for as long as an index
 * look-up takes. What it hands out lives in `a`. RC_OK; RC_NOT_FOUND: there is no such account; anything else: it
 * could not be found out, and the client is told to try again later. */
struct sasl_accounts {
	void   *arg;
	enum rc (*find)(void *arg, struct slice name, struct arena *a, struct sasl_account *out, struct err *e);
};

struct sasl_identity {
	char     name[SASL_NAME_MAX + 1];       /* canonical */
	uint64_t id;
};

/* Is this the name and password of an account that may log in? For IMAP LOGIN and POP3 USER/PASS, and PLAIN goes
 * through the same check. Hashes for milliseconds: pool thread only. RC_OK: *out is filled. RC_DENIED: no, and e tells
 * the operator (never the client) why. Anything else: could not be found out. */
MUST_USE enum rc sasl_login_check(const struct sasl_accounts *accounts, struct slice name, struct slice password,
                                  struct sasl_identity *out, struct err *e);

/* The two halves of it, for mechanisms, which learn the name before the password. */
struct sasl_attempt {
	struct arena        arena;
	struct sasl_account account;            /* valid if known */
	bool                known;
};

void sasl_attempt_init(struct sasl_attempt *t);
void sasl_attempt_fini(struct sasl_attempt *t);
/* RC_OK with t->known set or not. RC_SYNTAX: no account can have this name. Anything else: could not be found out. */
MUST_USE enum rc sasl_attempt_find(struct sasl_attempt *t, const struct sasl_accounts *accounts, struct slice name,
                                   struct err *e);
/* Results as sasl_login_check. */
MUST_USE enum rc sasl_attempt_check(const struct sasl_attempt *t, struct slice password, struct err *e);
/* Of a known account only. */
void sasl_attempt_identity(const struct sasl_attempt *t, struct sasl_identity *out);

#endif
