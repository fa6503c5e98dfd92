/* jose - see jose.h. libjansson recurses into what is nested, so the depth is looked at before it
 * sees the text. */
#include "sasl/jose.h"

#include "lib/base64.h"

/* Brackets within strings count for nothing; text that is no JSON may be taken for deep or not, the
 * parser decides. */
static bool
is_shallow(struct slice text)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			depth++;
		else if (!quoted && (c == '}' || c == ']') && depth > 0)
			depth--;
		if (depth > JOSE_DEPTH_MAX)
			return false;
	}
	return true;
}

enum rc
jose_parse(struct slice text, json_t **out, struct err *e)
{
	json_error_t why;
	json_t *j;

	*out = NULL;
	if (!is_shallow(text))
		return err_set(e, RC_SYNTAX, "JSON nested more than %u deep", JOSE_DEPTH_MAX);
	j = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &why);
	if (j == NULL && json_error_code(&why) == json_error_out_of_memory)
		return err_nomem(e);
	if (j == NULL)
		return err_set(e, RC_SYNTAX, "not JSON (line %d, column %d)", why.line, why.column);
	if (!json_is_object(j)) {
		json_decref(j);
		return err_set(e, RC_SYNTAX, "JSON, but no object");
	}
	*out = j;
	return RC_OK;
}

bool
jose_string(const json_t *object, const char *name, struct slice *out)
{
	const json_t *value = json_object_get(object, name);

	*out = SLICE_NONE;
	if (!json_is_string(value))
		return false;
	*out = slice_of(json_string_value(value), json_string_length(value));
	return true;
}

bool
jose_is_string(const json_t *value, struct slice wanted)
{
	return json_is_string(value) &&
	       slice_eq(slice_of(json_string_value(value), json_string_length(value)), wanted);
}

bool
jose_bytes(const json_t *object, const char *name, struct buf *out)
{
	struct slice text;

	return jose_string(object, name, &text) && base64url_decode(text, out);
}
