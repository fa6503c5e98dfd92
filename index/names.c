/* names - mailbox and account names. See names.h.
 *
 * Clients write names in any normal form; two that look the same must be the same mailbox, so they
 * are stored in NFC. Control characters are refused because no client could show or type them and
 * logs would be forged with them.
 */
#include "index/names.h"

#include "lib/text.h"
#include "store/record.h"

/* C0, DEL and C1 controls, and the line and paragraph separators [RFC 5198 s2, RFC 9051 s5.1]. */
static bool
has_control(struct slice s)
{
	uint32_t cp;
	size_t n;

	for (; s.len > 0; s = slice_sub(s, n, s.len)) {
		n = text_utf8_next(s, &cp);
		if (n == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 ||
		    cp == 0x2029)
			return true;
	}
	return false;
}

static enum rc
nfc_dup(struct slice name, size_t max, struct arena *a, struct slice *out, struct err *e)
{
	struct buf b;
	enum rc rc = RC_OK;

	if (name.len > max)
		return err_set(e, RC_LIMIT, "name is longer than %zu bytes", max);
	if (name.len == 0 || has_control(name))
		return err_set(e, RC_DENIED, "name is empty, not UTF-8 or has a control character");
	if (text_is_ascii(name)) {
		*out = arena_dup(a, name);
		return out->ptr != NULL ? RC_OK : err_nomem(e);
	}
	buf_init(&b, max);
	if (!text_nfc(name, &b))
		rc = err_set(e, RC_LIMIT, "name is longer than %zu bytes", max);
	else {
		*out = arena_dup(a, buf_slice(&b));
		if (out->ptr == NULL)
			rc = err_nomem(e);
	}
	buf_fini(&b);
	return rc;
}

static enum rc
check_levels(struct slice name, struct err *e)
{
	size_t levels = 1;

	if (name.ptr[0] == '/' || name.ptr[name.len - 1] == '/' ||
	    slice_find(name, SLICE("//")) < name.len)
		return err_set(e, RC_DENIED, "name has an empty level");
	for (size_t i = 0; i < name.len; i++)
		levels += name.ptr[i] == '/';
	if (levels > MAILBOX_LEVELS_MAX)
		return err_set(e, RC_LIMIT, "name has more than %d levels", MAILBOX_LEVELS_MAX);
	return RC_OK;
}

enum rc
name_mailbox_make(struct slice name, struct arena *a, struct slice *out, struct err *e)
{
	struct slice first;
	enum rc rc;

	rc = nfc_dup(name, MAILBOX_NAME_MAX, a, out, e);
	if (rc == RC_OK)
		rc = check_levels(*out, e);
	if (rc != RC_OK)
		return rc;
	first = slice_sub(*out, 0, slice_find_byte(*out, '/'));
	if (slice_eq_nocase(first, SLICE("INBOX")))
		memcpy((void *)(uintptr_t)out->ptr, "INBOX", 5);        /* our own copy */
	return RC_OK;
}

enum rc
name_mailbox_find(struct slice name, struct arena *a, struct slice *out, struct err *e)
{
	enum rc rc = name_mailbox_make(name, a, out, e);

	return rc == RC_DENIED || rc == RC_LIMIT ? err_set(e, RC_NOT_FOUND, "no such mailbox") : rc;
}

bool
name_is_inbox(struct slice name)
{
	return slice_eq(name, SLICE("INBOX"));
}

struct slice
name_parent(struct slice name)
{
	size_t i = name.len;

	while (i > 0 && name.ptr[i - 1] != '/')
		i--;
	return slice_sub(name, 0, i > 0 ? i - 1 : 0);
}

bool
name_is_below(struct slice name, struct slice top)
{
	return name.len > top.len && slice_starts(name, top) && name.ptr[top.len] == '/';
}

enum rc
name_account(struct slice name, struct arena *a, struct slice *nfc, struct slice *folded,
             struct err *e)
{
	struct slice n;
	struct buf b;
	enum rc rc;

	rc = nfc_dup(name, ACCOUNT_NAME_MAX, a, &n, e);
	if (rc != RC_OK)
		return rc;
	if (nfc != NULL)
		*nfc = n;
	if (folded == NULL)
		return RC_OK;
	buf_init(&b, 8 * ACCOUNT_NAME_MAX);
	if (!text_casefold(n, &b))
		rc = err_set(e, RC_LIMIT, "account name is too long when folded");
	else if ((*folded = arena_dup(a, buf_slice(&b))).ptr == NULL)
		rc = err_nomem(e);
	else if (folded->len == 0)
		rc = err_set(e, RC_DENIED, "account name is empty when folded");
	buf_fini(&b);
	return rc;
}
