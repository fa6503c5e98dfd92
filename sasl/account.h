/* account - who may log in, as far as authentication needs to know, and the one password check.
 *
 * sasl/ has no storage of its own: whoever starts it hands in `struct sasl_accounts`. Names are canonicalised there
 * (DESIGN 7: compared in NFC, case-folded), once, for every protocol.
 *
 * A failed try costs the same whether the account exists or not, is locked or not, and however many app passwords it
 * has: one PBKDF2 with CREDENTIAL_ITERATIONS rounds of SHA-256 (an app password costs a thousandth of that). What
 * still differs:
 * - an account whose verifier has another iteration count, or only one of SHA-1 (both come from an import only);
 * - an account that was taken over with a {CRYPT} hash, until its owner has logged in once: a check then costs what the
 *   hash says, within the bounds of sasl/crypt_hash.h. To run crypt(3) for everybody would let anybody use up the
 *   machine, and there is no one cost that would equal all of them.
 * Both tell at most that an account exists and has never been used here; the delays for failed logins (server/guard.h)
 * lie over it.
 */
#ifndef RESTANTE_SASL_ACCOUNT_H
#define RESTANTE_SASL_ACCOUNT_H

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "sasl/credential.h"

#define SASL_NAME_MAX 255       /* octets of an account name as a client sends it, and of a canonical name */

/* One named credential of an account. */
struct sasl_verifier {
	struct slice name;      /* "password" is the main one, "app:LABEL" an app password */
	unsigned     scope;     /* bits of enum sasl_service: credential_scope(text) */
	struct slice text;      /* its whole value, see credential.h */
};

struct sasl_account {
	struct slice                name;       /* canonical, 1..SASL_NAME_MAX bytes without NUL */
	uint64_t                    id;         /* of its volume: only with the name it is nobody else's */
	bool                        disabled;   /* locked by the admin: nothing lets it in */
	const struct sasl_verifier *verifiers;
	size_t                      nverifiers;
};

/* How accounts are found. `find` is called on pool threads, by several at once, and may block for as long as an index
 * look-up takes. What it hands out lives in `a`. RC_OK; RC_NOT_FOUND: there is no such account; anything else: it
 * could not be found out, and the client is told to try again later. */
struct sasl_accounts {
	void   *arg;
	enum rc (*find)(void *arg, struct slice name, struct arena *a, struct sasl_account *out,
	                struct err *e);
	/* All may be NULL, on the thread that checks a password. `recall`: one of the account's verifiers that this
	 * password is known to be right for, so that nothing need be hashed, or NULL; not asked for locked accounts.
	 * `accepted`: it was checked, and is right for `used`. `rejected`: it is wrong for all that could be checked;
	 * `a` is NULL if there is no such account. */
	const struct sasl_verifier *(*recall)(void *arg, const struct sasl_account *a,
	                                      unsigned service, struct slice password);
	void (*accepted)(void *arg, const struct sasl_account *a, unsigned service,
	                 const struct sasl_verifier *used, struct slice password);
	void (*rejected)(void *arg, const struct sasl_account *a, struct slice password);
};

struct sasl_identity {
	char     name[SASL_NAME_MAX + 1];       /* canonical */
	uint64_t id;
	char     credential[CREDENTIAL_NAME_MAX + 1];   /* that let it in: for the log; "" if none of the
	                                                 * account's own did */
	bool     upgrade;                       /* of this credential: credential_wants_upgrade */
};

/* One try to prove to be somebody: the name is found before the password or the proof comes. */
struct sasl_attempt {
	struct arena                arena;
	const struct sasl_accounts *accounts;   /* where it was looked for */
	struct sasl_account         account;    /* valid if known */
	bool                        known;
	const struct sasl_verifier *used;       /* of the account; NULL: none has let it in */
};

void sasl_attempt_init(struct sasl_attempt *t);
void sasl_attempt_fini(struct sasl_attempt *t);
/* RC_OK with t->known set or not. RC_SYNTAX: no account can have this name. Anything else: could not be found out. */
MUST_USE enum rc sasl_attempt_find(struct sasl_attempt *t, const struct sasl_accounts *accounts,
                                   struct slice name, struct err *e);
/* Is this a password of the account, for this service (one bit of enum sasl_service)? Hashes for milliseconds: pool
 * thread only. RC_OK: t->used is the credential. RC_DENIED: no, and e tells the operator (never the client) why.
 * Anything else: could not be found out. */
MUST_USE enum rc sasl_attempt_check(struct sasl_attempt *t, unsigned service, struct slice password,
                                    struct err *e);
/* The SCRAM verifier of this account for this service: a word that libsasl2 takes as authPassword. Only the credential
 * "password" has one: libsasl2 tries one value per hash, so app passwords are for PLAIN and LOGIN. NULL, with *word
 * left alone: there is none, or the account is locked; then a fake one must be used (see exchange). A mechanism that
 * ends well with it sets t->used to what is returned. */
const struct sasl_verifier *sasl_attempt_scram(const struct sasl_attempt *t, unsigned service,
                                               enum scram_hash hash, struct slice *word);
/* Did two tries find one account? Names are unique; ids are so in their volume only, but tell an account from one that
 * has its name now. */
bool sasl_attempt_same(const struct sasl_attempt *a, const struct sasl_attempt *b);
/* Of a known account only. */
void sasl_attempt_identity(const struct sasl_attempt *t, struct sasl_identity *out);

#endif
