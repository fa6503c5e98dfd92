/* remote_sasl - the client's side of SASL, by libsasl2: PLAIN and SCRAM-SHA-256. One thread. */
#ifndef RESTANTE_TOOLS_REMOTE_SASL_H
#define RESTANTE_TOOLS_REMOTE_SASL_H

#include "tools/remote.h"

struct remote_sasl;

/* `service` is "imap" or "pop"; `mechanism` one that remote_sasl_choose gave. RC_OK: *out is the caller's. */
MUST_USE enum rc remote_sasl_new(const struct remote_options *options, const char *service,
                                 const char *mechanism, struct remote_sasl **out, struct err *e);
void remote_sasl_free(struct remote_sasl **s);
/* Which mechanism to use of those that the server offers (words), NULL: none. `safe`: nobody listens, and the server is
 * the one that we mean; then PLAIN comes first, as it works whatever form the server keeps its passwords in. */
const char *remote_sasl_choose(const struct remote_options *options, struct slice offered,
                               bool safe);

/* What to send first, in base64; *any is false if the mechanism lets the server begin. The text is the exchange's,
 * until the next call. */
MUST_USE enum rc remote_sasl_start(struct remote_sasl *s, struct slice *base64, bool *any,
                                   struct err *e);
/* The answer to a challenge, both in base64. RC_DENIED: the server did not prove that it knows the password. */
MUST_USE enum rc remote_sasl_step(struct remote_sasl *s, struct slice challenge,
                                  struct slice *base64, struct err *e);
/* Is the mechanism content with the server? To be asked when the server says OK. */
MUST_USE enum rc remote_sasl_finish(struct remote_sasl *s, struct err *e);

#endif
