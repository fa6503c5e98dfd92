/* json - JSON text, written piece by piece into a buffer [RFC 8259].
 *
 * The writer sets commas and colons; its callers open and close what they write, at most
 * JSON_DEPTH_MAX deep. Output is one line of valid UTF-8 whatever goes in: control characters and
 * U+2028, U+2029 are escaped, each byte that is no part of a character becomes U+FFFD. Whether all
 * of it fitted stands in the buffer's `failed`. Integers above 2^53 are valid JSON, but many
 * readers round them: ids and LSNs are written as strings. One thread at a time.
 *
 * libjansson, with which tokens are read, has functions json_object, json_array and json_null of its own: ours are
 * hidden, so that the library's calls of them never end here. No file includes both headers.
 */
#ifndef RESTANTE_LIB_JSON_H
#define RESTANTE_LIB_JSON_H

#include "lib/buf.h"

#define JSON_DEPTH_MAX 16

#pragma GCC visibility push(hidden)

struct json {
	struct buf *out;
	unsigned    depth;
	char        close[JSON_DEPTH_MAX];      /* what ends each level */
	bool        comma;                      /* the next value needs one before it */
};

void json_init(struct json *j, struct buf *out);

/* `key` is NULL inside an array and at the top. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end(struct json *j);                  /* of the innermost object or array */
void json_str(struct json *j, const char *key, struct slice value);
void json_cstr(struct json *j, const char *key, const char *value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

/* A string with its quotes. */
void json_append_string(struct buf *out, struct slice s);

#pragma GCC visibility pop

#endif
