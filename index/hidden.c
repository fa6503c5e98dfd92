/* hidden - lists of capabilities. See hidden.h. */
#include "index/hidden.h"

#include "index/keywords.h"
#include "store/record.h"

static bool
is_needed(struct slice name)
{
	return slice_eq(name, SLICE("IMAP4REV1")) || slice_eq(name, SLICE("STARTTLS")) ||
	       slice_eq(name, SLICE("LOGINDISABLED")) || slice_starts(name, SLICE("AUTH="));
}

static enum rc
upper(struct slice *name, struct arena *a, struct err *e)
{
	uint8_t *p = arena_alloc(a, name->len);

	if (p == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < name->len; i++)
		p[i] = ascii_upper(name->ptr[i]);
	*name = slice_of(p, name->len);
	if (is_needed(*name))
		return err_set(e, RC_DENIED, "%.*s cannot be hidden", SLICE_ARG(*name));
	return RC_OK;
}

/* capability = ("AUTH=" auth-type) / atom                          [RFC 9051 s9]
 * Keywords are atoms too, and compare the same way. */
enum rc
hidden_normalise(struct slice text, struct arena *a, struct slice *out, struct err *e)
{
	struct keyword_list l;
	enum rc rc;

	rc = keywords_split(text, a, &l, e);
	if (rc == RC_DENIED)
		return err_set(e, RC_SYNTAX, "that is no name of a capability");
	for (size_t i = 0; rc == RC_OK && i < l.count; i++)
		rc = upper(&l.words[i], a, e);
	if (rc == RC_OK)
		rc = keywords_join(&l, a, out, e);
	if (rc == RC_LIMIT || (rc == RC_OK && out->len > HIDDEN_MAX))
		rc = err_set(e, RC_LIMIT, "more than %u bytes of names are hidden", HIDDEN_MAX);
	return rc;
}

/* As server/imap/capability.c has them, and what a word before "=" stands for; a test
 * compares the two. */
static const char *const known[] = {
	"APPENDLIMIT", "BINARY", "CHILDREN", "COMPRESS", "COMPRESS=DEFLATE",
	"CONDSTORE", "CREATE-SPECIAL-USE", "ENABLE", "ESEARCH", "ID",
	"IDLE", "IMAP4REV2", "INPROGRESS", "LIST-EXTENDED", "LIST-STATUS",
	"LITERAL+", "LITERAL-", "MOVE", "MULTIAPPEND", "NAMESPACE",
	"OBJECTID", "PARTIAL", "PREVIEW", "QRESYNC", "QUOTA",
	"QUOTA=RES-MESSAGE", "QUOTA=RES-STORAGE", "REPLACE", "SASL-IR", "SAVEDATE",
	"SEARCHRES", "SPECIAL-USE", "STATUS", "STATUS=SIZE", "UIDONLY",
	"UIDPLUS", "UNAUTHENTICATE", "UNSELECT", "UTF8", "UTF8=ACCEPT",
	"WITHIN",
};

bool
hidden_is_known(struct slice word)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (slice_eq(word, slice_str(known[i])))
			return true;
	return false;
}
