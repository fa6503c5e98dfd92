/* ctl_backup - backup, verify, and restore of a whole volume. See store/copy.h.
 *
 * verify needs no configuration, as a backup may lie on a machine that has none; restore writes
 * into the place that the configuration names, which must be empty: nothing is overwritten.
 */
#include "tools/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/copy.h"
#include "tools/next_epoch.h"

#define PATH_LEN 4096u

static bool
has_head(const char *dir)
{
	char name[PATH_LEN + sizeof "/head"];

	return (size_t)snprintf(name, sizeof name, "%s/head", dir) < sizeof name &&
	       access(name, F_OK) == 0;
}

/* The daemon's working directory is another one. */
enum admin_exit
ctl_backup(struct ctl *ctl)
{
	char here[PATH_LEN], path[2 * PATH_LEN];

	if (ctl->args[0][0] == '/')
		return ctl_forward(ctl);
	if (ctl->args[0][0] == '\0') {
		ctl_error(ctl, "no directory is named");
		return ADMIN_USAGE;
	}
	if (getcwd(here, sizeof here) == NULL) {
		ctl_error(ctl, "working directory: %s", strerror(errno));
		return ADMIN_FAILED;
	}
	snprintf(path, sizeof path, "%s/%s", here, ctl->args[0]);
	ctl->args[0] = path;
	return ctl_forward(ctl);
}

/* ---- verify ---- */

static enum rc
open_one(struct ctl *ctl, const char *name, const char *path, struct err *e)
{
	struct volume_params p = { .name = name, .path = path, .mode = VOLUME_READ };
	enum rc rc;

	if (ctl->volume_count == CONF_VOLUMES_MAX)
		return err_set(e, RC_LIMIT, "more than %u volumes", (unsigned)CONF_VOLUMES_MAX);
	rc = volume_open(&p, &ctl->volumes[ctl->volume_count], e);
	if (rc == RC_OK)
		ctl->volume_count++;
	return rc;
}

static int
is_volume(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* The volume that the directory is, or those that it holds. */
static enum rc
open_backups(struct ctl *ctl, const char *dir, struct err *e)
{
	struct dirent **names;
	const char *base = strrchr(dir, '/');
	bool barred = false;    /* from one that may be a volume */
	enum rc rc = RC_OK;
	int n;

	if (has_head(dir))
		return open_one(ctl, base != NULL && base[1] != '\0' ? base + 1 : dir, dir, e);
	n = scandir(dir, &names, is_volume, alphasort);
	if (n < 0)
		return err_os(e, errno, "list %s", dir);
	for (int i = 0; i < n; i++) {
		char path[PATH_LEN];

		snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
		if (rc == RC_OK && has_head(path))
			rc = open_one(ctl, names[i]->d_name, path, e);
		else
			barred = barred || errno == EACCES;
		free(names[i]);
	}
	free(names);
	if (rc == RC_OK && ctl->volume_count == 0)
		rc = barred ? err_os(e, EACCES, "look for a backup in %s", dir)
		            : err_set(e, RC_NOT_FOUND, "%s: there is no backup", dir);
	return rc;
}

enum admin_exit
ctl_verify(struct ctl *ctl)
{
	const char *argv[] = { "check", "--json" };
	struct err e = ERR_INIT;
	enum rc rc = open_backups(ctl, ctl->args[0], &e);

	if (rc != RC_OK) {
		ctl_error(ctl, "%s", e.text);
		return rc == RC_CORRUPT ? ADMIN_DAMAGE : ADMIN_FAILED;
	}
	return ctl_run_opened(ctl, options_given(&ctl->options, "--json") ? 2 : 1, argv);
}

/* ---- restore of a volume ---- */

static const struct conf_volume *
choose_volume(struct ctl *ctl)
{
	const char *name = options_value(&ctl->options, "--volume");

	if (name == NULL && ctl->conf->n_volumes == 1)
		return &ctl->conf->volumes[0];
	for (size_t i = 0; name != NULL && i < ctl->conf->n_volumes; i++)
		if (strcmp(ctl->conf->volumes[i].named.name, name) == 0)
			return &ctl->conf->volumes[i];
	if (name == NULL)
		ctl_error(ctl, "which volume? --volume names it");
	else
		ctl_error(ctl, "%s has no section [volume %s]: add it, with its path, first",
		          ctl->conf->path, name);
	return NULL;
}

static bool
find_backup(struct ctl *ctl, const struct conf_volume *cv, const char *from, char dst[PATH_LEN])
{
	snprintf(dst, PATH_LEN, "%s/%s", from, cv->named.name);
	if (has_head(dst))
		return true;
	snprintf(dst, PATH_LEN, "%s", from);
	if (has_head(dst))
		return true;
	ctl_error(ctl, "%s holds no backup of %s", from, cv->named.name);
	return false;
}

struct restoring {
	struct ctl         *ctl;
	struct ctl_progress progress;
};

static bool
on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct restoring *r = arg;

	ctl_progress_show(&r->progress, "putting back", done, total);
	return true;
}

static void
on_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
         const char *what)
{
	struct restoring *r = arg;

	(void)len, (void)first, (void)last;
	ctl_progress_clear(&r->progress);
	ctl_error(r->ctl, "the backup is damaged: piece %llu-%u at offset %llu: %s",
	          (unsigned long long)seg.seq, seg.epoch, (unsigned long long)offset, what);
}

/* One more volume is being made of this backup. Where that cannot be noted, the admin
 * has to remember. */
static void
note_epoch(struct ctl *ctl, const char *from, uint32_t epoch)
{
	struct err e = ERR_INIT;

	if (next_epoch_write(from, epoch + COPY_EPOCHS, &e) != RC_OK)
		ctl_error(ctl,
		          "warning: %s: it cannot be noted that this backup was put back. Make a "
		          "new one soon: put back again, this one would give other messages the "
		          "UIDs that clients have seen until then",
		          e.text);
}

/* A try that is refused costs nothing. */
static enum rc
copy_back(struct ctl *ctl, struct log *log, const char *from, const struct copy_params *params,
          const struct log_report *rep, struct copy_result *r, struct err *e)
{
	struct copy_params p = *params;
	enum rc rc = next_epoch_read(from, &p.epoch, e);

	p.dry_run = true;
	if (rc == RC_OK)
		rc = log_copy(log, &p, rep, r, e);
	if (rc != RC_OK || params->dry_run)
		return rc;
	note_epoch(ctl, from, r->epoch);
	p.dry_run = false;
	return log_copy(log, &p, rep, r, e);
}

static enum admin_exit
put_back(struct ctl *ctl, const struct conf_volume *cv, const char *from, uint64_t rate)
{
	struct restoring s = { .ctl = ctl };
	const struct log_params lp = { .path = from, .mode = LOG_READ };
	const struct log_report rep = { &s, on_found };
	const struct copy_params p = {
		.path = cv->path, .fresh_only = true,
		.dry_run = options_given(&ctl->options, "--dry-run"), .rate = rate,
		.progress = on_progress, .progress_arg = &s
	};
	const struct admin_copy k = { cv->named.name, cv->path, p.dry_run,
	                              options_given(&ctl->options, "--json") };
	struct copy_result r;
	struct err e = ERR_INIT;
	struct log *log;
	struct buf line;
	enum rc rc;

	ctl_progress_init(&s.progress);
	rc = log_open(&lp, NULL, &log, &e);
	if (rc == RC_OK) {
		rc = copy_back(ctl, log, from, &p, &rep, &r, &e);
		log_close(&log);
	}
	ctl_progress_clear(&s.progress);
	if (rc != RC_OK) {
		ctl_error(ctl, "%s", e.text);
		return rc == RC_CORRUPT ? ADMIN_DAMAGE : ADMIN_FAILED;
	}
	buf_init(&line, 2 * PATH_LEN);
	admin_append_copy(&line, &k, &r);
	printf("%.*s\n", SLICE_ARG(buf_slice(&line)));
	buf_fini(&line);
	if (!k.json && !p.dry_run)
		printf("%s: the next start makes a volume of it\n", cv->named.name);
	return r.damage > 0 ? ADMIN_DAMAGE : ADMIN_OK;
}

enum admin_exit
ctl_restore_volume(struct ctl *ctl)
{
	const char *from = options_value(&ctl->options, "--from"),
	           *text = options_value(&ctl->options, "--rate");
	const struct conf_volume *cv;
	char path[PATH_LEN];
	uint64_t rate = 0;

	if (from == NULL || options_given(&ctl->options, "--at") ||
	    options_given(&ctl->options, "--mailbox") || options_given(&ctl->options, "--into") ||
	    (text != NULL && !admin_parse_size(slice_str(text), &rate))) {
		ctl_error(ctl, "usage: restantectl [-c FILE] %s", ctl->verb->usage);
		return ADMIN_USAGE;
	}
	if (!ctl_prepare(ctl))
		return ADMIN_FAILED;
	cv = choose_volume(ctl);
	if (cv == NULL || !find_backup(ctl, cv, from, path))
		return ADMIN_FAILED;
	return put_back(ctl, cv, path, rate);
}
