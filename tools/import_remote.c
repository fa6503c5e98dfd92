/* import_remote - see import_remote.h.
 *
 * Passwords are asked for before anything is begun, so that a prompt never stands in the middle of
 * the work, and kept until the end, since a connection may have to be made anew. A password belongs
 * to one user at one host and port: it is found again by these when a URL is opened, never by its
 * place, so that none can reach another server. Rejected: one password for all URLs, which did.
 */
#include "tools/import_remote.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/remote_login.h"

/* Whose password it is. */
struct import_password {
	const char       *user;                 /* who logs in */
	struct remote_url url;                  /* where; the first of its URLs */
	struct secret     password;
};

static void
warn(void *arg, const char *text)
{
	ctl_error(arg, "warning: %s", text);
}

/* The URL, with the account's name where it has no user. */
static enum rc
parse(const struct import_login *l, const char *text, struct remote_url *url, struct err *e)
{
	const char *account = l->ctl->args[0];

	if (remote_url_parse(slice_str(text), url, e) != RC_OK)
		return e->code;
	if (url->user[0] == '\0' && !slice_to_cstr(slice_str(account), url->user, sizeof url->user))
		return err_set(e, RC_SYNTAX, "URL: the user name is too long");
	return RC_OK;
}

static enum rc
check_uidl_format(const char *format, struct err *e)
{
	struct buf uidl;
	bool ok;

	buf_init(&uidl, 200);
	ok = format == NULL || remote_uidl_make(format, UINT32_MAX, UINT32_MAX, &uidl);
	buf_fini(&uidl);
	return ok ? RC_OK
	          : err_set(e, RC_SYNTAX,
	                "--uidl-format: like %%08Xu%%08Xv, with the UID as u and the UIDVALIDITY "
	                "as v, and at most %d characters",
	                UIDL_MAX);
}

/* ---- passwords ---- */

/* Who logs in at the URL. */
static const char *
who(const struct import_login *l, const struct remote_url *url)
{
	return l->remote.admin != NULL ? l->remote.admin : url->user;
}

static bool
is_same_server(const struct remote_url *a, const struct remote_url *b)
{
	struct slice x = slice_str(a->host), y = slice_str(b->host);

	if (a->is_unix || b->is_unix)
		return a->is_unix && b->is_unix && slice_eq(x, y);
	return slice_eq_nocase(x, y) && a->port == b->port;
}

static struct import_password *
find_password(const struct import_login *l, const struct remote_url *url)
{
	for (size_t n = 0; n < l->count; n++) {
		if (strcmp(l->passwords[n].user, who(l, url)) == 0 &&
		    is_same_server(&l->passwords[n].url, url))
			return &l->passwords[n];
	}
	return NULL;
}

static enum rc
add_password(struct import_login *l, const struct remote_url *url, struct err *e)
{
	struct import_password *p = &l->passwords[l->count];

	if (find_password(l, url) != NULL)
		return RC_OK;
	p->url = *url;
	p->user = l->remote.admin != NULL ? l->remote.admin : p->url.user;
	l->count++;
	return secret_init(&p->password, REMOTE_PASSWORD_MAX, e);
}

/* The next line of `reader`, or typed where that is NULL. */
static enum rc
get_password(struct import_password *p, struct ctl_reader *reader, struct err *e)
{
	char server[REMOTE_HOST_MAX + 20], name[REMOTE_USER_MAX + sizeof server + 8];
	enum rc rc;

	remote_server_name(&p->url, server, sizeof server);
	snprintf(name, sizeof name, "%s at %s", p->user, server);
	rc = reader != NULL ? ctl_reader_line(reader, &p->password, e)
	                    : ctl_password_ask(name, &p->password, e);
	if (rc == RC_NOT_FOUND || (rc == RC_OK && p->password.len == 0))
		return err_set(e, RC_SYNTAX,
		    "no password was given for %s: there must be one line for each user and "
		    "server, in the order of the URLs",
		    name);
	if (rc == RC_OK && slice_find_byte(secret_slice(&p->password), '\0') < p->password.len)
		return err_set(e, RC_SYNTAX, "a password cannot hold a NUL");
	return rc;
}

static enum rc
get_passwords(struct import_login *l, struct ctl_reader *reader, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t n = 0; n < l->count && rc == RC_OK; n++)
		rc = get_password(&l->passwords[n], reader, e);
	return rc;
}

static enum rc
passwords_from_fd(struct import_login *l, int fd, struct err *e)
{
	struct ctl_reader reader;
	enum rc rc;

	ctl_reader_init(&reader, fd);
	rc = get_passwords(l, &reader, e);
	ctl_reader_fini(&reader);
	return rc;
}

static enum rc
passwords_from_file(struct import_login *l, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	enum rc rc;

	if (fd < 0)
		return err_os(e, errno, "%s", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH)) != 0)
		ctl_error(l->ctl, "warning: %s can be read by others", path);
	rc = passwords_from_fd(l, fd, e);
	close(fd);
	return rc == RC_OK ? RC_OK : err_add(e, "%s", path);
}

static enum rc
ask_passwords(struct import_login *l, struct err *e)
{
	const char *path = options_value(&l->ctl->options, "--password-file");

	if (path != NULL)
		return passwords_from_file(l, path, e);
	if (isatty(STDIN_FILENO) == 1)
		return get_passwords(l, NULL, e);
	return passwords_from_fd(l, STDIN_FILENO, e);
}

/* ---- the login ---- */

static enum rc
take_options(struct import_login *l, struct err *e)
{
	const struct options *o = &l->ctl->options;

	l->remote.admin = options_value(o, "--auth-user");
	l->remote.uidl_format = options_value(o, "--uidl-format");
	l->remote.ca_file = options_value(o, "--ca-file");
	l->remote.insecure = options_given(o, "--insecure");
	l->remote.starttls = options_given(o, "--starttls");
	l->remote.cleartext = options_given(o, "--no-tls");
	l->remote.timeout_ms = REMOTE_TIMEOUT_MS;
	l->remote.warn = warn;
	l->remote.warn_arg = l->ctl;
	return check_uidl_format(l->remote.uidl_format, e);
}

enum rc
import_login_init(struct import_login *l, struct ctl *ctl, const char *const *sources, int count,
                  struct err *e)
{
	*l = (struct import_login){ .ctl = ctl };
	if (take_options(l, e) != RC_OK)
		return e->code;
	l->passwords = calloc((size_t)count + 1, sizeof *l->passwords);
	if (l->passwords == NULL)
		return err_nomem(e);
	for (int n = 0; n < count; n++) {
		struct remote_url url;

		if (!remote_url_is(slice_str(sources[n])))
			continue;
		/* An error is told without the URL: there may be a password in it. */
		if (parse(l, sources[n], &url, e) != RC_OK || add_password(l, &url, e) != RC_OK)
			return e->code;
	}
	return l->count > 0 ? ask_passwords(l, e) : RC_OK;
}

void
import_login_fini(struct import_login *l)
{
	for (size_t n = 0; n < l->count; n++)
		secret_fini(&l->passwords[n].password);
	free(l->passwords);
	l->passwords = NULL;
	l->count = 0;
}

enum rc
import_login_open(struct import_login *l, const char *url, const struct import_options *options,
    struct import_source *out, struct err *e)
{
	const struct import_password *p;

	if (parse(l, url, &l->remote.url, e) != RC_OK)
		return e->code;
	p = find_password(l, &l->remote.url);
	assert(p != NULL);
	l->remote.password = &p->password;
	return remote_open(&l->remote, options, out, e);
}
