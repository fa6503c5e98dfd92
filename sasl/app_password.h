/* app_password - passwords that we make ourselves, for one program or device each.
 *
 * 28 characters out of 32 are 140 random bits, so one round of SHA-256 with a salt keeps them safe: nobody tries 2^139
 * of them. That way any number of them costs a failed login next to nothing, and many polling clients neither.
 */
#ifndef RESTANTE_SASL_APP_PASSWORD_H
#define RESTANTE_SASL_APP_PASSWORD_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/secret.h"

#define APP_PASSWORD_LEN      28        /* characters that count */
#define APP_PASSWORD_TEXT_MAX 40        /* as it is shown: groups of four with "-" between */
#define APP_PASSWORD_PREFIX   "app:"    /* of the credential's name; the label follows */
#define APP_PASSWORD_LABEL_MAX 64       /* octets */

/* A new one: as it is shown to `shown` (room for APP_PASSWORD_TEXT_MAX), its verifier to `out`. RC_OK,
 * RC_IO, RC_LIMIT. */
MUST_USE enum rc app_password_make(struct secret *shown, struct buf *out, struct err *e);
/* People leave out or add "-" and spaces, and write capitals: none of that counts. RC_OK or RC_CORRUPT
 * (the verifier). */
MUST_USE enum rc app_password_check(struct slice verifier, struct slice password, bool *match,
                                    struct err *e);
/* Fit to be a label: letters, digits and -._@+ of ASCII, 1 to APP_PASSWORD_LABEL_MAX: it stands in logs and on command
 * lines. */
bool app_password_is_label(struct slice label);

#endif
