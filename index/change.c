/* change - making and ending changes. See change.h. */
#include <stdlib.h>

#include "index/volume.h"
#include "store/writer.h"

#define CHANGE_ARENA_MAX  (64u << 20)
#define CHANGE_RANGES_MAX (1u << 20)    /* per uid_set: 8 MB */

_Static_assert(sizeof(struct writer_request) <= sizeof(struct writer_request_room),
               "room for the writer's request");

struct change *
change_new(enum change_kind kind)
{
	struct change *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->kind = kind;
	arena_init(&c->arena, CHANGE_ARENA_MAX);
	if (kind == CHANGE_STORE) {
		uid_set_init(&c->u.store.uids, CHANGE_RANGES_MAX);
		uid_set_init(&c->u.store.changed, CHANGE_RANGES_MAX);
		uid_set_init(&c->u.store.modified, CHANGE_RANGES_MAX);
		uid_set_init(&c->u.store.missing, CHANGE_RANGES_MAX);
	} else if (kind == CHANGE_EXPUNGE) {
		uid_set_init(&c->u.expunge.uids, CHANGE_RANGES_MAX);
		uid_set_init(&c->u.expunge.expunged, CHANGE_RANGES_MAX);
	} else if (kind == CHANGE_COPY || kind == CHANGE_MOVE) {
		uid_set_init(&c->u.copy.uids, CHANGE_RANGES_MAX);
		uid_set_init(&c->u.copy.source_uids, CHANGE_RANGES_MAX);
	}
	return c;
}

static void
free_parts(struct change *c)
{
	if (c->kind == CHANGE_STORE) {
		uid_set_fini(&c->u.store.uids);
		uid_set_fini(&c->u.store.changed);
		uid_set_fini(&c->u.store.modified);
		uid_set_fini(&c->u.store.missing);
	} else if (c->kind == CHANGE_EXPUNGE) {
		uid_set_fini(&c->u.expunge.uids);
		uid_set_fini(&c->u.expunge.expunged);
	} else if (c->kind == CHANGE_COPY || c->kind == CHANGE_MOVE) {
		uid_set_fini(&c->u.copy.uids);
		uid_set_fini(&c->u.copy.source_uids);
	} else if (c->kind == CHANGE_APPEND) {
		for (uint32_t i = 0; i < c->u.append.message_count; i++)
			ingested_unref(&c->u.append.messages[i].content);
	} else if (c->kind == CHANGE_ADOPT) {
		for (uint32_t i = 0; i < c->u.adopt.message_count; i++)
			ingested_unref(&c->u.adopt.messages[i].content);
	} else if (c->kind == CHANGE_RESTORE) {
		for (uint32_t i = 0; i < c->u.restore.count; i++)
			ingested_unref(&c->u.restore.messages[i].content);
	}
}

void
change_free(struct change **cp)
{
	struct change *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	free_parts(c);
	arena_fini(&c->arena);
	free(c);
}
