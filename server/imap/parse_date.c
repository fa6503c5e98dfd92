/* parse_date - date and date-time of IMAP's grammar [RFC 9051 s9]; what is between the quotes is
 * lib/date's. */
#include "lib/date.h"
#include "server/imap/imap.h"

/* date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE */
bool
parse_date_time(struct cursor *c, struct mail_date *out)
{
	struct slice text = slice_sub(c->in, c->pos + 1, c->pos + 1 + DATE_IMAP_LEN);
	struct date d;

	if (cur_peek(c) != '"' || text.len != DATE_IMAP_LEN || !date_parse_imap(text, &d))
		return cur_fail(c, "date-time");
	if (c->in.len - c->pos < DATE_IMAP_LEN + 2 || c->in.ptr[c->pos + 1 + DATE_IMAP_LEN] != '"')
		return cur_fail(c, "date-time");
	c->pos += DATE_IMAP_LEN + 2;
	*out = (struct mail_date){ d.unix_time, d.zone };
	return true;
}

/* date-text = date-day "-" date-month "-" date-year: letters, digits and hyphens */
static struct slice
date_text(struct cursor *c)
{
	size_t from = c->pos;

	while (!cur_at_end(c)) {
		uint8_t ch = ascii_lower(c->in.ptr[c->pos]);

		if (ch != '-' && (ch < '0' || ch > '9') && (ch < 'a' || ch > 'z'))
			break;
		c->pos++;
	}
	return slice_sub(c->in, from, c->pos);
}

/* date = date-text / DQUOTE date-text DQUOTE */
bool
parse_date(struct cursor *c, int64_t *day_start)
{
	size_t from = c->pos;
	bool quoted = cur_take(c, '"');
	struct slice text = date_text(c);
	int32_t day;

	if (!date_parse_imap_day(text, &day) || (quoted && !cur_take(c, '"'))) {
		c->pos = from;
		return cur_fail(c, "date");
	}
	*day_start = (int64_t)day * 86400;
	return true;
}
