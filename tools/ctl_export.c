/* ctl_export - restantectl export: the stream that the verb `export` gives, written to files.
 *
 * All is written below TARGET.partial, synced, and then gets its name, so that what is called
 * TARGET is whole. Nothing is overwritten: neither TARGET nor what an export that was cut has left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/json.h"
#include "tools/ctl.h"
#include "tools/export.h"
#include "tools/import_meta.h"

struct exporter {
	struct ctl           *ctl;
	struct ctl_progress   progress;
	struct export_writer *writer;           /* NULL: --dry-run */
	struct parcel_reader  reader;
	struct err            err;              /* why writing ended */
	uint64_t              messages, bytes;  /* --dry-run */
	uint64_t              size;             /* of the message that is told */
};

/* ---- --dry-run: count ---- */

static enum rc
count_mailbox(void *arg, const struct parcel_mailbox *m, struct err *e)
{
	(void)arg;
	(void)m;
	(void)e;
	return RC_OK;
}

static enum rc
count_name(void *arg, struct slice name, struct err *e)
{
	(void)arg;
	(void)name;
	(void)e;
	return RC_OK;
}

static enum rc
count_message(void *arg, const struct parcel_message *m, struct err *e)
{
	struct exporter *x = arg;

	(void)e;
	x->size = m->size;
	return RC_OK;
}

static enum rc
count_end(void *arg, bool whole, struct err *e)
{
	struct exporter *x = arg;

	(void)e;
	x->messages += whole;
	x->bytes += whole ? x->size : 0;
	return RC_OK;
}

/* ---- the stream ---- */

static bool
take(void *arg, struct slice bytes)
{
	struct exporter *x = arg;

	if (parcel_feed(&x->reader, bytes, &x->err) != RC_OK)
		return false;
	if (x->writer != NULL)
		ctl_progress_count(&x->progress, "messages exported", export_count(x->writer));
	return true;
}

static bool
hear(void *arg, struct slice text)
{
	(void)arg;
	(void)text;
	return true;
}

static enum admin_exit
run(struct exporter *x)
{
	const struct ctl_bulk bulk = { .arg = x, .line = hear, .data = take,
	                               .progress = &x->progress };
	const struct options *o = &x->ctl->options;
	const char *argv[8] = { "export" };
	enum admin_exit status;
	int n = 1;

	if (options_value(o, "--mailbox") != NULL) {
		argv[n++] = "--mailbox";
		argv[n++] = options_value(o, "--mailbox");
	}
	if (options_value(o, "--uid") != NULL) {
		argv[n++] = "--uid";
		argv[n++] = options_value(o, "--uid");
	}
	if (options_given(o, "--dry-run"))
		argv[n++] = "--dry-run";
	argv[n++] = "--";
	argv[n++] = x->ctl->args[0];
	status = ctl_run_bulk(x->ctl, n, argv, &bulk);
	ctl_progress_clear(&x->progress);
	if (x->err.code != RC_OK) {
		ctl_error(x->ctl, "%s", x->err.text);
		return ADMIN_FAILED;
	}
	return (status == ADMIN_OK || status == ADMIN_DAMAGE) && !x->reader.closed ? ADMIN_FAILED
	                                                                           : status;
}

static void
report(const struct exporter *x, bool to_stdout)
{
	uint64_t messages = x->writer != NULL ? export_count(x->writer) : x->messages;
	uint64_t bytes = x->writer != NULL ? export_bytes(x->writer) : x->bytes;
	FILE *to = to_stdout ? stderr : stdout;
	struct json j;
	struct buf b;

	if (!options_given(&x->ctl->options, "--json")) {
		fprintf(to, "%s%" PRIu64 " message%s, %" PRIu64 " byte%s\n",
		        x->writer == NULL ? "would be exported: " : "exported: ", messages,
		        admin_plural(messages), bytes, admin_plural(bytes));
		return;
	}
	buf_init(&b, 1024);
	json_init(&j, &b);
	json_object(&j, NULL);
	json_bool(&j, "dry_run", x->writer == NULL);
	json_u64(&j, "messages", messages);
	json_u64(&j, "bytes", bytes);
	json_end(&j);
	fprintf(to, "%.*s\n", SLICE_ARG(buf_slice(&b)));
	buf_fini(&b);
}

/* ---- names ---- */

static bool
is_free(struct ctl *ctl, const char *path, const char *what)
{
	struct stat st;

	if (lstat(path, &st) != 0 && errno == ENOENT)
		return true;
	ctl_error(ctl, "%s: %s", path, what);
	return false;
}

/* A file and what stands beside it, or a directory, get their names. */
static bool
give_name(struct ctl *ctl, const char *from, const char *to)
{
	char meta_from[4300], meta_to[4300];

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0 &&
	    (errno != EINVAL || rename(from, to) != 0)) {
		ctl_error(ctl, "%s: %s; what was exported is in %s", to, strerror(errno), from);
		return false;
	}
	(void)snprintf(meta_from, sizeof meta_from, "%s." META_NAME, from);
	(void)snprintf(meta_to, sizeof meta_to, "%s." META_NAME, to);
	if (access(meta_from, F_OK) == 0 && rename(meta_from, meta_to) != 0) {
		ctl_error(ctl, "%s: %s", meta_to, strerror(errno));
		return false;
	}
	return true;
}

static enum admin_exit
export_to(struct exporter *x, enum export_format format, const char *target, bool dry_run)
{
	bool to_stdout = strcmp(target, "-") == 0;
	struct parcel_handler count = { x, count_mailbox, count_name, count_message, NULL,
	                                count_end };
	char partial[4200];
	struct err e = ERR_INIT;
	enum admin_exit status;

	if (!dry_run && !to_stdout) {
		(void)snprintf(partial, sizeof partial, "%.4090s.partial", target);
		if (!is_free(x->ctl, target, "it is there already, and nothing is overwritten") ||
		    !is_free(x->ctl, partial,
		             "it is left of an export that was cut: remove it first"))
			return ADMIN_FAILED;
	}
	if (!dry_run && export_open(format, to_stdout ? target : partial,
	                            options_value(&x->ctl->options, "--mailbox") != NULL,
	                            &x->writer, &e) != RC_OK) {
		ctl_error(x->ctl, "%s", e.text);
		return ADMIN_FAILED;
	}
	parcel_reader_init(&x->reader, dry_run ? &count : export_handler(x->writer));
	status = run(x);
	if (!dry_run && (status == ADMIN_OK || status == ADMIN_DAMAGE)) {
		if (export_finish(x->writer, &e) != RC_OK) {
			ctl_error(x->ctl, "%s", e.text);
			status = ADMIN_FAILED;
		} else if (!to_stdout && !give_name(x->ctl, partial, target)) {
			status = ADMIN_FAILED;
		}
	}
	if (status == ADMIN_OK || status == ADMIN_DAMAGE)
		report(x, to_stdout);
	export_free(&x->writer);
	parcel_reader_fini(&x->reader);
	return status;
}

enum admin_exit
ctl_export(struct ctl *ctl)
{
	static const char *const formats[] = { "maildir", "mbox", "eml" };
	const char *format = options_value(&ctl->options, "--format");
	struct exporter x = { .ctl = ctl, .err = ERR_INIT };
	char target[4096];
	size_t kind = 0, len = strlen(ctl->args[1]);

	while (format != NULL && kind < 3 && strcmp(format, formats[kind]) != 0)
		kind++;
	if (format == NULL || kind == 3) {
		ctl_error(ctl, "--format: say maildir, mbox or eml");
		return ADMIN_USAGE;
	}
	while (len > 1 && ctl->args[1][len - 1] == '/')
		len--;
	if (len == 0 || len >= sizeof target) {
		ctl_error(ctl, "this cannot be a file's name");
		return ADMIN_USAGE;
	}
	(void)snprintf(target, sizeof target, "%.*s", (int)len, ctl->args[1]);
	if (strcmp(target, "-") == 0 &&
	    (kind == EXPORT_MAILDIR || options_value(&ctl->options, "--mailbox") == NULL)) {
		ctl_error(ctl, "only one mailbox as mbox, or one message as eml, can be written to "
		               "standard output");
		return ADMIN_USAGE;
	}
	ctl_progress_init(&x.progress);
	return export_to(&x, (enum export_format)kind, target,
	                 options_given(&ctl->options, "--dry-run"));
}
