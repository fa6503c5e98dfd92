/* load_qresync - a client that comes back: a new session selects with the state of its last one,
 * and in between another has changed the flags of a hundred messages, one by one. The SELECT alone
 * is timed.
 */
#include "tests/bench/load.h"

#define CHANGES 100u

static void
make_changes(struct load_worker *w, char sign)
{
	for (size_t i = 0; i < CHANGES; i++)
		imap_command(&w->second, "STORE %llu %cFLAGS.SILENT (\\Flagged)",
		             (unsigned long long)(i * w->second.exists / CHANGES + 1), sign);
}

void
qresync_begin(struct load_worker *w)
{
	load_login(w, &w->second, w->number);
	imap_select(&w->second, w->opt->mailbox);
	if (w->second.exists < CHANGES)
		load_fail("the mailbox has fewer than %u messages", CHANGES);
	make_changes(w, '-');                   /* whatever they were */
	load_login(w, &w->imap, w->number);
	if (!imap_can(&w->imap, "QRESYNC"))
		load_fail("the server does not offer QRESYNC");
	imap_command(&w->imap, "ENABLE QRESYNC");
	imap_select(&w->imap, w->opt->mailbox);
	if (w->imap.uid_validity == 0 || w->imap.modseq == 0)
		load_fail("SELECT does not say UIDVALIDITY and HIGHESTMODSEQ");
}

void
qresync_op(struct load_worker *w)
{
	unsigned long long validity = w->imap.uid_validity, modseq = w->imap.modseq;
	double since;

	imap_logout(&w->imap);
	make_changes(w, w->turn % 2 == 0 ? '+' : '-');
	load_login(w, &w->imap, w->number);
	imap_command(&w->imap, "ENABLE QRESYNC");
	since = load_now_ms();
	imap_command(
	    &w->imap, "SELECT %s (QRESYNC (%llu %llu))", w->opt->mailbox, validity, modseq);
	load_sample(w, since);
	if (w->imap.fetched < CHANGES)
		load_fail("%llu changes came, %u were made",
		          (unsigned long long)w->imap.fetched, CHANGES);
	w->messages += w->imap.fetched;
	w->exists = w->imap.exists;
}

void
qresync_end(struct load_worker *w)
{
	make_changes(w, '-');
	imap_logout(&w->second);
	imap_logout(&w->imap);
}
