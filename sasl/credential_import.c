/* credential_import - passwords as other systems' files have them, in lines NAME:PASSWORD[:...].
 * See credential.h.
 *
 * A password that is none but looks like a hash is refused: taken as it stands, who has read the
 * file the hash comes from could log in with it.
 */
#include "sasl/credential.h"

#include "sasl/crypt_hash.h"

enum form {
	FORM_CLEAR,
	FORM_CRYPT,             /* with the methods that `prefixes` tells */
	FORM_SCRAM,             /* iterations,salt,StoredKey,ServerKey */
};

/* Schemes of Dovecot's passwd-file and of LDAP's userPassword [RFC 2307 s5.3]. */
static const struct scheme {
	struct slice name;
	enum form    form;
	const char  *prefixes;  /* of the hash, spaces between; NULL: whatever is known */
	const char  *ours;
} schemes[] = {
	{ SLICE_INIT("PLAIN"),         FORM_CLEAR, NULL, NULL },
	{ SLICE_INIT("CLEAR"),         FORM_CLEAR, NULL, NULL },
	{ SLICE_INIT("CLEARTEXT"),     FORM_CLEAR, NULL, NULL },
	{ SLICE_INIT("CRYPT"),         FORM_CRYPT, NULL, NULL },
	{ SLICE_INIT("SHA512-CRYPT"),  FORM_CRYPT, "$6$", NULL },
	{ SLICE_INIT("SHA256-CRYPT"),  FORM_CRYPT, "$5$", NULL },
	{ SLICE_INIT("BLF-CRYPT"),     FORM_CRYPT, "$2a$ $2b$ $2y$", NULL },
	{ SLICE_INIT("SCRAM-SHA-256"), FORM_SCRAM, NULL, "SCRAM-SHA-256" },
	{ SLICE_INIT("SCRAM-SHA-1"),   FORM_SCRAM, NULL, "SCRAM-SHA-1" },
};

/* {WORD} in front. */
static bool
split_scheme(struct slice text, struct slice *scheme, struct slice *rest)
{
	size_t end = slice_find_byte(text, '}');

	if (text.len == 0 || text.ptr[0] != '{' || end == text.len || end < 2)
		return false;
	for (size_t i = 1; i < end; i++) {
		uint8_t c = ascii_upper(text.ptr[i]);

		if ((c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.')
			return false;
	}
	*scheme = slice_sub(text, 1, end);
	*rest = slice_sub(text, end + 1, text.len);
	return true;
}

static bool
has_prefix(struct slice hash, const char *prefixes)
{
	struct slice rest = slice_str(prefixes);

	while (rest.len > 0) {
		size_t n = slice_find_byte(rest, ' ');

		if (slice_starts(hash, slice_sub(rest, 0, n)))
			return true;
		rest = slice_sub(rest, n + 1, rest.len);
	}
	return prefixes == NULL;
}

static enum rc
import_crypt(const struct scheme *s, struct slice hash, struct buf *out, struct err *e)
{
	if (!has_prefix(hash, s->prefixes))
		return err_set(e, RC_SYNTAX, "the hash is not of {%s}", (const char *)s->name.ptr);
	if (crypt_hash_examine(hash, e) != RC_OK)
		return e->code;
	return buf_append_str(out, "{CRYPT}") && buf_append_slice(out, hash)
	           ? RC_OK
	           : err_set(e, RC_LIMIT, "no room");
}

static enum rc
import_scram(const struct scheme *s, struct slice text, struct buf *out, struct err *e)
{
	static const char ends[] = { ':', '$', ':' };
	struct credential c;
	size_t from = out->len;
	bool fits = buf_printf(out, "%s$", s->ours);

	for (size_t i = 0; i < sizeof ends; i++) {
		size_t n = slice_find_byte(text, ',');

		if (n == text.len)
			return err_set(e, RC_SYNTAX,
			               "{%s} wants iterations,salt,StoredKey,ServerKey", s->ours);
		fits = fits && buf_append_slice(out, slice_sub(text, 0, n)) &&
		       buf_append_byte(out, (uint8_t)ends[i]);
		text = slice_sub(text, n + 1, text.len);
	}
	fits = fits && buf_append_slice(out, text);
	if (!fits)
		return err_set(e, RC_LIMIT, "no room");
	if (credential_parse(slice_sub(buf_slice(out), from, out->len), &c, e) != RC_OK)
		e->code = RC_SYNTAX;
	return e->code;
}

/* "$6$..." and the like: nobody's password, but a line of a shadow file. */
static bool
looks_hashed(struct slice text)
{
	static const struct slice methods[] = { SLICE_INIT("$1$"), SLICE_INIT("$5$"),
	                                        SLICE_INIT("$6$"), SLICE_INIT("$y$"),
		                                SLICE_INIT("$7$"), SLICE_INIT("$gy$"),
		                                SLICE_INIT("$2a$"), SLICE_INIT("$2b$"),
		                                SLICE_INIT("$2y$"), SLICE_INIT("$argon2") };

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (slice_starts(text, methods[i]))
			return true;
	return false;
}

enum rc
credential_import(struct slice text, struct buf *out, struct err *e)
{
	struct slice name, rest;

	if (looks_hashed(text))
		return err_set(e, RC_SYNTAX,
		               "that is a hash and no password: write {CRYPT} before it");
	if (!split_scheme(text, &name, &rest))
		return credential_make(text, out, e);
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		const struct scheme *s = &schemes[i];

		if (!slice_eq_nocase(s->name, name))
			continue;
		if (s->form == FORM_CLEAR)
			return credential_make(rest, out, e);
		/* What stands behind it in a passwd-file is not the password's: no hash
		 * holds a colon. */
		rest = slice_sub(rest, 0, slice_find_byte(rest, ':'));
		return s->form == FORM_CRYPT ? import_crypt(s, rest, out, e)
		                             : import_scram(s, rest, out, e);
	}
	return err_set(e, RC_SYNTAX,
	    "passwords of scheme {%.*s} are not known here; a password that begins so is written "
	    "{PLAIN}{%.*s}...",
	    name.len < 40 ? (int)name.len : 40, (const char *)name.ptr,
	    name.len < 40 ? (int)name.len : 40, (const char *)name.ptr);
}
