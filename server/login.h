/* login - how a connection becomes an account's: once, for IMAP, POP3, LMTP and whoever else asks for passwords.
 *
 * A protocol parses its commands, calls one of the functions below in a step, and puts the result into its own words.
 * Everything else is here: the exchange with sasl/, base64, the delay of a failure, finding the account, the log line.
 * Messages of SASL go in and come out as they stand on the wire, in base64.
 *
 * A failed try says nothing about what was wrong: LOGIN_REFUSED is one answer for all of it. The log alone tells, in
 * one form for all protocols, for whoever watches it (runbook: fail2ban):
 *
 *     level=warn ev=auth.failed sid=7f3a proto=imap peer=192.0.2.1 user=anna mech=PLAIN tls=yes err=denied text="..."
 *     level=info ev=auth.ok     sid=7f3a proto=imap peer=192.0.2.1 user=anna mech=PLAIN tls=yes
 *
 * A struct login belongs to its session and is used by the session's owner of the moment. What it hands out (account,
 * strings of it) is valid until login_settle or the next try.
 */
#ifndef RESTANTE_SERVER_LOGIN_H
#define RESTANTE_SERVER_LOGIN_H

#include "sasl/exchange.h"
#include "server/gate.h"
#include "server/server.h"
#include "server/session.h"

#define LOGIN_CHALLENGE_MAX 12288u      /* octets of a challenge in base64 */
#define LOGIN_MECHANISM_MAX 20u         /* octets of a mechanism's name [RFC 4422 s3.1] */

enum login_result {
	LOGIN_CHALLENGE,        /* send what is in `out`, then hand the client's line to login_answer */
	LOGIN_OK,               /* login_account and login_volume say whose mail it is */
	LOGIN_REFUSED,          /* wrong name or password, or anything like it */
	LOGIN_UNAUTHORIZED,     /* the password was right, but may not be used for that account */
	LOGIN_MALFORMED,        /* no base64, or not what the mechanism sends */
	LOGIN_NO_MECHANISM,     /* not offered here */
	LOGIN_PRIVACY,          /* not offered without TLS */
	LOGIN_CANCELLED,        /* "*" */
	LOGIN_LIMIT,            /* all was right, but the account has too many connections */
	LOGIN_UNAVAILABLE,      /* our failure: the client may try again later */
};

struct login {
	struct session       *s;
	const char           *service;          /* of SASL: "imap", "pop", "lmtp" */
	bool                  for_another;      /* a program on this machine asks for somebody whom it lets in itself:
	                                         * the stream need not be private, and the session becomes nobody's */
	struct sasl_exchange *exchange;
	struct gate          *gate;             /* of the try under way; heap */
	char                  mechanism[LOGIN_MECHANISM_MAX + 1];       /* of the last try, upper case;
	                                                                 * "LOGIN" of passwords */
	unsigned              failures;         /* on this connection */
	char                  credential[SASL_CREDENTIAL_MAX];  /* of the account, that let it in; or "" */
	bool                  read_only;        /* after LOGIN_OK: nobody proved anything (ANONYMOUS), nothing
	                                         * may be changed */
	uint64_t              since;            /* the try began: session_login_moment */
	struct arena          arena;            /* of the last try */
	struct volume        *volume;
	struct account_info   account;
};

/* `service` is the name of the protocol in SASL [RFC 4422 s4]; it must outlive l. */
void login_init(struct login *l, struct session *s, const char *service);
void login_fini(struct login *l);

/* What the connection offers, separated by spaces; "" if nothing. Returns `out`. Reactor or pool. */
const char *login_mechanisms(const struct login *l, char out[SASL_MECHANISMS_TEXT]);
/* Are names and passwords taken at all: the operator allows a mechanism that sends them, and the stream is private? For
 * what a protocol offers; a connection's own commands for them (LOGIN, USER and PASS) follow PLAIN and LOGIN. */
bool login_offers_password(const struct login *l);
/* May a name and password be sent as they are? If not, it is logged that `name` was (it may be empty). Any owner. */
bool login_takes_password(struct login *l, struct slice name);

/* The result of login_password, if this name and password came in a short while ago: nothing is hashed, no index read.
 * False: not so. Any owner, the reactor too. */
bool login_password_familiar(struct login *l, struct slice name, struct slice password,
                             enum login_result *result);
/* A name and a password. Pool: hashes. Wiping them is the caller's. */
enum login_result login_password(struct login *l, struct slice name, struct slice password);
/* The first message of a mechanism: `initial` as it was sent, its ptr NULL if there was none, "=" if it is empty
 * [RFC 4954 s4, 4959 s3]. A challenge is appended to `out` in base64, without a line end. Pool. */
enum login_result login_start(struct login *l, struct slice mechanism, struct slice initial,
                              struct buf *out);
/* After LOGIN_CHALLENGE: the client's line, without its end. Pool. */
enum login_result login_answer(struct login *l, struct slice line, struct buf *out);
/* The exchange under way is over: "*", or whatever the protocol does not take for an answer. Any owner. */
enum login_result login_cancel(struct login *l);

/* Refused so often that the connection is to end. After LOGIN_REFUSED and LOGIN_UNAUTHORIZED. */
bool login_failed_too_often(const struct login *l);
/* After LOGIN_OK, until login_settle. */
struct volume             *login_volume(const struct login *l);
const struct account_info *login_account(const struct login *l);
/* What LOGIN_OK told is taken over: memory is given back. */
void login_settle(struct login *l);

/* The session is nobody's again: UNAUTHENTICATE, or what LOGIN_OK began could not go on. Harmless before. */
void login_leave(struct login *l);

#endif
