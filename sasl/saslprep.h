/* saslprep - one form for passwords that look the same [RFC 4013]. Pure, any thread. */
#ifndef RESTANTE_SASL_SASLPREP_H
#define RESTANTE_SASL_SASLPREP_H

#include "lib/secret.h"

#define SASLPREP_MAX     1024   /* octets in */
#define SASLPREP_OUT_MAX 4096   /* octets out: NFKC makes some characters longer */

/* Append the prepared form of `in` to `out`, which has room for SASLPREP_OUT_MAX. RC_SYNTAX: empty, not UTF-8, or a
 * character that is not allowed; RC_LIMIT: too long; RC_NOMEM. */
MUST_USE enum rc saslprep(struct slice in, struct secret *out, struct err *e);

#endif
