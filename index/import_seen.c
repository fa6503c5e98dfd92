/* import_seen - what was there when an import began. See import_seen.h.
 *
 * Rows stand in the order of UIDs; `order` lists them by content. Unique-ids are remembered by a
 * keyed hash alone: two of one hash cost the second its unique-id, which is rarer than
 * a damaged disk.
 */
#include "index/import_seen.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/siphash.h"

#define PAGE      5000u
#define ARENA_MAX (8u << 20)
#define ROWS_MAX  (UINT32_C(1) << 26)

struct seen_row {
	struct message_content content;
	bool                   claimed;
};

struct seen_box {
	struct seen_box *next;
	mailbox_id       mailbox;
	struct seen_row *rows;
	struct seen_row **order;
	size_t           count, cap;
	uint64_t        *uidls;         /* hashes, ascending; NULL: not read yet */
	size_t           uidl_count, uidl_cap;
};

struct import_seen {
	struct volume   *v;
	struct seen_box *boxes;
	struct arena     arena;         /* of one page */
};

static const uint8_t uidl_key[16] = "import: uidl";

enum rc
import_seen_new(struct volume *v, struct import_seen **out, struct err *e)
{
	struct import_seen *s = calloc(1, sizeof *s);

	*out = s;
	if (s == NULL)
		return err_nomem(e);
	s->v = v;
	arena_init(&s->arena, ARENA_MAX);
	return RC_OK;
}

static void
free_box(struct seen_box *b)
{
	free(b->rows);
	free(b->order);
	free(b->uidls);
	free(b);
}

void
import_seen_free(struct import_seen **sp)
{
	struct import_seen *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	while (s->boxes != NULL) {
		struct seen_box *b = s->boxes;

		s->boxes = b->next;
		free_box(b);
	}
	arena_fini(&s->arena);
	free(s);
}

/* ---- messages ---- */

static int
compare_content(const struct message_content *a, const struct message_content *b)
{
	int c = memcmp(a->sha256, b->sha256, sizeof a->sha256);

	if (c != 0)
		return c;
	return a->internaldate < b->internaldate ? -1 : a->internaldate > b->internaldate;
}

static int
compare_rows(const void *x, const void *y)
{
	const struct seen_row *const *a = x, *const *b = y;
	int c = compare_content(&(*a)->content, &(*b)->content);

	return c != 0 ? c : (*a)->content.uid < (*b)->content.uid ? -1 : 1;
}

static bool
push_row(struct seen_box *b, const struct message_content *m)
{
	if (b->count == b->cap) {
		size_t cap = b->cap > 0 ? b->cap * 2 : 256;
		struct seen_row *rows = realloc(b->rows, cap * sizeof *rows);

		if (rows == NULL)
			return false;
		b->rows = rows;
		b->cap = cap;
	}
	b->rows[b->count++] = (struct seen_row){ *m, false };
	return true;
}

static enum rc
load_rows(struct import_seen *s, struct seen_box *b, struct err *e)
{
	mail_uid from = 1;
	size_t n;

	do {
		struct message_content *rows;
		enum rc rc = volume_list_contents(s->v, b->mailbox, from, PAGE, &s->arena, &rows,
		                                  &n, e);

		if (rc != RC_OK)
			return rc;
		for (size_t i = 0; i < n; i++)
			if (b->count == ROWS_MAX || !push_row(b, &rows[i]))
				return err_nomem(e);
		from = n > 0 ? rows[n - 1].uid + 1 : 0;
		arena_reset(&s->arena);
	} while (n == PAGE);
	b->order = calloc(b->count + 1, sizeof *b->order);
	if (b->order == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < b->count; i++)
		b->order[i] = &b->rows[i];
	if (b->count > 1)
		qsort(b->order, b->count, sizeof *b->order, compare_rows);
	return RC_OK;
}

enum rc
import_seen_box(struct import_seen *s, mailbox_id mailbox, struct seen_box **out, struct err *e)
{
	struct seen_box *b;
	enum rc rc;

	*out = NULL;
	for (b = s->boxes; b != NULL; b = b->next) {
		if (b->mailbox == mailbox) {
			*out = b;
			return RC_OK;
		}
	}
	b = calloc(1, sizeof *b);
	if (b == NULL)
		return err_nomem(e);
	b->mailbox = mailbox;
	rc = load_rows(s, b, e);
	if (rc != RC_OK) {
		free_box(b);
		return rc;
	}
	b->next = s->boxes;
	s->boxes = b;
	*out = b;
	return RC_OK;
}

mail_uid
seen_box_claim(struct seen_box *b, const uint8_t sha256[SHA256_LEN], int64_t internaldate)
{
	struct message_content wanted = { .internaldate = internaldate };
	size_t low = 0, high = b->count;

	memcpy(wanted.sha256, sha256, sizeof wanted.sha256);
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_content(&b->order[mid]->content, &wanted) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < b->count; low++) {
		struct seen_row *r = b->order[low];

		if (compare_content(&r->content, &wanted) != 0)
			break;
		if (!r->claimed) {
			r->claimed = true;
			return r->content.uid;
		}
	}
	return 0;
}

bool
seen_box_has_uid(const struct seen_box *b, mail_uid uid, const uint8_t sha256[SHA256_LEN],
                 bool *same)
{
	size_t low = 0, high = b->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (b->rows[mid].content.uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == b->count || b->rows[low].content.uid != uid)
		return false;
	*same = memcmp(b->rows[low].content.sha256, sha256, SHA256_LEN) == 0;
	return true;
}

/* ---- unique-ids ---- */

/* False: it is there, or, *nomem, there is no memory. */
static bool
add_hash(struct seen_box *b, uint64_t hash, bool *nomem)
{
	size_t low = 0, high = b->uidl_count;

	*nomem = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (b->uidls[mid] < hash)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < b->uidl_count && b->uidls[low] == hash)
		return false;
	if (b->uidls == NULL || b->uidl_count == b->uidl_cap) {
		size_t cap = b->uidl_cap > 0 ? b->uidl_cap * 2 : 64;
		uint64_t *bigger = realloc(b->uidls, cap * sizeof *bigger);

		*nomem = bigger == NULL;
		if (bigger == NULL)
			return false;
		b->uidls = bigger;
		b->uidl_cap = cap;
	}
	memmove(b->uidls + low + 1, b->uidls + low, (b->uidl_count - low) * sizeof *b->uidls);
	b->uidls[low] = hash;
	b->uidl_count++;
	return true;
}

static enum rc
load_uidls(struct import_seen *s, struct seen_box *b, struct err *e)
{
	mail_uid from = 1;
	bool nomem = false;
	size_t n;

	do {
		struct message_uidl *rows;
		enum rc rc = volume_list_uidls(s->v, b->mailbox, from, PAGE, &s->arena, &rows, &n,
		                               e);

		if (rc != RC_OK)
			return rc;
		for (size_t i = 0; i < n && !nomem; i++)
			(void)add_hash(b, siphash(uidl_key, rows[i].text.ptr, rows[i].text.len),
			               &nomem);
		from = n > 0 ? rows[n - 1].uid + 1 : 0;
		arena_reset(&s->arena);
	} while (n == PAGE && !nomem);
	return nomem ? err_nomem(e) : RC_OK;
}

enum rc
seen_box_take_uidl(struct import_seen *s, struct seen_box *b, uint32_t uidvalidity,
                   struct slice uidl, bool *ok, struct err *e)
{
	char own[9];
	bool nomem;

	*ok = false;
	(void)snprintf(own, sizeof own, "%08x", uidvalidity);
	if (uidl.len == 0 || (uidl.len == 16 && slice_starts_nocase(uidl, slice_str(own))))
		return RC_OK;
	for (size_t i = 0; i < uidl.len; i++)
		if (uidl.ptr[i] < 0x21 || uidl.ptr[i] > 0x7E)
			return RC_OK;
	if (b->uidls == NULL) {
		enum rc rc = load_uidls(s, b, e);

		if (rc != RC_OK)
			return rc;
	}
	*ok = add_hash(b, siphash(uidl_key, uidl.ptr, uidl.len), &nomem);
	return nomem ? err_nomem(e) : RC_OK;
}
