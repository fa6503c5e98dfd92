/* refusal - what somebody is told whose connection is one too many. See refusal.h. */
#include "server/refusal.h"

#include <stdio.h>
#include <sys/socket.h>

#include "server/session.h"

enum refusal
refusal_of_peers(enum peers_result r)
{
	switch (r) {
	case PEERS_OK:
		break;
	case PEERS_FULL:
		return REFUSAL_TOTAL;
	case PEERS_FULL_IP:
		return REFUSAL_IP;
	case PEERS_NOMEM:
		return REFUSAL_MEMORY;
	}
	return REFUSAL_NONE;
}

const char *
refusal_name(enum refusal why)
{
	switch (why) {
	case REFUSAL_NONE:
		break;
	case REFUSAL_TOTAL:
		return "max_connections";
	case REFUSAL_IP:
		return "max_connections_per_ip";
	case REFUSAL_FILES:
		return "no descriptors left";
	case REFUSAL_MEMORY:
		return "memory";
	case REFUSAL_LOGIN_MEMORY:
		return "login_memory";
	}
	return "";
}

static const char *
code_of(const struct protocol *p)
{
	if (p == &imap_protocol)
		return "* BYE [UNAVAILABLE]";
	if (p == &pop3_protocol)
		return "-ERR [SYS/TEMP]";
	return p == &lmtp_protocol ? "421 4.3.2" : NULL;
}

size_t
refusal_text(const struct protocol *p, enum refusal why, char out[REFUSAL_TEXT])
{
	const char *code = code_of(p);
	int n;

	if (code == NULL)
		return 0;
	if (why == REFUSAL_MEMORY || why == REFUSAL_LOGIN_MEMORY)
		n = snprintf(out, REFUSAL_TEXT, "%s Short of memory, try again later\r\n", code);
	else
		n = snprintf(out, REFUSAL_TEXT, "%s Too many connections (%s)\r\n", code,
		             refusal_name(why));
	return (size_t)n;
}

void
refusal_send(const struct protocol *p, int fd, enum refusal why)
{
	char text[REFUSAL_TEXT];
	size_t n = refusal_text(p, why, text);

	if (n > 0)
		(void)send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}
