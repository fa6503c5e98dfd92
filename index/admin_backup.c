/* admin_backup - copies of volumes. See admin.h and store/copy.h.
 *
 * DIR holds a directory for each volume, by its name: so a second volume finds its place later, and
 * what stands there says whose it is. It lies in no volume, where it would be lost with what it is
 * to save, or taken for a part of it.
 */
#include "index/admin_impl.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_LEN 4096u

struct backing_up {
	struct admin_call *c;
	struct volume     *v;
	char               what[80];
};

static bool
on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct backing_up *b = arg;

	return admin_progress(b->c, b->what, done, total);
}

static void
on_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
         const char *what)
{
	struct backing_up *b = arg;

	if (seg.seq == 0)
		return;
	admin_append_finding(&b->c->line, b->v, seg, offset, len, first, last, what);
	admin_complain(b->c, "%.*s", SLICE_ARG(buf_slice(&b->c->line)));
	buf_reset(&b->c->line);
}

static void
add_json(struct buf *line, const struct admin_copy *k, const struct copy_result *r)
{
	struct json j;

	json_init(&j, line);
	json_object(&j, NULL);
	json_cstr(&j, "volume", k->volume);
	json_cstr(&j, "path", k->path);
	json_bool(&j, "dry_run", k->dry_run);
	json_bool(&j, "fresh", r->fresh);
	json_u64(&j, "segments", r->segments);
	json_u64(&j, "bodies", r->bodies);
	json_u64(&j, "bytes", r->bytes);
	json_u64(&j, "pieces_copied", r->pieces_copied);
	json_u64(&j, "bytes_copied", r->bytes_copied);
	json_u64(&j, "removed", r->removed);
	json_u64(&j, "damage", r->damage);
	admin_json_lsn(&j, "last_lsn", r->last_lsn);
	json_end(&j);
}

void
admin_append_copy(struct buf *line, const struct admin_copy *k, const struct copy_result *r)
{
	if (k->json) {
		add_json(line, k, r);
		return;
	}
	buf_printf(line, "%s: %s %s: %llu of %llu byte%s %s, %llu of %llu file%s", k->volume,
	    k->dry_run ? "would be copied to" : "copied to", k->path,
	    (unsigned long long)r->bytes_copied, (unsigned long long)r->bytes,
	    admin_plural(r->bytes), r->fresh ? "(all)" : "(what is new)",
	    (unsigned long long)r->pieces_copied, (unsigned long long)(r->segments + r->bodies),
	    admin_plural(r->segments + r->bodies));
	if (r->removed > 0)
		buf_printf(line, ", %llu removed", (unsigned long long)r->removed);
	buf_append_str(line, "; up to LSN ");
	admin_append_lsn(line, r->last_lsn);
	if (r->damage > 0)
		buf_printf(line, "; DAMAGE in what was copied: %llu",
		           (unsigned long long)r->damage);
}

/* Two into one directory would remove each other's files. */
static enum rc
copy_alone(struct admin_call *c, struct volume *v, const struct copy_params *p,
           const struct log_report *rep, struct copy_result *r, struct err *e)
{
	struct claim claim = { .kind = CLAIM_MAINTENANCE, .what = "a backup" };
	struct timespec began;
	enum rc rc;

	admin_tell_wait(c, v);
	volume_claim_wait(v, &claim);
	(void)clock_gettime(CLOCK_REALTIME, &began);
	rc = log_copy(volume_log(v), p, rep, r, e);
	if (rc == RC_OK && !p->dry_run)
		volume_note_backup(v,
		    (uint64_t)began.tv_sec * 1000000u + (uint64_t)began.tv_nsec / 1000u, p->path);
	volume_release(v, &claim);
	return rc;
}

/* ---- where ---- */

/* The topmost directory above `path` that we may not pass; its length, 0 if there is none. */
static size_t
find_barrier(const char *path)
{
	char part[PATH_LEN];

	for (size_t n = 1; path[n] != '\0' && n < sizeof part; n++) {
		if (path[n] != '/')
			continue;
		snprintf(part, sizeof part, "%.*s", (int)n, path);
		if (access(part, X_OK) != 0)
			return errno == EACCES ? n : 0;
	}
	return 0;
}

/* "/a/b/" to "/a", never further than "/". */
static void
go_up(char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	while (n > 1 && dir[n - 1] != '/')
		n--;
	while (n > 1 && dir[n - 1] == '/')
		n--;
	dir[n] = '\0';
}

/* May files be made in `dir`, or, where it is missing, may it be made? The sandbox is not asked. */
static bool
modes_allow(const char *dir)
{
	char place[PATH_LEN];

	snprintf(place, sizeof place, "%s", dir);
	if (access(place, F_OK) != 0)
		go_up(place);
	return access(place, W_OK | X_OK) == 0;
}

/* Who gave the command is root, often, and wonders what root may not do. */
static void
explain_denied(struct admin_call *c, const char *dir)
{
	const char *who = c->ad->online ? "restanted runs as" : "this runs as";
	bool is_there = access(dir, F_OK) == 0;
	const char *own = is_there ? "/restante" : "";
	size_t barrier = find_barrier(dir);
	char space[4096], user[80];
	struct passwd pw, *found = NULL;

	if (c->ad->online && modes_allow(dir)) {
		admin_complain(c, "the sandbox of restanted keeps it from %s: add it to "
		                  "sandbox_paths and restart, see restante.conf(5)", dir);
		return;
	}
	if (getpwuid_r(geteuid(), &pw, space, sizeof space, &found) == 0 && found != NULL)
		snprintf(user, sizeof user, "%s", found->pw_name);
	else
		snprintf(user, sizeof user, "%lu", (unsigned long)geteuid());
	if (barrier > 0)
		admin_complain(c, "%s the user %s, who may not pass %.*s: choose another place",
		               who, user, (int)barrier, dir);
	else
		/* Not the directory itself, if it is there: other things may lie in it. */
		admin_complain(c,
		               "%s the user %s, who must be able to write there; as root: mkdir -p "
		               "%s%s && chown %s %s%s%s%s%s",
		               who, user, dir, own, user, dir, own,
		               is_there ? ", and back up to " : "", is_there ? dir : "",
		               is_there ? own : "");
	if (c->ad->online)
		admin_complain(c, "the place must be below one of sandbox_paths, too: see "
		                  "restante.conf(5)");
}

static bool
is_volume(const char *dir)
{
	char head[PATH_LEN + sizeof "/head"], log[PATH_LEN + sizeof "/log"];

	snprintf(head, sizeof head, "%s/head", dir);
	snprintf(log, sizeof log, "%s/log", dir);
	return access(head, F_OK) == 0 && access(log, F_OK) == 0;
}

/* The volume that `dir`, or where it is to be made, lies in. */
static bool
find_volume_around(const char *dir, char real[PATH_MAX])
{
	char above[PATH_LEN];

	snprintf(above, sizeof above, "%s", dir);
	if (realpath(above, real) == NULL) {
		go_up(above);
		if (realpath(above, real) == NULL)
			return false;
	}
	for (; real[1] != '\0'; go_up(real))
		if (is_volume(real))
			return true;
	return false;
}

/* The directory of all copies. */
static enum admin_exit
want_directory(struct admin_call *c, const char *dir)
{
	char real[PATH_MAX];

	if (dir[0] != '/') {
		admin_complain(c, "%s: the directory must be given from the root on", dir);
		return ADMIN_USAGE;
	}
	if (is_volume(dir)) {
		admin_complain(
		    c, "%s is a volume; name the directory that holds the backups of volumes", dir);
		return ADMIN_FAILED;
	}
	if (find_volume_around(dir, real)) {
		admin_complain(c, "%s lies in the volume %s: a backup is of use elsewhere only",
		               dir, real);
		return ADMIN_FAILED;
	}
	if (!admin_flag(c, "--dry-run") && mkdir(dir, 0700) != 0 && errno != EEXIST) {
		bool denied = errno == EACCES || errno == EPERM;

		admin_complain(c, "make directory %s: %s", dir, strerror(errno));
		if (denied)
			explain_denied(c, dir);
		return ADMIN_FAILED;
	}
	return ADMIN_OK;
}

/* ---- the copy ---- */

static enum admin_exit
back_up_volume(struct admin_call *c, struct volume *v, const char *dir, uint64_t rate,
               bool *denied)
{
	struct backing_up b = { .c = c, .v = v };
	char path[PATH_LEN];
	const struct log_report rep = { &b, on_found };
	const struct copy_params p = {
		.path = path, .dry_run = admin_flag(c, "--dry-run"), .rate = rate,
		.progress = on_progress, .progress_arg = &b
	};
	const struct admin_copy k = { volume_name(v), path, p.dry_run, c->json };
	struct copy_result r;
	struct err e = ERR_INIT;

	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, volume_name(v)) >= sizeof path) {
		admin_complain(c, "%s: the name is too long", dir);
		return ADMIN_FAILED;
	}
	snprintf(b.what, sizeof b.what, "copying %.60s", volume_name(v));
	if (copy_alone(c, v, &p, &rep, &r, &e) != RC_OK) {
		*denied = *denied || e.os == EACCES || e.os == EPERM;
		err_add(&e, "backup of %s", volume_name(v));
		return admin_fail(c, &e);
	}
	admin_append_copy(&c->line, &k, &r);
	admin_send(c);
	return r.damage > 0 ? ADMIN_DAMAGE : ADMIN_OK;
}

enum admin_exit
admin_backup(struct admin_call *c)
{
	const char *text = admin_option(c, "--rate");
	enum admin_exit status;
	uint64_t rate = 0;
	bool denied = false;
	struct volume *v;
	size_t i = 0;

	if (text != NULL && !admin_parse_size(slice_str(text), &rate))
		return ADMIN_USAGE;
	status = want_directory(c, c->args[0]);
	if (status != ADMIN_OK)
		return status;
	while ((v = admin_next_volume(c, &i)) != NULL && !c->stopped)
		status = admin_worse(status, back_up_volume(c, v, c->args[0], rate, &denied));
	if (denied)
		explain_denied(c, c->args[0]);
	return status;
}
