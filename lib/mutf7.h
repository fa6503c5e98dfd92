/* mutf7 - mailbox names in modified UTF-7 [RFC 3501 s5.1.3] to and from UTF-8. Pure functions, strict. */
#ifndef RESTANTE_LIB_MUTF7_H
#define RESTANTE_LIB_MUTF7_H

#include "lib/buf.h"

enum mutf7_result {
	MUTF7_OK,
	MUTF7_BAD_CHAR,         /* an octet outside 0x20-0x7e */
	MUTF7_BAD_BASE64,       /* within &...-: not the alphabet, or bits left over */
	MUTF7_UNTERMINATED,     /* & without its - */
	MUTF7_NULL_SHIFT,       /* "-&": two encoded runs that should be one */
	MUTF7_BAD_UTF16,        /* a lone surrogate */
	MUTF7_NOT_CANONICAL,    /* a printable ASCII character in base64 */
	MUTF7_NO_ROOM,
};

/* Append the UTF-8 of a name as IMAP4rev1 clients send it. Not MUTF7_OK: out is as before. */
MUST_USE enum mutf7_result mutf7_decode(struct slice in, struct buf *out);
/* Append the modified UTF-7 of a UTF-8 name. MUTF7_BAD_CHAR: it is not UTF-8. Not MUTF7_OK: out is as before. */
MUST_USE enum mutf7_result mutf7_encode(struct slice in, struct buf *out);

#endif
