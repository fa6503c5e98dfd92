/* model_resync - what a client that was away is told. See model.h. */
#include "tests/crash/model.h"

#include <stdio.h>

static const struct model_message *
find_message(const struct model_box *b, mail_uid uid)
{
	for (unsigned i = 0; i < b->count; i++)
		if (b->messages[i].uid == uid)
			return &b->messages[i];
	return NULL;
}

static bool
is_told_changed(const struct view_changes *c, mail_uid uid)
{
	for (size_t i = 0; i < c->changed_count; i++)
		if (c->changed[i].uid == uid)
			return true;
	return false;
}

static const char *
compare_changes(const struct model_box *then, const struct model_box *now,
                const struct view_changes *c)
{
	uint64_t vanished = 0, added = 0;
	bool all = then->highest < c->now.expunge_floor;  /* what is not there may be told too */

	for (unsigned i = 0; i < then->count; i++) {
		const struct model_message *was = &then->messages[i],
		                           *is = find_message(now, was->uid);

		vanished += is == NULL;
		if ((is == NULL) != uid_set_contains(&c->vanished, was->uid))
			return "VANISHED is not the difference";
		if (is != NULL && (is->flags != was->flags || is->keyword != was->keyword) &&
		    !is_told_changed(c, was->uid))
			return "changed flags are not told";
	}
	for (unsigned i = 0; i < now->count; i++) {
		bool is_new = now->messages[i].uid >= then->uidnext;

		added += is_new;
		if (uid_set_contains(&c->vanished, now->messages[i].uid))
			return "VANISHED names a message that is there";
		if (is_new != uid_set_contains(&c->added, now->messages[i].uid))
			return "a new message is not told";
	}
	return !all && vanished != uid_set_size(&c->vanished) ? "VANISHED tells too much"
	       : added != uid_set_size(&c->added) ? "there are more new messages than there are"
	                                          : NULL;
}

static const char *
resync_box(struct volume *v, const struct model_box *then, const struct model_box *now)
{
	struct view_changes changes;
	struct err e = ERR_INIT;
	const char *wrong;
	struct arena a;

	arena_init(&a, 1u << 20);
	if (volume_read_changes(v, then->id, then->highest, then->highest, then->uidnext, 1000, &a,
	        &changes, &e) != RC_OK) {
		arena_fini(&a);
		return "changes cannot be read";
	}
	wrong = compare_changes(then, now, &changes);
	view_changes_fini(&changes);
	arena_fini(&a);
	return wrong;
}

bool
model_resync_is_wrong(struct volume *v, const struct model *then, const struct model *now,
                      char *why, size_t size)
{
	for (unsigned i = 0; i < then->count; i++) {
		for (unsigned k = 0; k < then->accounts[i].box_count; k++) {
			const struct model_box *was = &then->accounts[i].boxes[k], *is = NULL;
			const char *wrong;

			for (unsigned n = 0; n < now->count && is == NULL; n++)
				for (unsigned b = 0; b < now->accounts[n].box_count && is == NULL;
				     b++)
					if (now->accounts[n].boxes[b].id == was->id)
						is = &now->accounts[n].boxes[b];
			wrong = is != NULL ? resync_box(v, was, is) : NULL;
			if (wrong == NULL)
				continue;
			(void)snprintf(why, size, "%s/%s: %s", then->accounts[i].name, was->name,
			               wrong);
			return true;
		}
	}
	return false;
}
