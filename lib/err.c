/* err - filling error contexts. See err.h. */
#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum rc
err_set(struct err *e, enum rc code, const char *fmt, ...)
{
	va_list ap;

	e->code = code;
	e->os = 0;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return code;
}

static enum rc
rc_from_errno(int os)
{
	switch (os) {
	case ENOMEM:
		return RC_NOMEM;
	case ENOENT:
		return RC_NOT_FOUND;
	case EEXIST:
		return RC_EXISTS;
	case EACCES:
	case EPERM:
		return RC_DENIED;
	default:
		return RC_IO;
	}
}

enum rc
err_os(struct err *e, int os, const char *fmt, ...)
{
	va_list ap;
	size_t len;
	char reason[128];

	e->code = rc_from_errno(os);
	e->os = os;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	len = strlen(e->text);
	if (strerror_r(os, reason, sizeof reason) != 0)
		snprintf(reason, sizeof reason, "error %d", os);
	snprintf(e->text + len, sizeof e->text - len, ": %s", reason);
	return e->code;
}

enum rc
err_nomem(struct err *e)
{
	return err_set(e, RC_NOMEM, "out of memory");
}

enum rc
err_add(struct err *e, const char *fmt, ...)
{
	char what[ERR_TEXT_MAX], old[ERR_TEXT_MAX];
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	memcpy(old, e->text, sizeof old);
	snprintf(e->text, sizeof e->text, "%s", what);
	len = strlen(e->text);
	snprintf(e->text + len, sizeof e->text - len, ": %s", old);
	return e->code;
}

const char *
rc_name(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return "ok";
	case RC_NOMEM:
		return "out of memory";
	case RC_IO:
		return "io";
	case RC_CORRUPT:
		return "corrupt";
	case RC_LIMIT:
		return "limit";
	case RC_SYNTAX:
		return "syntax";
	case RC_NOT_FOUND:
		return "not found";
	case RC_EXISTS:
		return "exists";
	case RC_DENIED:
		return "denied";
	case RC_BUSY:
		return "busy";
	case RC_CANCELLED:
		return "cancelled";
	case RC_WAIT:
		return "would wait";
	}
	return "unknown";
}
