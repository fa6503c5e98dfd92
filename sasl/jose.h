/* jose - JSON and numbers as JOSE objects hold them, read with libjansson. For jwks.c and jwt.c. Pure functions.
 *
 * RFC 8725 s2.4, s3.10 and the attacks on other servers are why this is narrower than JSON: no member twice, little
 * nesting, no NUL in a string, no integer beyond 64 bits.
 */
#ifndef RESTANTE_SASL_JOSE_H
#define RESTANTE_SASL_JOSE_H

#include <jansson.h>

#include "lib/buf.h"
#include "lib/err.h"

#define JOSE_DEPTH_MAX 8u       /* objects and arrays within each other */

/* One object and nothing else. RC_OK: *out is the caller's, for json_decref. RC_SYNTAX, RC_NOMEM. */
MUST_USE enum rc jose_parse(struct slice text, json_t **out, struct err *e);
/* The member as a string; false when it is missing or something else. */
bool jose_string(const json_t *object, const char *name, struct slice *out);
bool jose_is_string(const json_t *value, struct slice wanted);
/* The member is a string in base64url: its bytes are appended. */
bool jose_bytes(const json_t *object, const char *name, struct buf *out);

#endif
