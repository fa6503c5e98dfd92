/* crypt_hash - hashes of crypt(3), as systems' shadow files and other servers keep them, for accounts that
 * are taken over.
 *
 * Known are SHA-512 ($6$), SHA-256 ($5$), yescrypt ($y$) and bcrypt ($2a$, $2b$, $2y$), as far as the system's crypt
 * has them. What is weaker (DES, MD5) or whose cost cannot be bounded here is refused: a hash comes from outside, and
 * says itself how much work and memory its check takes. Within these bounds a check takes below half a second of one
 * core and 64 MiB at most.
 *
 * Any thread; never on a reactor.
 */
#ifndef RESTANTE_SASL_CRYPT_HASH_H
#define RESTANTE_SASL_CRYPT_HASH_H

#include "lib/err.h"
#include "lib/slice.h"

#define CRYPT_HASH_MAX        256       /* octets */
#define CRYPT_HASH_ROUNDS_MAX 500000u   /* of $5$ and $6$; 5000 if it says none */
#define CRYPT_HASH_BCRYPT_MAX 12u       /* its cost: 2^12 rounds */
#define CRYPT_HASH_YESCRYPT_MIB 64u

/* Can it be checked here, within the bounds? RC_OK; RC_SYNTAX: no, and e says why for whoever brings
 * it. Does no work. */
MUST_USE enum rc crypt_hash_examine(struct slice hash, struct err *e);
/* RC_OK: *match tells. RC_CORRUPT: as RC_SYNTAX above. RC_NOMEM. */
MUST_USE enum rc crypt_hash_check(struct slice hash, struct slice password, bool *match,
                                  struct err *e);

#endif
