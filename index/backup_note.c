/* backup_note - when the last backup of a volume began, and where it is, for its status.
 *
 * In the file `backup` beside the index, as it must outlive the server: an admin who asks after a
 * restart wants to know the same. Not in the index, which is disposable, and not in the log, whose
 * records are mail: a copy of the volume would say of itself when the original was copied. Made
 * under another name, synced and renamed, so that a cut leaves the former one. A lost or garbled
 * one costs that line of the status.
 */
#include "index/volume_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/logging.h"
#include "store/fs.h"
#include "store/replace.h"

#define PATH_LEN 4096u
#define NOTE_MAX (PATH_LEN + 64u)
#define HEAD     "backup 1 at "

/* The lock is not held. */
static void
remember(struct volume *v, uint64_t time_us, const char *where)
{
	char *copy = strdup(where);

	(void)pthread_mutex_lock(&v->maintenance.lock);
	free(v->maintenance.backed_up_to);
	v->maintenance.backed_up_to = copy;
	v->maintenance.backed_up_us = time_us;
	(void)pthread_mutex_unlock(&v->maintenance.lock);
}

void
volume_note_backup(struct volume *v, uint64_t time_us, const char *where)
{
	struct err e = ERR_INIT;
	char text[NOTE_MAX], path[PATH_LEN];
	struct logline l;
	int n = snprintf(text, sizeof text, HEAD "%" PRIu64 " to %s\n", time_us, where);

	remember(v, time_us, where);
	if (!v->owner)
		return;         /* who only looks writes nothing */
	(void)snprintf(path, sizeof path, "%s/backup", v->path);
	if (n > 0 && (size_t)n < sizeof text &&
	    file_replace(path, slice_of(text, (size_t)n), &e) == RC_OK)
		return;
	log_begin(&l, LOGLEVEL_WARN, "volume.backup_not_noted");
	log_cstr(&l, "volume", v->name);
	log_err(&l, &e);
	log_end(&l);
}

/* "backup 1 at 1763787600000000 to /backups/v1", where the path may hold any byte but NUL. */
void
backup_note_read(struct volume *v)
{
	char path[PATH_LEN], text[NOTE_MAX + 1], *end;
	unsigned long long time_us;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "%s/backup", v->path);
	fd = fs->open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0)
		return;
	n = fs->pread(fd, text, NOTE_MAX, 0);
	(void)fs->close(fd);
	if (n < (ssize_t)sizeof HEAD || memcmp(text, HEAD, sizeof HEAD - 1) != 0 ||
	    text[n - 1] != '\n')
		return;
	text[n - 1] = '\0';
	time_us = strtoull(text + sizeof HEAD - 1, &end, 10);
	if (time_us > 0 && strncmp(end, " to ", 4) == 0 && end[4] != '\0')
		remember(v, time_us, end + 4);
}
