/* admin_dump - every record of the log, one line each, for people or as JSON. See admin.h.
 *
 * A record is walked once, by code that names its fields; the emitter makes key=value pairs or JSON
 * of them, so that both show the same. Of blobs only sizes and sums are shown, of credentials only
 * the scheme: a dump may be sent to somebody who helps. Addresses, names and keywords are shown.
 */
#include "index/admin_impl.h"
#include "index/special_use.h"
#include "lib/mime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- accounts by their ids: the log tells an account before anything that is its ---- */

struct known {
	account_id   id;
	struct slice name;      /* in the call's arena */
};

/* Sorted by id: ids are LSNs of the records that made the accounts. */
struct book {
	struct known *rows;
	size_t        count, cap;
};

/* The row of that id, or where it would stand. */
static size_t
book_seek(const struct book *b, account_id id)
{
	size_t low = 0, high = b->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (b->rows[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct slice
book_find(const struct book *b, account_id id)
{
	size_t at = book_seek(b, id);

	return at < b->count && b->rows[at].id == id ? b->rows[at].name : SLICE_NONE;
}

/* Without memory the account stays without a name. */
static void
book_note(struct book *b, struct arena *a, account_id id, struct slice name)
{
	size_t at = book_seek(b, id);

	if (at < b->count && b->rows[at].id == id && slice_eq(b->rows[at].name, name))
		return;
	name = arena_dup(a, name);
	if (name.ptr == NULL)
		return;
	if (at < b->count && b->rows[at].id == id) {
		b->rows[at].name = name;
		return;
	}
	if (b->count == b->cap) {
		size_t cap = b->cap > 0 ? b->cap * 2 : 64;
		struct known *rows = realloc(b->rows, cap * sizeof *rows);

		if (rows == NULL)
			return;
		b->rows = rows;
		b->cap = cap;
	}
	memmove(b->rows + at + 1, b->rows + at, (b->count - at) * sizeof *b->rows);
	b->rows[at] = (struct known){ id, name };
	b->count++;
}

/* ---- the emitter ---- */

struct emit {
	const struct book *book;
	bool        json;
	struct json j;
	struct buf *out;
};

static void
emit_key(struct emit *em, const char *key)
{
	const struct buf *b = em->out;

	if (b->len > 0 && b->ptr[b->len - 1] != '[' && b->ptr[b->len - 1] != '{')
		buf_append_byte(em->out, ' ');
	if (key != NULL)
		buf_printf(em->out, "%s=", key);
}

static void
emit_word(struct emit *em, const char *key, const char *word)
{
	if (em->json) {
		json_cstr(&em->j, key, word);
		return;
	}
	emit_key(em, key);
	buf_append_str(em->out, word);
}

static void
emit_text(struct emit *em, const char *key, struct slice text)
{
	if (em->json) {
		json_str(&em->j, key, text);
		return;
	}
	emit_key(em, key);
	admin_append_quoted(em->out, text);
}

static void
emit_u64(struct emit *em, const char *key, uint64_t value)
{
	if (em->json) {
		json_u64(&em->j, key, value);
		return;
	}
	emit_key(em, key);
	buf_append_u64(em->out, value);
}

static void
emit_bool(struct emit *em, const char *key, bool value)
{
	if (em->json)
		json_bool(&em->j, key, value);
	else
		emit_word(em, key, value ? "yes" : "no");
}

static void
emit_lsn(struct emit *em, const char *key, log_lsn lsn)
{
	if (em->json) {
		admin_json_lsn(&em->j, key, lsn);
		return;
	}
	emit_key(em, key);
	admin_append_lsn(em->out, lsn);
}

/* An account's id and, where the log has told it, its name. */
static void
emit_owner(struct emit *em, const char *key, const char *name_key, account_id id)
{
	struct slice name = book_find(em->book, id);

	emit_lsn(em, key, id);
	if (name.len > 0)
		emit_text(em, name_key, name);
}

static void
emit_hex64(struct emit *em, const char *key, uint64_t value)
{
	char text[20];

	snprintf(text, sizeof text, "%016" PRIx64, value);
	emit_word(em, key, text);
}

static void
emit_bytes(struct emit *em, const char *key, const uint8_t *bytes, size_t len)
{
	char text[2 * SHA256_LEN + 1];

	for (size_t i = 0; i < len && i < SHA256_LEN; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	emit_word(em, key, text);
}

static void
emit_open(struct emit *em, const char *key, bool array)
{
	if (em->json && array) {
		json_array(&em->j, key);
	} else if (em->json) {
		json_object(&em->j, key);
	} else {
		emit_key(em, key);
		buf_append_byte(em->out, array ? '[' : '{');
	}
}

static void
emit_close(struct emit *em, bool array)
{
	if (em->json)
		json_end(&em->j);
	else
		buf_append_byte(em->out, array ? ']' : '}');
}

/* A moment in its zone: "2026-11-03T10:00:00+01:00"; years outside 0 to 9999 as plain seconds. */
static void
emit_date(struct emit *em, const char *key, struct mail_date d)
{
	time_t local = (time_t)(d.sec + d.zone_min * 60);
	unsigned zone = (unsigned)(d.zone_min < 0 ? -d.zone_min : d.zone_min);
	char text[64];
	struct tm tm;

	if (gmtime_r(&local, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
		snprintf(text, sizeof text, "%" PRId64, d.sec);
	else
		snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d%c%02u:%02u",
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		    d.zone_min < 0 ? '-' : '+', zone / 60, zone % 60);
	emit_word(em, key, text);
}

/* UTC, to the microsecond. */
static void
emit_time(struct emit *em, const char *key, uint64_t us)
{
	time_t sec = (time_t)(us / 1000000);
	char text[64];
	struct tm tm;

	if (gmtime_r(&sec, &tm) == NULL || tm.tm_year > 9999 - 1900)
		snprintf(text, sizeof text, "%" PRIu64 "us", us);
	else
		snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ",
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		    (unsigned)(us % 1000000));
	emit_word(em, key, text);
}

/* ---- fields that several records have ---- */

struct bit_name {
	uint32_t    bit;
	const char *name;
};

static const struct bit_name flag_names[] = {
	{ FLAG_ANSWERED, "\\Answered" },
	{ FLAG_FLAGGED, "\\Flagged" },
	{ FLAG_DELETED, "\\Deleted" },
	{ FLAG_SEEN, "\\Seen" },
	{ FLAG_DRAFT, "\\Draft" },
	{ 0, NULL },
};

static void
emit_bits(struct emit *em, const char *key, uint32_t bits, const struct bit_name *names)
{
	emit_open(em, key, true);
	for (; names->name != NULL; names++) {
		if ((bits & names->bit) == 0)
			continue;
		emit_word(em, NULL, names->name);
		bits &= ~names->bit;
	}
	if (bits != 0)
		emit_hex64(em, NULL, bits);     /* of a later version */
	emit_close(em, true);
}

static void
emit_uses(struct emit *em, uint32_t uses)
{
	emit_open(em, "special_use", true);
	for (uint32_t use = 1; use != 0; use <<= 1) {
		const char *name = special_use_name(use);

		if ((uses & use) != 0 && name != NULL)
			emit_word(em, NULL, name);
		else if ((uses & use) != 0)
			emit_hex64(em, NULL, use);      /* of a later version */
	}
	emit_close(em, true);
}

static void
emit_uids(struct emit *em, const struct uid_range *uids, uint32_t count)
{
	emit_open(em, "uids", true);
	for (uint32_t i = 0; i < count; i++) {
		char text[32];

		if (uids[i].first == uids[i].last)
			snprintf(text, sizeof text, "%u", uids[i].first);
		else
			snprintf(text, sizeof text, "%u:%u", uids[i].first, uids[i].last);
		emit_word(em, NULL, text);
	}
	emit_close(em, true);
}

/* ---- records ---- */

static void
emit_account(struct emit *em, const struct record_account *r)
{
	emit_lsn(em, "id", r->id);
	emit_text(em, "name", r->name);
	emit_u64(em, "generation", r->generation);
	emit_time(em, "created", r->created_us);
	emit_u64(em, "quota", r->quota_bytes);
	emit_u64(em, "quota_messages", r->quota_messages);
	emit_text(em, "hidden", r->hidden);
	emit_bool(em, "locked", (r->flags & ACCOUNT_LOCKED) != 0);
	emit_bool(em, "deleted", r->deleted);
}

/* The schemes only: what follows them could be used to guess passwords. */
static void
emit_credential(struct emit *em, const struct record_credential *r)
{
	struct buf kinds;

	buf_init(&kinds, ADMIN_LINE_MAX);
	admin_append_kinds(&kinds, r->value);
	emit_owner(em, "account", "account_name", r->account);
	emit_text(em, "name", r->name);
	emit_bool(em, "removed", r->value.len == 0);
	emit_text(em, "scheme", buf_slice(&kinds));
	buf_fini(&kinds);
}

static void
emit_mailbox(struct emit *em, const struct record_mailbox *r)
{
	emit_lsn(em, "id", r->id);
	emit_owner(em, "account", "account_name", r->account);
	emit_text(em, "name", r->name);
	emit_u64(em, "uidvalidity", r->uidvalidity);
	emit_u64(em, "uidnext", r->uidnext);
	emit_u64(em, "highestmodseq", r->highestmodseq);
	if (r->expunge_floor != 0)
		emit_u64(em, "expunge_floor", r->expunge_floor);
	if (r->change_floor != 0)
		emit_u64(em, "change_floor", r->change_floor);
	emit_uses(em, r->special_use);
	emit_bytes(em, "mailboxid", r->mailboxid, MAILBOXID_LEN);
	emit_bool(em, "deleted", r->deleted);
}

static void
emit_chunks(struct emit *em, const struct record_blob *r)
{
	enum { METHODS = CHUNK_METHOD_LAST + 1 };
	static const char *const methods[METHODS] = {
		[CHUNK_STORED] = "stored",
		[CHUNK_DEFLATE] = "deflate",
		[CHUNK_DEFLATE_HEADER] = "deflate-header",
		[CHUNK_BASE64] = "base64",
	};

	emit_open(em, "chunks", true);
	for (uint32_t i = 0; i < r->chunk_count; i++) {
		const struct blob_chunk *k = &r->chunks[i];

		emit_open(em, NULL, false);
		emit_u64(em, "raw", k->raw_len);
		emit_u64(em, "stored", k->stored_len);
		emit_word(em, "method",
		    k->method < METHODS ? methods[k->method] : "unknown");
		emit_u64(em, "dictionary", k->dictionary);
		emit_u64(em, "crc", k->crc);
		emit_close(em, false);
	}
	emit_close(em, true);
}

static void
emit_blob(struct emit *em, const struct record_blob *r)
{
	uint64_t stored = 0;

	for (uint32_t i = 0; i < r->chunk_count; i++)
		stored += r->chunks[i].stored_len;
	emit_u64(em, "size", r->size);
	emit_u64(em, "header", r->header_len);
	emit_u64(em, "lines", r->lines);
	emit_u64(em, "stored", stored);
	emit_u64(em, "parser", mime_summary_version(r->summary));
	emit_u64(em, "summary", r->summary.len);
	emit_bytes(em, "sha256", r->sha256, SHA256_LEN);
	if (r->body.len > 0) {
		struct buf name;

		buf_init(&name, 64);
		admin_append_piece(&name, r->body.seg);
		emit_text(em, "body", buf_slice(&name));
		buf_fini(&name);
	}
	emit_chunks(em, r);
}

static void
emit_messages(struct emit *em, const struct record_messages *r)
{
	emit_lsn(em, "mailbox", r->mailbox);
	emit_u64(em, "modseq", r->modseq);
	if (r->uids != NULL)
		emit_uids(em, r->uids, r->range_count);
	else
		emit_u64(em, "first_uid", r->first_uid);
	emit_u64(em, "count", r->count);
	emit_open(em, "messages", true);
	for (uint32_t i = 0; i < r->count; i++) {
		const struct record_message *m = &r->messages[i];

		emit_open(em, NULL, false);
		emit_lsn(em, "blob", m->blob);
		emit_bits(em, "flags", m->flags, flag_names);
		emit_text(em, "keywords", m->keywords);
		emit_date(em, "internaldate", m->internaldate);
		emit_date(em, "savedate", m->savedate);
		emit_hex64(em, "threadid", m->threadid);
		emit_close(em, false);
	}
	emit_close(em, true);
}

static void
emit_fields(struct emit *em, const struct record *r)
{
	switch (r->type) {
	case RECORD_COUNTERS:
		emit_u64(em, "uidvalidity", r->u.counters.uidvalidity);
		return;
	case RECORD_ACCOUNT:
		emit_account(em, &r->u.account);
		return;
	case RECORD_CREDENTIAL:
		emit_credential(em, &r->u.credential);
		return;
	case RECORD_MAILBOX:
		emit_mailbox(em, &r->u.mailbox);
		return;
	case RECORD_SUBSCRIPTION:
		emit_owner(em, "account", "account_name", r->u.subscription.account);
		emit_text(em, "name", r->u.subscription.name);
		emit_bool(em, "subscribed", r->u.subscription.subscribed);
		return;
	case RECORD_BLOB:
		emit_blob(em, &r->u.blob);
		return;
	case RECORD_MESSAGES:
	case RECORD_SOME_MESSAGES:
		emit_messages(em, &r->u.messages);
		return;
	case RECORD_FLAGS:
		emit_lsn(em, "mailbox", r->u.flags.mailbox);
		emit_u64(em, "modseq", r->u.flags.modseq);
		emit_bits(em, "flags", r->u.flags.flags, flag_names);
		emit_text(em, "keywords", r->u.flags.keywords);
		emit_uids(em, r->u.flags.uids, r->u.flags.range_count);
		return;
	case RECORD_EXPUNGE:
		emit_lsn(em, "mailbox", r->u.expunge.mailbox);
		emit_u64(em, "modseq", r->u.expunge.modseq);
		emit_uids(em, r->u.expunge.uids, r->u.expunge.range_count);
		return;
	case RECORD_GONE:
		return;
	case RECORD_PURGE:
		emit_lsn(em, "blob", r->u.purge.blob);
		emit_bytes(em, "sha256", r->u.purge.sha256, SHA256_LEN);
		emit_text(em, "reason", r->u.purge.reason);
		return;
	case RECORD_UIDL:
		emit_lsn(em, "mailbox", r->u.uidl.mailbox);
		emit_u64(em, "uid", r->u.uidl.uid);
		emit_text(em, "text", r->u.uidl.text);
		return;
	case RECORD_SUMMARY:
		emit_lsn(em, "blob", r->u.summary.blob);
		emit_u64(em, "parser", mime_summary_version(r->u.summary.summary));
		emit_u64(em, "summary", r->u.summary.summary.len);
		return;
	case RECORD_SECRET:
		emit_text(em, "name", r->u.secret.name);        /* and nothing of what it is */
		return;
	case RECORD_DELIVERY:
		emit_bytes(em, "key", r->u.delivery.key.ptr, r->u.delivery.key.len);
		emit_hex64(em, "session", r->u.delivery.session);
		emit_time(em, "at", r->u.delivery.at_s * 1000000u);
		emit_time(em, "until", r->u.delivery.until_s * 1000000u);
		emit_bool(em, "confirmed", r->u.delivery.until_s == 0);
		return;
	}
}

static const char *
protocol_name(uint8_t protocol)
{
	static const char *const names[] = {
		[PROTO_SYSTEM] = "system", [PROTO_LMTP] = "lmtp",   [PROTO_IMAP] = "imap",
		[PROTO_POP3] = "pop3",     [PROTO_ADMIN] = "admin",
	};

	return protocol < sizeof names / sizeof names[0] ? names[protocol] : "unknown";
}

/* ---- the walk ---- */

struct dumping {
	struct admin_call *c;
	struct volume     *v;
	uint64_t           findings;
	struct book        book;
	char               what[80];
};

static enum rc
on_record(void *arg, const struct frame_info *f, const struct record *r,
    const struct log_addr *addr, struct err *e)
{
	struct dumping *d = arg;
	struct emit em = { .book = &d->book, .json = d->c->json, .out = &d->c->line };
	const char *type = record_type_name(r->type);

	(void)addr;
	if (r->type == RECORD_ACCOUNT)
		book_note(&d->book, &d->c->arena, r->u.account.id, r->u.account.name);
	json_init(&em.j, em.out);
	if (em.json)
		json_object(&em.j, NULL);
	if (d->c->ad->volume_count > 1)
		emit_word(&em, "volume", volume_name(d->v));
	emit_lsn(&em, "lsn", r->lsn);
	emit_time(&em, "time", f->time_us);
	emit_word(&em, "type", type != NULL ? type : "unknown");
	emit_fields(&em, r);
	emit_word(&em, "by", protocol_name(f->who.protocol));
	emit_owner(&em, "by_account", "by_name", f->who.account);
	emit_hex64(&em, "by_session", f->who.session);
	if (em.json)
		json_end(&em.j);
	return admin_send(d->c) ? RC_OK : err_set(e, RC_CANCELLED, "nobody reads any more");
}

static void
on_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
    const char *what)
{
	struct dumping *d = arg;
	struct buf line;

	d->findings++;
	buf_init(&line, 4096);
	admin_append_finding(&line, d->v, seg, offset, len, first, last, what);
	d->c->ad->out->error(d->c->ad->out->arg, buf_slice(&line));
	buf_fini(&line);
}

static bool
on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct dumping *d = arg;

	return admin_progress(d->c, d->what, done, total);
}

static enum admin_exit
dump_volume(struct admin_call *c, struct volume *v)
{
	struct dumping d = { .c = c, .v = v };
	const struct log_report rep = { &d, on_found };
	const struct replay rp = { .arg = &d, .record = on_record, .progress = on_progress };
	struct err e = ERR_INIT;
	enum rc rc;

	snprintf(d.what, sizeof d.what, "reading %.60s", volume_name(v));
	if (volume_log(v) == NULL) {
		admin_complain(c, "%s: its log is being recovered, try again", volume_name(v));
		return ADMIN_FAILED;
	}
	rc = log_replay(volume_log(v), &rp, false, &rep, &e);
	free(d.book.rows);
	if (rc != RC_OK) {
		err_add(&e, "%s", volume_name(v));
		return admin_fail(c, &e);
	}
	return d.findings > 0 ? ADMIN_DAMAGE : ADMIN_OK;
}

enum admin_exit
admin_dump(struct admin_call *c)
{
	enum admin_exit status = ADMIN_OK;
	struct volume *v;
	size_t i = 0;

	while ((v = admin_next_volume(c, &i)) != NULL && !c->stopped)
		status = admin_worse(status, dump_volume(c, v));
	return status;
}
