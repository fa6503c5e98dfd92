/* load_pop3 - a whole POP3 session: log in, sizes of all messages, each fetched with RETR, nothing
 * deleted. Each is of the next user. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load.h"

static char *
expect_ok(struct conn *c)
{
	size_t len;
	char *line;

	conn_flush(c);
	line = conn_line(c, &len);
	if (len < 3 || memcmp(line, "+OK", 3) != 0)
		load_fail(
		    "POP3: wanted +OK but the server says: %.*s", len < 200 ? (int)len : 200, line);
	return line;
}

/* The caller's to free(); *count of them. */
static uint64_t *
read_sizes(struct conn *c, size_t *count)
{
	uint64_t *sizes = NULL;
	size_t len, max = 0;

	*count = 0;
	conn_printf(c, "LIST\r\n");
	expect_ok(c);
	for (;;) {
		char *line = conn_line(c, &len), *end;

		if (len == 1 && line[0] == '.')
			return sizes;
		if (*count == max) {
			max = max * 2 + 1024;
			sizes = load_realloc(sizes, max, sizeof *sizes);
		}
		if (strtoull(line, &end, 10) != *count + 1)
			load_fail("POP3: LIST leaves message %zu out", *count + 1);
		sizes[(*count)++] = strtoull(end, NULL, 10);
	}
}

/* The generator's messages have no line that begins with a dot: so many octets come as LIST has
 * said. */
static void
retrieve(struct load_worker *w, size_t number, uint64_t size)
{
	struct conn *c = w->conn;
	size_t len;
	char *bytes, *line;

	conn_printf(c, "RETR %zu\r\n", number);
	expect_ok(c);
	if (w->opt->verify) {
		bytes = load_alloc((size_t)size + 1, 1);
		conn_read(c, bytes, (size_t)size);
		mail_verify(bytes, (size_t)size, &w->mail);
		w->verified++;
		free(bytes);
	} else {
		conn_skip(c, size);
	}
	line = conn_line(c, &len);
	if (len != 1 || line[0] != '.')
		load_fail("POP3: message %zu does not end after the %llu octets of LIST", number,
		    (unsigned long long)size);
	w->bytes += size;
	w->messages++;
}

void
pop3_op(struct load_worker *w)
{
	size_t count;
	uint64_t *sizes;
	double since = load_now_ms();

	w->conn = load_connect(w, w->number, w->opt->port, w->opt->tls);
	expect_ok(w->conn);
	conn_printf(w->conn, "USER %s\r\n", load_name(w->opt->user, w->job % w->opt->users));
	expect_ok(w->conn);
	conn_printf(w->conn, "PASS %s\r\n", w->opt->password);
	expect_ok(w->conn);
	sizes = read_sizes(w->conn, &count);
	for (size_t i = 0; i < count; i++)
		retrieve(w, i + 1, sizes[i]);
	conn_printf(w->conn, "QUIT\r\n");
	expect_ok(w->conn);
	conn_close(&w->conn);
	load_sample(w, since);
	free(sizes);
}
