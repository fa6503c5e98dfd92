/* lint_authres - Authentication-Results [RFC 8601 s2.2]. */
#include "lib/lint_impl.h"

static bool
is_keyword(uint8_t b)
{
	return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
	       b == '-' || b == '_';
}

static bool
is_digit(uint8_t b)
{
	return b >= '0' && b <= '9';
}

/* value, or [[local-part] "@"] domain-name: what has no special bytes but these */
static bool
is_property_byte(uint8_t b)
{
	return lint_is_token(b) || b >= 0x80 || b == '@' || b == '/' || b == ':' || b == '=';
}

/* Skip CFWS, take a byte, skip CFWS. */
static bool
take_mark(struct lint_cursor *c, uint8_t b)
{
	lint_skip_cfws(c);
	if (!lint_take_byte(c, b))
		return false;
	lint_skip_cfws(c);
	return true;
}

/* pvalue, also a quoted local part with its domain */
static bool
take_value(struct lint_cursor *c)
{
	struct slice text;
	bool quoted = lint_peek(c) == '"';

	if (quoted && !lint_take_quoted(c, &text))
		return false;
	return lint_take_run(c, is_property_byte, &text) || quoted;
}

/* methodspec = [CFWS] method [CFWS "/" version] [CFWS] "=" [CFWS] result */
static const char *
take_method(struct lint_cursor *c, bool *none)
{
	struct slice method, text;

	lint_skip_cfws(c);
	if (!lint_take_run(c, is_keyword, &method))
		return "no method";
	lint_skip_cfws(c);
	*none = slice_eq_nocase(method, SLICE("none")) && (lint_at_end(c) || lint_peek(c) == ';');
	if (*none)
		return NULL;
	if (take_mark(c, '/') && !lint_take_run(c, is_digit, &text))
		return "no version of the method";
	if (!take_mark(c, '='))
		return "no \"=\" behind the method";
	return lint_take_run(c, is_keyword, &text) ? NULL : "no result";
}

/* reasonspec = "reason" "=" value; propspec = ptype "." property "=" pvalue */
static const char *
take_property(struct lint_cursor *c)
{
	struct slice ptype, text;

	if (!lint_take_run(c, is_keyword, &ptype))
		return "no property";
	lint_skip_cfws(c);
	if (lint_peek(c) != '.' && !slice_eq_nocase(ptype, SLICE("reason")))
		return "no \".\" behind the property's type";
	if (take_mark(c, '.') && !lint_take_run(c, is_keyword, &text))
		return "no property's name";
	if (!take_mark(c, '='))
		return "no \"=\" behind the property";
	return take_value(c) ? NULL : "no value of a property";
}

/* resinfo, behind its ";" */
static const char *
take_result(struct lint_cursor *c, bool first)
{
	bool none = false;
	const char *why = take_method(c, &none);

	if (why != NULL)
		return why;
	if (none)
		return first && lint_at_end(c) ? NULL : "none beside other results";
	for (lint_skip_cfws(c); !lint_at_end(c) && lint_peek(c) != ';'; lint_skip_cfws(c)) {
		why = take_property(c);
		if (why != NULL)
			return why;
	}
	return NULL;
}

/* authserv-id [CFWS version], then results or none */
void
lint_auth_results(struct lint_cursor *c, enum lint_code code)
{
	struct slice text;
	struct lint_shown shown;
	const char *why = NULL;
	bool first = true;

	lint_skip_cfws(c);
	if (!take_value(c))
		why = "no name of who authenticated";
	lint_skip_cfws(c);
	if (why == NULL && !lint_at_end(c) && lint_peek(c) != ';')
		why = lint_take_run(c, is_digit, &text) ? NULL : "no version and no \";\"";
	lint_skip_cfws(c);
	if (why == NULL && !lint_take_byte(c, ';'))
		why = "no result";
	while (why == NULL) {
		lint_skip_cfws(c);
		if (lint_at_end(c) && !first)
			return;         /* a ";" at the end, as many write it */
		why = take_result(c, first);
		first = false;
		if (why == NULL && !lint_take_byte(c, ';'))
			return;
	}
	lint_report_at(c->l, lint_here(c), code, "%s at: %s", why,
	               lint_show(&shown, slice_sub(c->in, c->at, c->in.len)));
}
