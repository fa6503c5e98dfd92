/* json - JSON text, written piece by piece. See json.h. */
#include "lib/json.h"

#include <assert.h>
#include <inttypes.h>

#include "lib/text.h"

#define LINE_SEPARATOR      0x2028
#define PARAGRAPH_SEPARATOR 0x2029
#define REPLACEMENT         0xFFFD

/* char = unescaped / escape (...) [RFC 8259 s7] */
static void
append_char(struct buf *out, struct slice bytes, uint32_t cp)
{
	static const char short_form[] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
	};

	if (cp == '"' || cp == '\\')
		buf_printf(out, "\\%c", (int)cp);
	else if (cp < sizeof short_form && short_form[cp] != '\0')
		buf_printf(out, "\\%c", short_form[cp]);
	else if (cp < 0x20 || cp == 0x7F || cp == LINE_SEPARATOR || cp == PARAGRAPH_SEPARATOR)
		buf_printf(out, "\\u%04x", (unsigned)cp);
	else
		buf_append_slice(out, bytes);
}

void
json_append_string(struct buf *out, struct slice s)
{
	buf_append_byte(out, '"');
	while (s.len > 0) {
		uint32_t cp;
		size_t n = text_utf8_next(s, &cp);

		if (n == 0) {
			text_utf8_append(out, REPLACEMENT);
			n = 1;
		} else {
			append_char(out, slice_sub(s, 0, n), cp);
		}
		s = slice_sub(s, n, s.len);
	}
	buf_append_byte(out, '"');
}

void
json_init(struct json *j, struct buf *out)
{
	*j = (struct json){ .out = out };
}

static void
begin_value(struct json *j, const char *key)
{
	assert((key != NULL) == (j->depth > 0 && j->close[j->depth - 1] == '}'));
	if (j->comma)
		buf_append_byte(j->out, ',');
	j->comma = true;
	if (key != NULL) {
		json_append_string(j->out, slice_str(key));
		buf_append_byte(j->out, ':');
	}
}

static void
begin_nested(struct json *j, const char *key, char open, char close)
{
	assert(j->depth < JSON_DEPTH_MAX);
	begin_value(j, key);
	buf_append_byte(j->out, (uint8_t)open);
	j->close[j->depth++] = close;
	j->comma = false;
}

void
json_object(struct json *j, const char *key)
{
	begin_nested(j, key, '{', '}');
}

void
json_array(struct json *j, const char *key)
{
	begin_nested(j, key, '[', ']');
}

void
json_end(struct json *j)
{
	assert(j->depth > 0);
	buf_append_byte(j->out, (uint8_t)j->close[--j->depth]);
	j->comma = true;
}

void
json_str(struct json *j, const char *key, struct slice value)
{
	begin_value(j, key);
	json_append_string(j->out, value);
}

void
json_cstr(struct json *j, const char *key, const char *value)
{
	json_str(j, key, slice_str(value));
}

void
json_u64(struct json *j, const char *key, uint64_t value)
{
	begin_value(j, key);
	buf_append_u64(j->out, value);
}

void
json_i64(struct json *j, const char *key, int64_t value)
{
	begin_value(j, key);
	buf_printf(j->out, "%" PRId64, value);
}

void
json_bool(struct json *j, const char *key, bool value)
{
	begin_value(j, key);
	buf_append_str(j->out, value ? "true" : "false");
}

void
json_null(struct json *j, const char *key)
{
	begin_value(j, key);
	buf_append_str(j->out, "null");
}
