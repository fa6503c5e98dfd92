/* inboxes - an INBOX for every account: the frame that made an account and its mailboxes may be
 * damaged, and only a later one, of its quota, left. RFC 9051 s5.1 promises an INBOX, and LMTP has
 * no other place to deliver to.
 *
 * Made by a record, as anything is, at the start and before anything is served: so an index made
 * anew has the same one. If the damage is mended later, the older INBOX comes back under its name
 * and its UIDVALIDITY, as index_tidy has it. Rejected: making it at the login or the delivery that
 * misses it (each protocol would have to), and in index_tidy without a record (its id and
 * UIDVALIDITY would follow from nothing).
 */
#include "index/volume_impl.h"

#include "lib/logging.h"

#include <stdio.h>

#define PAGE 256u

static void
tell(struct volume *v, account_id account, enum rc rc, const struct err *e)
{
	char id[48];
	struct logline l;

	(void)snprintf(id, sizeof id, LSN_FORMAT, LSN_ARG(account));
	log_begin(&l, rc == RC_OK ? LOGLEVEL_WARN : LOGLEVEL_ERROR,
	          rc == RC_OK ? "volume.inbox_made" : "volume.inbox_missing");
	log_cstr(&l, "volume", v->name);
	log_cstr(&l, "account", id);
	if (rc != RC_OK)
		log_err(&l, e);
	log_end(&l);
}

static enum rc
submit(struct volume *v, enum change_kind kind, account_id account, struct err *e)
{
	struct change *c = change_new(kind);
	enum rc rc;

	if (c == NULL)
		return err_nomem(e);
	if (kind == CHANGE_SUBSCRIBE)
		c->u.subscribe = (struct change_subscribe){ account, SLICE("INBOX"), true };
	else
		c->u.mailbox = (struct change_mailbox){ .account = account,
		                                        .name = SLICE("INBOX") };
	rc = volume_submit_wait(v, c);
	*e = c->err;
	change_free(&c);
	return rc;
}

/* Up to a page of accounts without one, from behind `after`. */
static enum rc
find_accounts(struct volume *v, account_id after, account_id *out, size_t *count, struct err *e)
{
	enum db_step step;
	struct db *db;
	sqlite3_stmt *q;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	*count = 0;
	if (rc != RC_OK)
		return rc;
	q = db_query(db,
	             "SELECT id FROM account a WHERE id > ?1 AND NOT EXISTS (SELECT 1 FROM mailbox"
	             " WHERE account = a.id AND name = X'494E424F58') ORDER BY id LIMIT ?2",
	             DB_ARGS(DB_NUM(after), DB_NUM(PAGE)), e);
	while (q != NULL && (step = db_next(db, q, e)) == DB_ROW)
		out[(*count)++] = db_u64(q, 0);
	rc = q != NULL && step == DB_DONE ? RC_OK : e->code;
	db_pool_return(v->pool, &db);
	return rc;
}

void
inboxes_mend(struct volume *v)
{
	account_id ids[PAGE], after = 0;
	struct err e = ERR_INIT;
	size_t count;

	if (!volume_is_damaged(v))
		return;
	while (find_accounts(v, after, ids, &count, &e) == RC_OK && count > 0) {
		for (size_t i = 0; i < count; i++) {
			enum rc rc = submit(v, CHANGE_MAILBOX_CREATE, ids[i], &e);

			if (rc == RC_OK)
				rc = submit(v, CHANGE_SUBSCRIBE, ids[i], &e);
			tell(v, ids[i], rc, &e);
		}
		after = ids[count - 1];
	}
}
