/* remote - mail of another server as a source of import: IMAP [RFC 9051, 3501] and POP3 [RFC 1939].
 *
 * Nothing is changed there: mailboxes are opened with EXAMINE, texts fetched with BODY.PEEK[], nothing is deleted. A
 * connection that breaks is made again and goes on where it was; what is fetched twice is taken once. One thread.
 */
#ifndef RESTANTE_TOOLS_REMOTE_H
#define RESTANTE_TOOLS_REMOTE_H

#include "lib/secret.h"
#include "tools/import.h"
#include "tools/remote_url.h"

#define REMOTE_PASSWORD_MAX 1024
#define REMOTE_TIMEOUT_MS   300000u     /* a server may search long */

struct remote_options {
	struct remote_url    url;               /* with a user */
	const struct secret *password;
	const char          *admin;             /* who logs in for url.user, NULL: the user */
	const char          *ca_file;           /* certificates to trust, NULL: the system's */
	const char          *uidl_format;       /* of IMAP's INBOX: what POP3 calls a message there, NULL: not known */
	bool                 insecure;          /* take any certificate */
	bool                 starttls;          /* TLS also where the host is this machine */
	bool                 cleartext;         /* no TLS where the server has none */
	unsigned             timeout_ms;
	uint64_t             noise_max;         /* octets an IMAP server may send beside what is wanted, 0: the usual */
	void               (*warn)(void *arg, const char *text);
	void                *warn_arg;
};

/* Connect and log in; what the URL points to is then read by *out. Both options outlive it. Errors name the server.
 * RC_DENIED: the certificate, the name or the password was refused. */
MUST_USE enum rc remote_open(const struct remote_options *remote,
                             const struct import_options *options, struct import_source *out,
                             struct err *e);

/* Append the UIDL that a server makes of UID and UIDVALIDITY by Dovecot's pop3_uidl_format: "%u" and "%v", "%08Xu" in
 * hexadecimal of 8 digits, "%%". False: the format is none, has no "%u", or the UIDL is none. */
bool remote_uidl_make(const char *format, mail_uid uid, uint32_t uidvalidity, struct buf *out);

#endif
