/* mechanism - which SASL mechanisms there are, what each asks of a connection, and what the operator allows.
 *
 * Mechanisms for which the server would have to keep the password itself (CRAM-MD5, DIGEST-MD5, APOP) or that rest on
 * broken hashes (NTLM) are not among them, and naming one in the configuration is an error that says why.
 */
#ifndef RESTANTE_SASL_MECHANISM_H
#define RESTANTE_SASL_MECHANISM_H

#include "lib/err.h"
#include "lib/slice.h"

/* In the order in which they are offered: what keeps the password from us first, what is bound to the channel before
 * what is not. */
enum sasl_mechanism {
	SASL_MECH_EXTERNAL,                  /* [RFC 4422 app. A] */
	SASL_MECH_SCRAM_SHA_256_PLUS,        /* [RFC 7677] */
	SASL_MECH_SCRAM_SHA_1_PLUS,          /* [RFC 5802] */
	SASL_MECH_SCRAM_SHA_256,
	SASL_MECH_SCRAM_SHA_1,
	SASL_MECH_OAUTHBEARER,               /* [RFC 7628] */
	SASL_MECH_XOAUTH2,
	SASL_MECH_PLAIN,                     /* [RFC 4616] */
	SASL_MECH_LOGIN,                     /* draft-murchison-sasl-login */
	SASL_MECH_ANONYMOUS,                 /* [RFC 4505] */
	SASL_MECH_COUNT
};

#define SASL_MECH_BIT(m)   (1u << (unsigned)(m))
#define SASL_MECH_ALL     (SASL_MECH_BIT(SASL_MECH_COUNT) - 1)
#define SASL_MECHANISMS_TEXT    160     /* bytes that hold the names of all, and a NUL */

/* "SCRAM-SHA-256-PLUS". Static text. */
const char *sasl_mechanism_name(enum sasl_mechanism m);
/* Any case; false: none of ours. */
bool sasl_mechanism_find(struct slice name, enum sasl_mechanism *out);
/* The bits of a configured list; of an empty one all. What else a mechanism needs (a connection that suits it, an
 * account for ANONYMOUS, keys for tokens) is asked when it is offered. RC_SYNTAX: e names the word and says why not. */
MUST_USE enum rc sasl_mechanism_read(const char *const *words, size_t count, uint32_t *out,
                                     struct err *e);
/* The names, separated by spaces, in the order of the enum. Returns `out`. */
const char *sasl_mechanism_write(uint32_t bits, char out[SASL_MECHANISMS_TEXT]);

#endif
