/* remember - passwords that were right a short while ago, so that a client that polls does not cost a PBKDF2 each time.
 *
 * What is kept is a sum with a random key of this process (HMAC-SHA-256) over the account, all its credentials as they
 * stand in the index at this very try, the service, and the password. So there is nothing to keep in step: a credential
 * that is changed, added or taken away makes another sum, at once and on every path; whether the account is locked is
 * asked each time before. Nobody's entry can answer for another account, service or password (CVE-2025-30189 was a key
 * that left one of them out). Failures are not kept. The table has a fixed size. Any thread; one lock.
 */
#ifndef RESTANTE_SERVER_REMEMBER_H
#define RESTANTE_SERVER_REMEMBER_H

#include "sasl/account.h"

struct remember;

MUST_USE enum rc remember_new(struct remember **out, struct err *e);
void remember_free(struct remember **r);

/* The verifier of `a` that this password was right for, within the time it was put for, which ends at *until_s; NULL:
 * none. */
const struct sasl_verifier *remember_find(struct remember *r, const struct sasl_account *a,
                                          unsigned service, struct slice password, uint64_t now_s,
                                          uint64_t *until_s);
/* It was just checked against `used`, one of a's verifiers. For so many seconds. */
void remember_put(struct remember *r, const struct sasl_account *a, unsigned service,
                  struct slice password, const struct sasl_verifier *used, uint64_t now_s,
                  uint64_t seconds);

#endif
