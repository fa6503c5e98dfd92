/* identity - whose mail a session shows: nobody's, an account's from a login on, nobody's again
 * after UNAUTHENTICATE.
 *
 * All that depends on the account or was set by its client is in these two functions, so that
 * nothing of one account can be left for the next. What stays of the connection: TLS, what ID said,
 * the count of failed logins and of bad commands.
 */
#include <stdlib.h>

#include "lib/clock.h"
#include "server/imap/private.h"

#define ARENA_NOT_AUTH    (64u << 10)
#define ARENA_MAX         (32u << 20)
#define NOT_AUTH_COMMAND  13312u        /* AUTHENTICATE and SASL_MESSAGE_MAX octets in base64 */
#define NOT_AUTH_LITERALS 4u
#define NOT_AUTH_SWALLOW  65536u
#define AUTH_LITERALS     256u

static struct framer_limits
limits_not_auth(void)
{
	return (struct framer_limits){
		.command = NOT_AUTH_COMMAND,
		.literals = NOT_AUTH_LITERALS,
		.swallow = NOT_AUTH_SWALLOW,
		.lf_ends_line = true,
	};
}

static struct framer_limits
limits_auth(const struct conf *conf)
{
	uint64_t message = conf->limits.message_size, command = conf->limits.command_size;

	if (command < NOT_AUTH_COMMAND)
		command = NOT_AUTH_COMMAND;     /* what was allowed before login stays so */
	return (struct framer_limits){
		.command = (size_t)command,
		.literals = AUTH_LITERALS,
		.swallow = message + message / 2,
	};
}

static void
forget_text(struct slice *kept)
{
	free((void *)(uintptr_t)kept->ptr);
	*kept = SLICE_NONE;
}

/* *kept becomes a heap copy; what it was is freed. */
static bool
keep_text(struct slice *kept, struct slice text)
{
	uint8_t *copy = malloc(text.len + 1);

	if (copy == NULL)
		return false;
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	forget_text(kept);
	*kept = slice_of(copy, text.len);
	return true;
}

bool
imap_logged_in(struct imap *im, struct volume *v, const struct account_info *account)
{
	struct framer_limits limits = limits_auth(session_conf(im->s));

	if (!keep_text(&im->priv->user, account->name) ||
	    !keep_text(&im->priv->hidden, account->hidden))
		return false;
	im->user = im->priv->user;
	im->hidden = im->priv->hidden;
	im->volume = v;
	im->account = account->id;
	im->state = IMAP_AUTH;
	im->arena.max = ARENA_MAX;
	framer_set_limits(&im->priv->framer, &limits);
	session_set_timeout(im->s, 0);
	return true;
}

void
imap_logged_out(struct imap *im)
{
	struct framer_limits limits = limits_not_auth();
	struct imap_private *p = im->priv;

	imap_unselect(im);
	imap_view_reset(&im->view);     /* a saved search result too */
	im->rev2 = im->utf8_accept = im->utf8 = false;
	im->condstore = im->qresync = im->uidonly = false;
	forget_text(&p->user);
	forget_text(&p->hidden);
	im->user = im->hidden = SLICE_NONE;
	im->volume = NULL;
	im->account = 0;
	im->state = IMAP_NOT_AUTH;
	im->arena.max = ARENA_NOT_AUTH;
	framer_set_limits(&p->framer, &limits);
	p->notified = false;
	p->append_target.mailbox = 0;   /* ids are of one volume, the next login may be of another */
	p->opened_ms = clock_mono_ms();
	login_leave(&p->login);
	session_set_timeout(im->s, (uint32_t)(session_conf(im->s)->limits.auth_timeout * 1000));
}
