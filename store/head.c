/* head - the root's slots. See head.h.
 *
 * Rejected: a new file renamed over the old one (needs space when there is none, and the lock
 * lies on the file).
 */
#include "store/head.h"

#include "lib/bytes.h"
#include "lib/siphash.h"
#include "store/fs.h"
#include "store/piece.h"

#include <errno.h>
#include <stdlib.h>

#define HEAD_MAGIC    "RSTHEAD1"
#define HEAD_FIXED    64u
#define SEGMENT_BYTES 64u
#define SUM_BYTES     8u
#define MORE_FIXED    32u       /* of what stands behind the segments, if anything does */
#define DROPPED_BYTES 16u

/* The head's sum guards against accidents only: its key is no secret. */
static const uint8_t no_key[SIPHASH_KEY_LEN];

static void
encode_segment(uint8_t *p, const struct root_segment *s)
{
	put_le64(p, s->id.seq);
	put_le32(p + 8, s->id.epoch);
	put_le32(p + 12, s->state);
	put_le64(p + 16, s->len);
	put_le64(p + 24, s->first_lsn);
	put_le64(p + 32, s->last_lsn);
	put_le64(p + 40, s->last_time_us);
	memcpy(p + 48, s->key, SEGMENT_KEY_LEN);
}

static bool
decode_segment(const uint8_t *p, struct root_segment *s)
{
	uint32_t state = get_le32(p + 12);

	if (state < SEGMENT_OPEN || state > SEGMENT_COMPACTED)
		return false;
	s->id = (struct seg_id){ get_le64(p), get_le32(p + 8), SEG_LOG };
	s->state = (enum segment_state)state;
	s->len = get_le64(p + 16);
	s->first_lsn = get_le64(p + 24);
	s->last_lsn = get_le64(p + 32);
	s->last_time_us = get_le64(p + 40);
	memcpy(s->key, p + 48, SEGMENT_KEY_LEN);
	return true;
}

/* How many bytes stand behind the segments: none in a volume that was never compacted. */
static size_t
more_len(const struct root *r)
{
	if (r->flags == 0 && r->compactions == 0 && r->dropped_count == 0)
		return 0;
	return MORE_FIXED + (size_t)r->dropped_count * DROPPED_BYTES;
}

static void
encode_more(uint8_t *p, const struct root *r)
{
	put_le64(p, r->compactions);
	put_le64(p + 8, r->compacted_us);
	put_le32(p + 16, r->flags);
	put_le32(p + 20, r->dropped_count);
	memset(p + 24, 0, MORE_FIXED - 24);
	p += MORE_FIXED;
	for (uint32_t i = 0; i < r->dropped_count; i++, p += DROPPED_BYTES) {
		put_le64(p, r->dropped[i].seq);
		put_le32(p + 8, r->dropped[i].epoch);
		put_le32(p + 12, r->dropped[i].kind);
	}
}

static enum rc
decode_more(const uint8_t *p, size_t len, struct root *r, struct err *e)
{
	if (len == 0)
		return RC_OK;
	r->compactions = get_le64(p);
	r->compacted_us = get_le64(p + 8);
	r->flags = get_le32(p + 16);
	r->dropped_count = get_le32(p + 20);
	p += MORE_FIXED;
	r->dropped = calloc(r->dropped_count > 0 ? r->dropped_count : 1, sizeof *r->dropped);
	if (r->dropped == NULL)
		return err_nomem(e);
	for (uint32_t i = 0; i < r->dropped_count; i++, p += DROPPED_BYTES) {
		uint32_t kind = get_le32(p + 12);

		if (kind != SEG_LOG && kind != SEG_BODY)
			return err_set(e, RC_CORRUPT,
			               "the head lists a dropped piece of an unknown kind");
		r->dropped[i] = (struct seg_id){ get_le64(p), get_le32(p + 8), kind };
	}
	return RC_OK;
}

enum rc
head_encode(const struct root *r, uint64_t generation, struct buf *out, struct err *e)
{
	size_t more = more_len(r);
	size_t len = HEAD_FIXED + r->takeover_count * 8u +
		     (size_t)r->segment_count * SEGMENT_BYTES + more + SUM_BYTES;
	uint8_t *p, *start;

	if (len > HEAD_SLOT_LEN)
		return err_set(e, RC_LIMIT,
		    "the head has no room for %u segments and %u dropped pieces", r->segment_count,
		    r->dropped_count);
	p = start = buf_reserve(out, len);
	if (p == NULL)
		return err_nomem(e);
	memset(p, 0, HEAD_FIXED);
	memcpy(p, HEAD_MAGIC, 8);
	put_le32(p + 8, (uint32_t)len);
	put_le32(p + 12, r->epoch);
	put_le64(p + 16, generation);
	memcpy(p + 24, r->volume_id, VOLUME_ID_LEN);
	put_le64(p + 40, r->floor);
	put_le32(p + 48, r->pid);
	put_le32(p + 52, r->takeover_count);
	put_le32(p + 56, r->segment_count);
	put_le32(p + 60, (uint32_t)more);
	p += HEAD_FIXED;
	for (uint32_t i = 0; i < r->takeover_count; i++, p += 8)
		put_le64(p, r->takeovers[i]);
	for (uint32_t i = 0; i < r->segment_count; i++, p += SEGMENT_BYTES)
		encode_segment(p, &r->segments[i]);
	if (more > 0)
		encode_more(p, r);
	p += more;
	put_le64(p, siphash(no_key, start, len - SUM_BYTES));
	buf_commit(out, len);
	return RC_OK;
}

/* A slot whose sum holds, of this format or a newer one: these fields stay where they are. 0: it
 * does not hold. */
static uint32_t
slot_version(struct slice slot)
{
	const size_t name = sizeof HEAD_MAGIC - 2;
	uint32_t len;

	if (slot.len < HEAD_FIXED + SUM_BYTES || memcmp(slot.ptr, HEAD_MAGIC, name) != 0)
		return 0;
	len = get_le32(slot.ptr + 8);
	if (len > slot.len || len < HEAD_FIXED + SUM_BYTES ||
	    get_le64(slot.ptr + len - SUM_BYTES) != siphash(no_key, slot.ptr, len - SUM_BYTES))
		return 0;
	return slot.ptr[name] >= '1' && slot.ptr[name] <= '9' ? slot.ptr[name] - (uint32_t)'0' : 0;
}

static bool
slot_is_good(struct slice slot)
{
	uint32_t len, takeovers, segments, more;

	if (slot.len < HEAD_FIXED + SUM_BYTES || memcmp(slot.ptr, HEAD_MAGIC, 8) != 0)
		return false;
	len = get_le32(slot.ptr + 8);
	takeovers = get_le32(slot.ptr + 52);
	segments = get_le32(slot.ptr + 56);
	more = get_le32(slot.ptr + 60);
	if (len > slot.len || takeovers > TAKEOVERS_MAX ||
	    segments > HEAD_SLOT_LEN / SEGMENT_BYTES || more > HEAD_SLOT_LEN ||
	    (more > 0 && more < MORE_FIXED))
		return false;
	if (len != HEAD_FIXED + takeovers * 8 + segments * SEGMENT_BYTES + more + SUM_BYTES)
		return false;
	if (more > 0 &&
	    get_le32(slot.ptr + len - SUM_BYTES - more + 20) > (more - MORE_FIXED) / DROPPED_BYTES)
		return false;
	return get_le64(slot.ptr + len - SUM_BYTES) == siphash(no_key, slot.ptr, len - SUM_BYTES);
}

static enum rc
decode_segments(const uint8_t *p, uint32_t count, struct root *r, struct err *e)
{
	if (count == 0)
		return RC_OK;
	r->segments = calloc(count, sizeof *r->segments);
	if (r->segments == NULL)
		return err_nomem(e);
	r->segment_count = count;
	for (uint32_t i = 0; i < count; i++, p += SEGMENT_BYTES)
		if (!decode_segment(p, &r->segments[i]))
			return err_set(e, RC_CORRUPT,
			               "the head lists a segment in an unknown state");
	return RC_OK;
}

enum rc
head_decode(struct slice slot, struct root *r, uint64_t *generation, struct err *e)
{
	const uint8_t *p = slot.ptr;
	uint32_t segments, more;
	enum rc rc;

	if (slot_version(slot) > LOG_FORMAT)
		return err_set(e, RC_DENIED,
		    "the volume is of format %u, of a newer version of Restante; this "
		    "one reads format %u",
		    slot_version(slot), LOG_FORMAT);
	if (!slot_is_good(slot))
		return err_set(e, RC_CORRUPT, "a slot of the head does not hold");
	memset(r, 0, sizeof *r);
	r->epoch = get_le32(p + 12);
	*generation = get_le64(p + 16);
	memcpy(r->volume_id, p + 24, VOLUME_ID_LEN);
	r->floor = get_le64(p + 40);
	r->pid = get_le32(p + 48);
	r->takeover_count = get_le32(p + 52);
	segments = get_le32(p + 56);
	more = get_le32(p + 60);
	p += HEAD_FIXED;
	for (uint32_t i = 0; i < r->takeover_count; i++, p += 8)
		r->takeovers[i] = get_le64(p);
	rc = decode_segments(p, segments, r, e);
	if (rc == RC_OK)
		rc = decode_more(p + (size_t)segments * SEGMENT_BYTES, more, r, e);
	if (rc != RC_OK)
		root_fini(r);
	return rc;
}

/* The slot's bytes, as many as the file has. */
static enum rc
read_slot(int fd, unsigned slot, uint8_t *dst, size_t *len, struct err *e)
{
	for (*len = 0; *len < HEAD_SLOT_LEN;) {
		ssize_t n = fs->pread(fd, dst + *len, HEAD_SLOT_LEN - *len,
		    (off_t)(slot * (size_t)HEAD_SLOT_LEN + *len));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_os(e, errno, "read head");
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return RC_OK;
}

enum rc
head_read(int fd, struct root *r, uint64_t *generation, unsigned *bad_slots, struct err *e)
{
	uint8_t *bytes = malloc(HEAD_SLOT_LEN);
	struct root found;
	uint64_t gen;
	size_t len;
	bool any = false;
	enum rc rc;

	if (bytes == NULL)
		return err_nomem(e);
	*bad_slots = 0;
	for (unsigned slot = 0; slot < 2; slot++) {
		rc = read_slot(fd, slot, bytes, &len, e);
		if (rc == RC_OK)
			rc = head_decode(slice_of(bytes, len), &found, &gen, e);
		if (rc == RC_DENIED) {
			if (any)
				root_fini(r);
			free(bytes);
			return rc;
		}
		if (rc !=
		    RC_OK) { /* an unreadable sector is as bad as a wrong sum: the
		              * other slot decides */
			++*bad_slots;
			continue;
		}
		if (any && gen <= *generation) {
			root_fini(&found);
			continue;
		}
		if (any)
			root_fini(r);
		*r = found;
		*generation = gen;
		any = true;
	}
	free(bytes);
	return any ? RC_OK : err_set(e, RC_CORRUPT, "neither slot of the head holds");
}

static enum rc
write_slot(int fd, const struct root *r, uint64_t generation, struct buf *b, struct err *e)
{
	struct iovec iov;
	enum rc rc;
	int os;

	buf_reset(b);
	rc = head_encode(r, generation, b, e);
	if (rc != RC_OK)
		return rc;
	iov = (struct iovec){ b->ptr, b->len };
	os = write_all(fd, &iov, 1, generation % 2 * HEAD_SLOT_LEN);
	if (os != 0)
		return err_os(e, os, "write head");
	if (fs->fdatasync(fd) != 0)
		return err_os(e, errno, "sync head");
	return RC_OK;
}

enum rc
head_write(int fd, const struct root *r, uint64_t *generation, struct err *e)
{
	struct buf b;
	enum rc rc = RC_OK;

	buf_init(&b, HEAD_SLOT_LEN);
	for (int i = 0; i < 2 && rc == RC_OK; i++)
		rc = write_slot(fd, r, ++*generation, &b, e);
	buf_fini(&b);
	return rc;
}
