/* exchange - one SASL authentication of one connection, from its first message to an identity.
 *
 * The header is not called sasl.h because <sasl/sasl.h> is libsasl2's. Wire encoding (base64, "+ ", "*", "=") belongs
 * to the protocols: here messages are decoded bytes, in and out.
 *
 * _start and _step hash for milliseconds and look accounts up: they run on a pool thread, never on a reactor, and do
 * no I/O of their own. An exchange is used by one thread at a time, which may be another one each time.
 */
#ifndef RESTANTE_SASL_EXCHANGE_H
#define RESTANTE_SASL_EXCHANGE_H

#include "lib/buf.h"
#include "sasl/account.h"

#define SASL_MESSAGE_MAX 4096   /* octets of one decoded client message; a longer one is SASL_EX_MALFORMED */

struct sasl_exchange;

/* What the connection is like. Copied by sasl_exchange_new but for `accounts`, which must outlive the exchange. */
struct sasl_setup {
	const char                 *service;            /* "imap", "pop3", "lmtp" */
	const char                 *host;               /* our name */
	bool                        tls;                /* the stream is encrypted */
	bool                        cleartext_ok;       /* loopback, and the operator allows passwords in clear there */
	const struct sasl_accounts *accounts;
};

enum sasl_result {
	SASL_EX_CONTINUE,       /* send the challenge (it may be empty), then call _step with the answer */
	SASL_EX_OK,             /* the identities are available */
	SASL_EX_FAILED,         /* wrong name or password; do not tell which */
	SASL_EX_UNAUTHORIZED,   /* the password was right, but asks for another account; one that exists or not */
	SASL_EX_MALFORMED,      /* the message does not follow the mechanism, or is too long */
	SASL_EX_NO_MECHANISM,   /* not one that sasl_mechanisms lists for this connection */
	SASL_EX_CANCELLED,
	SASL_EX_TEMPFAIL,       /* our failure: the client may try again later */
};

/* The mechanisms to offer on such a connection, separated by spaces, "" if none: AUTH=... in IMAP, SASL in POP3.
 * Static text; any thread, cheap enough for a reactor. "" also before sasl_library_init. */
const char *sasl_mechanisms(const struct sasl_setup *setup);

/* RC_OK: *out is the caller's, ended by sasl_exchange_free. Otherwise *out is NULL. Any thread. */
MUST_USE enum rc sasl_exchange_new(const struct sasl_setup *setup, struct sasl_exchange **out, struct err *e);
void sasl_exchange_free(struct sasl_exchange **x);      /* accepts a pointer to NULL, leaves NULL behind */

/* Begin with `mechanism` (any case). `initial` is the initial response: ptr NULL if the client sent none, a non-NULL
 * ptr with len 0 if it sent an empty one ("="). With SASL_EX_CONTINUE, the decoded challenge replaces the content of
 * `challenge`; otherwise it is left empty. Once per exchange; another try is another exchange. */
MUST_USE enum sasl_result sasl_exchange_start(struct sasl_exchange *x, struct slice mechanism, struct slice initial,
                                              struct buf *challenge);
/* Only after SASL_EX_CONTINUE. */
MUST_USE enum sasl_result sasl_exchange_step(struct sasl_exchange *x, struct slice data, struct buf *challenge);
/* The client sent "*" instead of an answer. Always SASL_EX_CANCELLED. Any thread. */
enum sasl_result sasl_exchange_cancel(struct sasl_exchange *x);

/* After SASL_EX_OK only; valid as long as x. */
const struct sasl_identity *sasl_exchange_authenticated(const struct sasl_exchange *x);
const struct sasl_identity *sasl_exchange_authorized(const struct sasl_exchange *x);    /* whose mail is to be opened */
/* Who the client says it is, as it was sent; empty before it has said so. For the log: nothing is proven. */
struct slice sasl_exchange_claimed(const struct sasl_exchange *x);
/* Why it did not succeed, for the log. Never holds a password. */
const struct err *sasl_exchange_error(const struct sasl_exchange *x);

#endif
