/* load_idle - sessions that wait in IDLE: many of them, to see what one costs; and one that is told
 * of a delivery.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load.h"

/* The sessions of one thread. */
struct idlers {
	struct imap *all;
	size_t       count, max;
};

static void
keep(struct load_worker *w)
{
	struct idlers *idlers = w->state;

	if (idlers == NULL)
		w->state = idlers = load_alloc(1, sizeof *idlers);
	if (idlers->count == idlers->max) {
		idlers->max = idlers->max * 2 + 16;
		idlers->all = load_realloc(idlers->all, idlers->max, sizeof *idlers->all);
	}
	idlers->all[idlers->count++] = w->imap;
}

void
idle_over(struct load_worker *w)
{
	struct idlers *idlers = w->state;

	if (idlers == NULL)
		return;
	for (size_t i = 0; i < idlers->count; i++)
		imap_close(&idlers->all[i]);
	free(idlers->all);
	free(idlers);
	w->state = NULL;
}

/* The session stays open until all are over. */
void
idle_op(struct load_worker *w)
{
	double since = load_now_ms();

	load_login(w, &w->imap, w->job);
	imap_select(&w->imap, w->opt->mailbox);
	imap_send(&w->imap, "IDLE");
	imap_wait_plus(&w->imap);
	keep(w);
	load_sample(w, since);
}

void
exists_begin(struct load_worker *w)
{
	if (w->opt->lmtp_port == 0)
		load_fail("exists delivers mail: say --lmtp-port");
	if (w->opt->users < w->opt->connections)
		load_fail("exists needs a user for each connection: say --users");
	lmtp_open(w, w->opt->lmtp_port);
	session_begin_inbox(w);
	imap_send(&w->imap, "IDLE");
	imap_wait_plus(&w->imap);
}

void
exists_op(struct load_worker *w)
{
	uint64_t before = w->imap.exists;
	double since;

	mail_make(&w->opt->recipe, w->opt->first + w->job, 0, &w->mail);
	lmtp_deliver(w, w->number, 1);
	since = load_now_ms();
	while (w->imap.exists <= before)
		imap_response(&w->imap);
	load_sample(w, since);
}

void
exists_end(struct load_worker *w)
{
	conn_printf(w->imap.conn, "DONE\r\n");
	conn_flush(w->imap.conn);
	imap_wait(&w->imap);
	imap_logout(&w->imap);
	lmtp_end(w);
}
