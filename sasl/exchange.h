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
#include "sasl/mechanism.h"
#include "sasl/sources.h"

#define SASL_MESSAGE_MAX 9216   /* octets of one decoded client message, as many as 12288 of base64 hold [RFC 5034 s4];
                                 * a longer one is SASL_EX_MALFORMED. Tokens are that long; nothing else is. */
#define SASL_BINDING_MAX 64     /* octets of a channel binding: the longest hash, for tls-server-end-point */
#define SASL_CREDENTIAL_MAX 80  /* bytes with NUL of a credential's name */

struct sasl_exchange;
struct sasl_tokens;     /* sasl/oauth.h */

/* What the operator allows. All of it belongs to the caller and outlives the exchanges. */
struct sasl_policy {
	uint32_t           mechanisms;  /* bits, as sasl_mechanism_read makes them */
	const struct sasl_tokens *tokens;  /* how tokens are verified; NULL: OAUTHBEARER and XOAUTH2 are not offered */
	const char        *anonymous;   /* the account that ANONYMOUS opens for reading; NULL or "": not offered */
	const char *const *admins;      /* names of accounts that may act as any other */
	size_t             nadmins;
	struct sasl_sources sources;    /* of passwords */
};

/* What the connection is like. Copied by sasl_exchange_new, but what it points to must outlive the exchange. */
struct sasl_setup {
	const char                 *service;            /* "imap", "pop", "lmtp" */
	const char                 *host;               /* our name */
	bool                        tls;                /* the stream is encrypted */
	bool                        cleartext_ok;       /* loopback, and the operator allows passwords in clear there */
	const struct sasl_accounts *accounts;
	const struct sasl_policy   *policy;             /* NULL: everything but ANONYMOUS and tokens, no admins */
	struct slice                secret;             /* from which the answers for unknown accounts are made; the
	                                                 * same after a restart. Empty: one of this process */
	struct slice                external;   /* the name that a verified client certificate stands for, or empty */
	/* The channel binding `type` ("tls-exporter", "tls-server-end-point") of this connection. False: it has none of
	 * this type. Any thread that owns the exchange or asks for sasl_mechanisms. NULL: it has none at all. */
	bool                      (*binding)(void *arg, struct slice type, uint8_t *out, size_t cap,
	                                     size_t *len);
	void                       *binding_arg;
};

/* Who got in, and how: for the session and the log. */
struct sasl_success {
	struct sasl_identity authenticated;             /* who proved to be somebody */
	struct sasl_identity authorized;                /* whose mail is to be opened: another account if an
	                                                 * admin asked for it */
	const char          *mechanism;                 /* static: "SCRAM-SHA-256-PLUS"; "password" from
	                                                 * sasl_password_login */
	char                 credential[SASL_CREDENTIAL_MAX];   /* name of the account's credential that
	                                                         * was used, or "" */
	bool                 anonymous;                 /* nobody proved anything: the session may only read */
};

enum sasl_result {
	SASL_EX_CONTINUE,       /* send the challenge (it may be empty), then call _step with the answer */
	SASL_EX_OK,             /* the identities are available */
	SASL_EX_FAILED,         /* wrong name or password; do not tell which */
	SASL_EX_UNAUTHORIZED,   /* proved who it is, but asks for another account; one that exists or not */
	SASL_EX_MALFORMED,      /* the message does not follow the mechanism, or is too long */
	SASL_EX_NO_MECHANISM,   /* not one that sasl_mechanisms lists for this connection */
	SASL_EX_CANCELLED,
	SASL_EX_TEMPFAIL,       /* our failure: the client may try again later */
};

/* The mechanisms to offer on such a connection, separated by spaces, "" if none: AUTH=... in IMAP, SASL in POP3.
 * Returns `out`. Any thread, cheap enough for a reactor. "" also before sasl_library_init. */
const char *sasl_mechanisms(const struct sasl_setup *setup, char out[SASL_MECHANISMS_TEXT]);

/* A name and a password that came without a mechanism: IMAP LOGIN, POP3 USER and PASS. The same check as PLAIN's, at
 * the same cost; whether passwords may come over this connection at all is asked by the caller. Pool thread only.
 * RC_OK: *out is filled. RC_DENIED: no, and e tells the operator (never the client) why. Else: could
 * not be found out. */
MUST_USE enum rc sasl_password_login(const struct sasl_setup *setup, struct slice name,
                                     struct slice password, struct sasl_success *out,
                                     struct err *e);

/* RC_OK: *out is the caller's, ended by sasl_exchange_free. Otherwise *out is NULL. Any thread. */
MUST_USE enum rc sasl_exchange_new(const struct sasl_setup *setup, struct sasl_exchange **out,
                                   struct err *e);
void sasl_exchange_free(struct sasl_exchange **x);      /* accepts a pointer to NULL, leaves NULL behind */

/* Begin with `mechanism` (any case). `initial` is the initial response: ptr NULL if the client sent none, a non-NULL
 * ptr with len 0 if it sent an empty one ("="). With SASL_EX_CONTINUE, the decoded challenge replaces the content of
 * `challenge`; otherwise it is left empty. Once per exchange; another try is another exchange. */
MUST_USE enum sasl_result sasl_exchange_start(struct sasl_exchange *x, struct slice mechanism,
                                              struct slice initial, struct buf *challenge);
/* Only after SASL_EX_CONTINUE. */
MUST_USE enum sasl_result sasl_exchange_step(struct sasl_exchange *x, struct slice data,
                                             struct buf *challenge);
/* The client sent "*" instead of an answer: SASL_EX_CANCELLED. If the exchange had failed already, and the challenge
 * only said so, it is SASL_EX_FAILED [RFC 7628 s4.3]. Any thread. */
enum sasl_result sasl_exchange_cancel(struct sasl_exchange *x);

/* After SASL_EX_OK only; valid as long as x. */
const struct sasl_success *sasl_exchange_success(const struct sasl_exchange *x);
/* Who the client says it is, as it was sent; empty before it has said so. For the log: nothing is proven. */
struct slice sasl_exchange_claimed(const struct sasl_exchange *x);
/* Why it did not succeed, for the log. Never holds a password. */
const struct err *sasl_exchange_error(const struct sasl_exchange *x);

#endif
