/* load_append - messages stored by a client: APPEND, and many of them in one command. Nine of ten
 * are seen and all have their date, so that a mailbox filled this way has something for SEARCH to
 * find.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/load.h"

static void
put_message(struct load_worker *w, struct imap *im, uint64_t number)
{
	time_t when = (time_t)w->mail.when;
	char date[64];
	struct tm tm;

	strftime(date, sizeof date, "%d-%b-%Y %H:%M:%S +0000", gmtime_r(&when, &tm));
	conn_printf(im->conn, " %s\"%s\" ", number % 10 != 9 ? "(\\Seen) " : "", date);
	imap_put_literal(im, w->mail.bytes, w->mail.len);
	w->bytes += w->mail.len;
}

void
append_send(struct load_worker *w, struct imap *im, const char *mailbox)
{
	imap_start(im, "APPEND \"%s\"", mailbox);
	put_message(w, im, w->job);
	conn_put(im->conn, "\r\n", 2);
	conn_flush(im->conn);
}

void
append_begin(struct load_worker *w)
{
	load_login(w, &w->imap, w->number);
	imap_can(&w->imap, "LITERAL+");         /* what the literals may be, known from now on */
	if (w->opt->args[0] != NULL && !imap_can(&w->imap, "MULTIAPPEND"))
		load_fail("the server does not offer MULTIAPPEND");
	if (strcmp(w->opt->mailbox, "INBOX") != 0)
		imap_try(&w->imap, "CREATE \"%s\"", w->opt->mailbox);
	stock_fill(w, &w->opt->recipe, load_arg_number(w->opt, 0, 1));
}

void
append_op(struct load_worker *w)
{
	double since;

	stock_take(w, &w->opt->recipe, w->opt->first + w->job);
	since = load_now_ms();
	append_send(w, &w->imap, w->opt->mailbox);
	imap_wait(&w->imap);
	load_sample(w, since);
	w->messages++;
}

void
multiappend_op(struct load_worker *w)
{
	size_t count = load_arg_number(w->opt, 0, 1);
	double since = load_now_ms();

	imap_start(&w->imap, "APPEND \"%s\"", w->opt->mailbox);
	for (size_t i = 0; i < count; i++) {
		uint64_t number = w->opt->first + w->job * count + i;

		stock_take(w, &w->opt->recipe, number);
		put_message(w, &w->imap, number);
	}
	conn_put(w->imap.conn, "\r\n", 2);
	conn_flush(w->imap.conn);
	imap_wait(&w->imap);
	load_sample(w, since);
	w->messages += count;
}
