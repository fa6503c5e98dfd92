/* bytes at random of a larger volume: many accounts, segments of all kinds, out-of-line bodies.
 * Each one that is changed is found by check, which names the piece, the frame, the records, and
 * every account, mailbox and UID concerned and nobody else; and all the rest is served meanwhile.
 * [FIELD s5, property 5] test_bitrot does so with every byte of a small volume.
 *
 * BITROT_FLIPS bytes (200), chosen and changed by BITROT_SEED (1), which also makes the volume;
 * `make bit-rot` for more; BITROT_FROM goes straight to the one that failed. Half of them lie
 * anywhere in the log, the other half in a piece that is chosen first, so that small pieces
 * get their share.
 *
 * Whom a byte concerns is known from the log itself, read before the first one is changed. */
#include "tests/unit/compact_fixture.h"

#include "store/frame.h"

#define ACCOUNTS     12u
#define STEPS        420u
#define FRAMES_MAX   4096u
#define MENTIONS_MAX 65536u
#define BOXES_MAX    256u

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define FLIPS 20u
#else
#define FLIPS 200u
#endif

static uint32_t seed;

static uint32_t
pick(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* ---- what is in the log ---- */

struct frame {
	struct frame_info info;
	uint32_t          types;        /* bits */
};

/* That a record of a frame is about an account, a mailbox or messages. */
struct mention {
	size_t     frame;       /* FRAMES_MAX: of none that is there any more */
	account_id account;
	mailbox_id mailbox;     /* 0: the account */
	mail_uid   first, last; /* 0: the mailbox */
	blob_id    blob;        /* of a message */
};

struct stored {
	blob_id       id;
	size_t        frame;
	struct seg_id body;     /* seq 0: inline */
};

struct live {
	struct mailbox_info box;
	struct slice        account_name;
	struct message_row  row;
	struct slice        bytes;
};

static struct {
	account_id     accounts[ACCOUNTS];
	struct frame   frames[FRAMES_MAX];
	size_t         frame_count;
	struct mention mentions[MENTIONS_MAX];
	size_t         mention_count;
	struct stored  blobs[FRAMES_MAX];
	size_t         blob_count;
	struct live    mails[FRAMES_MAX];
	size_t         mail_count;
	struct mailbox_info boxes[BOXES_MAX];
	size_t         box_count;
	struct root_segment *segments;
	uint32_t       segment_count;
	struct log_addr bodies[64];
	size_t         body_count;
} vol;

static void
mention(account_id account, mailbox_id box, mail_uid first, mail_uid last, blob_id blob)
{
	assert_true(vol.mention_count < MENTIONS_MAX);
	vol.mentions[vol.mention_count++] = (struct mention){ vol.frame_count - 1, account, box,
	                                                      first, last, blob };
}

static void
mention_messages(const struct record_messages *m)
{
	const struct uid_range whole = { m->first_uid, m->first_uid + m->count - 1 };
	const struct uid_range *range = m->uids != NULL ? m->uids : &whole;
	mail_uid uid = m->first_uid;

	for (uint32_t i = 0; i < m->count; i++) {
		mention(0, m->mailbox, uid, uid, m->messages[i].blob);
		if (uid == range->last && i + 1 < m->count)
			uid = (++range)->first;
		else
			uid++;
	}
}

static void
mention_ranges(mailbox_id box, const struct uid_range *uids, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		mention(0, box, uids[i].first, uids[i].last, 0);
}

static void
note_blob(const struct record *r)
{
	const struct log_addr *body = &r->u.blob.body;

	assert_true(vol.blob_count < FRAMES_MAX);
	vol.blobs[vol.blob_count++] = (struct stored){ r->lsn, vol.frame_count - 1,
	                                               body->len > 0 ? body->seg :
	                                               (struct seg_id){ 0, 0, SEG_BODY } };
	if (body->len > 0) {
		assert_true(vol.body_count < UNIT_COUNT(vol.bodies));
		vol.bodies[vol.body_count++] = *body;
	}
}

static enum rc
see_record(void *arg, const struct frame_info *f, const struct record *r,
           const struct log_addr *addr, struct err *e)
{
	struct frame *last = &vol.frames[vol.frame_count];

	(void)arg, (void)addr, (void)e;
	if (vol.frame_count == 0 || last[-1].info.first_lsn != f->first_lsn) {
		assert_true(vol.frame_count < FRAMES_MAX);
		*last = (struct frame){ *f, 0 };
		vol.frame_count++;
	}
	vol.frames[vol.frame_count - 1].types |= 1u << r->type;
	switch (r->type) {
	case RECORD_COUNTERS:
	case RECORD_GONE:
	case RECORD_PURGE:
	case RECORD_SUMMARY:            /* this volume has none of the three */
	case RECORD_SECRET:
	case RECORD_DELIVERY:
		break;
	case RECORD_ACCOUNT:
		mention(r->u.account.id, 0, 0, 0, 0);
		break;
	case RECORD_CREDENTIAL:
		mention(r->u.credential.account, 0, 0, 0, 0);
		break;
	case RECORD_SUBSCRIPTION:
		mention(r->u.subscription.account, 0, 0, 0, 0);
		break;
	case RECORD_MAILBOX:
		mention(r->u.mailbox.account, r->u.mailbox.id, 0, 0, 0);
		break;
	case RECORD_BLOB:
		note_blob(r);
		break;
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
		mention_messages(&r->u.messages);
		break;
	case RECORD_FLAGS:
		mention_ranges(r->u.flags.mailbox, r->u.flags.uids, r->u.flags.range_count);
		break;
	case RECORD_EXPUNGE:
		mention_ranges(r->u.expunge.mailbox, r->u.expunge.uids, r->u.expunge.range_count);
		break;
	case RECORD_UIDL:
		mention(0, r->u.uidl.mailbox, r->u.uidl.uid, r->u.uidl.uid, 0);
		break;
	}
	return RC_OK;
}

/* What compaction will drop: a message that was expunged and whose record died was nevertheless
 * this blob's, and the index may remember so. */
static void
note_references(void)
{
	const struct replay rp = { .record = see_record };
	struct err e = ERR_INIT;

	assert_int_equal(log_replay(volume_log(fx_v), &rp, false, NULL, &e), RC_OK);
	for (size_t i = 0; i < vol.mention_count; i++)
		vol.mentions[i].frame = FRAMES_MAX;
	vol.frame_count = vol.blob_count = vol.body_count = 0;
}

static bool
is_in_frame(blob_id blob, size_t frame)
{
	for (size_t i = 0; i < vol.blob_count; i++)
		if (vol.blobs[i].id == blob)
			return vol.blobs[i].frame == frame;
	return false;
}

/* Is damage to the frame this message's matter? */
static bool
concerns(size_t frame, mailbox_id box, mail_uid uid)
{
	for (size_t i = 0; i < vol.mention_count; i++) {
		const struct mention *m = &vol.mentions[i];

		if (m->mailbox == box && m->first <= uid && uid <= m->last &&
		    (m->frame == frame || (m->blob != 0 && is_in_frame(m->blob, frame))))
			return true;
	}
	return false;
}

/* Is there a record of the account, or of the mailbox itself? */
static bool
states_object(size_t frame, account_id account, mailbox_id box)
{
	for (size_t i = 0; i < vol.mention_count; i++)
		if (vol.mentions[i].frame == frame && vol.mentions[i].first == 0 &&
		    vol.mentions[i].mailbox == box &&
		    (box != 0 || vol.mentions[i].account == account))
			return true;
	return false;
}

static bool
concerns_object(size_t frame, account_id account, mailbox_id box)
{
	for (size_t i = 0; i < vol.mention_count; i++)
		if (vol.mentions[i].frame == frame && vol.mentions[i].mailbox == box &&
		    (box != 0 || vol.mentions[i].account == account))
			return true;
	return vol.frames[frame].info.who.account == account && box == 0;
}

/* ---- the volume ---- */

static mailbox_id
some_box(const char *name)
{
	return fx_box(vol.accounts[pick(ACCOUNTS)], name);
}

static struct slice
some_mail(uint32_t n)
{
	static char text[8192];
	size_t len;

	if (pick(3) == 0)
		return cf_big_mail(n, 1 + pick(4));
	len = (size_t)snprintf(text, sizeof text, "From: b@example.org\r\nSubject: tea %u\r\n\r\n",
	                       n);
	for (uint32_t i = pick(60); i > 0; i--)
		len += (size_t)snprintf(text + len, sizeof text - len,
		                        "Line %u of a letter about tea.\r\n", pick(1000));
	return slice_of((const uint8_t *)text, len);
}

static void
some_account(void)
{
	account_id a = vol.accounts[pick(ACCOUNTS)];
	struct change *c;

	switch (pick(4)) {
	case 0:
		c = fx_change(CHANGE_SUBSCRIBE);
		c->u.subscribe = (struct change_subscribe){ a, SLICE("news"), pick(2) == 0 };
		(void)fx_run(c);
		break;
	case 1:
		c = fx_change(CHANGE_ACCOUNT_QUOTA);
		c->u.account.id = a;
		c->u.account.quota_bytes = UINT64_C(1) << (30 + pick(4));
		(void)fx_run(c);
		break;
	default:
		(void)fx_name_change(CHANGE_MAILBOX_CREATE, a, pick(2) == 0 ? "Work" : "Work/old",
		                     "");
		break;
	}
}

static void
some_step(uint32_t n)
{
	mailbox_id box = some_box("INBOX"), both[2] = { box, some_box("INBOX") };
	mail_uid first = 1 + pick(30), last = first + pick(4);

	switch (pick(20)) {
	case 0:
		(void)fx_run(
		    fx_make_append(both, both[0] != both[1] ? 2 : 1, some_mail(n), 0, "k"));
		break;
	case 1:
	case 2:
		(void)fx_run(fx_make_copy(CHANGE_COPY, box, first, last, some_box("Sent")));
		break;
	case 3:
		(void)fx_run(fx_make_copy(CHANGE_MOVE, box, first, last, some_box("Trash")));
		break;
	case 4:
	case 5:
		(void)fx_store(box, first, last, STORE_ADD, 1u << pick(4),
		               pick(2) == 0 ? "work" : "");
		break;
	case 6:
	case 7:
		(void)fx_expunge(box, first, last);
		break;
	case 8:
		some_account();
		break;
	default:
		(void)fx_append(box, some_mail(n), 0, "");
		break;
	}
}

/* Sealed segments with and without a compaction, an open one as a kill leaves it. */
static void
fill(void)
{
	char name[16];

	cf_open_small();
	for (uint32_t i = 0; i < ACCOUNTS; i++) {
		(void)snprintf(name, sizeof name, "user%02u", i);
		vol.accounts[i] = fx_account(name);
	}
	for (uint32_t i = 0; i < STEPS; i++) {
		some_step(i);
		if (i % 150 == 20)
			(void)fx_append(some_box("INBOX"), cf_big_mail(i, 1400), 0, "");
		if (i == STEPS / 2)
			note_references();
		if (i == STEPS / 2)
			assert_true(cf_compact((struct compact_params){ .all = true }).rewritten >
			            1);
		if (i == STEPS / 4 || i == STEPS * 3 / 4)
			cf_open_small();
	}
	arena_reset(&fx_arena);
}

static void
read_box(const struct mailbox_info *box, struct slice account_name)
{
	struct message_row *rows;
	struct err e = ERR_INIT;
	struct buf b;
	size_t n;

	rows = fx_rows(box->id, WANT_PLACE, &n);
	buf_init(&b, 8u << 20);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&b);
		assert_int_equal(volume_read_blob(fx_v, &rows[i].place, 0, UINT64_MAX, &b, &e),
		                 RC_OK);
		assert_true(vol.mail_count < FRAMES_MAX);
		vol.mails[vol.mail_count++] =
			(struct live){ *box, account_name, rows[i],
			               arena_dup(&fx_arena, buf_slice(&b)) };
	}
	buf_fini(&b);
}

static void
read_all(void)
{
	const struct replay rp = { .record = see_record };
	struct mailbox_info *list;
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(log_replay(volume_log(fx_v), &rp, false, NULL, &e), RC_OK);
	assert_int_equal(log_list_segments(volume_log(fx_v), &vol.segments, &vol.segment_count, &e),
	                 RC_OK);
	for (uint32_t i = 0; i < ACCOUNTS; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "user%02u", i);
		assert_int_equal(volume_list_mailboxes(fx_v, vol.accounts[i], &fx_arena, &list, &n,
		                                       &e),
		                 RC_OK);
		for (size_t k = 0; k < n; k++) {
			assert_true(vol.box_count < BOXES_MAX);
			vol.boxes[vol.box_count++] = list[k];
			read_box(&list[k], arena_dup(&fx_arena, slice_str(name)));
		}
	}
}

static int
setup(void **state)
{
	const char *given = getenv("BITROT_SEED");
	char cmd[1024];

	seed = given != NULL ? (uint32_t)strtoul(given, NULL, 10) : 1;
	print_message("BITROT_SEED=%u\n", seed);
	memset(&vol, 0, sizeof vol);
	if (fx_setup(state) != 0)
		return -1;
	fill();
	(void)snprintf(cmd, sizeof cmd, "cp -r '%s' '%s.crash'", fx_dir, fx_dir);
	assert_int_equal(system(cmd), 0);
	volume_close(&fx_v);
	(void)snprintf(cmd, sizeof cmd, "rm -rf '%s' && mv '%s.crash' '%s'", fx_dir, fx_dir,
	               fx_dir);
	assert_int_equal(system(cmd), 0);
	fx_open_as(VOLUME_READ);
	read_all();
	return 0;
}

static int
teardown(void **state)
{
	free(vol.segments);
	return fx_teardown(state);
}

/* ---- what check tells ---- */

struct spot {
	struct seg_id seg;
	uint64_t      at;
	uint8_t       x;
	size_t        frame;    /* FRAMES_MAX: none, it is the segment's header */
};

struct seen {
	const struct spot *s;
	bool               place;       /* the piece and the frame were told */
	bool               mended;
	char               records[200];
	log_lsn            first, last;
	char               missing[200], stranger[200];
	unsigned           findings;
};

static const struct check_named *
find_named(const struct check_finding *f, account_id account, mailbox_id box)
{
	for (size_t i = 0; i < f->named_count; i++)
		if (box != 0 ? f->named[i].mailbox == box : f->named[i].account == account)
			return &f->named[i];
	return NULL;
}

/* What lives and is concerned. */
static void
look_for_living(struct seen *s, const struct check_finding *f)
{
	for (size_t i = 0; i < vol.mail_count; i++) {
		const struct live *m = &vol.mails[i];
		const struct check_named *n;

		if (!concerns(s->s->frame, m->box.id, m->row.uid))
			continue;
		n = find_named(f, 0, m->box.id);
		if (n == NULL || !slice_eq(n->account_name, m->account_name) ||
		    !slice_eq(n->mailbox_name, m->box.name) ||
		    !uid_set_contains(&n->uids, m->row.uid))
			(void)snprintf(s->missing, sizeof s->missing, "%.*s/%.*s UID %u",
			    SLICE_ARG(m->account_name), SLICE_ARG(m->box.name), m->row.uid);
	}
	for (size_t i = 0; i < vol.box_count; i++)
		if (states_object(s->s->frame, 0, vol.boxes[i].id) &&
		    find_named(f, 0, vol.boxes[i].id) == NULL)
			(void)snprintf(s->missing, sizeof s->missing, "mailbox %.*s",
			               SLICE_ARG(vol.boxes[i].name));
	for (size_t i = 0; i < ACCOUNTS; i++)
		if (states_object(s->s->frame, vol.accounts[i], 0) &&
		    find_named(f, vol.accounts[i], 0) == NULL)
			(void)snprintf(s->missing, sizeof s->missing, "account user%02zu", i);
}

/* Where the byte that was there is known, all is: also what does not live any more. */
static void
look_for_all(struct seen *s, const struct check_finding *f)
{
	for (size_t i = 0; i < vol.mention_count; i++) {
		const struct mention *m = &vol.mentions[i];
		const struct check_named *n;

		if (m->frame != s->s->frame || m->first == 0)
			continue;
		n = find_named(f, 0, m->mailbox);
		for (mail_uid uid = m->first; n != NULL && uid <= m->last; uid++)
			if (!uid_set_contains(&n->uids, uid))
				n = NULL;
		if (n == NULL)
			(void)snprintf(s->missing, sizeof s->missing, "UIDs %u:%u", m->first,
			               m->last);
	}
}

static void
look_for_strangers(struct seen *s, const struct check_finding *f)
{
	for (size_t i = 0; i < f->named_count; i++) {
		const struct check_named *n = &f->named[i];

		for (size_t k = 0; k < n->uids.count; k++)
			for (uint64_t uid = n->uids.ranges[k].first; uid <= n->uids.ranges[k].last;
			     uid++)
				if (!concerns(s->s->frame, n->mailbox, (mail_uid)uid))
					(void)snprintf(s->stranger, sizeof s->stranger,
					    "%.*s/%.*s UID %llu", SLICE_ARG(n->account_name),
					    SLICE_ARG(n->mailbox_name), (unsigned long long)uid);
		if (n->uids.count == 0 && !concerns_object(s->s->frame, n->account, n->mailbox))
			(void)snprintf(s->stranger, sizeof s->stranger, "%.*s/%.*s",
			               SLICE_ARG(n->account_name), SLICE_ARG(n->mailbox_name));
	}
}

static void
on_found(void *arg, const struct check_finding *f)
{
	struct seen *s = arg;

	if (f->difference)
		return;
	s->findings++;
	if (!seg_id_same(&f->seg, &s->s->seg))
		return;
	if (s->s->frame == FRAMES_MAX) {
		s->place = true;
		return;
	}
	if (!f->has_frame || f->frame != vol.frames[s->s->frame].info.offset ||
	    !seg_id_same(&f->frame_seg, &vol.frames[s->s->frame].info.seg))
		return;
	s->place = true;
	s->mended = f->mended[0] != '\0';
	s->first = f->first;
	s->last = f->last;
	(void)snprintf(s->records, sizeof s->records, "%s", f->records);
	look_for_living(s, f);
	if (s->mended)
		look_for_all(s, f);
	look_for_strangers(s, f);
}

static void
list_types(uint32_t types, char *dst, size_t size)
{
	size_t at = 0;

	dst[0] = '\0';
	for (unsigned t = 1; t < 32; t++)
		if ((types & (1u << t)) != 0)
			at += (size_t)snprintf(dst + at, size - at, "%s%s", at > 0 ? ", " : "",
			                       record_type_name((enum record_type)t));
}

/* The records by their kinds, where the damage leaves them to be read; by their
 * LSNs in any case. */
static bool
names_records(const struct seen *s)
{
	const struct frame *f = &vol.frames[s->s->frame];
	char want[200];

	if (s->s->seg.kind == SEG_BODY)
		return strcmp(s->records, "blob") == 0;
	list_types(f->types, want, sizeof want);
	return s->first == f->info.first_lsn &&
	       s->last == f->info.first_lsn + f->info.record_count - 1 &&
	       (!s->mended || strcmp(s->records, want) == 0);
}

/* ---- what is served ---- */

/* All but those whose bytes the spot is in, which are refused. */
static unsigned
check_served(const struct spot *s)
{
	unsigned refused = 0;

	for (size_t i = 0; i < vol.mail_count; i++) {
		const struct log_addr *a = &vol.mails[i].row.place.addr;
		bool hurt = seg_id_same(&a->seg, &s->seg) && s->at >= a->offset &&
		            s->at < a->offset + a->len;
		struct err e = ERR_INIT;
		struct buf b;
		enum rc rc;

		buf_init(&b, 8u << 20);
		rc = volume_read_blob(fx_v, &vol.mails[i].row.place, 0, UINT64_MAX, &b, &e);
		if (rc != (hurt ? RC_CORRUPT : RC_OK))
			fail_msg("byte %llu: UID %u of %.*s: %s", (unsigned long long)s->at,
			    vol.mails[i].row.uid, SLICE_ARG(vol.mails[i].account_name), e.text);
		if (!hurt)
			assert_true(slice_eq(buf_slice(&b), vol.mails[i].bytes));
		refused += hurt;
		buf_fini(&b);
	}
	return refused;
}

/* ---- the bytes ---- */

static struct {
	unsigned sealed, compacted, unsealed, bodies, headers, mended, refused;
} counts;

static size_t
frame_at(const struct seg_id *seg, uint64_t at)
{
	for (size_t i = 0; i < vol.frame_count; i++) {
		const struct frame_info *f = &vol.frames[i].info;

		if (seg_id_same(&f->seg, seg) && at >= f->offset && at < f->offset + f->len)
			return i;
	}
	return FRAMES_MAX;
}

static size_t
frame_of_body(const struct seg_id *body)
{
	for (size_t i = 0; i < vol.blob_count; i++)
		if (seg_id_same(&vol.blobs[i].body, body))
			return vol.blobs[i].frame;
	return FRAMES_MAX;
}

static struct spot
spot_in_segment(const struct root_segment *seg, uint64_t at)
{
	struct spot s = { .seg = seg->id, .at = at, .frame = frame_at(&seg->id, at) };

	if (at < SEGMENT_HDR_LEN) {
		counts.headers++;
		return s;
	}
	assert_true(s.frame < FRAMES_MAX);      /* frames follow each other */
	counts.sealed += seg->state == SEGMENT_SEALED &&
	                 seg != &vol.segments[vol.segment_count - 1];
	counts.unsealed += seg == &vol.segments[vol.segment_count - 1];
	counts.compacted += seg->state == SEGMENT_COMPACTED;
	return s;
}

static struct spot
spot_in_body(const struct log_addr *body, uint64_t at)
{
	counts.bodies++;
	return (struct spot){ .seg = body->seg, .at = at, .frame = frame_of_body(&body->seg) };
}

static uint64_t
pick_byte(uint64_t n)
{
	uint64_t high = pick(1u << 20);

	return (high << 20 | pick(1u << 20)) % n;
}

static struct spot
some_spot(void)
{
	uint64_t all = 0, at;
	size_t k;

	for (uint32_t i = 0; i < vol.segment_count; i++)
		all += vol.segments[i].len;
	if (pick(2) == 0) {
		k = pick(vol.segment_count + (uint32_t)vol.body_count);
		if (k >= vol.segment_count)
			return spot_in_body(&vol.bodies[k - vol.segment_count],
			                    pick_byte(vol.bodies[k - vol.segment_count].len));
		return spot_in_segment(&vol.segments[k], pick_byte(vol.segments[k].len));
	}
	at = pick_byte(all);
	for (k = 0; at >= vol.segments[k].len; k++)
		at -= vol.segments[k].len;
	return spot_in_segment(&vol.segments[k], at);
}

static void
flip_one(struct spot spot, unsigned long number)
{
	struct seen s = { .s = &spot };
	const struct check_report rep = { &s, on_found };
	struct check_result r;
	struct err e = ERR_INIT;

	cf_flip(fx_dir, &spot.seg, spot.at, spot.x);
	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, &r, &e), RC_OK);
	if (r.damage == 0 || s.findings != 1 || !s.place || s.missing[0] != '\0' ||
	    s.stranger[0] != '\0' || (spot.frame < FRAMES_MAX && !names_records(&s)))
		fail_msg("flip %lu: byte %llu of %llu-%u (%d) ^ %02x: %u findings, %s; records %s; "
		         "missing %s; stranger %s",
		         number, (unsigned long long)spot.at, (unsigned long long)spot.seg.seq,
		         spot.seg.epoch, (int)spot.seg.kind, spot.x, s.findings,
		         s.place ? "placed" : "not placed", s.records, s.missing, s.stranger);
	counts.mended += s.mended;
	counts.refused += check_served(&spot);
	cf_flip(fx_dir, &spot.seg, spot.at, spot.x);
}

/* Flips before `from` are only drawn. */
static void
some_flip(unsigned long number, unsigned long from)
{
	struct spot spot = some_spot();

	spot.x = (uint8_t)(1 + pick(255));
	if (number >= from)
		flip_one(spot, number);
}

static void
test_flips_at_random(void **state)
{
	const char *given = getenv("BITROT_FLIPS");
	const char *begin = getenv("BITROT_FROM");
	unsigned long flips = given != NULL ? strtoul(given, NULL, 10) : FLIPS;
	unsigned long from = begin != NULL ? strtoul(begin, NULL, 10) : 0;

	(void)state;
	print_message("%zu messages in %zu mailboxes, %u segments, %zu frames, %zu bodies\n",
	    vol.mail_count, vol.box_count, vol.segment_count, vol.frame_count, vol.body_count);
	assert_true(vol.segment_count > 5 && vol.body_count > 1 && vol.mail_count > 150);
	cf_check_clean();
	for (unsigned long i = 0; i < flips; i++)
		some_flip(i, from);
	print_message("%lu bytes changed: %u in sealed segments, %u in compacted ones, %u in the "
	              "open one, %u in bodies, %u in"
	              " headers of segments; %u times the byte was told, %u times a "
	              "message was refused\n",
	              flips, counts.sealed, counts.compacted, counts.unsealed, counts.bodies,
	              counts.headers, counts.mended, counts.refused);
	if (flips >= FLIPS && from == 0)
		assert_true(counts.sealed > 0 && counts.compacted > 0 && counts.bodies > 0 &&
		            counts.refused > 0);
	cf_check_clean();
}

/* Of a long frame's first record the length is wrong, and so far from the end that nobody can tell
 * what it was: none of its records can be read. */
static void
test_no_record_of_the_frame_can_be_read(void **state)
{
	unsigned tried = 0;

	(void)state;
	for (size_t i = 0; i < vol.frame_count && tried < 2 * RECORD_HDR_LEN; i++) {
		const struct frame_info *f = &vol.frames[i].info;

		if (f->len < 3000)
			continue;
		for (uint64_t at = 0; at < RECORD_HDR_LEN; at++, tried++)
			flip_one((struct spot){ f->seg, f->offset + FRAME_HDR_LEN + at, 0x55, i },
			         tried);
	}
	assert_int_equal(tried, 2 * RECORD_HDR_LEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flips_at_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_record_of_the_frame_can_be_read, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
