/* remote - which client reads a URL. See remote.h. */
#include "tools/remote.h"

#include "tools/remote_imap.h"
#include "tools/remote_pop3.h"

enum rc
remote_open(const struct remote_options *remote, const struct import_options *options,
            struct import_source *out, struct err *e)
{
	switch (remote->url.protocol) {
	case REMOTE_IMAP:
		return remote_open_imap(remote, options, out, e);
	case REMOTE_POP3:
		break;
	}
	return remote_open_pop3(remote, options, out, e);
}

/* "%" ["0"] [width] ["X"] ("u" / "v"), behind the "%"; *end is behind it. Dovecot's X means
 * small letters. */
static bool
add_number(const char *p, const char **end, mail_uid uid, uint32_t uidvalidity, bool *uid_used,
           struct buf *out)
{
	int width = 0;
	bool hex;

	while (*p >= '0' && *p <= '9' && width <= 10)
		width = width * 10 + (*p++ - '0');
	hex = *p == 'X';
	p += hex ? 1 : 0;
	if (width > 10 || (*p != 'u' && *p != 'v'))
		return false;
	*uid_used = *uid_used || *p == 'u';
	*end = p + 1;
	if (hex)
		return buf_printf(out, "%0*x", width, *p == 'u' ? uid : uidvalidity);
	return buf_printf(out, "%0*u", width, *p == 'u' ? uid : uidvalidity);
}

bool
remote_uidl_make(const char *format, mail_uid uid, uint32_t uidvalidity, struct buf *out)
{
	size_t before = out->len;
	bool uid_used = false;

	for (const char *p = format; *p != '\0';) {
		if (*p != '%' || p[1] == '%') {
			if (*p < 0x21 || *p > 0x7e)
				return false;
			buf_append_byte(out, (uint8_t)*p);
			p += *p == '%' ? 2 : 1;
		} else if (!add_number(p + 1, &p, uid, uidvalidity, &uid_used, out)) {
			return false;
		}
	}
	return uid_used && !out->failed && out->len - before <= UIDL_MAX;
}
