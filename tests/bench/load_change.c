/* load_change - flags, copies, moves, expunges. The larger ones work on copies in mailboxes of
 * their own, made before the clock runs and deleted after it stops, so that the selected mailbox
 * stays as it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/load.h"

struct scratch {
	char   from[160], to[160];
	size_t count;           /* messages in `from` */
};

/* The flag of one message is set and taken away again, then that of the next; connections begin far
 * from each other. */
static uint64_t
message_of_turn(const struct load_worker *w)
{
	uint64_t all = w->imap.exists;

	if (all == 0)
		load_fail("the mailbox is empty");
	return (w->number * all / w->opt->connections + w->turn / 2) % all + 1;
}

void
store_op(struct load_worker *w)
{
	uint64_t at = message_of_turn(w);
	double since = load_now_ms();

	imap_command(&w->imap, "STORE %llu %cFLAGS (\\Flagged)", (unsigned long long)at,
	    w->turn % 2 == 0 ? '+' : '-');
	load_sample(w, since);
	if (w->imap.fetched == 0)
		load_fail("STORE is not answered with the flags");
}

void
store_end(struct load_worker *w)
{
	if (w->turn % 2 != 0)
		imap_command(&w->imap, "STORE %llu -FLAGS (\\Flagged)",
		    (unsigned long long)message_of_turn(w));
	imap_logout(&w->imap);
}

/* An empty mailbox with a name that was never used before: one server knows a deleted one's for a
 * while. */
static void
scratch_name(struct load_worker *w, char name[160], const char *what)
{
	char prefix[64];

	imap_prefix(&w->imap, prefix);
	snprintf(
	    name, 160, "%sload-%s-%zu-%zu-%d", prefix, what, w->number, w->turn, (int)getpid());
	imap_command(&w->imap, "CREATE \"%s\"", name);
}

/* `count` messages of the mailbox are in s->from. */
static void
scratch_begin(struct load_worker *w, struct scratch *s)
{
	s->count = load_arg_number(w->opt, 0, 1);
	if (w->imap.exists < s->count)
		load_fail("the mailbox has %llu messages, %zu are to be changed",
		    (unsigned long long)w->imap.exists, s->count);
	scratch_name(w, s->from, "scratch");
	imap_command(&w->imap, "COPY 1:%zu \"%s\"", s->count, s->from);
	imap_select(&w->imap, s->from);
	if (w->imap.exists != s->count)
		load_fail("%llu messages after COPY of %zu", (unsigned long long)w->imap.exists,
		    s->count);
}

static void
scratch_end(struct load_worker *w, const char *name, size_t want)
{
	imap_select(&w->imap, name);
	if (w->imap.exists != want)
		load_fail("%s has %llu messages, not %zu", name, (unsigned long long)w->imap.exists,
		    want);
	imap_select(&w->imap, w->opt->mailbox);
	imap_command(&w->imap, "DELETE \"%s\"", name);
}

void
copy_op(struct load_worker *w)
{
	size_t count = load_arg_number(w->opt, 0, 1);
	char name[160];
	double since;

	if (w->imap.exists < count)
		load_fail("the mailbox has %llu messages, %zu are to be copied",
		    (unsigned long long)w->imap.exists, count);
	scratch_name(w, name, "copy");
	since = load_now_ms();
	imap_command(&w->imap, "COPY 1:%zu \"%s\"", count, name);
	load_sample(w, since);
	scratch_end(w, name, count);
	w->messages += count;
}

void
move_op(struct load_worker *w)
{
	struct scratch s;
	double since;

	scratch_begin(w, &s);
	scratch_name(w, s.to, "moved");
	since = load_now_ms();
	imap_command(&w->imap, "MOVE 1:%zu \"%s\"", s.count, s.to);
	load_sample(w, since);
	if (w->imap.exists != 0)
		load_fail("%llu messages are left after MOVE", (unsigned long long)w->imap.exists);
	scratch_end(w, s.to, s.count);
	imap_command(&w->imap, "DELETE \"%s\"", s.from);
	w->messages += s.count;
}

void
expunge_op(struct load_worker *w)
{
	struct scratch s;
	double since;

	scratch_begin(w, &s);
	imap_command(&w->imap, "STORE 1:%zu +FLAGS.SILENT (\\Deleted)", s.count);
	since = load_now_ms();
	imap_command(&w->imap, "EXPUNGE");
	load_sample(w, since);
	if (w->imap.expunged != s.count)
		load_fail("%llu of %zu messages are expunged", (unsigned long long)w->imap.expunged,
		    s.count);
	scratch_end(w, s.from, 0);
	w->messages += s.count;
}
