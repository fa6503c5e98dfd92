/* conf - reading and checking the configuration. See conf.h; the keys are in conf_keys.c.
 *
 * libinih splits lines into names and values. It silently cuts long lines and section names, takes
 * an indented line for a continuation and says nothing about repeated sections, so the lines it
 * gets are handed to it one by one by line_read(), which counts them, drops indentation, refuses
 * what is too long and reads the section headers itself. Only the first error is kept: later ones
 * are often its consequences.
 *
 * Considered and rejected: a file format of our own (INI needs no explaining), including other
 * files (one place to look), defaults filled in by the users of a value (they would not be in the
 * table, nor in the manual).
 */
#include "lib/conf_keys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <ini.h>

#define ARENA_MAX (4u * CONF_FILE_MAX)
#define NAME_MAX_LEN 40u        /* of a volume or listener; inih's own limit for a header is 50 */

_Static_assert(sizeof(enum conf_protocol) == sizeof(unsigned),
               "set_value stores words as unsigned");

/* One pass over the file. */
struct reader {
	struct conf    *c;
	struct slice    text;
	size_t          pos;
	unsigned        line;                   /* handed out last */
	bool            in_section;
	enum section_id section;
	char            label[NAME_MAX_LEN + 16];       /* "listen imap" */
	unsigned        header;                 /* line of the section's header */
	void           *object;                 /* the struct that the section fills */
	uint64_t        seen;                   /* a bit per key met in this section */
	bool            had[CONF_SECTION_COUNT];
	bool            failed;
	struct err     *e;
};

/* Keeps the first error only. */
static bool fail_at(struct reader *r, unsigned line, const char *fmt, ...) PRINTF_LIKE(3, 4);

static bool
fail_at(struct reader *r, unsigned line, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	if (r->failed)
		return false;
	r->failed = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_set(r->e, RC_SYNTAX, "%.200s:%u: %s", r->c->path, line, text);
	return false;
}

static bool
fail_nomem(struct reader *r)
{
	if (!r->failed)
		err_nomem(r->e);
	r->failed = true;
	return false;
}

/* --- values ----------------------------------------------------------------------------------- */

static bool
fail_value(struct reader *r, const struct key_def *k, const char *value)
{
	char allowed[160];

	conf_key_allowed(k, allowed, sizeof allowed);
	return fail_at(r, r->line, "[%s] %s = %.80s: allowed: %s", r->label, k->name, value,
	               allowed);
}

/* Digits and perhaps one suffix that multiplies: "64K", "30m". */
static bool
parse_scaled(const char *value, const char *suffixes, const uint64_t *factors, uint64_t *out)
{
	struct slice s = slice_str(value);
	uint64_t factor = 1;

	if (s.len > 0) {
		const char *hit = strchr(suffixes, s.ptr[s.len - 1]);

		if (hit != NULL) {
			factor = factors[hit - suffixes];
			s.len--;
		}
	}
	if (!slice_to_u64(s, UINT64_MAX / factor, out))
		return false;
	*out *= factor;
	return true;
}

static bool
parse_octal(const char *value, uint64_t *out)
{
	uint64_t v = 0;

	if (*value == '\0' || strlen(value) > 8)
		return false;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '7')
			return false;
		v = v * 8 + (uint64_t)(*value - '0');
	}
	*out = v;
	return true;
}

static bool
parse_number(const struct key_def *k, const char *value, uint64_t *out)
{
	static const uint64_t size_factors[] = { KIB, MIB, GIB };
	static const uint64_t time_factors[] = { 1, 60, 3600, DAY };
	bool ok = false;

	if (k->type == KEY_NUMBER)
		ok = slice_to_u64(slice_str(value), UINT64_MAX, out);
	else if (k->type == KEY_SIZE)
		ok = parse_scaled(value, "KMG", size_factors, out);
	else if (k->type == KEY_DURATION)
		ok = parse_scaled(value, "smhd", time_factors, out);
	else if (k->type == KEY_MODE)
		ok = parse_octal(value, out);
	return ok && *out >= k->min && *out <= k->max;
}

/* "Deleted Items 30d": the age is the last word. A bare number is refused: days that were meant and seconds that are done
 * would empty a folder. */
static bool
parse_age(struct reader *r, const struct key_def *k, struct slice item, struct conf_age *out)
{
	struct key_def duration = *k;
	size_t cut = item.len;
	char age[24];

	duration.type = KEY_DURATION;
	while (cut > 0 && item.ptr[cut - 1] != ' ' && item.ptr[cut - 1] != '\t')
		cut--;
	if (!slice_to_cstr(slice_sub(item, cut, item.len), age, sizeof age) || age[0] == '\0' ||
	    strchr("smhd", age[strlen(age) - 1]) == NULL || !parse_number(&duration, age, &out->age))
		return false;
	item = slice_trim(slice_sub(item, 0, cut));
	if (item.len == 0 || item.len > CONF_MAILBOX_MAX)
		return false;
	out->mailbox = arena_cstr(&r->c->arena, item);
	return out->mailbox != NULL;
}

static bool
store_ages(struct reader *r, const struct key_def *k, const char *value, void *field)
{
	struct conf_age *list = arena_array(&r->c->arena, CONF_AGES_MAX, sizeof *list);
	struct conf_ages ages = { list, 0 };
	struct slice rest = slice_str(value);

	if (list == NULL)
		return fail_nomem(r);
	while (rest.len > 0) {
		size_t comma = slice_find_byte(rest, ',');

		if (ages.count == CONF_AGES_MAX ||
		    !parse_age(r, k, slice_trim(slice_sub(rest, 0, comma)), &list[ages.count]))
			return fail_value(r, k, value);
		ages.count++;
		rest = slice_sub(rest, comma + 1, rest.len);
	}
	memcpy(field, &ages, sizeof ages);
	return true;
}

static bool
is_address(const char *value)
{
	struct in6_addr addr;

	return inet_pton(AF_INET, value, &addr) == 1 || inet_pton(AF_INET6, value, &addr) == 1;
}

static bool
parse_word(const struct key_def *k, const char *value, unsigned *out)
{
	for (unsigned i = 0; i < WORDS_MAX && k->words[i] != NULL; i++) {
		if (strcmp(k->words[i], value) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* A copy of the value; a relative path becomes one below the configuration's directory. */
static bool
store_string(struct reader *r, const struct key_def *k, const char *value, void *field)
{
	struct slice s = slice_str(value);

	if (k->type == KEY_PATH && s.len > 0 && value[0] != '/')
		s = arena_printf(&r->c->arena, "%s/%s", r->c->dir, value);
	else
		s = slice_of(arena_cstr(&r->c->arena, s), s.len);
	if (s.ptr == NULL)
		return fail_nomem(r);
	memcpy(field, &s.ptr, sizeof s.ptr);
	return true;
}

/* Presets take this way too; only what a file says is held against the range. */
static bool
set_value(struct reader *r, const struct key_def *k, const char *value, bool preset)
{
	void *field = (char *)r->object + k->offset;
	uint64_t number = 0;
	unsigned word = 0;
	bool flag;

	switch (k->type) {
	case KEY_TEXT:
		if (strlen(value) > k->max)
			return fail_value(r, k, value);
		return store_string(r, k, value, field);
	case KEY_PATH:
		if (!preset && strlen(value) < k->min)
			return fail_value(r, k, value);
		return store_string(r, k, value, field);
	case KEY_ADDRESS:
		if (!is_address(value))
			return fail_value(r, k, value);
		return store_string(r, k, value, field);
	case KEY_BOOL:
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
			return fail_value(r, k, value);
		flag = strcmp(value, "yes") == 0;
		memcpy(field, &flag, sizeof flag);
		return true;
	case KEY_NUMBER:
	case KEY_SIZE:
	case KEY_DURATION:
	case KEY_MODE:
		if (!parse_number(k, value, &number) && !preset)
			return fail_value(r, k, value);
		memcpy(field, &number, sizeof number);
		return true;
	case KEY_AGES:
		return store_ages(r, k, value, field);
	case KEY_WORD:
		if (!parse_word(k, value, &word))
			return fail_value(r, k, value);
		memcpy(field, &word, sizeof word);
		return true;
	}
	return false;
}

static bool
set_presets(struct reader *r, enum section_id section)
{
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct key_def *k = &conf_keys[i];
		const char *preset = k->preset;

		if (k->section != section)
			continue;
		if (preset == NULL)     /* must be given; until then something valid */
			preset = k->type == KEY_WORD ? k->words[0] : "";
		if (!set_value(r, k, preset, true))
			return false;
	}
	return true;
}

/* --- sections --------------------------------------------------------------------------------- */

static bool
check_listen(struct reader *r, const struct conf_listen *l)
{
	const struct conf *c = r->c;

	/* Whoever speaks SMTP would find the wrong protocol [RFC 2033 s5]. */
	if (l->port == 25 && (l->protocol == CONF_LMTP || l->protocol == CONF_LMTPS))
		return fail_at(r, l->line, "[%s] port 25 is for SMTP, not for LMTP: use another, or a socket", r->label);
	if ((l->port == 0) == (l->socket[0] == '\0'))
		return fail_at(r, l->line, "[%s] wants either port or socket", r->label);
	for (const struct conf_listen *o = c->listens; o < l; o++) {
		if (strcmp(o->socket, l->socket) == 0 && o->port == l->port &&
		    (l->port == 0 || strcmp(o->address, l->address) == 0))
			return fail_at(r, l->line,
			               "[%s] has the address and port, or socket, of [listen %s]",
			    r->label, o->name);
	}
	return true;
}

static bool
check_volume(struct reader *r, const struct conf_volume *v)
{
	for (const struct conf_volume *o = r->c->volumes; o < v; o++)
		if (strcmp(o->path, v->path) == 0)
			return fail_at(r, v->line, "[%s] has the path of [volume %s]", r->label,
			               o->name);
	return true;
}

/* At the next header or the end of the file: is the section whole? */
static bool
section_close(struct reader *r)
{
	if (!r->in_section)
		return true;
	r->in_section = false;
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct key_def *k = &conf_keys[i];

		if (k->section == r->section && k->preset == NULL && (r->seen >> i & 1) == 0)
			return fail_at(r, r->header, "[%s] lacks the key %s", r->label, k->name);
	}
	if (r->section == SEC_LISTEN)
		return check_listen(r, r->object);
	if (r->section == SEC_VOLUME)
		return check_volume(r, r->object);
	return true;
}

static bool
volume_add(struct reader *r, const char *name)
{
	struct conf *c = r->c;
	struct conf_volume *v = &c->volumes[c->n_volumes];

	for (size_t i = 0; i < c->n_volumes; i++)
		if (strcmp(c->volumes[i].name, name) == 0)
			return fail_at(r, r->line,
			               "section [volume %s] appears twice (first in line %u)", name,
			    c->volumes[i].line);
	if (c->n_volumes == CONF_VOLUMES_MAX)
		return fail_at(r, r->line, "more than %u volumes", CONF_VOLUMES_MAX);
	*v = (struct conf_volume){ .name = name, .line = r->line };
	c->n_volumes++;
	r->object = v;
	return true;
}

static bool
listen_add(struct reader *r, const char *name)
{
	struct conf *c = r->c;
	struct conf_listen *l = &c->listens[c->n_listens];

	for (size_t i = 0; i < c->n_listens; i++)
		if (strcmp(c->listens[i].name, name) == 0)
			return fail_at(r, r->line,
			               "section [listen %s] appears twice (first in line %u)", name,
			    c->listens[i].line);
	if (c->n_listens == CONF_LISTENS_MAX)
		return fail_at(r, r->line, "more than %u listeners", CONF_LISTENS_MAX);
	*l = (struct conf_listen){ .name = name, .line = r->line };
	c->n_listens++;
	r->object = l;
	return true;
}

static void *
section_object(struct conf *c, enum section_id section)
{
	switch (section) {
	case SEC_SERVER:
		return &c->server;
	case SEC_TLS:
		return &c->tls;
	case SEC_LIMITS:
		return &c->limits;
	case SEC_MAINTENANCE:
		return &c->maintenance;
	case SEC_VOLUME:
	case SEC_LISTEN:
		return NULL;
	}
	return NULL;
}

/* A name is what may safely be a directory or a word in a log line. */
static bool
is_name(struct slice s)
{
	if (s.len == 0 || s.len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = ascii_lower(s.ptr[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' &&
		    (c != '.' || i == 0))
			return false;
	}
	return true;
}

static bool
section_start(struct reader *r, enum section_id id, struct slice name)
{
	const struct section_def *def = &conf_sections[id];
	const char *copy;

	if (!def->named) {
		if (name.len > 0)
			return fail_at(r, r->line, "section [%s] takes no name", def->name);
		if (r->had[id])
			return fail_at(r, r->line, "section [%s] appears twice", def->name);
		r->had[id] = true;
		r->object = section_object(r->c, id);
		snprintf(r->label, sizeof r->label, "%s", def->name);
		return true;
	}
	if (!is_name(name))
		return fail_at(r, r->line, "section [%s NAME]: a name of at most %u letters, digits, - _ . is needed",
		    def->name, NAME_MAX_LEN);
	copy = arena_cstr(&r->c->arena, name);
	if (copy == NULL)
		return fail_nomem(r);
	snprintf(r->label, sizeof r->label, "%s %s", def->name, copy);
	if (!(id == SEC_VOLUME ? volume_add(r, copy) : listen_add(r, copy)))
		return false;
	return set_presets(r, id);
}

/* A header, blanks trimmed: "[listen imap]", perhaps a comment behind it. */
static bool
section_open(struct reader *r, struct slice line)
{
	size_t end = slice_find_byte(line, ']');
	struct slice rest = slice_trim(slice_sub(line, end + 1, line.len));
	struct slice inside = slice_trim(slice_sub(line, 1, end));
	size_t blank = slice_find_byte(inside, ' ');
	struct slice word = slice_sub(inside, 0, blank);
	struct slice name = slice_trim(slice_sub(inside, blank, inside.len));

	if (end == line.len || (rest.len > 0 && rest.ptr[0] != ';' && rest.ptr[0] != '#'))
		return fail_at(r, r->line, "expected [section] and nothing behind it");
	if (!section_close(r))
		return false;
	for (size_t i = 0; i < CONF_SECTION_COUNT; i++) {
		if (!slice_eq(word, slice_str(conf_sections[i].name)))
			continue;
		r->section = (enum section_id)i;
		r->header = r->line;
		r->seen = 0;
		r->in_section = section_start(r, r->section, name);
		return r->in_section;
	}
	return fail_at(r, r->line, "unknown section [%.*s]: there are server, tls, limits, maintenance, volume NAME, listen NAME",
	    (int)(inside.len < 60 ? inside.len : 60), (const char *)inside.ptr);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* inih's reader: one line per call, without indentation; NULL at the end or after an error. */
static char *
line_read(char *dst, int size, void *arg)
{
	struct reader *r = arg;
	struct slice rest = slice_sub(r->text, r->pos, r->text.len);
	struct slice line = slice_sub(rest, 0, slice_find_byte(rest, '\n'));

	if (r->failed || rest.len == 0)
		return NULL;
	r->pos += line.len + 1;
	r->line++;
	if (r->line == 1 && slice_starts(line, SLICE("\xef\xbb\xbf")))
		line = slice_sub(line, 3, line.len);
	line = slice_trim(line);
	if (line.len + 3 > (size_t)size && line.ptr[0] != '#' && line.ptr[0] != ';') {
		fail_at(r, r->line, "line is longer than %d bytes", size - 3);
		return NULL;
	}
	if (line.len > 0 && line.ptr[0] == '[' && !section_open(r, line))
		return NULL;
	if (line.len + 3 > (size_t)size || (line.len > 0 && line.ptr[0] == '['))
		line.len = 0;           /* dealt with */
	if (!slice_to_cstr(line, dst, (size_t)size)) {
		fail_at(r, r->line, "line holds a NUL byte");
		return NULL;
	}
	return dst;
}

/* "60m # an hour": nobody means that as a value. */
static bool
has_comment(const char *value)
{
	for (const char *p = value; *p != '\0'; p++)
		if (*p == '#' && (p == value || p[-1] == ' ' || p[-1] == '\t'))
			return true;
	return false;
}

/* inih's handler: one key = value. Returns 0 on error. */
static int
line_apply(void *arg, const char *unused, const char *name, const char *value)
{
	struct reader *r = arg;

	(void)unused;
	if (r->failed)
		return 0;
	if (!r->in_section)
		return fail_at(r, r->line, "%.40s stands before the first [section]", name);
	for (size_t i = 0; i < conf_key_count; i++) {
		if (conf_keys[i].section != r->section || strcmp(conf_keys[i].name, name) != 0)
			continue;
		if ((r->seen >> i & 1) != 0)
			return fail_at(r, r->line, "[%s] %s appears twice", r->label, name);
		r->seen |= UINT64_C(1) << i;
		if (has_comment(value))
			return fail_at(r, r->line,
			               "[%s] %s: a # behind a value begins no comment: comments stand on "
			    "lines of their own", r->label, name);
		return set_value(r, &conf_keys[i], value, false);
	}
	return fail_at(r, r->line, "[%s] has no key %.60s", r->label, name);
}

/* What only the whole file can show. */
static bool
check_whole(struct reader *r)
{
	const struct conf *c = r->c;

	if (c->n_volumes == 0)
		return fail_at(r, r->line, "there is no section [volume NAME]");
	if (c->n_listens == 0)
		return fail_at(r, r->line, "there is no section [listen NAME]");
	if ((c->tls.certificate[0] == '\0') != (c->tls.key[0] == '\0'))
		return fail_at(r, r->line, "[tls] wants both certificate and key");
	for (size_t i = 0; i < c->n_listens; i++)
		if (conf_protocol_is_tls(c->listens[i].protocol) && c->tls.certificate[0] == '\0')
			return fail_at(r, c->listens[i].line,
			               "[listen %s] speaks TLS: [tls] certificate and key "
			    "are needed", c->listens[i].name);
	return true;
}

/* A session that is silent may still know what was expunged since it was told last; when it is ended at the latest, nobody
 * does [design, section 3]. */
static void
settle_whole(struct conf *c)
{
	if (c->maintenance.retention < c->server.idle_timeout)
		c->maintenance.retention = c->server.idle_timeout;
}

static bool
parse_text(struct reader *r)
{
	static const enum section_id single[] = { SEC_SERVER, SEC_TLS, SEC_LIMITS, SEC_MAINTENANCE };
	int bad;

	for (size_t i = 0; i < sizeof single / sizeof single[0]; i++) {
		r->object = section_object(r->c, single[i]);
		if (!set_presets(r, single[i]))
			return false;
	}
	bad = ini_parse_stream(line_read, r, line_apply, r);
	if (bad != 0)
		fail_at(r, bad > 0 ? (unsigned)bad : r->line, "expected [section] or key = value");
	if (r->failed || !section_close(r) || !check_whole(r))
		return false;
	settle_whole(r->c);
	return true;
}

/* --- the file --------------------------------------------------------------------------------- */

/* Absolute names of the file and of its directory. */
static enum rc
find_place(struct conf *c, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	char dir[PATH_MAX], real[PATH_MAX];

	if (!slice_to_cstr(slice_sub(slice_str(path), 0, (size_t)(base - path)), dir, sizeof dir))
		return err_set(e, RC_LIMIT, "%.200s: path too long", path);
	if (realpath(dir[0] != '\0' ? dir : ".", real) == NULL)
		return err_os(e, errno, "%.200s", path);
	c->dir = arena_cstr(&c->arena, slice_str(strcmp(real, "/") == 0 ? "" : real));
	c->path = (const char *)arena_printf(&c->arena, "%s/%s", c->dir != NULL ? c->dir : "", base).ptr;
	return c->dir != NULL && c->path != NULL ? RC_OK : err_nomem(e);
}

static enum rc
read_file(struct conf *c, struct slice *out, struct err *e)
{
	FILE *f = fopen(c->path, "re");
	uint8_t *text;
	size_t n;
	int os;

	if (f == NULL)
		return err_os(e, errno, "%.200s", c->path);
	text = arena_alloc(&c->arena, CONF_FILE_MAX + 1);
	if (text == NULL) {
		fclose(f);
		return err_nomem(e);
	}
	n = fread(text, 1, CONF_FILE_MAX + 1, f);
	os = ferror(f) != 0 ? errno : 0;
	fclose(f);
	if (os != 0)
		return err_os(e, os, "%.200s", c->path);
	if (n > CONF_FILE_MAX)
		return err_set(e, RC_LIMIT, "%.200s: larger than %u bytes", c->path, CONF_FILE_MAX);
	*out = slice_of(text, n);
	return RC_OK;
}

enum rc
conf_load(const char *path, struct conf **out, struct err *e)
{
	struct conf *c = calloc(1, sizeof *c);
	struct reader r = { .c = c, .e = e };
	enum rc rc;

	*out = NULL;
	if (c == NULL)
		return err_nomem(e);
	arena_init(&c->arena, ARENA_MAX);
	c->volumes = arena_array(&c->arena, CONF_VOLUMES_MAX, sizeof *c->volumes);
	c->listens = arena_array(&c->arena, CONF_LISTENS_MAX, sizeof *c->listens);
	if (c->volumes == NULL || c->listens == NULL) {
		rc = err_nomem(e);
		goto out;
	}
	rc = find_place(c, path, e);
	if (rc == RC_OK)
		rc = read_file(c, &r.text, e);
	if (rc == RC_OK && !parse_text(&r))
		rc = e->code;
	if (rc == RC_OK) {
		*out = c;
		c = NULL;               /* the caller's now */
	}
out:
	conf_free(&c);
	return rc;
}

void
conf_free(struct conf **c)
{
	if (*c == NULL)
		return;
	arena_fini(&(*c)->arena);
	free(*c);
	*c = NULL;
}

const char *
conf_protocol_name(enum conf_protocol p)
{
	switch (p) {
	case CONF_IMAP:
		return "imap";
	case CONF_IMAPS:
		return "imaps";
	case CONF_POP3:
		return "pop3";
	case CONF_POP3S:
		return "pop3s";
	case CONF_LMTP:
		return "lmtp";
	case CONF_LMTPS:
		return "lmtps";
	}
	return "unknown";
}

bool
conf_protocol_is_tls(enum conf_protocol p)
{
	return p == CONF_IMAPS || p == CONF_POP3S || p == CONF_LMTPS;
}
