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
#include "lib/conf_reader.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <ini.h>

#define CONF_SECTIONS_TEXT \
	"server, tls, certificate NAME, auth, lmtp, pop3, limits, maintenance, volume " \
	"NAME, listen NAME"
#define ARENA_MAX (4u * CONF_FILE_MAX)

_Static_assert(sizeof(enum conf_protocol) == sizeof(unsigned),
               "set_value stores words as unsigned");

bool
conf_fail_at(struct conf_reader *r, unsigned line, const char *fmt, ...)
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

bool
conf_fail_nomem(struct conf_reader *r)
{
	if (!r->failed)
		err_nomem(r->e);
	r->failed = true;
	return false;
}

static bool
set_presets(struct conf_reader *r, enum section_id section)
{
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct key_def *k = &conf_keys[i];
		const char *preset = k->preset;

		if (k->section != section)
			continue;
		if (preset == NULL)     /* must be given; until then something valid */
			preset = k->type == KEY_WORD ? k->words[0] : "";
		if (!conf_set_value(r, k, preset, true))
			return false;
	}
	return true;
}

/* --- sections --------------------------------------------------------------------------------- */

static bool
check_listen(struct conf_reader *r, const struct conf_listen *l)
{
	const struct conf *c = r->c;

	/* Whoever speaks SMTP would find the wrong protocol [RFC 2033 s5]. */
	if (l->port == 25 && (l->protocol == CONF_LMTP || l->protocol == CONF_LMTPS))
		return conf_fail_at(r, l->named.line,
		    "[%s] port 25 is for SMTP, not for LMTP: use another, or a socket", r->label);
	if (l->protocol == CONF_SASLAUTHD && l->socket[0] == '\0')
		return conf_fail_at(r, l->named.line, "[%s] protocol = saslauthd wants a socket",
		                    r->label);
	if ((l->port == 0) == (l->socket[0] == '\0'))
		return conf_fail_at(r, l->named.line, "[%s] wants either port or socket", r->label);
	for (const struct conf_listen *o = c->listens; o < l; o++) {
		if (strcmp(o->socket, l->socket) == 0 && o->port == l->port &&
		    (l->port == 0 || strcmp(o->address, l->address) == 0))
			return conf_fail_at(r, l->named.line,
			               "[%s] has the address and port, or socket, of [listen %s]",
			    r->label, o->named.name);
	}
	return true;
}

static bool
check_volume(struct conf_reader *r, const struct conf_volume *v)
{
	for (const struct conf_volume *o = r->c->volumes; o < v; o++)
		if (strcmp(o->path, v->path) == 0)
			return conf_fail_at(r, v->named.line, "[%s] has the path of [volume %s]",
			                    r->label, o->named.name);
	return true;
}

/* Keys alone would let in whoever has any token of that issuer, for whichever service
 * [RFC 8725 s3.8, s3.9]. */
static bool
check_auth(struct conf_reader *r, const struct conf_auth *a)
{
	if (a->oauth_keys[0] != '\0' &&
	    (a->oauth_issuer[0] == '\0' || a->oauth_audience.count == 0))
		return conf_fail_at(r, r->header,
		                    "[auth] oauth_keys wants oauth_issuer and oauth_audience too");
	if (a->oauth_keys[0] != '\0' && a->oauth_claim[0] == '\0')
		return conf_fail_at(r, r->header, "[auth] oauth_claim is empty");
	if (a->oauth_discovery[0] != '\0' && strncmp(a->oauth_discovery, "https://", 8) != 0)
		return conf_fail_at(r, r->header,
		    "[auth] oauth_discovery: allowed: a URL that begins with https://");
	return true;
}

/* "account", or "domain=account"; a rule of junk begins with the name of a field. */
static bool
check_lmtp(struct conf_reader *r, const struct conf_lmtp *l)
{
	for (size_t i = 0; i < l->catch_all.count; i++) {
		struct slice word = slice_str(l->catch_all.words[i]);
		size_t equals = slice_find_byte(word, '=');

		if (equals == 0 || equals + 1 == word.len)
			return conf_fail_at(r, r->header,
			    "[lmtp] catch_all: %.80s: allowed: domain=account, or an account",
			    l->catch_all.words[i]);
	}
	for (size_t i = 0; i < l->junk_headers.count; i++)
		if (l->junk_headers.words[i][0] == ':')
			return conf_fail_at(r, r->header,
			    "[lmtp] junk_headers: %.80s: allowed: Field: value, or a field",
			    l->junk_headers.words[i]);
	return true;
}

/* At the next header or the end of the file: is the section whole? */
static bool
section_close(struct conf_reader *r)
{
	if (!r->in_section)
		return true;
	r->in_section = false;
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct key_def *k = &conf_keys[i];

		if (k->section == r->section && k->preset == NULL && !r->seen[i])
			return conf_fail_at(r, r->header, "[%s] lacks the key %s", r->label,
			                    k->name);
	}
	if (r->section == SEC_AUTH)
		return check_auth(r, r->object);
	if (r->section == SEC_LMTP)
		return check_lmtp(r, r->object);
	if (r->section == SEC_LISTEN)
		return check_listen(r, r->object);
	if (r->section == SEC_VOLUME)
		return check_volume(r, r->object);
	return true;
}

/* Where the objects of a named section are kept. */
struct named_list {
	struct conf_named *first;
	size_t             size;        /* of one, which begins with a struct conf_named */
	size_t            *count;
	size_t             max;
};

static struct named_list
named_list(struct conf *c, enum section_id section)
{
	if (section == SEC_VOLUME)
		return (struct named_list){ &c->volumes->named, sizeof *c->volumes, &c->n_volumes,
		                            CONF_VOLUMES_MAX };
	if (section == SEC_LISTEN)
		return (struct named_list){ &c->listens->named, sizeof *c->listens, &c->n_listens,
		                            CONF_LISTENS_MAX };
	assert(section == SEC_CERTIFICATE);
	return (struct named_list){ &c->certificates->named, sizeof *c->certificates,
	                            &c->n_certificates,
		                    CONF_CERTIFICATES_MAX };
}

static bool
named_add(struct conf_reader *r, enum section_id section, const char *name)
{
	struct named_list l = named_list(r->c, section);
	struct conf_named *n = l.first;

	for (size_t i = 0; i < *l.count; i++) {
		if (strcmp(n->name, name) == 0)
			return conf_fail_at(r, r->line,
			    "section [%s] appears twice (first in line %u)", r->label, n->line);
		n = (struct conf_named *)(void *)((char *)n + l.size);
	}
	if (*l.count == l.max)
		return conf_fail_at(r, r->line, "more than %zu sections [%s NAME]", l.max,
		                    conf_sections[section].name);
	*n = (struct conf_named){ name, r->line };
	++*l.count;
	r->object = n;
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
	case SEC_AUTH:
		return &c->auth;
	case SEC_LMTP:
		return &c->lmtp;
	case SEC_POP3:
		return &c->pop3;
	case SEC_LIMITS:
		return &c->limits;
	case SEC_MAINTENANCE:
		return &c->maintenance;
	case SEC_CERTIFICATE:
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
	if (s.len == 0 || s.len > CONF_NAME_MAX)
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
section_start(struct conf_reader *r, enum section_id id, struct slice name)
{
	const struct section_def *def = &conf_sections[id];
	const char *copy;

	if (!def->named) {
		if (name.len > 0)
			return conf_fail_at(r, r->line, "section [%s] takes no name", def->name);
		if (r->had[id])
			return conf_fail_at(r, r->line, "section [%s] appears twice", def->name);
		r->had[id] = true;
		r->object = section_object(r->c, id);
		snprintf(r->label, sizeof r->label, "%s", def->name);
		return true;
	}
	if (!is_name(name))
		return conf_fail_at(r, r->line,
		    "section [%s NAME]: a name of at most %u letters, digits, - _ . is needed",
		    def->name, CONF_NAME_MAX);
	copy = arena_cstr(&r->c->arena, name);
	if (copy == NULL)
		return conf_fail_nomem(r);
	snprintf(r->label, sizeof r->label, "%s %s", def->name, copy);
	if (!named_add(r, id, copy))
		return false;
	return set_presets(r, id);
}

/* A header, blanks trimmed: "[listen imap]", perhaps a comment behind it. */
static bool
section_open(struct conf_reader *r, struct slice line)
{
	size_t end = slice_find_byte(line, ']');
	struct slice rest = slice_trim(slice_sub(line, end + 1, line.len));
	struct slice inside = slice_trim(slice_sub(line, 1, end));
	size_t blank = slice_find_byte(inside, ' ');
	struct slice word = slice_sub(inside, 0, blank);
	struct slice name = slice_trim(slice_sub(inside, blank, inside.len));

	if (end == line.len || (rest.len > 0 && rest.ptr[0] != ';' && rest.ptr[0] != '#'))
		return conf_fail_at(r, r->line, "expected [section] and nothing behind it");
	if (!section_close(r))
		return false;
	for (size_t i = 0; i < CONF_SECTION_COUNT; i++) {
		if (!slice_eq(word, slice_str(conf_sections[i].name)))
			continue;
		r->section = (enum section_id)i;
		r->header = r->line;
		memset(r->seen, 0, sizeof r->seen);
		r->in_section = section_start(r, r->section, name);
		return r->in_section;
	}
	return conf_fail_at(r, r->line, "unknown section [%.*s]: there are " CONF_SECTIONS_TEXT,
	                    (int)(inside.len < 60 ? inside.len : 60), (const char *)inside.ptr);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* inih's reader: one line per call, without indentation; NULL at the end or after an error. */
static char *
line_read(char *dst, int size, void *arg)
{
	struct conf_reader *r = arg;
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
		conf_fail_at(r, r->line, "line is longer than %d bytes", size - 3);
		return NULL;
	}
	if (line.len > 0 && line.ptr[0] == '[' && !section_open(r, line))
		return NULL;
	if (line.len + 3 > (size_t)size || (line.len > 0 && line.ptr[0] == '['))
		line.len = 0;           /* dealt with */
	if (!slice_to_cstr(line, dst, (size_t)size)) {
		conf_fail_at(r, r->line, "line holds a NUL byte");
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
	struct conf_reader *r = arg;

	(void)unused;
	if (r->failed)
		return 0;
	if (!r->in_section)
		return conf_fail_at(r, r->line, "%.40s stands before the first [section]", name);
	for (size_t i = 0; i < conf_key_count; i++) {
		if (conf_keys[i].section != r->section || strcmp(conf_keys[i].name, name) != 0)
			continue;
		if (r->seen[i])
			return conf_fail_at(r, r->line, "[%s] %s appears twice", r->label, name);
		r->seen[i] = true;
		if (has_comment(value))
			return conf_fail_at(r, r->line,
			    "[%s] %s: a # behind a value begins no comment: comments stand on "
			    "lines of their own",
			    r->label, name);
		return conf_set_value(r, &conf_keys[i], value, false);
	}
	return conf_fail_at(r, r->line, "[%s] has no key %.60s", r->label, name);
}

/* Who cannot be verified cannot be required to be. */
static bool
check_certificates(struct conf_reader *r)
{
	const struct conf *c = r->c;
	bool required = c->tls.client_certificates == CONF_CLIENT_REQUIRED;

	if (c->n_certificates > 0 && c->tls.certificate[0] == '\0')
		return conf_fail_at(r, c->certificates[0].named.line,
		    "[certificate %s] is a further one: [tls] certificate and key are needed",
		    c->certificates[0].named.name);
	for (size_t i = 0; i < c->n_listens; i++)
		required = required || c->listens[i].client_certificates == CONF_LISTEN_REQUIRED;
	if (required && c->tls.client_ca[0] == '\0')
		return conf_fail_at(r, r->line,
		                    "client_certificates = required needs [tls] client_ca");
	if (c->tls.client_crl[0] != '\0' && c->tls.client_ca[0] == '\0')
		return conf_fail_at(r, r->line, "[tls] client_crl needs client_ca");
	return true;
}

/* What only the whole file can show. */
static bool
check_whole(struct conf_reader *r)
{
	const struct conf *c = r->c;

	if (c->n_volumes == 0)
		return conf_fail_at(r, r->line, "there is no section [volume NAME]");
	if (c->n_listens == 0)
		return conf_fail_at(r, r->line, "there is no section [listen NAME]");
	if ((c->tls.certificate[0] == '\0') != (c->tls.key[0] == '\0'))
		return conf_fail_at(r, r->line, "[tls] wants both certificate and key");
	for (size_t i = 0; i < c->n_listens; i++)
		if (c->listens[i].proxy_protocol && c->listens[i].socket[0] == '\0' &&
		    c->server.proxy_networks.count == 0)
			return conf_fail_at(r, c->listens[i].named.line,
			                    "[listen %s] takes connections of proxies: [server] "
			                    "proxy_networks is needed",
			                    c->listens[i].named.name);
	for (size_t i = 0; i < c->n_listens; i++)
		if (conf_protocol_is_tls(c->listens[i].protocol) && c->tls.certificate[0] == '\0')
			return conf_fail_at(r, c->listens[i].named.line,
			               "[listen %s] speaks TLS: [tls] certificate and key "
			    "are needed", c->listens[i].named.name);
	return check_certificates(r);
}

/* A session that is silent may still know what was expunged since it was told last; when it is
 * ended at the latest, nobody does [design, section 3]. */
static void
settle_whole(struct conf *c)
{
	if (c->maintenance.retention < c->server.idle_timeout)
		c->maintenance.retention = c->server.idle_timeout;
}

static bool
parse_text(struct conf_reader *r)
{
	int bad;

	for (size_t i = 0; i < CONF_SECTION_COUNT; i++) {
		r->object = section_object(r->c, (enum section_id)i);
		if (!conf_sections[i].named && !set_presets(r, (enum section_id)i))
			return false;
	}
	bad = ini_parse_stream(line_read, r, line_apply, r);
	if (bad != 0)
		conf_fail_at(r, bad > 0 ? (unsigned)bad : r->line,
		             "expected [section] or key = value");
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
	c->path =
	    (const char *)arena_printf(&c->arena, "%s/%s", c->dir != NULL ? c->dir : "", base).ptr;
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

static enum rc
conf_new(struct conf **out, struct err *e)
{
	struct conf *c = calloc(1, sizeof *c);

	*out = c;
	if (c == NULL)
		return err_nomem(e);
	arena_init(&c->arena, ARENA_MAX);
	c->volumes = arena_array(&c->arena, CONF_VOLUMES_MAX, sizeof *c->volumes);
	c->listens = arena_array(&c->arena, CONF_LISTENS_MAX, sizeof *c->listens);
	c->certificates = arena_array(&c->arena, CONF_CERTIFICATES_MAX, sizeof *c->certificates);
	if (c->volumes != NULL && c->listens != NULL && c->certificates != NULL)
		return RC_OK;
	conf_free(out);
	return err_nomem(e);
}

/* Of c->text. Takes c over. */
static enum rc
conf_parse(struct conf *c, struct conf **out, struct err *e)
{
	struct conf_reader r = { .c = c, .e = e, .text = c->text };

	if (!parse_text(&r)) {
		conf_free(&c);
		return e->code;
	}
	*out = c;
	return RC_OK;
}

enum rc
conf_load(const char *path, struct conf **out, struct err *e)
{
	struct conf *c;
	enum rc rc = conf_new(&c, e);

	*out = NULL;
	if (rc != RC_OK)
		return rc;
	rc = find_place(c, path, e);
	if (rc == RC_OK)
		rc = read_file(c, &c->text, e);
	if (rc == RC_OK)
		return conf_parse(c, out, e);
	conf_free(&c);
	return rc;
}

enum rc
conf_load_text(const char *path, struct slice text, struct conf **out, struct err *e)
{
	const char *slash = strrchr(path, '/');
	struct conf *c;
	enum rc rc = conf_new(&c, e);

	*out = NULL;
	if (rc != RC_OK)
		return rc;
	c->path = arena_cstr(&c->arena, slice_str(path));
	c->dir = arena_cstr(&c->arena, slice_of(path, slash != NULL ? (size_t)(slash - path) : 0));
	c->text = arena_dup(&c->arena, text);
	if (c->path != NULL && c->dir != NULL && (c->text.ptr != NULL || text.len == 0))
		return conf_parse(c, out, e);
	conf_free(&c);
	return err_nomem(e);
}

/* ---- what it names ---- */

static bool
section_names_file(enum section_id section, const void *object, const char *path)
{
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct key_def *k = &conf_keys[i];
		const char *value;

		if (k->section != section || k->type != KEY_PATH)
			continue;
		memcpy(&value, (const char *)object + k->offset, sizeof value);
		if (strcmp(value, path) == 0)
			return true;
	}
	return false;
}

/* What volumes and listeners name are directories and sockets. */
bool
conf_names_file(const struct conf *c, const char *path)
{
	if (path[0] == '\0')
		return false;
	for (size_t i = 0; i < c->n_certificates; i++)
		if (section_names_file(SEC_CERTIFICATE, &c->certificates[i], path))
			return true;
	return section_names_file(SEC_TLS, &c->tls, path) ||
	       section_names_file(SEC_AUTH, &c->auth, path) ||
	       section_names_file(SEC_LMTP, &c->lmtp, path);
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
	case CONF_SASLAUTHD:
		return "saslauthd";
	}
	return "unknown";
}

bool
conf_protocol_is_tls(enum conf_protocol p)
{
	return p == CONF_IMAPS || p == CONF_POP3S || p == CONF_LMTPS;
}

enum conf_client_certificates
conf_listen_client(const struct conf_tls *tls, enum conf_listen_certificates listen)
{
	if (tls->client_ca[0] == '\0')
		return CONF_CLIENT_OFF;
	switch (listen) {
	case CONF_LISTEN_AS_TLS:
		return tls->client_certificates;
	case CONF_LISTEN_OFF:
		return CONF_CLIENT_OFF;
	case CONF_LISTEN_OPTIONAL:
		return CONF_CLIENT_OPTIONAL;
	case CONF_LISTEN_REQUIRED:
		return CONF_CLIENT_REQUIRED;
	}
	return CONF_CLIENT_REQUIRED;
}
