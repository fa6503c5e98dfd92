/* fate_known - what the two passes have learnt of accounts, mailboxes and names. See fate_impl.h.
 *
 * Objects without an id (a credential, a subscription, a keyword of a mailbox) are known by a sum
 * with a random key: nobody can make two of them meet.
 */
#include "store/fate_impl.h"

#include <stdlib.h>
#include <unistd.h>

#define EXPUNGED_RANGES (4u << 20)      /* of one mailbox; what does not fit is not dead */
#define FLAGGED_RANGES  (64u << 10)     /* these are added at their front, which
                                         * costs their number */

void
verdict_init(struct verdict *v)
{
	*v = (struct verdict){ .fate = FATE_KEEP };
	uid_set_init(&v->keep, EXPUNGED_RANGES);
	uid_set_init(&v->bare, EXPUNGED_RANGES);
}

void
verdict_fini(struct verdict *v)
{
	uid_set_fini(&v->keep);
	uid_set_fini(&v->bare);
}

enum rc
fates_new(struct fates **out, struct err *e)
{
	struct fates *f = calloc(1, sizeof *f);

	*out = f;
	if (f == NULL)
		return err_nomem(e);
	if (getentropy(f->secret, sizeof f->secret) == 0)
		return RC_OK;
	fates_free(out);
	return err_set(e, RC_IO, "no random bytes from the system");
}

void
fates_free(struct fates **fp)
{
	struct fates *f = *fp;

	if (f == NULL)
		return;
	*fp = NULL;
	for (size_t i = 0; i < f->mailbox_count; i++) {
		uid_set_fini(&f->mailbox[i].expunged_old);
		uid_set_fini(&f->mailbox[i].expunged);
		uid_set_fini(&f->mailbox[i].flagged);
		uid_set_fini(&f->mailbox[i].met_uids);
	}
	free(f->mailbox);
	free(f->account);
	free(f->tombs);
	free(f->ranges);
	idmap_fini(&f->accounts);
	idmap_fini(&f->mailboxes);
	idmap_fini(&f->named);
	idmap_fini(&f->named_met);
	idmap_fini(&f->keywords);
	idmap_fini(&f->wanted);
	idmap_fini(&f->purged);
	idmap_fini(&f->summaries);
	free(f);
}

/* ---- objects ---- */

bool
fates_grow(void **array, size_t *cap, size_t count, size_t more, size_t size)
{
	size_t want = *cap > 0 ? *cap : 16;
	void *p;

	while (want < count + more)
		want *= 2;
	if (want == *cap)
		return true;
	p = realloc(*array, want * size);
	if (p == NULL)
		return false;
	*array = p;
	*cap = want;
	return true;
}

struct account *
fates_account(struct fates *f, account_id id)
{
	uint64_t *at = idmap_add(&f->accounts, id != 0 ? id : UINT64_MAX);

	if (at == NULL)
		return NULL;
	if (*at == 0) {
		if (!fates_grow((void **)&f->account, &f->account_cap, f->account_count, 1,
		                sizeof *f->account))
			return NULL;
		f->account[f->account_count++] = (struct account){ .stated = 0 };
		*at = f->account_count;
	}
	return &f->account[*at - 1];
}

struct mailbox *
fates_mailbox(struct fates *f, mailbox_id id)
{
	uint64_t *at = idmap_add(&f->mailboxes, id != 0 ? id : UINT64_MAX);
	struct mailbox *m;

	if (at == NULL)
		return NULL;
	if (*at == 0) {
		if (!fates_grow((void **)&f->mailbox, &f->mailbox_cap, f->mailbox_count, 1,
		                sizeof *f->mailbox))
			return NULL;
		m = &f->mailbox[f->mailbox_count++];
		*m = (struct mailbox){ .id = id };
		uid_set_init(&m->expunged_old, EXPUNGED_RANGES);
		uid_set_init(&m->expunged, EXPUNGED_RANGES);
		uid_set_init(&m->flagged, FLAGGED_RANGES);
		uid_set_init(&m->met_uids, EXPUNGED_RANGES);
		*at = f->mailbox_count;
	}
	return &f->mailbox[*at - 1];
}

bool
fates_account_is_deleted(const struct fates *f, account_id id)
{
	const uint64_t *at = id != 0 ? idmap_find(&f->accounts, id) : NULL;

	return at != NULL && f->account[*at - 1].deleted;
}

bool
fates_mailbox_is_deleted(const struct fates *f, const struct mailbox *m)
{
	return m->deleted || fates_account_is_deleted(f, m->account);
}

uint64_t
fates_sum_name(const struct fates *f, uint8_t kind, uint64_t owner, struct slice name, bool fold)
{
	struct siphash h;
	uint64_t sum;

	siphash_init(&h, f->secret);
	siphash_add(&h, &kind, 1);
	siphash_add(&h, &owner, sizeof owner);
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = fold ? ascii_lower(name.ptr[i]) : name.ptr[i];

		siphash_add(&h, &c, 1);
	}
	sum = siphash_sum(&h);
	return sum != 0 ? sum : 1;
}

/* ---- keywords ---- */

/* The next word of text with one space between words. */
static bool
next_word(struct slice *text, struct slice *word)
{
	size_t n = 0;

	if (text->len == 0)
		return false;
	while (n < text->len && text->ptr[n] != ' ')
		n++;
	*word = slice_sub(*text, 0, n);
	*text = slice_sub(*text, n < text->len ? n + 1 : n, text->len);
	return true;
}

bool
fates_has_unnamed(const struct fates *f, mailbox_id mailbox, struct slice text)
{
	struct slice word;

	while (next_word(&text, &word))
		if (idmap_find(&f->keywords, fates_sum_name(f, 'K', mailbox, word, true)) == NULL)
			return true;
	return false;
}

enum rc
fates_name_keywords(struct fates *f, mailbox_id mailbox, struct slice text, struct err *e)
{
	struct slice word;

	while (next_word(&text, &word))
		if (idmap_add(&f->keywords, fates_sum_name(f, 'K', mailbox, word, true)) == NULL)
			return err_nomem(e);
	return RC_OK;
}

/* ---- tombstones ---- */

enum rc
fates_keep_tombstone(struct fates *f, enum tombstone_kind kind, uint64_t where, uint64_t key,
                     struct err *e)
{
	if (!fates_grow((void **)&f->tombs, &f->tomb_cap, f->tomb_count, 1, sizeof *f->tombs))
		return err_nomem(e);
	f->tombs[f->tomb_count++] = (struct tombstone){ kind, where, key, f->range_count, 0 };
	return RC_OK;
}
