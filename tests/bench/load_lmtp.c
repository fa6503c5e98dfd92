/* load_lmtp - deliveries: MAIL, RCPT and DATA in one piece as Postfix sends them, then the message,
 * and the next one when every recipient's 250 has come: what is counted is durable.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load.h"

/* One reply, all its lines; its class must be the one wanted. Whether one of the lines has `word`
 * in it. */
static bool
expect(struct conn *c, char class, const char *word)
{
	bool found = false;

	for (;;) {
		size_t len;
		const char *line = conn_line(c, &len);

		if (len < 3 || line[0] != class)
			load_fail("LMTP: wanted %c.. but the server says: %.*s", class,
			    len < 300 ? (int)len : 300, line);
		found = found || (word != NULL && len >= 4 + strlen(word) &&
				     memcmp(line + 4, word, strlen(word)) == 0);
		if (len == 3 || line[3] != '-')
			return found;
	}
}

void
lmtp_open(struct load_worker *w, int port)
{
	w->conn = load_connect(w, w->number, port, false);
	expect(w->conn, '2', NULL);
	conn_printf(w->conn, "LHLO load.example.org\r\n");
	conn_flush(w->conn);
	if (!expect(w->conn, '2', "CHUNKING") && w->opt->bdat)
		load_fail("the server does not offer CHUNKING");
}

void
fill_begin(struct load_worker *w)
{
	lmtp_open(w, w->opt->port);
}

void
lmtp_begin(struct load_worker *w)
{
	lmtp_open(w, w->opt->port);
	stock_fill(w, &w->opt->recipe, 1);
}

/* A dot before each line's own first one. */
static void
put_stuffed(struct conn *c, const char *bytes, size_t len)
{
	const char *end = bytes + len, *line = bytes, *lf;

	while ((lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		line = lf + 1;
		if (line < end && *line == '.') {
			conn_put(c, bytes, (size_t)(line - bytes));
			conn_put(c, ".", 1);
			bytes = line;
		}
	}
	conn_put(c, bytes, (size_t)(end - bytes));
}

void
lmtp_deliver(struct load_worker *w, size_t number, size_t recipients)
{
	struct conn *c = w->conn;

	conn_printf(c, "MAIL FROM:<load@example.org> BODY=8BITMIME\r\n");
	for (size_t i = 0; i < recipients; i++)
		conn_printf(
		    c, "RCPT TO:<%s>\r\n", load_name(w->opt->rcpt, (number + i) % w->opt->users));
	if (w->opt->bdat)
		conn_printf(c, "BDAT %zu LAST\r\n", w->mail.len);
	else
		conn_printf(c, "DATA\r\n");
	if (!w->opt->bdat)
		conn_flush(c);
	else
		conn_put(c, w->mail.bytes, w->mail.len);
	conn_flush(c);
	for (size_t i = 0; i < recipients + 1; i++)
		expect(c, '2', NULL);
	if (!w->opt->bdat) {
		expect(c, '3', NULL);
		put_stuffed(c, w->mail.bytes, w->mail.len);
		conn_put(c, ".\r\n", 3);
		conn_flush(c);
	}
	for (size_t i = 0; i < recipients; i++)
		expect(c, '2', NULL);
	w->bytes += w->mail.len * recipients;
	w->messages += recipients;
}

void
lmtp_op(struct load_worker *w)
{
	double since;

	stock_take(w, &w->opt->recipe, w->opt->first + w->job);
	since = load_now_ms();
	lmtp_deliver(w, w->number * w->opt->recipients, w->opt->recipients);
	load_sample(w, since);
}

/* Message k goes to user k modulo users: the same mailboxes, whatever the connections. The large
 * one goes to user 0. */
void
fill_op(struct load_worker *w)
{
	uint64_t number = w->opt->first + w->job;
	double since;

	mail_make(&w->opt->recipe, number, 0, &w->mail);
	since = load_now_ms();
	lmtp_deliver(w, number % w->opt->users, 1);
	load_sample(w, since);
	if (w->opt->largest != 0 && w->job + 1 == w->opt->operations) {
		mail_make(&w->opt->recipe, number + 1, w->opt->largest, &w->mail);
		lmtp_deliver(w, 0, 1);
	}
}

void
lmtp_end(struct load_worker *w)
{
	conn_printf(w->conn, "QUIT\r\n");
	conn_flush(w->conn);
	expect(w->conn, '2', NULL);
	conn_close(&w->conn);
}
