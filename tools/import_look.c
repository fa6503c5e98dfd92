/* import_look - does a file begin like a message? See import.h.
 *
 * Whatever an admin names is a source, and any text is a message to who asks no questions. A line
 * "name: text" alone tells nothing: /etc/passwd is full of them. So the header must have a field
 * that mail has; --force is for those that have none. What comes out of another mailbox, of
 * whatever kind, is never asked.
 */
#include "tools/import.h"

#include "lib/header.h"

/* Of each there is one in all but the strangest message: what RFC 5322 and MIME define, and what
 * stands above that in messages that came a long way. */
static const char *const names[] = {
	"from", "to", "cc", "bcc", "sender", "reply-to", "date", "subject", "message-id",
	"in-reply-to", "references",
	"received", "return-path", "delivered-to", "envelope-to", "mime-version", "dkim-signature",
	"authentication-results",
};
static const char *const prefixes[] = { "x-", "content-", "resent-", "list-", "arc-" };

static bool
is_of_mail(struct slice name)
{
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (slice_eq_nocase(name, slice_str(names[i])))
			return true;
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (slice_eq_nocase(slice_sub(name, 0, strlen(prefixes[i])),
		                    slice_str(prefixes[i])))
			return true;
	return false;
}

/* field-name = 1*ftext   ; printable ASCII without ":"   [RFC 5322 s3.6.8] */
static bool
is_field_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] >= 0x7F)
			return false;
	return name.len > 0;
}

const char *
import_is_no_message(struct slice head)
{
	struct header_field f;
	bool first = true;

	if (slice_starts(head, SLICE("From ")))
		head = slice_sub(head, slice_find_byte(head, '\n') + 1, head.len);
	while (header_next(&head, &f)) {
		if (first && !is_field_name(f.name))
			return "it does not begin like a message: its first line is no header "
			       "field";
		if (is_of_mail(f.name))
			return NULL;
		first = false;
	}
	return first ? "it does not begin like a message: it has no header"
	             : "it does not begin like a message: its header has no field that mail has";
}
