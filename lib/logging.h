/* logging - one event, one line of key=value on standard error.
 *
 *     ts=2026-05-01T12:00:00.123Z level=info ev=auth.ok sid=7f3a user="anna b"
 *
 * A line is written by one write(2), so lines of several threads do not mix, and it is never longer than LOG_LINE_MAX:
 * a value over LOG_VALUE_MAX or beyond the line's end is cut, and the line then ends with cut=yes. Values that hold
 * anything but plain visible ASCII are quoted; quotes and backslashes are escaped in them by a backslash, control
 * characters and what is not UTF-8 as \xNN. So no value can end its line or forge a key. Secrets and message content
 * are never logged, at any level. Any thread; the builder itself belongs to one.
 *
 * Levels follow who must act: error (the operator, now), warn (the operator, soon), info (one per session and
 * delivery), debug (one per command).
 */
#ifndef RESTANTE_LIB_LOGGING_H
#define RESTANTE_LIB_LOGGING_H

#include "lib/err.h"
#include "lib/slice.h"

/* Not LOG_*: those names are syslog.h's. */
enum log_level {
	LOGLEVEL_ERROR,
	LOGLEVEL_WARN,
	LOGLEVEL_INFO,
	LOGLEVEL_DEBUG,
};

#define LOG_LINE_MAX  2048u     /* bytes with the newline; below PIPE_BUF, so whole also in a pipe */
#define LOG_VALUE_MAX 512u      /* bytes of one value as written */

struct logline {
	char   text[LOG_LINE_MAX];
	size_t len;
	bool   off;             /* the level is not wanted: nothing is done */
	bool   cut;
};

/* Lines above `level` are dropped; LOGLEVEL_INFO at start. */
void log_set_level(enum log_level level);
bool log_wanted(enum log_level level);
/* Where lines go: standard error at start. For tests. */
void log_set_fd(int fd);
/* "error", "warn", "info", "debug"; and back, false if it is none of them. */
const char *log_level_name(enum log_level level);
bool log_level_parse(const char *name, enum log_level *out);

/* log_begin, any number of pairs, log_end. `ev` and the keys are ours: letters, digits, dots, underscores. */
void log_begin(struct logline *l, enum log_level level, const char *ev);
void log_str(struct logline *l, const char *key, struct slice value);
void log_cstr(struct logline *l, const char *key, const char *value);
void log_u64(struct logline *l, const char *key, uint64_t value);
void log_int(struct logline *l, const char *key, int64_t value);
void log_hex(struct logline *l, const char *key, uint64_t value);
/* err=NAME, os=ERRNO if there is one, text="...". */
void log_err(struct logline *l, const struct err *e);
void log_end(struct logline *l);

/* A whole line at once; `fmt` yields key=value text that needs no escaping (numbers, our own words), or "". */
void log_event(enum log_level level, const char *ev, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
