/* downgrade - see downgrade.h.
 *
 * RFC 6858 leaves text of parameters out (s2.2) where RFC 6857 and this file encode it: a file name
 * is worth keeping, as clients of POP3 often delete the message that they have taken. For the same
 * reason the display name that stands for an address holds all of it, name and address.
 */
#include "lib/downgrade.h"

#include "lib/address.h"
#include "lib/base64.h"
#include "lib/header.h"
#include "lib/rfc2047.h"
#include "lib/rfc2231.h"
#include "lib/text.h"

#define WORD_OCTETS 36u         /* of text in one encoded-word: with a name of at most 14 letters a
                                 * line holds 76 [RFC 2047 s2] */
#define FIRST_NAME_MAX 14u
#define VALUE_MAX   (64u << 10) /* of a field's text; longer ones are cut */
#define PARAM_TEXT_MAX 240u     /* octets of a parameter: three times that fit into a line
                                 * [RFC 5322 s2.1.1] */

/* UTF-8 text as encoded-words, each on a line of its own but the first. */
static void
put_words(struct slice text, struct buf *out)
{
	for (bool first = true; text.len > 0 || first; first = false) {
		struct slice piece = text_cut(text, WORD_OCTETS);

		buf_append_str(out, first ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
		base64_encode(piece, out);
		buf_append_str(out, "?=");
		text = slice_sub(text, piece.len, text.len);
	}
}

/* A raw value as text: unfolded, its encoded-words decoded too, so that old and new
 * ones do not mix. */
static bool
decode(struct slice value, struct buf *text)
{
	struct buf line;
	bool ok;

	buf_init(&line, VALUE_MAX);
	ok = header_unfold(slice_sub(value, 0, VALUE_MAX), &line);
	if (ok)
		(void)rfc2047_decode(buf_slice(&line), text);   /* false: cut, at a character */
	buf_fini(&line);
	return ok;
}

static bool
put_text(const struct header_field *f, struct buf *out)
{
	struct buf text;
	bool ok;

	buf_init(&text, VALUE_MAX);
	ok = decode(f->value, &text);
	buf_append_slice(out, f->name);
	buf_append_str(out, f->name.len > FIRST_NAME_MAX ? ":\r\n " : ": ");
	put_words(buf_slice(&text), out);
	buf_append_str(out, "\r\n");
	buf_fini(&text);
	return ok;
}

/* ---- addresses ---- */

/* quoted-string [RFC 5322 s3.2.4]; also for a local part, where it means the same
 * as the bare one. */
static void
put_quoted(struct slice s, struct buf *out)
{
	buf_append_byte(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			buf_append_byte(out, '\\');
		buf_append_byte(out, s.ptr[i]);
	}
	buf_append_byte(out, '"');
}

/* dot-atom-text, more or less [RFC 5322 s3.2.3]: what need not be quoted. */
static bool
is_plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] >= 127 ||
		    strchr("()<>[]:;@\\,\"", s.ptr[i]) != NULL)
			return false;
	return s.len > 0;
}

static void
put_addr_spec(const struct address *a, struct buf *out)
{
	if (is_plain(a->mailbox))
		buf_append_slice(out, a->mailbox);
	else
		put_quoted(a->mailbox, out);
	if (a->host.len > 0)
		buf_append_byte(out, '@');
	buf_append_slice(out, a->host);
}

static bool
is_in(struct slice s, const char *what)
{
	return slice_find(s, slice_str(what)) < s.len;
}

/* A display name: as it was where it is ASCII and may stand so. */
static void
put_name(struct slice name, struct buf *out)
{
	struct buf text;

	if (text_is_ascii(name) && !is_in(name, "=?")) {
		put_quoted(name, out);
		return;
	}
	buf_init(&text, VALUE_MAX);
	(void)decode(name, &text);
	put_words(buf_slice(&text), out);
	buf_fini(&text);
}

/* An address that nobody can have; what it stands for is in its name [RFC 6858 s2.1]. */
static void
put_invalid(const struct address *a, struct buf *out)
{
	struct buf shown;

	buf_init(&shown, VALUE_MAX);
	if (a->name.len > 0 && decode(a->name, &shown))
		buf_append_byte(&shown, ' ');
	put_addr_spec(a, &shown);
	put_name(buf_slice(&shown), out);
	buf_append_str(out, " <invalid@internationalized.invalid>");
	buf_fini(&shown);
}

static void
put_mailbox(const struct address *a, struct buf *out)
{
	if (!text_is_ascii(a->mailbox) || !text_is_ascii(a->host)) {
		put_invalid(a, out);
	} else if (a->name.len > 0) {
		put_name(a->name, out);
		buf_append_str(out, " <");
		put_addr_spec(a, out);
		buf_append_byte(out, '>');
	} else {
		put_addr_spec(a, out);
	}
}

static bool
put_addresses(const struct header_field *f, struct buf *out)
{
	struct address_iter it;
	struct address a;
	bool comma = false, ok;

	buf_append_slice(out, f->name);
	buf_append_byte(out, ':');
	address_iter_init(&it, f->value);
	while (address_next(&it, &a)) {
		if (a.kind == ADDRESS_GROUP_END) {
			buf_append_byte(out, ';');
			comma = true;
			continue;
		}
		buf_append_str(out, comma ? ",\r\n " : " ");
		comma = a.kind == ADDRESS_MAILBOX;
		if (comma) {
			put_mailbox(&a, out);
		} else {
			put_name(a.name, out);
			buf_append_byte(out, ':');
		}
	}
	ok = !it.failed;
	address_iter_fini(&it);
	buf_append_str(out, "\r\n");
	return ok;
}

/* ---- parameters ---- */

/* name*=utf-8''text [RFC 2231 s4] */
static void
put_extended(struct slice name, struct slice text, struct buf *out)
{
	buf_append_slice(out, name);
	buf_append_str(out, "*=utf-8''");
	text = text_cut(text, PARAM_TEXT_MAX);
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if ((c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
		    c == '.' || c == '-')
			buf_append_byte(out, c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

static void
put_param(const struct param *p, struct buf *out)
{
	struct buf text;

	if (!is_plain(p->name))
		return;
	buf_append_str(out, ";\r\n ");
	if (text_is_ascii(p->value)) {
		buf_append_slice(out, p->name);
		buf_append_byte(out, '=');
		if (p->name.ptr[p->name.len - 1] == '*')
			buf_append_slice(out, p->value);
		else
			put_quoted(p->value, out);
		return;
	}
	buf_init(&text, VALUE_MAX);
	(void)param_decode(p, &text);
	put_extended(slice_sub(p->name, 0, slice_find_byte(p->name, '*')), buf_slice(&text), out);
	buf_fini(&text);
}

/* Content-Type, Content-Disposition. A type that is not ASCII itself is none. */
static bool
put_params(const struct header_field *f, struct buf *out)
{
	struct param_list list;
	struct slice rest;
	struct buf value;
	bool ok;

	buf_init(&value, VALUE_MAX);
	param_list_init(&list);
	ok = param_take_value(f->value, &value, &rest) && param_list_parse(&list, rest);
	if (ok && text_is_ascii(buf_slice(&value))) {
		buf_append_slice(out, f->name);
		buf_append_str(out, ": ");
		buf_append_slice(out, buf_slice(&value));
		for (size_t i = 0; i < list.n; i++)
			put_param(&list.items[i], out);
		buf_append_str(out, "\r\n");
	}
	param_list_fini(&list);
	buf_fini(&value);
	return ok;
}

/* ---- fields ---- */

static bool
is_one_of(struct slice name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (slice_eq_nocase(name, slice_str(*list)))
			return true;
	return false;
}

static bool
put_field(const struct header_field *f, struct buf *out)
{
	static const char *const addresses[] = { "Bcc", "Cc", "From", "Reply-To", "Resent-Bcc",
	                                         "Resent-Cc",
		"Resent-From", "Resent-Sender", "Resent-To", "Return-Path", "Sender", "To", NULL };
	static const char *const mime[] = { "Content-Type", "Content-Disposition", NULL };
	static const char *const texts[] = { "Subject", "Comments", "Content-Description",
	                                     "Thread-Topic", NULL };

	if (text_is_ascii(f->raw))
		return buf_append_slice(out, f->raw);
	if (is_one_of(f->name, addresses))
		return put_addresses(f, out);
	if (is_one_of(f->name, mime))
		return put_params(f, out);
	if (is_one_of(f->name, texts))
		return put_text(f, out);
	return true;            /* "silently excised" [RFC 6858 s2.4] */
}

bool
downgrade_header(struct slice in, struct buf *out)
{
	struct header_field f;

	while (header_next(&in, &f))
		if (!put_field(&f, out))
			return false;
	return buf_append_slice(out, in) && !out->failed;
}
