/* internal - what the files of sasl/ share and nobody else includes, but their tests. */
#ifndef RESTANTE_SASL_INTERNAL_H
#define RESTANTE_SASL_INTERNAL_H

#include "sasl/exchange.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

/* libsasl2 keeps callbacks of every type as one type. The way over void (*)(void) says that the cast is meant. */
#define SASL_FN(fn) ((int (*)(void))(void (*)(void))(fn))

enum exchange_state {
	EXCHANGE_NEW,
	EXCHANGE_WAITING,       /* for the client's next message */
	EXCHANGE_LAST,          /* proven; for the client's word that it has read the server's last */
	EXCHANGE_OVER,
};

#define EXCHANGE_CALLBACKS 5

/* What happened that lets a mechanism say who the client is. Each has one kind, set in one place; libsasl2's word alone
 * is never enough, nor is another mechanism's proof. */
enum proof {
	PROOF_NONE,
	PROOF_PASSWORD,         /* check_password said yes */
	PROOF_SCRAM,            /* libsasl2 was given the account's own verifier, and said yes */
	PROOF_EXTERNAL,         /* the name is the one of the verified certificate */
	PROOF_TOKEN,            /* a token was verified for the account (sasl_exchange_prove_token) */
	PROOF_ANONYMOUS,        /* none is asked: the configured account was opened */
};

struct sasl_exchange {
	sasl_conn_t                *conn;
	sasl_callback_t             callbacks[EXCHANGE_CALLBACKS];
	struct sasl_setup           setup;
	uint32_t                    offered;            /* mechanisms, bits */
	enum sasl_mechanism         mechanism;          /* once state is not EXCHANGE_NEW */
	enum exchange_state         state;
	enum proof                  proof;
	struct sasl_attempt         authc;              /* who proves to be somebody */
	struct sasl_attempt         authz;              /* whose mail is asked for, if named apart */
	bool                        authz_named;
	bool                        authz_refused;      /* proved, but may not act as the other */
	struct sasl_success         success;
	uint8_t                     claimed[SASL_NAME_MAX];     /* the authentication identity as the client sent it */
	size_t                      claimed_len;
	struct err                  err;                /* of our callbacks: outranks what libsasl2 makes of it */

	/* SCRAM: see binding.c, scram_verifier.c */
	sasl_channel_binding_t      binding;            /* libsasl2 keeps a pointer to it */
	char                        binding_type[32];
	uint8_t                     binding_data[SASL_BINDING_MAX];
	struct buf                  bound;              /* what the client's c= must be: its first header
	                                                 * and the binding */
	bool                        scram_begun;        /* its first message has come */
	bool                        genuine;            /* the verifier given is the account's */
};

/* The proof that a mechanism rests on. */
enum proof sasl_proof_of(enum sasl_mechanism m);
bool sasl_is_scram(enum sasl_mechanism m);
/* SCRAM-SHA-256 for SCRAM-SHA-256-PLUS; others as they are. */
enum sasl_mechanism sasl_without_plus(enum sasl_mechanism m);

/* Has this connection a binding of any type? */
bool sasl_binding_possible(const struct sasl_setup *setup);
/* Mechanisms that such a connection is offered, of those that libsasl2 has plugins for; bits. */
uint32_t sasl_offered(const struct sasl_setup *setup);
extern const struct sasl_policy sasl_policy_default;

/* A message of the client in a SCRAM exchange, before libsasl2 sees it: what it says of channel binding [RFC 5802 s6].
 * False: refused, x->err says why. */
bool sasl_binding_check(struct sasl_exchange *x, struct slice message);

/* The verifier that SCRAM is to work with: the account's own, else one that nothing matches, made from the secret and
 * the folded name, so that it looks the same each time. NUL-terminated. `service` is a bit of enum sasl_service; `m` is
 * SASL_MECH_SCRAM_SHA_256 or _SHA_1. *genuine tells which. */
#define SCRAM_TEXT_MAX 256
bool sasl_scram_verifier(const struct sasl_attempt *who, unsigned service, struct slice claimed,
                         struct slice secret, enum sasl_mechanism m, char out[SCRAM_TEXT_MAX],
                         bool *genuine);
/* Of this process, for a setup without one. */
struct slice sasl_library_secret(void);

/* Is this the password of the account that was found? As sasl_attempt_check, and what other sources say. `credential`
 * is what let it in: the name of one of the account's, or of a source. */
enum rc sasl_password_check(const struct sasl_setup *setup, struct sasl_attempt *t,
                            struct slice claimed, struct slice password,
                            char credential[SASL_CREDENTIAL_MAX], struct err *e);

/* For the mechanisms of ours whose plugins verify tokens: the client is whom canon_user was given. */
void sasl_exchange_prove_token(struct sasl_exchange *x);

/* The exchange that a libsasl2 connection belongs to, from inside a plugin; NULL if it is none of ours. */
struct sasl_exchange *sasl_exchange_of(const sasl_utils_t *utils);

/* Mechanisms that libsasl2 has code for; bits. 0 before sasl_library_init. */
uint32_t sasl_library_mechanisms(void);

/* Register our auxprop plugin, named SASL_AUXPROP_NAME. A libsasl2 result. */
#define SASL_AUXPROP_NAME "restante"
int sasl_auxprop_register(void);

#endif
