/* damage - see damage.h. The damage itself is told once as volume.damage, where it was found; this
 * tells whom it hurts. */
#include "server/damage.h"

#include <stdatomic.h>

#include "lib/clock.h"
#include "store/piece.h"

#define LINES_MAX 10u           /* in so many milliseconds: */
#define WINDOW_MS 60000u

/* Of all sessions. A race between two of them at a window's edge costs a line or gives one more. */
static _Atomic uint64_t window_ms, lines, left_out;

/* *before: lines that were left out since the last one. */
static bool
may_tell(uint64_t *before)
{
	uint64_t now = clock_mono_ms(), began = atomic_load(&window_ms);

	if ((began == 0 || now - began >= WINDOW_MS) &&
	    atomic_compare_exchange_strong(&window_ms, &began, now))
		atomic_store(&lines, 0);
	if (atomic_fetch_add(&lines, 1) >= LINES_MAX) {
		atomic_fetch_add(&left_out, 1);
		return false;
	}
	*before = atomic_exchange(&left_out, 0);
	return true;
}

void
damage_log(struct session *s, const char *ev, const struct damaged_message *m)
{
	const struct log_addr *at = &m->place->addr;
	struct mailbox_info box;
	struct err e = ERR_INIT;
	uint64_t before;
	struct logline l;
	struct arena a;

	if (!may_tell(&before))
		return;
	session_log(s, &l, LOGLEVEL_ERROR, ev);
	log_cstr(&l, "volume", volume_name(m->volume));
	arena_init(&a, 1u << 20);
	if (volume_get_mailbox(m->volume, m->mailbox, &a, &box, &e) == RC_OK)
		log_str(&l, "mailbox", box.name);
	arena_fini(&a);
	log_u64(&l, "uid", m->uid);
	if (at->seg.seq != 0) {
		char file[PIECE_NAME_LEN];

		piece_name(&at->seg, file);
		log_cstr(&l, "file", file);
		log_u64(&l, "offset", at->offset);
	}
	if (before > 0)
		log_u64(&l, "left_out", before);
	if (m->why != NULL)
		log_err(&l, m->why);
	log_end(&l);
}
