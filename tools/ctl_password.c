/* ctl_password - a password, typed or from standard input, turned into its verifier at once.
 *
 * What held it is wiped. Echo is off while it is typed; a signal that would end or stop the program
 * meanwhile is taken note of, the terminal is put right, and the signal then has its effect.
 */
#include "tools/ctl.h"

#include <errno.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "sasl/credential.h"
#include "sasl/saslprep.h"

/* ---- lines ---- */

void
ctl_reader_init(struct ctl_reader *r, int fd)
{
	*r = (struct ctl_reader){ .fd = fd };
}

void
ctl_reader_fini(struct ctl_reader *r)
{
	secret_wipe(r->bytes, sizeof r->bytes);
	r->start = r->len = 0;
}

/* RC_NOT_FOUND at the end. */
static enum rc
fill(struct ctl_reader *r, struct err *e)
{
	ssize_t n = read(r->fd, r->bytes, sizeof r->bytes);

	if (n < 0)
		return err_os(e, errno, "reading standard input");
	r->start = 0;
	r->len = (size_t)n;
	return n > 0 ? RC_OK : err_set(e, RC_NOT_FOUND, "end of input");
}

static void
drop_cr(struct secret *s)
{
	if (s->len > 0 && s->ptr[s->len - 1] == '\r')
		s->ptr[--s->len] = '\0';
}

enum rc
ctl_reader_line(struct ctl_reader *r, struct secret *out, struct err *e)
{
	bool any = false, fits = true, ended = false;

	secret_reset(out);
	while (!ended) {
		struct slice have, piece;
		enum rc rc = r->start == r->len ? fill(r, e) : RC_OK;

		if (rc == RC_NOT_FOUND && any)
			break;
		if (rc != RC_OK)
			return rc;
		any = true;
		have = slice_of(r->bytes + r->start, r->len - r->start);
		piece = slice_sub(have, 0, slice_find_byte(have, '\n'));
		ended = piece.len < have.len;
		fits = secret_append(out, piece) && fits;
		r->start += piece.len + (ended ? 1 : 0);
	}
	if (!fits)
		return err_set(e, RC_LIMIT, "the line is too long");
	drop_cr(out);
	return RC_OK;
}

/* ---- the terminal ---- */

static volatile sig_atomic_t caught;

static void
on_signal(int sig)
{
	caught = sig;
}

static const int held[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

#define HELD (sizeof held / sizeof held[0])

/* One line typed without echo. */
static enum rc
type_line(struct secret *out, struct err *e)
{
	struct sigaction now = { .sa_handler = on_signal }, before[HELD];
	struct termios shown, hidden;
	struct ctl_reader r;
	enum rc rc;

	if (tcgetattr(STDIN_FILENO, &shown) != 0)
		return err_os(e, errno, "terminal");
	caught = 0;
	sigemptyset(&now.sa_mask);
	for (size_t i = 0; i < HELD; i++)
		sigaction(held[i], &now, &before[i]);
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	ctl_reader_init(&r, STDIN_FILENO);
	rc = ctl_reader_line(&r, out, e);
	ctl_reader_fini(&r);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	for (size_t i = 0; i < HELD; i++)
		sigaction(held[i], &before[i], NULL);
	fputc('\n', stderr);
	if (caught != 0) {
		raise(caught);
		return err_set(e, RC_CANCELLED, "interrupted");
	}
	return rc;
}

static enum rc
type_twice(const char *name, struct secret *out, struct err *e)
{
	struct secret again;
	enum rc rc = secret_init(&again, out->cap, e);

	if (rc == RC_OK) {
		fprintf(stderr, "Password for %s: ", name);
		rc = type_line(out, e);
	}
	if (rc == RC_OK) {
		fputs("Once more: ", stderr);
		rc = type_line(&again, e);
	}
	if (rc == RC_OK && !secret_equal(secret_slice(out), secret_slice(&again)))
		rc = err_set(e, RC_SYNTAX, "the two are not the same");
	secret_fini(&again);
	return rc;
}

enum rc
ctl_password_ask(const char *name, struct secret *out, struct err *e)
{
	struct ctl_reader r;
	enum rc rc;

	if (isatty(STDIN_FILENO) == 1) {
		fprintf(stderr, "Password for %s: ", name);
		return type_line(out, e);
	}
	ctl_reader_init(&r, STDIN_FILENO);
	rc = ctl_reader_line(&r, out, e);
	ctl_reader_fini(&r);
	return rc;
}

enum rc
ctl_password_verifier(const char *name, struct buf *out, struct err *e)
{
	struct secret password;
	struct ctl_reader r;
	enum rc rc = secret_init(&password, SASLPREP_MAX + 2, e);

	if (rc == RC_OK && isatty(STDIN_FILENO) == 1) {
		rc = type_twice(name, &password, e);
	} else if (rc == RC_OK) {
		ctl_reader_init(&r, STDIN_FILENO);
		rc = ctl_reader_line(&r, &password, e);
		ctl_reader_fini(&r);
	}
	if (rc == RC_NOT_FOUND || (rc == RC_OK && password.len == 0))
		rc = err_set(e, RC_SYNTAX, "an empty password is not allowed");
	if (rc == RC_OK)
		rc = credential_make(secret_slice(&password), out, e);
	secret_fini(&password);
	return rc;
}
