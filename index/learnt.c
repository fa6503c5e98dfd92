/* learnt - see learnt.h. A row's `texts` are an unsigned LEB128 number, the length of what follows unpacked, and what
 * lib/lz makes of: the length of the numbers, the numbers, the texts one behind the other. The numbers of a message are
 * its text's length times two, and one more if UIDs are left out before it; then how many. */
#include "index/learnt.h"

#include "config.h"
#include "lib/leb128.h"
#include "lib/siphash.h"
#include "lib/text.h"

#define LEARNT_VERSION "1"      /* to be raised with whatever changes a text: search_subject_of and what it calls */
#define NUMBER_BYTES   5u       /* of 32 bits */

/* ---- making ---- */

void
learnt_init(struct learnt *b)
{
	b->first = b->last = 0;
	buf_init(&b->numbers, LEARNT_BLOCK);
	buf_init(&b->texts, LEARNT_BLOCK);
}

void
learnt_fini(struct learnt *b)
{
	buf_fini(&b->numbers);
	buf_fini(&b->texts);
}

bool
learnt_put(struct learnt *b, mail_uid uid, struct slice text)
{
	uint32_t gap = b->first == 0 ? 0 : uid - b->last - 1;
	bool ok;

	if (3 * NUMBER_BYTES + b->numbers.len + b->texts.len + text.len > LEARNT_BLOCK)
		return false;
	ok = leb128_put(&b->numbers, (uint32_t)text.len << 1 | (gap > 0)) &&
	     (gap == 0 || leb128_put(&b->numbers, gap)) && buf_append_slice(&b->texts, text);
	if (b->first == 0)
		b->first = uid;
	b->last = uid;
	return ok;
}

bool
learnt_pack(struct lz_packer *k, const struct learnt *b, struct buf *out)
{
	uint8_t packed[LEARNT_PACKED];
	struct buf raw;
	size_t n = 0;

	buf_init(&raw, LEARNT_BLOCK);
	if (leb128_put(&raw, (uint32_t)b->numbers.len) &&
	    buf_append_slice(&raw, buf_slice(&b->numbers)) &&
	    buf_append_slice(&raw, buf_slice(&b->texts)))
		n = lz_pack(k, buf_slice(&raw), packed, sizeof packed);
	buf_reset(out);
	if (n > 0 && (!leb128_put(out, (uint32_t)raw.len) || !buf_append(out, packed, n)))
		n = 0;
	buf_fini(&raw);
	return n > 0;
}

/* ---- reading ---- */

static bool
take_number(struct slice *in, uint32_t *out)
{
	uint64_t v = 0;
	bool ok = leb128_take(in, NUMBER_BYTES, UINT32_MAX, &v);

	*out = (uint32_t)v;
	return ok;
}

bool
learnt_open(struct slice row, mail_uid first, uint8_t raw[LEARNT_ROOM], struct learnt_walk *w)
{
	struct slice in;
	uint32_t len, numbers;

	if (first == 0 || !take_number(&row, &len) || len > LEARNT_BLOCK ||
	    !lz_unpack(SLICE(""), row, raw, len))
		return false;
	in = slice_of(raw, len);
	if (!take_number(&in, &numbers) || numbers > in.len)
		return false;
	w->numbers = slice_sub(in, 0, numbers);
	w->texts = slice_sub(in, numbers, in.len);
	w->uid = first - 1;
	return true;
}

bool
learnt_next(struct learnt_walk *w, mail_uid *uid, struct slice *text)
{
	uint32_t v, gap = 0;

	if (!take_number(&w->numbers, &v) || ((v & 1) != 0 && !take_number(&w->numbers, &gap)) ||
	    v >> 1 > w->texts.len || gap >= UINT32_MAX - w->uid)
		return false;
	w->uid += gap + 1;
	*uid = w->uid;
	*text = slice_sub(w->texts, 0, v >> 1);
	w->texts = slice_sub(w->texts, v >> 1, w->texts.len);
	return true;
}

/* ---- the table ---- */

/* Who made the texts. */
static uint64_t
maker(void)
{
	static const uint8_t key[SIPHASH_KEY_LEN];
	static const char program[] = RESTANTE_VERSION " " LEARNT_VERSION " ";
	const char *unicode = text_unicode();
	struct siphash h;

	siphash_init(&h, key);
	siphash_add(&h, program, sizeof program);
	siphash_add(&h, unicode, strlen(unicode));
	return siphash_sum(&h) >> 1;    /* SQLite's numbers have a sign */
}

sqlite3_stmt *
learnt_query(struct db *db, mailbox_id mailbox, mail_uid behind, uint32_t limit, struct err *e)
{
	return db_query(db,
	                "SELECT first, last, texts FROM learnt WHERE mailbox=?1 AND last > ?2"
	                " AND maker=?3 ORDER BY last LIMIT ?4",
	                DB_ARGS(DB_NUM(mailbox), DB_NUM(behind), DB_NUM(maker()), DB_NUM(limit)),
	                e);
}

enum rc
learnt_insert(struct db *db, mailbox_id mailbox, const struct learnt *b, struct slice packed,
              struct err *e)
{
	enum rc rc = db_run(db, "DELETE FROM learnt WHERE mailbox=?1 AND maker != ?2",
	                    DB_ARGS(DB_NUM(mailbox), DB_NUM(maker())), e);

	if (rc != RC_OK)
		return rc;
	return db_run(db,
	              "INSERT INTO learnt SELECT ?1, ?3, ?2, ?4, ?5"
	              " WHERE EXISTS(SELECT 1 FROM mailbox WHERE id=?1)"
	              " AND NOT EXISTS(SELECT 1 FROM learnt WHERE mailbox=?1 AND last >= ?2"
	              " AND first <= ?3)",
	              DB_ARGS(DB_NUM(mailbox), DB_NUM(b->first), DB_NUM(b->last), DB_NUM(maker()),
	                      DB_BYTES(packed)),
	              e);
}

enum rc
learnt_forget(struct db *db, struct err *e)
{
	return db_run(db, "DELETE FROM learnt", DB_NO_ARGS, e);
}

enum rc
learnt_forget_mailbox(struct db *db, mailbox_id mailbox, struct err *e)
{
	return db_run(db, "DELETE FROM learnt WHERE mailbox=?1", DB_ARGS(DB_NUM(mailbox)), e);
}

enum rc
learnt_forget_expunged(struct db *db, struct err *e)
{
	return db_run(db,
	              "DELETE FROM learnt WHERE EXISTS(SELECT 1 FROM expunged x"
	              " WHERE x.mailbox=learnt.mailbox"
	              " AND x.uid BETWEEN learnt.first AND learnt.last)",
	              DB_NO_ARGS, e);
}

enum rc
learnt_forget_pruned(struct db *db, mailbox_id mailbox, mail_modseq floor, struct err *e)
{
	return db_run(db,
	              "DELETE FROM learnt WHERE mailbox=?1 AND EXISTS(SELECT 1 FROM expunged x"
	              " WHERE x.mailbox=?1 AND x.uid BETWEEN learnt.first AND learnt.last"
	              " AND +x.modseq <= ?2)",
	              DB_ARGS(DB_NUM(mailbox), DB_NUM(floor)), e);
}
