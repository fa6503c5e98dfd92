/* ctl_user - verbs on accounts that need more than their words: a password, a confirmation. */
#include "tools/ctl.h"

#include <unistd.h>

#include "lib/clock.h"
#include "lib/json.h"
#include "sasl/app_password.h"
#include "sasl/credential.h"
#include "sasl/saslprep.h"

/* other fields of a passwd-file, too */
#define IMPORT_LINE_MAX (ACCOUNT_NAME_MAX + 1 + SASLPREP_MAX + 4096)

/* `user add [--volume V] [--quota N] -- NAME VERIFIER`. Without --quota a new account gets the
 * configured one. */
static enum admin_exit
add(struct ctl *ctl, const char *name, const char *verifier)
{
	const char *volume = options_value(&ctl->options, "--volume");
	const char *given = options_value(&ctl->options, "--quota");
	const char *argv[10];
	char quota[24];
	int n = 0;

	argv[n++] = "user";
	argv[n++] = "add";
	if (volume != NULL) {
		argv[n++] = "--volume";
		argv[n++] = volume;
	}
	snprintf(quota, sizeof quota, "%llu", (unsigned long long)ctl->conf->server.account_quota);
	argv[n++] = "--quota";
	argv[n++] = given != NULL ? given : quota;
	argv[n++] = "--";
	argv[n++] = name;
	argv[n++] = verifier;
	return ctl_run(ctl, n, argv);
}

static enum admin_exit
set_password(struct ctl *ctl, const char *name, const char *verifier)
{
	const char *const argv[] = { "user", "passwd", "--", name, verifier };

	return ctl_run(ctl, 5, argv);
}

/* Ask for a password and do it. */
static enum admin_exit
with_password(struct ctl *ctl, enum admin_exit (*act)(struct ctl *, const char *, const char *))
{
	enum admin_exit status = ADMIN_FAILED;
	const char *name = ctl->args[0];
	char verifier[CREDENTIAL_TEXT_MAX + 1];
	struct err e = ERR_INIT;
	struct buf text;

	if (admin_check_name(slice_str(name), &e) != RC_OK) {
		ctl_error(ctl, "%s: %s", name, e.text);
		return ADMIN_FAILED;
	}
	if (!ctl_prepare(ctl))
		return ADMIN_FAILED;
	buf_init(&text, CREDENTIAL_TEXT_MAX);
	if (ctl_password_verifier(name, &text, &e) != RC_OK)
		ctl_error(ctl, "%s: %s", name, e.text);
	else if (slice_to_cstr(buf_slice(&text), verifier, sizeof verifier))
		status = act(ctl, name, verifier);
	secret_wipe(verifier, sizeof verifier);
	secret_wipe_buf(&text);
	buf_fini(&text);
	return status;
}

enum admin_exit
ctl_user_add(struct ctl *ctl)
{
	return with_password(ctl, add);
}

enum admin_exit
ctl_user_passwd(struct ctl *ctl)
{
	return with_password(ctl, set_password);
}

/* ---- delete ---- */

static bool
confirm(const char *question)
{
	char answer[16];

	fprintf(stderr, "%s Type yes: ", question);
	return fgets(answer, sizeof answer, stdin) != NULL && strcmp(answer, "yes\n") == 0;
}

/* What cannot be undone by its opposite is asked about, or wants --yes. */
enum admin_exit
ctl_ask(struct ctl *ctl, const char *question)
{
	if (options_given(&ctl->options, "--yes"))
		return ctl_prepare(ctl) ? ADMIN_OK : ADMIN_FAILED;
	if (isatty(STDIN_FILENO) != 1) {
		ctl_error(ctl, "%s Without a terminal to ask on, say so with --yes", question);
		return ADMIN_USAGE;
	}
	if (!ctl_prepare(ctl))
		return ADMIN_FAILED;
	if (confirm(question))
		return ADMIN_OK;
	ctl_error(ctl, "nothing was deleted");
	return ADMIN_FAILED;
}

enum admin_exit
ctl_user_delete(struct ctl *ctl)
{
	const char *const argv[] = { "user", "delete", "--", ctl->args[0] };
	char question[ACCOUNT_NAME_MAX + 64];
	enum admin_exit status;

	snprintf(question, sizeof question, "Delete the account %.*s with all its mail?",
	    ACCOUNT_NAME_MAX, ctl->args[0]);
	status = ctl_ask(ctl, question);
	return status == ADMIN_OK ? ctl_run(ctl, 4, argv) : status;
}

enum admin_exit
ctl_mailbox_delete(struct ctl *ctl)
{
	const char *const argv[] = { "mailbox", "delete", "--", ctl->args[0], ctl->args[1] };
	char question[ACCOUNT_NAME_MAX + MAILBOX_NAME_MAX + 64];
	enum admin_exit status;

	snprintf(question, sizeof question, "Delete the mailbox %.*s of %.*s with all its mail?",
	    MAILBOX_NAME_MAX, ctl->args[1], ACCOUNT_NAME_MAX, ctl->args[0]);
	status = ctl_ask(ctl, question);
	return status == ADMIN_OK ? ctl_run(ctl, 5, argv) : status;
}

/* ---- app passwords ---- */

static bool
append_only(const char *only, struct buf *out, struct ctl *ctl)
{
	struct slice rest = slice_str(only);

	while (rest.len > 0) {
		size_t n = slice_find_byte(rest, ',');
		struct slice one = slice_sub(rest, 0, n);

		if (sasl_service_find(one) == 0 || n + 1 == rest.len) {
			ctl_error(ctl,
			    "--only %s: wants some of imap, pop3, lmtp, submission, commas between",
			    only);
			return false;
		}
		rest = slice_sub(rest, n + 1, rest.len);
	}
	return only == NULL || buf_printf(out, " only=%s", only);
}

/* The daemon never sees it: it is made here, and only its verifier goes there. */
static enum admin_exit
make_app_password(struct ctl *ctl, struct secret *shown, struct buf *value)
{
	const char *only = options_value(&ctl->options, "--only"),
	*argv[] = { "app-password", "add", "--", ctl->args[1],
		                                                                ctl->args[2],
		                                                                NULL };
	char text[CREDENTIAL_TEXT_MAX + 1];
	struct err e = ERR_INIT;
	enum admin_exit status;

	if (app_password_make(shown, value, &e) != RC_OK) {
		ctl_error(ctl, "%s", e.text);
		return ADMIN_FAILED;
	}
	if (!append_only(only, value, ctl))
		return ADMIN_USAGE;
	if (!buf_printf(value, " created=%llu", (unsigned long long)(clock_wall_us() / 1000000u)) ||
	    !slice_to_cstr(buf_slice(value), text, sizeof text))
		return ADMIN_FAILED;
	argv[5] = text;
	ctl->quiet = true;
	status = ctl_run(ctl, 6, argv);
	ctl->quiet = false;
	return status;
}

static void
show_app_password(const struct ctl *ctl, struct slice password)
{
	struct buf line;
	struct json j;

	if (!options_given(&ctl->options, "--json")) {
		printf("%.*s\n", SLICE_ARG(password));
		return;
	}
	buf_init(&line, 4096);
	json_init(&j, &line);
	json_object(&j, NULL);
	json_cstr(&j, "name", ctl->args[1]);
	json_cstr(&j, "label", ctl->args[2]);
	json_str(&j, "password", password);
	json_end(&j);
	printf("%.*s\n", SLICE_ARG(buf_slice(&line)));
	secret_wipe_buf(&line);
	buf_fini(&line);
}

static enum admin_exit
add_app_password(struct ctl *ctl)
{
	enum admin_exit status = ADMIN_FAILED;
	struct secret shown;
	struct err e = ERR_INIT;
	struct buf value;

	if (!app_password_is_label(slice_str(ctl->args[2]))) {
		ctl_error(ctl, "%s: a label has 1 to %d letters, digits and -._@+", ctl->args[2],
		    APP_PASSWORD_LABEL_MAX);
		return ADMIN_FAILED;
	}
	buf_init(&value, CREDENTIAL_TEXT_MAX);
	if (secret_init(&shown, APP_PASSWORD_TEXT_MAX, &e) != RC_OK)
		ctl_error(ctl, "%s", e.text);
	else
		status = make_app_password(ctl, &shown, &value);
	if (status == ADMIN_OK)
		show_app_password(ctl, secret_slice(&shown));
	secret_fini(&shown);
	buf_fini(&value);
	return status;
}

enum admin_exit
ctl_user_app_password(struct ctl *ctl)
{
	const char *what = ctl->args[0], *argv[6] = { "app-password", what };
	bool json = options_given(&ctl->options, "--json"),
	     only = options_value(&ctl->options, "--only") != NULL;
	int n = 2;

	if (strcmp(what, "add") == 0 && ctl->argc == 3)
		return add_app_password(ctl);
	if (json && strcmp(what, "list") == 0)
		argv[n++] = "--json";
	argv[n++] = "--";
	argv[n++] = ctl->args[1];
	if (strcmp(what, "list") == 0 && ctl->argc == 2 && !only)
		return ctl_run(ctl, n, argv);
	if (strcmp(what, "revoke") == 0 && ctl->argc == 3 && !only && !json) {
		argv[n++] = ctl->args[2];
		return ctl_run(ctl, n, argv);
	}
	if (ctl->argc == 2 && (strcmp(what, "add") == 0 || strcmp(what, "revoke") == 0))
		ctl_error(ctl, "missing: LABEL");
	ctl_error(ctl, "usage: restantectl [-c FILE] %s", ctl->verb->usage);
	return ADMIN_USAGE;
}

/* ---- import ---- */

struct import {
	struct ctl         *ctl;
	struct ctl_progress progress;
	uint64_t            line, added, failed;
};

enum rc
ctl_split_import(struct slice line, struct slice *name, struct slice *password, struct err *e)
{
	size_t colon = slice_find_byte(line, ':');

	if (colon == line.len)
		return err_set(e, RC_SYNTAX, "expected name:password");
	*name = slice_sub(line, 0, colon);
	*password = slice_sub(line, colon + 1, line.len);
	if (password->len == 0)
		return err_set(e, RC_SYNTAX, "an empty password is not allowed");
	return admin_check_name(*name, e);
}

static enum rc
make_verifier(struct slice password, char *dst, size_t size, struct err *e)
{
	struct buf text;
	enum rc rc;

	buf_init(&text, CREDENTIAL_TEXT_MAX);
	rc = credential_import(password, &text, e);
	if (rc == RC_OK && !slice_to_cstr(buf_slice(&text), dst, size))
		rc = err_set(e, RC_LIMIT, "verifier too long");
	secret_wipe_buf(&text);
	buf_fini(&text);
	return rc;
}

static bool
import_line(struct import *im, struct slice line)
{
	char name[ACCOUNT_NAME_MAX + 1], verifier[CREDENTIAL_TEXT_MAX + 1];
	struct slice name_part, password;
	struct err e = ERR_INIT;
	enum admin_exit status;

	if (ctl_split_import(line, &name_part, &password, &e) != RC_OK ||
	    make_verifier(password, verifier, sizeof verifier, &e) != RC_OK) {
		ctl_progress_clear(&im->progress);
		ctl_error(im->ctl, "%s", e.text);
		return false;
	}
	if (!slice_to_cstr(name_part, name, sizeof name))
		return false;           /* cannot be: the name was checked */
	status = add(im->ctl, name, verifier);
	secret_wipe(verifier, sizeof verifier);
	return status == ADMIN_OK;
}

/* False at the end of the input. */
static bool
import_next(struct import *im, struct ctl_reader *r, struct secret *line)
{
	struct err e = ERR_INIT;
	struct slice text;
	char prefix[40];
	enum rc rc = ctl_reader_line(r, line, &e);

	if (rc == RC_NOT_FOUND)
		return false;
	im->line++;
	snprintf(prefix, sizeof prefix, "line %llu: ", (unsigned long long)im->line);
	im->ctl->prefix = prefix;
	text = secret_slice(line);
	if (im->line == 1 && slice_starts(text, SLICE("\xef\xbb\xbf")))
		text = slice_sub(text, 3, text.len);    /* what some editors begin a file with */
	if (rc == RC_OK && text.len == 0)
		return true;            /* a blank line is nobody */
	if (rc != RC_OK)
		ctl_error(im->ctl, "%s", e.text);
	if (rc == RC_OK && import_line(im, text))
		im->added++;
	else
		im->failed++;
	im->ctl->prefix = "";
	ctl_progress_count(&im->progress, "accounts", im->added);
	return rc == RC_OK || rc == RC_LIMIT;
}

enum admin_exit
ctl_user_import(struct ctl *ctl)
{
	struct import im = { .ctl = ctl };
	struct err e = ERR_INIT;
	struct ctl_reader r;
	struct secret line;

	if (!ctl_prepare(ctl))
		return ADMIN_FAILED;
	ctl_progress_init(&im.progress);
	ctl_reader_init(&r, STDIN_FILENO);
	if (secret_init(&line, IMPORT_LINE_MAX, &e) != RC_OK) {
		ctl_error(ctl, "%s", e.text);
		return ADMIN_FAILED;
	}
	ctl->quiet = true;
	while (import_next(&im, &r, &line))
		;
	ctl->quiet = false;
	ctl->prefix = "";
	ctl_progress_clear(&im.progress);
	secret_fini(&line);
	ctl_reader_fini(&r);
	printf("%llu account%s added", (unsigned long long)im.added, admin_plural(im.added));
	if (im.failed > 0)
		printf(", %llu line%s failed", (unsigned long long)im.failed,
		       admin_plural(im.failed));
	putchar('\n');
	return im.failed > 0 ? ADMIN_FAILED : ADMIN_OK;
}

enum admin_exit
ctl_purge(struct ctl *ctl)
{
	enum admin_exit status = ADMIN_OK;

	if (!options_given(&ctl->options, "--dry-run"))
		status = ctl_ask(ctl, ctl->argc > 0
		                          ? "Remove the message from this account, for good?"
		                          : "Remove the message from all accounts, for good?");
	return status == ADMIN_OK ? ctl_forward(ctl) : status;
}
