/* threads - which thread a message belongs to. See threads.h. */
#include "index/threads.h"

#include "lib/mime.h"
#include "lib/siphash.h"
#include "store/record.h"

/* `kind` keeps ids and hashes apart. SQLite's integers are signed: any 64 bits will do. */
static uint64_t
sum(const uint8_t secret[16], uint8_t kind, const void *ptr, size_t len)
{
	struct siphash h;

	siphash_init(&h, secret);
	siphash_add(&h, &kind, 1);
	siphash_add(&h, ptr, len);
	return siphash_sum(&h);
}

/* "<>" is what some programs write for none. */
static bool
is_id(struct slice s)
{
	return s.len > 2;
}

static void
add_ref(const uint8_t secret[16], struct slice id, struct thread_keys *out)
{
	if (is_id(id))
		out->refs[out->ref_count++] = sum(secret, 'M', id.ptr, id.len);
}

/* From the end of `refs` backwards; if some were left out, the first one too. */
static void
add_refs(const uint8_t secret[16], struct slice refs, struct thread_keys *out)
{
	struct slice rest = refs;

	while (rest.len > 0 && out->ref_count < THREAD_REFS_LAST) {
		size_t start = rest.len;

		while (start > 0 && rest.ptr[start - 1] != ' ')
			start--;
		add_ref(secret, slice_sub(rest, start, rest.len), out);
		rest.len = start > 0 ? start - 1 : 0;
	}
	if (rest.len > 0)
		add_ref(secret, slice_sub(refs, 0, slice_find_byte(refs, ' ')), out);
}

uint64_t
threads_id_key(const uint8_t secret[16], struct slice message_id)
{
	return sum(secret, 'M', message_id.ptr, message_id.len);
}

enum rc
threads_make_keys(const uint8_t secret[16], struct slice summary, const uint8_t *sha256,
                  struct arena *a, struct thread_keys *out, struct err *e)
{
	struct mime_summary s;
	enum rc rc = mime_summary_decode(summary, a, &s, e);

	out->ref_count = 0;
	if (rc == RC_NOMEM)
		return rc;
	if (rc == RC_OK && is_id(s.keys.message_id))
		out->own = threads_id_key(secret, s.keys.message_id);
	else
		out->own = sum(secret, 'S', sha256, SHA256_LEN);
	if (rc == RC_OK)
		add_refs(secret, s.keys.refs, out);
	return RC_OK;
}

#define DERIVED (UINT64_C(1) << 63)     /* no LSN has this bit */

uint64_t
threads_derive(const struct thread_keys *k)
{
	return DERIVED | (k->ref_count > 0 ? k->refs[k->ref_count - 1] : k->own);
}

static enum rc
look_up(struct db *db, account_id account, uint64_t key, uint64_t *thread, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q, "SELECT thread FROM thread WHERE account=?1 AND key=?2",
	                      DB_ARGS(DB_NUM(account), DB_NUM(key)), e);

	if (rc == RC_OK) {
		*thread = db_u64(q, 0);
		db_end(q);
	}
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc
threads_find(struct db *db, account_id account, const struct thread_keys *k, uint64_t *thread,
             struct err *e)
{
	enum rc rc;

	*thread = 0;
	rc = look_up(db, account, k->own, thread, e);
	for (uint32_t i = 0; rc == RC_OK && *thread == 0 && i < k->ref_count; i++)
		rc = look_up(db, account, k->refs[i], thread, e);
	return rc;
}

enum rc
threads_known(struct db *db, account_id account, uint64_t own, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q, "SELECT 1 FROM thread WHERE account=?1 AND key=?2 AND own",
	                      DB_ARGS(DB_NUM(account), DB_NUM(own)), e);

	if (rc == RC_OK)
		db_end(q);
	return rc;
}

enum rc
threads_note(struct db *db, account_id account, const struct thread_keys *k, uint64_t thread,
             struct err *e)
{
	enum rc rc;

	rc = db_run(db,
	    "INSERT INTO thread VALUES(?1, ?2, ?3, 1) ON CONFLICT DO UPDATE SET thread=?3, own=1"
	    " WHERE NOT own",
	    DB_ARGS(DB_NUM(account), DB_NUM(k->own), DB_NUM(thread)), e);
	/* The same message again: what it refers to was noted with the first. */
	if (rc == RC_OK && db_changes(db) == 0)
		return RC_OK;
	for (uint32_t i = 0; rc == RC_OK && i < k->ref_count; i++)
		rc = db_run(db, "INSERT OR IGNORE INTO thread VALUES(?1, ?2, ?3, 0)",
		            DB_ARGS(DB_NUM(account), DB_NUM(k->refs[i]), DB_NUM(thread)), e);
	return rc;
}
