/* err - one vocabulary of results and one context of failure.
 *
 * Every fallible function returns `enum rc` and fills a caller's `struct err` (passed last, never NULL). A level either
 * handles an error or adds what it knows (err_add) and returns it; only the session, step or writer boundary logs.
 * The text is for operators, never for clients.
 */
#ifndef RESTANTE_LIB_ERR_H
#define RESTANTE_LIB_ERR_H

#include "lib/slice.h"

enum rc {
	RC_OK,
	RC_NOMEM,
	RC_IO,          /* the system failed us: see err.os (ENOSPC, EIO, EMFILE, ...) */
	RC_CORRUPT,     /* stored bytes are not what was written */
	RC_LIMIT,       /* over a configured or fixed limit; text names it */
	RC_SYNTAX,      /* input does not follow its grammar */
	RC_NOT_FOUND,
	RC_EXISTS,
	RC_DENIED,      /* not allowed, or wrong credentials */
	RC_BUSY,        /* somebody else holds it */
	RC_CANCELLED,
	RC_WAIT,        /* it would have to wait for the disk, and may not here: nowait.h */
};

#define ERR_TEXT_MAX 512

struct err {
	enum rc code;
	int     os;                     /* errno, or 0 */
	char    text[ERR_TEXT_MAX];     /* NUL-terminated, cut if longer */
};

#define ERR_INIT { RC_OK, 0, "" }

/* Fill *e and return `code`, so that failing is one line. err_os appends strerror(os) and returns RC_IO
 * (RC_NOMEM for ENOMEM, RC_NOT_FOUND for ENOENT, RC_EXISTS for EEXIST, RC_DENIED for EACCES and EPERM). */
enum rc err_set(struct err *e, enum rc code, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum rc err_os(struct err *e, int os, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum rc err_nomem(struct err *e);
/* Put "what: " before the text that is there; returns e->code. */
enum rc err_add(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "ok", "io", "not found", ... */
const char *rc_name(enum rc rc);

#endif
