/* ctl_lint - lint of files, and of a mailbox through the admin verb.
 *
 * Files are read here, by whoever calls, without a configuration; a mailbox is read where its
 * volume is open. A file that cannot be read does not stop the others.
 */
#define _GNU_SOURCE
#include "tools/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/lint_output.h"

#define CHUNK 65536u

struct out {
	const char *name;
	bool        json;
	bool        failed;
	struct buf  line;
};

static void
print_finding(void *arg, const struct lint_finding *f)
{
	struct out *o = arg;
	struct json j;

	buf_reset(&o->line);
	if (o->json) {
		json_init(&j, &o->line);
		json_object(&j, NULL);
		json_cstr(&j, "file", o->name);
		lint_append_json(&j, f);
		json_end(&j);
	} else {
		lint_append_text(&o->line, o->name, f);
	}
	buf_append_byte(&o->line, '\n');
	o->failed = o->failed || o->line.failed ||
	            fwrite(o->line.ptr, 1, o->line.len, stdout) != o->line.len;
}

static bool
feed_file(struct ctl *ctl, int fd, const char *name, struct lint *l)
{
	uint8_t chunk[CHUNK];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			ctl_error(ctl, "%s: %s", name, strerror(errno));
			return false;
		}
		lint_feed(l, slice_of(chunk, (size_t)n));
	}
	return true;
}

static enum admin_exit
lint_fd(struct ctl *ctl, int fd, const char *name)
{
	struct out o = { .name = name, .json = options_given(&ctl->options, "--json") };
	struct lint *l = lint_new();
	enum admin_exit status = ADMIN_FAILED;

	buf_init(&o.line, CHUNK + strlen(name) * 6);
	if (l == NULL) {
		ctl_error(ctl, "out of memory");
	} else if (feed_file(ctl, fd, name, l)) {
		if (!lint_finish(l, print_finding, &o) || o.failed)
			ctl_error(ctl, "%s: out of memory, or standard output cannot be written",
			          name);
		else
			status = lint_count(l, LINT_ERROR) > 0 ? ADMIN_DAMAGE : ADMIN_OK;
	}
	lint_free(&l);
	buf_fini(&o.line);
	return status;
}

static enum admin_exit
lint_file(struct ctl *ctl, const char *path)
{
	enum admin_exit status;
	int fd;

	if (strcmp(path, "-") == 0)
		return lint_fd(ctl, STDIN_FILENO, "-");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ctl_error(ctl, "%s: %s", path, strerror(errno));
		return ADMIN_FAILED;
	}
	status = lint_fd(ctl, fd, path);
	close(fd);
	return status;
}

enum admin_exit
ctl_lint(struct ctl *ctl)
{
	bool unread = false, errors = false;

	if (options_given(&ctl->options, "--mailbox"))
		return ctl_forward(ctl);
	for (int i = 0; i < ctl->argc; i++) {
		enum admin_exit one = lint_file(ctl, ctl->args[i]);

		unread = unread || one == ADMIN_FAILED;
		errors = errors || one == ADMIN_DAMAGE;
	}
	return unread ? ADMIN_FAILED : errors ? ADMIN_DAMAGE : ADMIN_OK;
}
