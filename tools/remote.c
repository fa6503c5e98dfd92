/* remote - which client reads a URL. See remote.h. */
#include "tools/remote.h"

#include "tools/remote_imap.h"
#include "tools/remote_pop3.h"

enum rc
remote_open(const struct remote_options *remote, const struct import_options *options, struct import_source *out,
    struct err *e)
{
	switch (remote->url.protocol) {
	case REMOTE_IMAP:
		return remote_open_imap(remote, options, out, e);
	case REMOTE_POP3:
		break;
	}
	return remote_open_pop3(remote, options, out, e);
}
