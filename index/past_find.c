/* past_find - the accounts that a log tells of, by name, and how far back a log goes. See past.h.
 *
 * An account that was deleted is in no index: only the log's account records know its id.
 */
#include "index/past.h"

#include <stdlib.h>

#include "index/names.h"

/* The last word about one account. */
struct owner {
	account_id id;
	uint64_t   created_us, deleted_us;
	bool       has_name;            /* the one that is looked for */
	size_t     name_len;
	uint8_t    name[ACCOUNT_NAME_MAX];
};

struct finding {
	const struct past_params *how;
	struct slice              key;
	uint64_t                  at_us;
	struct owner             *owners;
	size_t                    count, cap;
	struct arena              scratch;
	bool                      deleted_only, enough;
};

static struct owner *
find_owner(const struct finding *f, account_id id)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->owners[i].id == id)
			return &f->owners[i];
	return NULL;
}

static struct owner *
add_owner(struct finding *f, account_id id)
{
	size_t cap = f->cap > 0 ? f->cap * 2 : 8;
	struct owner *bigger;

	if (f->count == f->cap) {
		bigger = realloc(f->owners, cap * sizeof *bigger);
		if (bigger == NULL)
			return NULL;
		f->owners = bigger;
		f->cap = cap;
	}
	f->owners[f->count] = (struct owner){ .id = id };
	return &f->owners[f->count++];
}

/* Only those that ever had the name are kept: few. */
static enum rc
note_account(struct finding *f, const struct frame_info *fi, const struct record_account *r,
             struct err *e)
{
	struct owner *o = find_owner(f, r->id);
	struct slice key;
	bool same;

	if (name_account(r->name, &f->scratch, NULL, &key, e) != RC_OK)
		return e->code == RC_NOMEM ? RC_NOMEM : RC_OK;
	same = slice_eq(key, f->key);
	if (o == NULL && !same)
		return RC_OK;
	if (o == NULL)
		o = add_owner(f, r->id);
	if (o == NULL)
		return err_nomem(e);
	o->has_name = same;
	o->created_us = r->created_us;
	o->deleted_us = r->deleted ? fi->time_us : 0;
	o->name_len = r->name.len < sizeof o->name ? r->name.len : sizeof o->name;
	memcpy(o->name, r->name.ptr, o->name_len);
	return RC_OK;
}

static enum rc
on_record(void *arg, const struct frame_info *fi, const struct record *r,
          const struct log_addr *addr, struct err *e)
{
	struct finding *f = arg;
	enum rc rc;

	(void)addr;
	if (fi->time_us > f->at_us) {
		f->enough = true;
		return err_set(e, RC_CANCELLED, "far enough");
	}
	if (r->type != RECORD_ACCOUNT)
		return RC_OK;
	rc = note_account(f, fi, &r->u.account, e);
	arena_reset(&f->scratch);
	return rc;
}

/* One that is there before one that was deleted, then the later one. */
static const struct owner *
best_owner(const struct finding *f)
{
	const struct owner *best = NULL;

	for (size_t i = 0; i < f->count; i++) {
		const struct owner *o = &f->owners[i];
		uint64_t end = o->deleted_us > 0 ? o->deleted_us : UINT64_MAX;
		uint64_t best_end = best == NULL           ? 0
		                    : best->deleted_us > 0 ? best->deleted_us
		                                           : UINT64_MAX;

		if (o->has_name && end >= best_end && (o->deleted_us > 0 || !f->deleted_only))
			best = o;
	}
	return best;
}

static bool
on_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct finding *f = arg;

	return f->how->progress(f->how->progress_arg, done, total);
}

static enum rc
tell_owner(const struct finding *f, struct arena *a, struct past_owner *out, struct err *e)
{
	const struct owner *o = best_owner(f);

	if (o == NULL)
		return err_set(e, RC_NOT_FOUND, "the log knows no such account");
	*out = (struct past_owner){ o->id, arena_dup(a, slice_of(o->name, o->name_len)),
	                            o->created_us, o->deleted_us };
	return out->name.ptr != NULL ? RC_OK : err_nomem(e);
}

enum rc
past_find_owner(struct log *log, struct slice name, uint64_t at_us, bool deleted_only,
                const struct past_params *how, struct arena *a, struct past_owner *out,
                struct err *e)
{
	struct finding f = { .how = how, .at_us = at_us, .deleted_only = deleted_only };
	const struct replay rp = {
		.arg = &f,
		.record = on_record,
		.progress = how->progress != NULL ? on_progress : NULL,
	};
	enum rc rc;

	rc = name_account(name, a, NULL, &f.key, e);
	if (rc == RC_DENIED || rc == RC_LIMIT)
		return err_set(e, RC_NOT_FOUND, "no account can have this name");
	if (rc != RC_OK)
		return rc;
	arena_init(&f.scratch, 1u << 20);
	rc = log_replay(log, &rp, false, &how->report, e);
	if (rc == RC_OK || (rc == RC_CANCELLED && f.enough))
		rc = tell_owner(&f, a, out, e);
	arena_fini(&f.scratch);
	free(f.owners);
	return rc;
}

/* ---- how far back ---- */

static enum rc
on_first(void *arg, const struct frame_info *fi, const struct record *r,
         const struct log_addr *addr, struct err *e)
{
	uint64_t *out = arg;

	(void)r, (void)addr;
	*out = fi->time_us > 0 ? fi->time_us : 1;
	return err_set(e, RC_CANCELLED, "far enough");
}

enum rc
past_begin_us(struct log *log, uint64_t *out, struct err *e)
{
	const struct replay rp = { .arg = out, .record = on_first };
	const struct log_report rep = { .found = NULL };
	enum rc rc;

	*out = 0;
	rc = log_replay(log, &rp, false, &rep, e);
	return rc == RC_CANCELLED && *out != 0 ? RC_OK : rc;
}
