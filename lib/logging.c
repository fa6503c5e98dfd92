/* logging - key=value lines. See logging.h.
 *
 * Considered and rejected: syslog(3) (drops under load, needs a path in a chroot; a service manager
 * or a pipe to logger(1) does it better), a logging thread (loses the last lines before a crash,
 * which are the ones that matter).
 */
#include "lib/logging.h"

#include "lib/clock.h"
#include "lib/digits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <utf8proc.h>

#define EVENT_MAX    128u
#define TAIL_RESERVE (sizeof " cut=yes\n" - 1)

static _Atomic int max_level = LOGLEVEL_INFO;
static _Atomic int log_fd = STDERR_FILENO;

void
log_set_level(enum log_level level)
{
	atomic_store(&max_level, (int)level);
}

bool
log_wanted(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

void
log_set_fd(int fd)
{
	atomic_store(&log_fd, fd);
}

const char *
log_level_name(enum log_level level)
{
	switch (level) {
	case LOGLEVEL_ERROR:
		return "error";
	case LOGLEVEL_WARN:
		return "warn";
	case LOGLEVEL_INFO:
		return "info";
	case LOGLEVEL_DEBUG:
		return "debug";
	}
	return "unknown";
}

bool
log_level_parse(const char *name, enum log_level *out)
{
	static const enum log_level all[] = {
		LOGLEVEL_ERROR, LOGLEVEL_WARN, LOGLEVEL_INFO, LOGLEVEL_DEBUG,
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (strcmp(name, log_level_name(all[i])) == 0) {
			*out = all[i];
			return true;
		}
	}
	return false;
}

/* --- the line --------------------------------------------------------------------------------- */

/* All of it or nothing; `keep` bytes stay free behind it. */
static bool
put(struct logline *l, const char *text, size_t len, size_t keep)
{
	if (l->len + len + keep > LOG_LINE_MAX - TAIL_RESERVE) {
		l->cut = true;
		return false;
	}
	memcpy(l->text + l->len, text, len);
	l->len += len;
	return true;
}

/* " key=", if it and at least an empty value have room. */
static bool
put_key(struct logline *l, const char *key)
{
	size_t start = l->len;

	if (l->off || l->cut)
		return false;
	if (put(l, " ", 1, 4) && put(l, key, strlen(key), 3) && put(l, "=", 1, 2))
		return true;
	l->len = start;
	return false;
}

static bool
is_plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\')
			return false;
	}
	return s.len > 0;
}

/* The first character of s as it is written inside quotes, into out; returns the bytes of s
 * it stands for. */
static size_t
escape_one(struct slice s, char out[8], size_t *out_len)
{
	utf8proc_int32_t cp;
	utf8proc_ssize_t n = utf8proc_iterate(s.ptr, (utf8proc_ssize_t)s.len, &cp);

	if (n < 1 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) {
		*out_len = (size_t)snprintf(out, 8, "\\x%02x", (unsigned)s.ptr[0]);
		return 1;
	}
	*out_len = 0;
	if (cp == '"' || cp == '\\')
		out[(*out_len)++] = '\\';
	memcpy(out + *out_len, s.ptr, (size_t)n);
	*out_len += (size_t)n;
	return (size_t)n;
}

static void
put_quoted(struct logline *l, struct slice value)
{
	size_t start = l->len;
	size_t at = 0;

	put(l, "\"", 1, 1);
	while (at < value.len) {
		char unit[8];
		size_t len, used;

		used = escape_one(slice_sub(value, at, value.len), unit, &len);
		if (l->len + len - start >= LOG_VALUE_MAX) {
			l->cut = true;
			break;
		}
		if (!put(l, unit, len, 1))
			break;
		at += used;
	}
	put(l, "\"", 1, 0);
}

/* A line for each message that is delivered: printf would take longer than all the rest of it. */
static void
put_number(struct logline *l, unsigned v, unsigned digits, char behind)
{
	char text[8];

	text[digits] = behind;
	for (unsigned i = digits; i > 0; v /= 10)
		text[--i] = (char)('0' + v % 10);
	put(l, text, digits + 1, 0);
}

static void
put_time(struct logline *l, uint64_t us)
{
	time_t s = (time_t)(us / 1000000u);
	struct tm tm;

	if (gmtime_r(&s, &tm) == NULL)
		memset(&tm, 0, sizeof tm);
	put_number(l, (unsigned)tm.tm_year + 1900, 4, '-');
	put_number(l, (unsigned)tm.tm_mon + 1, 2, '-');
	put_number(l, (unsigned)tm.tm_mday, 2, 'T');
	put_number(l, (unsigned)tm.tm_hour, 2, ':');
	put_number(l, (unsigned)tm.tm_min, 2, ':');
	put_number(l, (unsigned)tm.tm_sec, 2, '.');
	put_number(l, (unsigned)(us / 1000u % 1000u), 3, 'Z');
}

void
log_begin(struct logline *l, enum log_level level, const char *ev)
{
	const char *name = log_level_name(level);

	l->len = 0;
	l->cut = false;
	l->off = !log_wanted(level);
	if (l->off)
		return;
	put(l, "ts=", 3, 0);
	put_time(l, clock_wall_us());
	put(l, " level=", 7, 0);
	put(l, name, strlen(name), 0);
	put(l, " ev=", 4, 0);
	put(l, ev, strnlen(ev, EVENT_MAX), 0);
}

void
log_str(struct logline *l, const char *key, struct slice value)
{
	if (!put_key(l, key))
		return;
	if (value.len > LOG_VALUE_MAX || !is_plain(value) ||
	    !put(l, (const char *)value.ptr, value.len, 0))
		put_quoted(l, value);
}

void
log_cstr(struct logline *l, const char *key, const char *value)
{
	log_str(l, key, slice_str(value));
}

void
log_u64(struct logline *l, const char *key, uint64_t value)
{
	uint8_t digits[DIGITS_MAX];

	log_str(l, key, slice_of(digits, (size_t)(digits_put(digits, value) - digits)));
}

void
log_int(struct logline *l, const char *key, int64_t value)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%lld", (long long)value);

	log_str(l, key, slice_of(digits, (size_t)n));
}

void
log_hex(struct logline *l, const char *key, uint64_t value)
{
	uint8_t digits[DIGITS_HEX_MAX];

	log_str(l, key, slice_of(digits, (size_t)(digits_put_hex(digits, value) - digits)));
}

void
log_err(struct logline *l, const struct err *e)
{
	log_cstr(l, "err", rc_name(e->code));
	if (e->os != 0)
		log_int(l, "os", e->os);
	log_cstr(l, "text", e->text);
}

void
log_end(struct logline *l)
{
	ssize_t n;

	if (l->off)
		return;
	if (l->cut) {
		memcpy(l->text + l->len, " cut=yes", sizeof " cut=yes" - 1);
		l->len += sizeof " cut=yes" - 1;
	}
	l->text[l->len++] = '\n';
	do
		n = write(atomic_load(&log_fd), l->text, l->len);
	while (n < 0 && errno == EINTR);
	l->off = true;  /* a second log_end writes nothing; a failed write has nobody to tell */
}

void
log_event(enum log_level level, const char *ev, const char *fmt, ...)
{
	struct logline l;
	char text[LOG_LINE_MAX];
	va_list ap;
	int n;

	log_begin(&l, level, ev);
	if (l.off)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n > 0) {
		size_t len = strlen(text);
		size_t room = LOG_LINE_MAX - TAIL_RESERVE - l.len - 1;

		for (size_t i = 0; i < len; i++)  /* the caller's slip must not end the line */
			if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
				text[i] = '?';
		l.cut = (size_t)n > room || (size_t)n > len;
		put(&l, " ", 1, 0);
		put(&l, text, len < room ? len : room, 0);
	}
	log_end(&l);
}
