/* load_login - sessions that are begun: login alone, and SELECT as the first command of a session.
 */
#include <string.h>

#include "tests/bench/load.h"

void
load_login(struct load_worker *w, struct imap *im, size_t number)
{
	memset(im, 0, sizeof *im);
	im->conn = load_connect(w, number, w->opt->port, w->opt->tls);
	imap_login(im, load_name(w->opt->user, number % w->opt->users), w->opt->password);
	if (!w->opt->compress)
		return;
	imap_command(im, "COMPRESS DEFLATE");
	conn_compress(im->conn);
}

void
session_begin_inbox(struct load_worker *w)
{
	load_login(w, &w->imap, w->number);
	imap_select(&w->imap, w->opt->mailbox);
}

void
session_end(struct load_worker *w)
{
	imap_logout(&w->imap);
}

/* The users take turns: each connection's next login is another one's. */
void
login_op(struct load_worker *w)
{
	double since = load_now_ms();

	load_login(w, &w->imap, w->job);
	imap_logout(&w->imap);
	load_sample(w, since);
}

void
select_op(struct load_worker *w)
{
	double since;

	load_login(w, &w->imap, w->number);
	since = load_now_ms();
	imap_select(&w->imap, w->opt->args[0]);
	load_sample(w, since);
	w->exists = w->imap.exists;
	imap_logout(&w->imap);
}
