/* move - an account goes from one volume to another. See move.h. */
#include "index/move.h"

#include <stdlib.h>

#include "index/volume_impl.h"
#include "lib/logging.h"

#define PAGE        64u                 /* messages of one change */
#define PAGE_BYTES  (4u << 20)          /* of their contents, about */
#define READ_PIECE  (1u << 20)
#define MOVE_ARENA  (64u << 20)

/* Which blob of the target holds what a blob of the source holds. */
struct pair {
	blob_id here, there;
};

struct move {
	struct volume        *from, *to;
	struct account_info   account;
	account_id            copy;             /* in `to`; 0: none */
	uint32_t              uidvalidity;      /* the highest */
	struct pair          *pairs;            /* open addressing; a power of two */
	size_t                pair_count, pair_cap;
	bool                (*progress)(void *arg, uint64_t done, uint64_t total);
	void                 *progress_arg;
	struct move_result   *out;
	struct arena          arena;            /* of the account and its mailboxes */
};

/* ---- blobs that came already ---- */

static struct pair *
find_pair(const struct move *m, blob_id here)
{
	size_t i = (size_t)(here * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (m->pair_cap - 1);

	while (m->pairs[i].here != 0 && m->pairs[i].here != here)
		i = (i + 1) & (m->pair_cap - 1);
	return &m->pairs[i];
}

static enum rc
note_pair(struct move *m, blob_id here, blob_id there, struct err *e)
{
	struct pair *old = m->pairs;
	size_t cap = m->pair_cap;

	if (m->pair_count * 2 >= cap) {
		m->pair_cap = cap > 0 ? cap * 2 : 1024;
		m->pairs = calloc(m->pair_cap, sizeof *m->pairs);
		if (m->pairs == NULL) {
			m->pairs = old;
			m->pair_cap = cap;
			return err_nomem(e);
		}
		for (size_t i = 0; i < cap; i++)
			if (old[i].here != 0)
				*find_pair(m, old[i].here) = old[i];
		free(old);
	}
	*find_pair(m, here) = (struct pair){ here, there };
	m->pair_count++;
	return RC_OK;
}

static blob_id
copied_as(const struct move *m, blob_id here)
{
	return m->pair_cap > 0 ? find_pair(m, here)->there : 0;
}

/* ---- changes in the target ---- */

static struct change *
new_step(const struct move *m, enum adopt_step step, struct err *e)
{
	struct change *c = change_new(CHANGE_ADOPT);

	if (c == NULL) {
		(void)err_nomem(e);
		return NULL;
	}
	c->who = (struct frame_who){ .protocol = PROTO_ADMIN };
	c->u.adopt.step = step;
	c->u.adopt.from = &m->account;
	c->u.adopt.account = m->copy;
	return c;
}

static enum rc
run(struct volume *v, struct change *c, struct err *e)
{
	enum rc rc = volume_submit_wait(v, c);

	if (rc != RC_OK && c->durable)
		return RC_OK;           /* in the log: that is what counts for a copy */
	if (rc != RC_OK)
		*e = c->err;
	return rc;
}

/* ---- messages ---- */

static enum rc
take_content(struct move *m, const struct message_row *row, struct ingested **out, struct err *e)
{
	struct ingest *in;
	struct buf piece;
	enum rc rc = message_row_check(row, e);

	*out = NULL;
	if (rc != RC_OK)
		return err_add(e, "message %u", row->uid);
	rc = ingest_new(m->to, 0, &in, e);
	buf_init(&piece, READ_PIECE);
	for (uint64_t at = 0; rc == RC_OK && at < row->size; at += READ_PIECE) {
		buf_reset(&piece);
		rc = volume_read_blob(m->from, &row->place, at, READ_PIECE, &piece, e);
		if (rc == RC_OK)
			rc = ingest_feed(in, buf_slice(&piece), e);
	}
	buf_fini(&piece);
	if (rc == RC_OK)
		return ingest_finish(&in, out, e);
	ingest_abort(&in);
	return err_add(e, "message %u", row->uid);
}

/* The rows from `i` on that go into one change; *next: where to go on. A blob that comes twice ends
 * it: the second wants to know the first one's id. */
static enum rc
fill_page(struct move *m, struct change *c, const struct message_row *rows, size_t count,
          size_t *next, struct err *e)
{
	struct change_adopt *a = &c->u.adopt;
	uint64_t bytes = 0;

	a->messages = arena_array(&c->arena, count, sizeof *a->messages);
	if (a->messages == NULL)
		return err_nomem(e);
	for (*next = 0; *next < count && a->message_count < PAGE && bytes < PAGE_BYTES; ++*next) {
		const struct message_row *row = &rows[*next];
		struct adopt_message *am = &a->messages[a->message_count];
		enum rc rc = RC_OK;

		for (uint32_t k = 0; k < a->message_count; k++)
			if (a->messages[k].row->blob == row->blob)
				return RC_OK;
		*am = (struct adopt_message){ .row = row, .blob = copied_as(m, row->blob) };
		a->message_count++;
		if (am->blob == 0)
			rc = take_content(m, row, &am->content, e);
		if (rc != RC_OK)
			return rc;
		bytes += row->size;
	}
	return RC_OK;
}

static enum rc
note_page(struct move *m, const struct change_adopt *a, struct err *e)
{
	enum rc rc = RC_OK;

	for (uint32_t i = 0; rc == RC_OK && i < a->message_count; i++) {
		m->out->messages++;
		m->out->bytes += a->messages[i].row->size;
		if (a->messages[i].content != NULL)
			rc = note_pair(m, a->messages[i].row->blob, a->messages[i].blob, e);
	}
	if (rc == RC_OK && m->progress != NULL &&
	    !m->progress(m->progress_arg, m->out->bytes, m->account.used_bytes))
		return err_set(e, RC_CANCELLED, "cancelled");
	return rc;
}

/* Both lists are in the order of UIDs. */
static void
add_uidls(struct change_adopt *a, const struct message_uidl *uidls, size_t count)
{
	size_t k = 0;

	for (uint32_t i = 0; i < a->message_count; i++) {
		while (k < count && uidls[k].uid < a->messages[i].row->uid)
			k++;
		if (k < count && uidls[k].uid == a->messages[i].row->uid)
			a->messages[i].uidl = uidls[k].text;
	}
}

static enum rc
copy_rows(struct move *m, mailbox_id copy, const struct message_row *rows, size_t count,
          const struct message_uidl *uidls, size_t uidl_count, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t done = 0, n = 0; rc == RC_OK && done < count; done += n) {
		struct change *c = new_step(m, ADOPT_MESSAGES, e);

		if (c == NULL)
			return RC_NOMEM;
		c->u.adopt.mailbox = copy;
		rc = fill_page(m, c, rows + done, count - done, &n, e);
		add_uidls(&c->u.adopt, uidls, uidl_count);
		if (rc == RC_OK)
			rc = run(m->to, c, e);
		if (rc == RC_OK)
			rc = note_page(m, &c->u.adopt, e);
		change_free(&c);
	}
	return rc;
}

static enum rc
copy_messages(struct move *m, mailbox_id mailbox, mailbox_id copy, struct err *e)
{
	struct message_uidl *uidls;
	struct message_row *rows;
	size_t count = PAGE, uidl_count;
	struct uid_set all;
	struct arena a;
	mail_uid from = 1;
	enum rc rc = RC_OK;

	uid_set_init(&all, 1);
	if (!uid_set_add(&all, 1, UINT32_MAX))
		return err_nomem(e);
	arena_init(&a, MOVE_ARENA);
	while (rc == RC_OK && count == PAGE) {
		arena_reset(&a);
		rc = volume_read_messages(m->from, mailbox, &all, from, PAGE, WANT_PLACE, &a, &rows,
		                          &count, e);
		if (rc == RC_OK)
			rc = volume_list_uidls(m->from, mailbox, from, PAGE, &a, &uidls,
			                       &uidl_count, e);
		if (rc == RC_OK && count > 0) {
			from = rows[count - 1].uid + 1;
			rc = copy_rows(m, copy, rows, count, uidls, uidl_count, e);
		}
	}
	arena_fini(&a);
	uid_set_fini(&all);
	return rc;
}

/* ---- the account ---- */

static enum rc
copy_mailboxes(struct move *m, struct err *e)
{
	struct mailbox_info *list;
	size_t count;
	enum rc rc = volume_list_mailboxes(m->from, m->account.id, &m->arena, &list, &count, e);

	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		struct change *c = new_step(m, ADOPT_MAILBOX, e);
		mailbox_id copy;

		if (c == NULL)
			return RC_NOMEM;
		c->u.adopt.box = &list[i];
		rc = run(m->to, c, e);
		copy = c->u.adopt.mailbox;
		change_free(&c);
		if (rc == RC_OK)
			rc = copy_messages(m, list[i].id, copy, e);
		if (list[i].uidvalidity > m->uidvalidity)
			m->uidvalidity = list[i].uidvalidity;
		if (rc != RC_OK)
			return err_add(e, "mailbox %.*s", SLICE_ARG(list[i].name));
		m->out->mailboxes++;
	}
	return rc;
}

static enum rc
copy_subscriptions(struct move *m, struct err *e)
{
	struct slice *names;
	size_t count;
	enum rc rc = volume_list_subscriptions(m->from, m->account.id, &m->arena, &names, &count,
	                                       e);

	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		struct change *c = change_new(CHANGE_SUBSCRIBE);

		if (c == NULL)
			return err_nomem(e);
		c->who.protocol = PROTO_ADMIN;
		c->u.subscribe = (struct change_subscribe){ m->copy, names[i], true };
		rc = run(m->to, c, e);
		change_free(&c);
	}
	return rc;
}

static enum rc
copy_credentials(struct move *m, struct err *e)
{
	struct credential_info *list;
	size_t count;
	enum rc rc = volume_list_credentials(m->from, m->account.id, &m->arena, &list, &count, e);

	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		struct change *c = change_new(CHANGE_CREDENTIAL);

		if (c == NULL)
			return err_nomem(e);
		c->who.protocol = PROTO_ADMIN;
		c->u.account.id = m->copy;
		c->u.account.credential_name = list[i].name;
		c->u.account.credential_value = list[i].value;
		rc = run(m->to, c, e);
		change_free(&c);
	}
	return rc;
}

static enum rc
run_step(struct move *m, enum adopt_step step, struct err *e)
{
	struct change *c = new_step(m, step, e);
	enum rc rc;

	if (c == NULL)
		return RC_NOMEM;
	c->u.adopt.uidvalidity = m->uidvalidity;
	rc = run(m->to, c, e);
	m->copy = rc == RC_OK ? c->u.adopt.account : m->copy;
	change_free(&c);
	return rc;
}

static enum rc
delete_account(struct volume *v, account_id id, struct err *e)
{
	struct change *c = change_new(CHANGE_ACCOUNT_DELETE);
	enum rc rc;

	if (c == NULL)
		return err_nomem(e);
	c->who.protocol = PROTO_ADMIN;
	c->of_move = true;
	c->u.account.id = id;
	rc = run(v, c, e);
	change_free(&c);
	return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- changes of the account wait elsewhere meanwhile ---- */

/* What was decided before is committed behind this. */
static enum rc
pass_writer(struct volume *v, struct err *e)
{
	struct change *c = change_new(CHANGE_STORE);
	enum rc rc;

	if (c == NULL)
		return err_nomem(e);
	rc = volume_submit_wait(v, c);
	if (rc == RC_NOT_FOUND)
		rc = RC_OK;             /* of no mailbox, as it was asked */
	else if (rc != RC_OK)
		*e = c->err;
	change_free(&c);
	return rc;
}

static enum rc
freeze(struct volume *v, account_id id, struct err *e)
{
	account_id none = 0;
	enum rc rc;

	if (!atomic_compare_exchange_strong(&v->frozen, &none, id))
		return err_set(e, RC_BUSY, "another account of volume %s is being moved", v->name);
	rc = pass_writer(v, e);
	if (rc != RC_OK)
		atomic_store(&v->frozen, 0);
	return rc;
}

static enum rc
copy_account(struct move *m, struct err *e)
{
	struct account_info there;
	enum rc rc = volume_get_account(m->from, m->account.id, &m->arena, &m->account, e);

	if (rc == RC_OK &&
	    volume_find_account(m->to, m->account.name, &m->arena, &there, e) == RC_OK)
		return err_set(e, RC_EXISTS, "volume %s has an account %.*s already", m->to->name,
		               SLICE_ARG(m->account.name));
	if (rc == RC_OK)
		rc = run_step(m, ADOPT_BEGIN, e);
	if (rc == RC_OK)
		rc = copy_credentials(m, e);
	if (rc == RC_OK)
		rc = copy_subscriptions(m, e);
	if (rc == RC_OK)
		rc = copy_mailboxes(m, e);
	return rc == RC_OK ? run_step(m, ADOPT_END, e) : rc;
}

/* Nobody has found the copy. */
static void
give_up(const struct move *m, struct err *e)
{
	struct err also = ERR_INIT;

	if (m->copy != 0 && delete_account(m->to, m->copy, &also) != RC_OK)
		(void)err_add(e, "%s (the next start takes the copy away)", also.text);
}

enum rc
move_account(struct volume *from, struct volume *to, account_id account,
             bool (*progress)(void *arg, uint64_t done, uint64_t total), void *progress_arg,
             struct move_result *out, struct err *e)
{
	struct move m = { .from = from, .to = to, .progress = progress,
	                  .progress_arg = progress_arg, .out = out };
	enum rc rc = freeze(from, account, e);

	*out = (struct move_result){ 0 };
	if (rc != RC_OK)
		return rc;
	m.account.id = account;
	arena_init(&m.arena, MOVE_ARENA);
	rc = copy_account(&m, e);
	if (rc == RC_OK && delete_account(from, account, e) != RC_OK)
		rc = err_add(e, "moved, but volume %s still has the old one, until the next start",
		             from->name);
	else if (rc != RC_OK)
		give_up(&m, e);
	atomic_store(&from->frozen, 0);
	arena_fini(&m.arena);
	free(m.pairs);
	return rc;
}

/* ---- after a cut ---- */

/* Accounts of a volume that a move had a part in, by a condition; heap. */
static enum rc
list_ids(struct volume *v, const char *sql, account_id **ids, size_t *count, struct err *e)
{
	enum db_step step = DB_DONE;
	struct db *db;
	sqlite3_stmt *q;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	*ids = NULL;
	*count = 0;
	if (rc != RC_OK)
		return rc;
	q = db_query(db, sql, DB_NO_ARGS, e);
	if (q == NULL)
		rc = e->code;
	while (rc == RC_OK && (step = db_next(db, q, e)) == DB_ROW) {
		account_id *grown = realloc(*ids, (*count + 1) * sizeof *grown);

		if (grown == NULL) {
			db_end(q);
			rc = err_nomem(e);
			break;
		}
		*ids = grown;
		grown[(*count)++] = db_u64(q, 0);
	}
	if (rc == RC_OK && step == DB_FAIL)
		rc = e->code;
	db_pool_return(v->pool, &db);
	return rc;
}

static enum rc
drop_arriving(struct volume *v, uint32_t *removed, struct err *e)
{
	account_id *ids;
	size_t count;
	enum rc rc = list_ids(v, "SELECT id FROM account WHERE arriving <> 0", &ids, &count, e);

	for (size_t i = 0; rc == RC_OK && i < count; i++, ++*removed)
		rc = delete_account(v, ids[i], e);
	free(ids);
	return rc;
}

/* For the admin: what a start did with accounts of one name, or cannot decide. */
static void
tell(const struct volume *v, const struct account_info *a, const char *event, enum log_level level,
     const char *text)
{
	struct logline l;

	log_begin(&l, level, event);
	log_cstr(&l, "volume", v->name);
	log_str(&l, "account", a->name);
	log_cstr(&l, "text", text);
	log_end(&l);
}

static const struct mailbox_info *
find_twin(const struct mailbox_info *list, size_t count, const struct mailbox_info *of)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(list[i].mailboxid, of->mailboxid, sizeof of->mailboxid) == 0)
			return &list[i];
	return NULL;
}

/* Two accounts of one name. */
struct namesakes {
	struct volume      *to, *from;
	struct account_info owner, other;       /* in `to`, and in `from` */
};

static enum rc
has_message(const struct namesakes *p, mailbox_id there, const struct message_content *m,
            struct arena *a, bool *has, struct err *e)
{
	static const uint8_t lost[SHA256_LEN];
	struct message_content *twin;
	size_t count;
	enum rc rc = volume_list_contents(p->to, there, m->uid, 1, a, &twin, &count, e);

	*has = rc == RC_OK && count == 1 && twin->uid == m->uid &&
	       memcmp(twin->sha256, m->sha256, sizeof lost) == 0 &&
	       memcmp(m->sha256, lost, sizeof lost) != 0;
	return rc;
}

/* Is each message of `here` in `there`, by its UID and its content? */
static enum rc
has_messages(const struct namesakes *p, mailbox_id here, mailbox_id there, bool *all, struct err *e)
{
	struct message_content *list;
	size_t count = PAGE;
	mail_uid from = 1;
	struct arena a;
	enum rc rc = RC_OK;

	arena_init(&a, MOVE_ARENA);
	while (rc == RC_OK && *all && count == PAGE) {
		arena_reset(&a);
		rc = volume_list_contents(p->from, here, from, PAGE, &a, &list, &count, e);
		for (size_t i = 0; rc == RC_OK && *all && i < count; i++) {
			rc = has_message(p, there, &list[i], &a, all, e);
			from = list[i].uid + 1;
		}
	}
	arena_fini(&a);
	return rc;
}

/* Does the owner have whatever the other one has? A copy's expunge_floor is the highest MODSEQ that
 * it was made of. While `to` was away the other may have served, and taken mail; pruning may have
 * raised the floor since, so that the messages are compared, too. */
static enum rc
has_all(const struct namesakes *p, struct arena *a, bool *all, struct err *e)
{
	struct mailbox_info *here, *there;
	size_t n_here, n_there;
	enum rc rc = volume_list_mailboxes(p->from, p->other.id, a, &here, &n_here, e);

	*all = true;
	if (rc == RC_OK)
		rc = volume_list_mailboxes(p->to, p->owner.id, a, &there, &n_there, e);
	for (size_t i = 0; rc == RC_OK && *all && i < n_here; i++) {
		const struct mailbox_info *twin = find_twin(there, n_there, &here[i]);

		if (here[i].exists == 0)
			continue;
		*all = twin != NULL && here[i].highestmodseq <= twin->expunge_floor;
		if (*all)
			rc = has_messages(p, here[i].id, twin->id, all, e);
	}
	return rc;
}

/* Who has the name in another volume with a lower generation was succeeded by this one, if it is
 * the same account: a move keeps when it was made. One that was made or has changed while this
 * volume was away holds mail of its own and stays. */
static enum rc
drop_predecessor(const struct namesakes *p, struct arena *a, uint32_t *removed, struct err *e)
{
	const struct account_info *owner = &p->owner, *other = &p->other;
	struct volume *v = p->from;
	bool same = other->created_us == owner->created_us;
	enum rc rc = RC_OK;

	if (other->generation >= owner->generation)
		return RC_OK;
	if (same)
		rc = has_all(p, a, &same, e);
	if (rc != RC_OK)
		return rc;
	if (!same) {
		tell(v, other, "volume.account_twice", LOGLEVEL_WARN,
		     "another volume has an account of this name, which is found; to reach this "
		     "one rename the other (restantectl user rename)");
		return RC_OK;
	}
	tell(v, other, "volume.account_moved", LOGLEVEL_INFO,
	     "what a move that was cut has left here is deleted");
	++*removed;
	return delete_account(v, other->id, e);
}

static enum rc
drop_predecessors(struct volume *const *volumes, size_t n, struct volume *v, account_id id,
                  uint32_t *removed, struct err *e)
{
	struct namesakes p = { .to = v };
	struct arena a;
	enum rc rc;

	arena_init(&a, MOVE_ARENA);
	rc = volume_get_account(v, id, &a, &p.owner, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		if (volumes[i] == v)
			continue;
		p.from = volumes[i];
		rc = volume_find_account(volumes[i], p.owner.name, &a, &p.other, e);
		if (rc == RC_OK)
			rc = drop_predecessor(&p, &a, removed, e);
		rc = rc == RC_NOT_FOUND ? RC_OK : rc;
	}
	arena_fini(&a);
	return rc;
}

enum rc
move_settle(struct volume *const *volumes, size_t n, uint32_t *removed, struct err *e)
{
	enum rc rc = RC_OK;

	*removed = 0;
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		account_id *ids;
		size_t count;

		rc = drop_arriving(volumes[i], removed, e);
		if (rc != RC_OK || n == 1)
			continue;
		rc = list_ids(volumes[i], "SELECT id FROM account WHERE generation > 1", &ids,
		              &count, e);
		for (size_t k = 0; rc == RC_OK && k < count; k++)
			rc = drop_predecessors(volumes, n, volumes[i], ids[k], removed, e);
		free(ids);
	}
	return rc;
}
