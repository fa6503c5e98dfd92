/* backend_orphan - at the start of a local volume: segments that the head does not list.
 *
 * A segment counts from the moment that the head lists it, and nothing is acknowledged in it before both copies of the
 * head do. What was made and not listed is of no use, and may hold what somebody wants gone:
 * - Both copies hold: what they do not list goes.
 * - One does not. Mostly the power failed while it was written. But the other might also be older than what was lost, and
 *   then an unlisted segment may be all there is of some mail. So we look: what begins with a record that the log has is a
 *   compaction's copy, and what has no record was never written to. Both go. All else is put aside, under a name that no
 *   start removes and no segment gets, before the head is written: from then on both copies hold. Each start tells of it.
 *   And the epoch is raised past that of every file, so that no name, LSN or MODSEQ is given a second time.
 *
 * Rejected: putting such a segment back into the log where its LSNs continue it. What is lost of the head may also have
 * dropped it: then its copy, if there is one, lacks what was purged, and it has it.
 */
#include "store/backend_local.h"
#include "store/copy.h"
#include "store/frame.h"
#include "store/fs.h"
#include "store/piece.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

void
file_drop_orphans(struct file_backend *b)
{
	struct seg_id *ids = NULL;
	size_t count = 0;
	struct err e;

	if (b->root.bad_slots > 0 || piece_list(b->logfd, SEG_LOG, &ids, &count, &e) != RC_OK)
		return;
	for (size_t i = 0; i < count; i++)
		if (!root_names(&b->root, &ids[i]))
			(void)piece_remove(b->logfd, &ids[i]);
	free(ids);
}

enum rc
file_count_kept(struct file_backend *b, struct err *e)
{
	struct seg_id *ids = NULL;
	size_t count = 0;
	enum rc rc = piece_list(b->logfd, SEG_KEPT, &ids, &count, e);

	if (rc == RC_OK)
		b->root.kept = (uint32_t)count;
	free(ids);
	return rc;
}

/* The last LSN that a listed segment is known to have; of an open one that is the last before it. 0: a segment is not
 * what it was, and who knows what is. */
static log_lsn
last_listed(const struct file_backend *b)
{
	log_lsn last = 0;

	for (uint32_t i = 0; i < b->root.segment_count; i++) {
		const struct root_segment *s = &b->root.segments[i];
		char name[PIECE_NAME_LEN];
		struct stat st;

		piece_name(&s->id, name);
		if (fstatat(b->logfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    (s->state != SEGMENT_OPEN && (uint64_t)st.st_size < s->len))
			return 0;
		if (s->last_lsn > last)
			last = s->last_lsn;
	}
	return last;
}

static bool
is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* Might it say what the log does not have? */
static bool
says_more(int logfd, const struct seg_id *id, log_lsn last)
{
	uint8_t bytes[SEGMENT_HDR_LEN + FRAME_HDR_LEN] = { 0 };
	struct segment_hdr seg;
	struct frame_hdr frame;
	int fd = piece_open(logfd, id);
	ssize_t n = fd >= 0 ? fs->pread(fd, bytes, sizeof bytes, 0) : -1;

	if (fd >= 0)
		fs->close(fd);
	if (n < 0)
		return true;
	if (is_zero(bytes + SEGMENT_HDR_LEN, FRAME_HDR_LEN))
		return false;
	return !segment_hdr_decode(slice_of(bytes, SEGMENT_HDR_LEN), &seg) ||
	       !frame_hdr_decode(bytes + SEGMENT_HDR_LEN, seg.key, SEGMENT_HDR_LEN, &frame) ||
	       frame.first_lsn > last;
}

static enum rc
put_aside(int logfd, const struct seg_id *id, struct err *e)
{
	const struct seg_id kept = { id->seq, id->epoch, SEG_KEPT };
	char from[PIECE_NAME_LEN], to[PIECE_NAME_LEN];

	piece_name(id, from);
	piece_name(&kept, to);
	return fs->rename(logfd, from, logfd, to) == 0 ? RC_OK : err_os(e, errno, "put %s aside", from);
}

static enum rc
look_at_unlisted(struct file_backend *b, struct err *e)
{
	log_lsn last = last_listed(b);
	struct seg_id *ids = NULL;
	size_t count = 0;
	enum rc rc = piece_list(b->logfd, SEG_LOG, &ids, &count, e);

	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		if (root_names(&b->root, &ids[i]))
			continue;
		if (says_more(b->logfd, &ids[i], last))
			rc = put_aside(b->logfd, &ids[i], e);
		else
			(void)piece_remove(b->logfd, &ids[i]);
	}
	free(ids);
	return rc == RC_OK ? dir_sync(b->logfd, e) : rc;
}

static enum rc
raise_past_names(struct file_backend *b, enum seg_kind kind, struct err *e)
{
	struct seg_id *ids = NULL;
	size_t count = 0;
	enum rc rc = piece_list(b->logfd, kind, &ids, &count, e);

	for (size_t i = 0; rc == RC_OK && i < count; i++)
		if (ids[i].epoch > b->root.epoch && ids[i].epoch < LSN_EPOCH_MAX - COPY_EPOCHS)
			b->root.epoch = ids[i].epoch;
	free(ids);
	return rc;
}

enum rc
file_keep_orphans(struct file_backend *b, struct err *e)
{
	enum rc rc = RC_OK;

	/* What a backup that was cut has copied is in the original, too. */
	if (b->root.bad_slots == 0 || (b->root.flags & ROOT_COPY) != 0)
		return RC_OK;
	rc = look_at_unlisted(b, e);
	for (enum seg_kind kind = SEG_LOG; kind <= SEG_KEPT && rc == RC_OK; kind++)
		rc = raise_past_names(b, kind, e);
	return rc;
}
