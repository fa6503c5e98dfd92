/* xtext - values of parameters that would else break the line: "+" and two hexadecimal digits (in capitals) stand for
 * an octet [RFC 3461 s4]. Pure. */
#ifndef RESTANTE_SERVER_LMTP_XTEXT_H
#define RESTANTE_SERVER_LMTP_XTEXT_H

#include "lib/arena.h"

/* xtext = *( xchar / hexchar ) */
bool xtext_valid(struct slice s);
/* What it stands for, in the arena. False: it is no xtext, or there is no memory. */
bool xtext_decode(struct slice s, struct arena *a, struct slice *out);
/* No more than printable ASCII is in it, encoded or not: graphic characters and spaces. */
bool xtext_is_printable(struct slice s);
/* atom ";" xtext of at most 500 octets: the value of ORCPT [RFC 3461 s4.2]. With `utf8` the addr-type utf-8 may hold
 * what is not ASCII [RFC 6533 s3]. */
bool xtext_orcpt_valid(struct slice s, bool utf8);

#endif
