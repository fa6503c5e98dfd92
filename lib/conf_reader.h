/* conf_reader - one pass over a configuration file: what conf.c (lines, sections) and conf_values.c (values) share.
 * Internal to lib/conf*.c; one thread. */
#ifndef RESTANTE_LIB_CONF_READER_H
#define RESTANTE_LIB_CONF_READER_H

#include "lib/conf_keys.h"

#define CONF_NAME_MAX 40u       /* of a section; inih's own limit for a header is 50 */

struct conf_reader {
	struct conf    *c;
	struct slice    text;
	size_t          pos;
	unsigned        line;                   /* handed out last */
	bool            in_section;
	enum section_id section;
	char            label[CONF_NAME_MAX + 16];      /* "listen imap" */
	unsigned        header;                 /* line of the section's header */
	void           *object;                 /* the struct that the section fills */
	bool            seen[CONF_KEYS_MAX];    /* met in this section */
	bool            had[CONF_SECTION_COUNT];
	bool            failed;
	struct err     *e;
};

/* Both return false, and keep the first error only. */
bool conf_fail_at(struct conf_reader *r, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool conf_fail_nomem(struct conf_reader *r);

/* Put the value into the key's field of r->object. False: it failed. Presets take this way too; only what a file says
 * is held against the range. */
bool conf_set_value(struct conf_reader *r, const struct key_def *k, const char *value, bool preset);

#endif
