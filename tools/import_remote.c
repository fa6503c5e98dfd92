/* import_remote - see import_remote.h.
 *
 * The password is asked for before anything is begun, so that a prompt never stands in the middle of the work, and kept
 * until the end, since a connection may have to be made anew.
 */
#include "tools/import_remote.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void
warn(void *arg, const char *text)
{
	ctl_error(arg, "warning: %s", text);
}

static enum rc
password_from_file(struct import_login *l, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct ctl_reader reader;
	struct stat st;
	enum rc rc;

	if (fd < 0)
		return err_os(e, errno, "%s", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH)) != 0)
		ctl_error(l->ctl, "warning: %s can be read by others", path);
	ctl_reader_init(&reader, fd);
	rc = ctl_reader_line(&reader, &l->password, e);
	ctl_reader_fini(&reader);
	close(fd);
	return rc == RC_OK ? RC_OK : err_add(e, "%s", path);
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
	return ok ? RC_OK : err_set(e, RC_SYNTAX,
	    "--uidl-format: like %%08Xu%%08Xv, with the UID as u and the UIDVALIDITY as v, and at most %d characters", UIDL_MAX);
}

static enum rc
get_password(struct import_login *l, const char *path, const char *user, struct err *e)
{
	enum rc rc = path != NULL ? password_from_file(l, path, e) : ctl_password_ask(user, &l->password, e);

	if (rc == RC_NOT_FOUND || (rc == RC_OK && l->password.len == 0))
		return err_set(e, RC_SYNTAX, "no password was given");
	if (rc == RC_OK && slice_find_byte(secret_slice(&l->password), '\0') < l->password.len)
		return err_set(e, RC_SYNTAX, "a password cannot hold a NUL");
	return rc;
}

enum rc
import_login_init(struct import_login *l, struct ctl *ctl, const char *const *sources, int count, struct err *e)
{
	const struct options *o = &ctl->options;
	const char *path = options_value(o, "--password-file");
	bool any = false;

	*l = (struct import_login){ .ctl = ctl };
	for (int n = 0; n < count; n++) {
		if (!remote_url_is(slice_str(sources[n])))
			continue;
		any = true;
		if (parse(l, sources[n], &l->remote.url, e) != RC_OK)
			return e->code;         /* without the URL: there may be a password in it */
	}
	if (!any)
		return RC_OK;
	l->remote.password = &l->password;
	l->remote.admin = options_value(o, "--auth-user");
	l->remote.uidl_format = options_value(o, "--uidl-format");
	l->remote.ca_file = options_value(o, "--ca-file");
	l->remote.insecure = options_given(o, "--insecure");
	l->remote.starttls = options_given(o, "--starttls");
	l->remote.cleartext = options_given(o, "--no-tls");
	l->remote.timeout_ms = REMOTE_TIMEOUT_MS;
	l->remote.warn = warn;
	l->remote.warn_arg = ctl;
	if (check_uidl_format(l->remote.uidl_format, e) != RC_OK ||
	    secret_init(&l->password, REMOTE_PASSWORD_MAX, e) != RC_OK)
		return e->code;
	return get_password(l, path, l->remote.admin != NULL ? l->remote.admin : l->remote.url.user, e);
}

void
import_login_fini(struct import_login *l)
{
	secret_fini(&l->password);
}

enum rc
import_login_open(struct import_login *l, const char *url, const struct import_options *options,
    struct import_source *out, struct err *e)
{
	if (parse(l, url, &l->remote.url, e) != RC_OK)
		return e->code;
	return remote_open(&l->remote, options, out, e);
}
