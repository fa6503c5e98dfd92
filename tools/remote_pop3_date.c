/* remote_pop3_date - INTERNALDATEs that a maildrop does not know. See remote_pop3_impl.h.
 *
 * INTERNALDATE is the date of the topmost Received field, which says when the message came, else of
 * Date; for that, headers are fetched by TOP, in chunks ahead of the texts. Without TOP, or a date,
 * it is the time of the import.
 */
#include "tools/remote_pop3_impl.h"

#include <stdio.h>

#include "lib/clock.h"
#include "lib/date.h"
#include "lib/header.h"

#define DATED_CHUNK    50u              /* headers asked for in one go */
#define HEADER_MAX     65536u           /* of which so much is looked at, */
#define HEADER_ENDLESS (16u << 20)      /* and which are no headers when they are as long as this */

/* Where a header says that it is from: "...; Tue, 3 Nov 2026 10:00:00 +0100" of the topmost
 * Received, or Date. */
static bool
find_date(struct slice header, struct date *out)
{
	struct header_field field;

	if (header_find(header, SLICE("Received"), &field)) {
		size_t n = field.value.len;

		while (n > 0 && field.value.ptr[n - 1] != ';')
			n--;
		if (n > 0 && date_parse_rfc5322(slice_sub(field.value, n, field.value.len), out))
			return true;
	}
	return header_find(header, SLICE("Date"), &field) && date_parse_rfc5322(field.value, out);
}

/* The answer to TOP; what of the header is beyond the buffer is read over. */
static enum rc
read_header(struct pop3 *p, struct buf *header, struct err *e)
{
	enum rc rc = pop3_status(p, e);
	uint8_t piece[4096];
	uint64_t len = 0;
	size_t got;

	buf_reset(header);
	if (rc != RC_OK) {
		/* the first time it said -ERR: it cannot */
		p->can.top = p->broken || p->top_worked;
		return p->broken ? rc : RC_OK;
	}
	p->top_worked = true;
	p->state = POP3_LINE_START;
	while (p->state != POP3_END) {
		struct slice have, left;

		if (remote_conn_fill(p->conn, &have, e) != RC_OK)
			return pop3_broken(p, e);
		left = have;
		got = pop3_text_read(&p->state, &left, piece, sizeof piece);
		remote_conn_take(p->conn, have.len - left.len);
		(void)buf_append(header, piece, got);
		len += got;
		if (len > HEADER_ENDLESS) {
			p->no_top = true;
			err_set(e, RC_LIMIT, "the server's answer to TOP does not end");
			return pop3_broken(p, e);
		}
	}
	return RC_OK;
}

static void
set_date(struct drop *drop, struct slice header)
{
	uint64_t now = clock_wall_us();
	struct date date;

	if (find_date(header, &date))
		drop->date = (struct mail_date){ date.unix_time, date.zone };
	else
		drop->date = (struct mail_date){ (int64_t)(now / 1000000u),
		                                 (int16_t)clock_zone_minutes(now) };
}

static enum rc
ask_header(struct pop3 *p, const struct drop *drop, struct err *e)
{
	char command[24];

	if (drop->number == 0 || !p->can.top)
		return RC_OK;
	snprintf(command, sizeof command, "TOP %u 0", drop->number);
	return pop3_say(p, command, SLICE_NONE, e);
}

/* The dates of [from, to), which is one message where the server cannot pipeline. */
static enum rc
read_dates(struct pop3 *p, size_t from, size_t to, struct buf *header, struct err *e)
{
	bool asked = p->can.top;

	for (size_t n = from; n < to; n++) {
		if (ask_header(p, &p->drops[n], e) != RC_OK)
			return e->code;
	}
	for (size_t n = from; n < to; n++) {
		buf_reset(header);
		if (asked && p->drops[n].number != 0 && read_header(p, header, e) != RC_OK)
			return e->code;
		set_date(&p->drops[n], buf_slice(header));
	}
	p->dated = to;
	return RC_OK;
}

static enum rc
date_chunk(struct pop3 *p, struct err *e)
{
	size_t end = p->count - p->dated < DATED_CHUNK ? p->count : p->dated + DATED_CHUNK;
	struct buf header;
	enum rc rc = p->broken ? err_set(e, RC_IO, "the connection is broken")
	                       : pop3_skip_answers(p, p->count, e);

	buf_init(&header, HEADER_MAX);
	while (rc == RC_OK && p->dated < end)
		rc = read_dates(p, p->dated, p->can.pipelining ? end : p->dated + 1, &header, e);
	buf_fini(&header);
	return rc;
}

/* A chunk of dates, if need be on a new connection. */
enum rc
pop3_know_date(struct pop3 *p, struct err *e)
{
	while (p->at == p->dated && date_chunk(p, e) != RC_OK) {
		if (!p->broken || ++p->breaks > POP3_BREAKS_MAX || pop3_reconnect(p, e) != RC_OK)
			return err_add(e, "%s", p->server);
	}
	return RC_OK;
}
