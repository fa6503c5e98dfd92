/* capability - what we offer, as the state and the stream allow [RFC 9051 s6.1.1, s7.2.2].
 *
 * Only what is whole stands here: clients use what is advertised, and advertised-but-wrong hurts
 * more than missing. The order of the table is the order on the wire.
 *
 * An account's list of hidden capabilities is no sniffing of clients: an administrator who knows
 * that somebody's client breaks on one hides it for that account. IMAP4rev1 cannot be hidden, as
 * a server without any protocol version is none.
 */
#include "server/imap/private.h"

#define AFTER_LOGIN (IMAP_AUTH | IMAP_SELECTED)
#define ANY_TIME    (IMAP_NOT_AUTH | AFTER_LOGIN)

static bool
can_starttls(const struct imap *im)
{
	return session_can_starttls(im->s);
}

static bool
refuses_login(const struct imap *im)
{
	return !login_offers_password(&im->priv->login);
}

/* The lesser form, never beside the other [RFC 7888 s5]. */
static bool
hides_literal_plus(const struct imap *im)
{
	return imap_is_hidden(im, SLICE("LITERAL+"));
}

static bool
is_uncompressed(const struct imap *im)
{
	return !session_is_compressed(im->s);
}

bool
imap_offers_unauthenticate(const struct imap *im)
{
	return session_conf(im->s)->server.unauthenticate &&
	       !imap_is_hidden(im, SLICE("UNAUTHENTICATE"));
}

/* Rows without a condition are offered in their states always. */
static const struct capability {
	const char *name;
	unsigned    states;             /* enum imap_state bits */
	bool      (*when)(const struct imap *im);
} capabilities[] = {
	{ "IMAP4rev1", ANY_TIME, NULL },
	{ "IMAP4rev2", ANY_TIME, NULL },
	{ "LITERAL+", ANY_TIME, NULL },
	{ "LITERAL-", AFTER_LOGIN, hides_literal_plus },
	{ "SASL-IR", ANY_TIME, NULL },
	{ "ID", ANY_TIME, NULL },
	{ "ENABLE", ANY_TIME, NULL },
	{ "IDLE", ANY_TIME, NULL },
	{ "STARTTLS", IMAP_NOT_AUTH, can_starttls },
	{ "LOGINDISABLED", IMAP_NOT_AUTH, refuses_login },
	{ "COMPRESS=DEFLATE", AFTER_LOGIN, is_uncompressed },
	{ "UNAUTHENTICATE", AFTER_LOGIN, imap_offers_unauthenticate },
	{ "NAMESPACE", AFTER_LOGIN, NULL },
	{ "CHILDREN", AFTER_LOGIN, NULL },
	{ "UNSELECT", AFTER_LOGIN, NULL },
	{ "UIDPLUS", AFTER_LOGIN, NULL },
	{ "MOVE", AFTER_LOGIN, NULL },
	{ "CONDSTORE", AFTER_LOGIN, NULL },
	{ "QRESYNC", AFTER_LOGIN, NULL },
	{ "UIDONLY", AFTER_LOGIN, NULL },
	{ "ESEARCH", AFTER_LOGIN, NULL },
	{ "SEARCHRES", AFTER_LOGIN, NULL },
	{ "WITHIN", AFTER_LOGIN, NULL },
	{ "INPROGRESS", AFTER_LOGIN, NULL },
	{ "PARTIAL", AFTER_LOGIN, NULL },
	{ "BINARY", AFTER_LOGIN, NULL },
	{ "MULTIAPPEND", AFTER_LOGIN, NULL },
	{ "SPECIAL-USE", AFTER_LOGIN, NULL },
	{ "CREATE-SPECIAL-USE", AFTER_LOGIN, NULL },
	{ "LIST-EXTENDED", AFTER_LOGIN, NULL },
	{ "LIST-STATUS", AFTER_LOGIN, NULL },
	{ "STATUS=SIZE", AFTER_LOGIN, NULL },
	{ "UTF8=ACCEPT", AFTER_LOGIN, NULL },
	{ "PREVIEW", AFTER_LOGIN, NULL },
	{ "SAVEDATE", AFTER_LOGIN, NULL },
	{ "APPENDLIMIT=", AFTER_LOGIN, NULL },
	{ "OBJECTID", AFTER_LOGIN, NULL },
	{ "REPLACE", AFTER_LOGIN, NULL },
	{ "QUOTA", AFTER_LOGIN, NULL },
	{ "QUOTA=RES-STORAGE", AFTER_LOGIN, NULL },
	{ "QUOTA=RES-MESSAGE", AFTER_LOGIN, NULL },
};

/* A word of the list hides the capability of this name, and all that are the name and "=" and
 * more: APPENDLIMIT hides APPENDLIMIT=1000, QUOTA hides QUOTA=RES-STORAGE. */
static bool
word_hides(struct slice word, struct slice capability)
{
	return slice_starts_nocase(capability, word) &&
	       (capability.len == word.len || capability.ptr[word.len] == '=');
}

bool
imap_is_hidden(const struct imap *im, struct slice capability)
{
	struct slice list = im->hidden;

	if (slice_eq_nocase(capability, SLICE("IMAP4rev1")))
		return false;
	while (list.len > 0) {
		size_t n = slice_find_byte(list, ' ');

		if (n > 0 && word_hides(slice_sub(list, 0, n), capability))
			return true;
		list = slice_sub(list, n < list.len ? n + 1 : n, list.len);
	}
	return false;
}

/* AUTH=..., one for each mechanism sasl/ would take here. */
static void
out_mechanisms(struct imap *im, struct buf *out)
{
	char names[SASL_MECHANISMS_TEXT];
	struct slice list = slice_str(login_mechanisms(&im->priv->login, names));

	while (list.len > 0) {
		size_t n = slice_find_byte(list, ' ');

		if (n > 0) {
			buf_append_str(out, " AUTH=");
			buf_append_slice(out, slice_sub(list, 0, n));
		}
		list = slice_sub(list, n < list.len ? n + 1 : n, list.len);
	}
}

static void
out_capability(struct imap *im, const struct capability *cap, struct buf *out)
{
	struct slice name = slice_str(cap->name);

	buf_append_slice(out, name);
	/* APPENDLIMIT: the same for all mailboxes [RFC 7889 s2]. */
	if (name.ptr[name.len - 1] == '=')
		buf_append_u64(out, session_conf(im->s)->limits.message_size);
}

void
imap_out_capabilities(struct imap *im, struct buf *out)
{
	const char *gap = "";

	for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++) {
		const struct capability *cap = &capabilities[i];

		if ((cap->states & im->state) == 0 || (cap->when != NULL && !cap->when(im)) ||
		    imap_is_hidden(im, slice_str(cap->name)))
			continue;
		buf_append_str(out, gap);
		out_capability(im, cap, out);
		gap = " ";
	}
	if (im->state == IMAP_NOT_AUTH)
		out_mechanisms(im, out);
}
