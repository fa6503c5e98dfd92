/* list_tree - see list_tree.h. The cost is sorting, and one search per level for each selected
 * name. */
#include "server/imap/list_tree.h"

#include <stdlib.h>

#include "index/box_cache.h"
#include "server/imap/list_match.h"

#define LEVELS_MAX 64u          /* of names whose parents are looked at; the index allows fewer */
#define MATCH_WORK 4000000u     /* octets of names times octets of patterns in one step */

static int
node_cmp(const void *a, const void *b)
{
	const struct list_node *x = a, *y = b;

	return slice_cmp(x->name, y->name);
}

static struct list_node *
tree_find(const struct list_tree *t, struct slice name)
{
	struct list_node key = { .name = name };

	if (t->count == 0)
		return NULL;
	return bsearch(&key, t->nodes, t->count, sizeof key, node_cmp);
}

/* The name one level up; empty at the top. */
static struct slice
parent_of(struct slice name)
{
	while (name.len > 0 && name.ptr[name.len - 1] != '/')
		name.len--;
	if (name.len > 0)
		name.len--;
	return name;
}

/* Equal names become one node. */
static void
merge_equal(struct list_tree *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->count; i++) {
		struct list_node *last = n > 0 ? &t->nodes[n - 1] : NULL;

		if (last == NULL || !slice_eq(last->name, t->nodes[i].name)) {
			t->nodes[n++] = t->nodes[i];
			continue;
		}
		if (t->nodes[i].box != NULL)
			last->box = t->nodes[i].box;
		last->subscribed = last->subscribed || t->nodes[i].subscribed;
	}
	t->count = n;
}

/* How many nodes a subscribed name can add: itself and its parents. */
static size_t
levels_of(struct slice name)
{
	size_t n = 1;

	for (struct slice p = parent_of(name); p.len > 0 && n < LEVELS_MAX; p = parent_of(p))
		n++;
	return n;
}

static void
add_subscription(struct list_tree *t, struct slice name)
{
	size_t n = levels_of(name);

	t->nodes[t->count++] = (struct list_node){ .name = name, .subscribed = true };
	for (struct slice p = parent_of(name); --n > 0; p = parent_of(p))
		t->nodes[t->count++] = (struct list_node){ .name = p };
}

enum rc
list_tree_read(struct volume *v, account_id account, unsigned reads, struct arena *a,
    struct list_tree *out, struct err *e)
{
	struct mailbox_info *boxes;
	struct slice *names = NULL;
	size_t nboxes, nnames = 0, room;
	enum rc rc = ((reads & LIST_COUNTERS) != 0 ? volume_list_mailboxes : volume_list_names)(v, account, a, &boxes,
	                                                                                        &nboxes, e);

	if (rc == RC_OK && (reads & LIST_SUBSCRIPTIONS) != 0)
		rc = volume_list_subscriptions(v, account, a, &names, &nnames, e);
	if (rc != RC_OK)
		return rc;
	room = nboxes;
	for (size_t i = 0; i < nnames; i++)
		room += levels_of(names[i]);
	*out = (struct list_tree){ .nodes = arena_array(a, room > 0 ? room : 1,
	                                                sizeof *out->nodes) };
	if (out->nodes == NULL)
		return err_set(e, RC_LIMIT, "too many mailboxes for one command");
	for (size_t i = 0; i < nboxes; i++)
		out->nodes[out->count++] = (struct list_node){
			.name = boxes[i].name, .box = &boxes[i], .subscribed = boxes[i].subscribed
		};
	for (size_t i = 0; i < nnames; i++)
		add_subscription(out, names[i]);
	qsort(out->nodes, out->count, sizeof *out->nodes, node_cmp);
	merge_equal(out);
	return RC_OK;
}

static bool
matches_any(const struct list_query *q, struct slice name)
{
	for (size_t i = 0; i < q->pattern_count; i++) {
		if (list_match(q->patterns[i], name))
			return true;
	}
	return false;
}

/* The most that matching this name can cost, in MATCH_WORK's unit. */
static size_t
match_work(const struct list_query *q, struct slice name)
{
	size_t work = 0;

	for (size_t i = 0; i < q->pattern_count; i++)
		work += (q->patterns[i].len + 1) * (name.len + 1);
	return work;
}

bool
list_tree_match(struct list_tree *t, const struct list_query *q)
{
	size_t work = 0;

	for (; t->matched < t->count && work < MATCH_WORK; t->matched++) {
		struct list_node *node = &t->nodes[t->matched];

		node->matched = matches_any(q, node->name);
		work += match_work(q, node->name);
	}
	return t->matched == t->count;
}

static bool
meets_selection(const struct list_query *q, const struct list_node *node)
{
	if (!q->subscribed && node->box == NULL)
		return false;
	if (q->subscribed && !node->subscribed)
		return false;
	return !q->special_use || (node->box != NULL && node->box->special_use != 0);
}

/* Tell all names above a selected one. */
static void
mark_parents(struct list_tree *t, const struct list_node *node)
{
	for (struct slice p = parent_of(node->name); p.len > 0; p = parent_of(p)) {
		struct list_node *up = tree_find(t, p);

		if (up == NULL)
			continue;
		up->child_selected = true;
		up->child_hidden = up->child_hidden || !node->matched;
	}
}

void
list_tree_select(struct list_tree *t, const struct list_query *q)
{
	for (size_t i = 0; i < t->count; i++)
		t->nodes[i].selected = meets_selection(q, &t->nodes[i]);
	for (size_t i = 0; q->recursive && i < t->count; i++) {
		if (t->nodes[i].selected)
			mark_parents(t, &t->nodes[i]);
	}
}
