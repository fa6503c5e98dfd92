/* search_subject - what SUBJECT looks for, from summaries instead of headers.
 *
 * A summary has the Subject as ENVELOPE shows it. The header is looked at all the same where it may say more: several
 * Subjects (HEADER looks at all of them), octets whose charset only Content-Type names, parameters, which are read with
 * their folds. So what is found does not depend on where it was looked for, but that a damaged body hides nothing here.
 */
#include "server/imap/search.h"

#include "lib/header.h"
#include "lib/text.h"

static bool
may_have_params(struct slice value)
{
	return slice_find(value, SLICE("*=")) < value.len ||
	       slice_find(value, SLICE("*0=")) < value.len;
}

/* Nothing to decode and no charset to guess: what header_decode_text would leave as it is, but for the folding. */
static bool
is_plain(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if ((value.ptr[i] < ' ' && value.ptr[i] != '\t') || value.ptr[i] > '~' ||
		    (value.ptr[i] == '?' && i > 0 && value.ptr[i - 1] == '='))
			return false;
	return true;
}

bool
search_subject_of(const struct mime_summary *s, struct buf *text, struct buf *out)
{
	struct slice value;

	buf_reset(out);
	if (!mime_summary_subject(s, text, &value))
		return false;
	if (value.ptr == NULL)
		return true;
	if (may_have_params(value) || !text_utf8_valid(value))
		return false;
	if (!buf_append_byte(out, SUBJECT_BEGINS))
		return false;
	return is_plain(value) ? text_searchfold(value, out) : header_decode_text(value, out);
}
