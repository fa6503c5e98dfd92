/* reply - what a command answers: the tagged reply, which is kept until the command ends, BYE and
 * "+". See imap.h.
 *
 * One reply a command: a later call replaces an earlier one. What failed inside the server is
 * logged here, once, with the text that no client is told.
 */
#include "lib/nowait.h"
#include "server/imap/imap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct buf *
imap_out(struct imap *im)
{
	return session_out(im->s);
}

void
imap_reply(struct imap *im, enum imap_status st, const char *fmt, ...)
{
	va_list ap;
	int len;
	uint8_t *p;

	im->status = st;
	buf_reset(&im->reply);
	uid_set_reset(&im->reply_set);
	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = buf_reserve(&im->reply, (size_t)len + 1);
	if (p == NULL) {
		imap_bye(im, "[UNAVAILABLE] The answer is too long");
		return;
	}
	va_start(ap, fmt);
	vsnprintf((char *)p, (size_t)len + 1, fmt, ap);
	va_end(ap);
	buf_commit(&im->reply, (size_t)len);
}

void
imap_reply_set(struct imap *im, enum imap_status st, const char *code, struct uid_set *set,
	       const char *text)
{
	struct uid_set empty = im->reply_set;

	imap_reply(im, st, "%s%s", code, text);
	im->reply_set = *set;
	im->reply_at = strlen(code);
	uid_set_reset(&empty);
	*set = empty;
}

void
imap_reply_expected(struct imap *im, const struct cursor *c)
{
	const char *what = c->expected != NULL ? c->expected : "end of command";

	if (c->limit)
		imap_reply(im, IMAP_NO, "[LIMIT] %s: expected %s", im->cmd->name, what);
	else
		imap_reply(im, IMAP_BAD, "%s: expected %s", im->cmd->name, what);
}

void
imap_bye(struct imap *im, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (im->ended)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_printf(imap_out(im), "* BYE %s\r\n", text);
	im->ended = true;
}

void
imap_continue(struct imap *im, struct slice text)
{
	struct buf *out = imap_out(im);

	buf_append_str(out, "+ ");
	buf_append_slice(out, text);
	buf_append_str(out, "\r\n");
}

/* The response code and sentence for a failure [RFC 5530]. */
static const char *
error_text(const struct imap *im, enum rc rc, const struct err *e)
{
	if (rc == RC_IO && (e->os == ENOSPC || e->os == EDQUOT))
		return "[LIMIT] The disk is full, try again later";
	switch (rc) {
	case RC_OK:
	case RC_SYNTAX:
	case RC_CANCELLED:
	case RC_WAIT:
		return "[SERVERBUG] Internal error";
	case RC_NOMEM:
		return "[UNAVAILABLE] Out of memory, try again later";
	case RC_IO:
		return "[UNAVAILABLE] Storage failed, try again later";
	case RC_CORRUPT:
		return "[CORRUPTION] Stored data is damaged";
	case RC_LIMIT:
		return im->change != NULL ? "[OVERQUOTA] Quota exceeded"
					  : "[LIMIT] Over a limit of this server";
	case RC_NOT_FOUND:
		return "[NONEXISTENT] No such mailbox";
	case RC_EXISTS:
		return "[ALREADYEXISTS] Mailbox already exists";
	case RC_DENIED:
		return "[CANNOT] Not possible with this mailbox";
	case RC_BUSY:
		return "[UNAVAILABLE] No changes are taken now, try again later";
	}
	return "[SERVERBUG] Internal error";
}

static bool
concerns_operator(enum rc rc)
{
	return rc == RC_NOMEM || rc == RC_IO || rc == RC_CORRUPT || rc == RC_BUSY ||
	       rc == RC_SYNTAX || rc == RC_CANCELLED || rc == RC_OK;
}

/* On the pool: changes are answered there. */
static void
log_overquota(struct imap *im)
{
	struct account_info info = { .quota_bytes = 0 };
	struct err e = ERR_INIT;
	struct logline l;

	session_log(im->s, &l, LOGLEVEL_INFO, "imap.overquota");
	log_cstr(&l, "command", im->cmd->name);
	if (volume_get_account(im->volume, im->account, &im->arena, &info, &e) == RC_OK) {
		log_u64(&l, "quota", info.quota_bytes);
		log_u64(&l, "used", info.used_bytes);
		if (info.quota_messages != 0) {
			log_u64(&l, "quota_messages", info.quota_messages);
			log_u64(&l, "messages", info.used_messages);
		}
	}
	log_end(&l);
}

void
imap_reply_error(struct imap *im, enum rc rc, const struct err *e)
{
	const struct change *c = im->change;
	struct err unsaid;

	/* Whatever failed without waiting is done again where waiting is allowed. */
	if (nowait_is_on()) {
		(void)nowait_refuse(&unsaid);
		return;
	}
	if (rc == RC_LIMIT && c != NULL && (c->kind == CHANGE_APPEND || c->kind == CHANGE_COPY))
		log_overquota(im);
	if (concerns_operator(rc)) {
		struct logline l;

		session_log(im->s, &l, LOGLEVEL_WARN, "imap.failed");
		log_cstr(&l, "command", im->cmd->name);
		log_err(&l, e);
		log_end(&l);
	}
	if (im->change != NULL && im->change->durable)
		imap_bye(im, "[UNAVAILABLE] The change was made, but cannot be shown yet");
	else
		imap_reply(im, IMAP_NO, "%s", error_text(im, rc, e));
}
