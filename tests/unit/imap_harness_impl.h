/* imap_harness_impl - the harness's world and sessions as its two halves know them: imap_harness.c, which moves them,
 * and imap_core.c, which answers the protocols for the server's core. */
#ifndef RESTANTE_TESTS_UNIT_IMAP_HARNESS_IMPL_H
#define RESTANTE_TESTS_UNIT_IMAP_HARNESS_IMPL_H

#include "tests/unit/imap_harness.h"

#include <pthread.h>

#include "lib/network.h"
#include "server/core.h"

#define SESSIONS_MAX 16

struct imap_world {
	char             dir[64];
	struct volume   *volume;
	account_id       account;
	struct conf      conf;
	struct sasl_accounts sasl;
	struct guard    *guard;
	struct remember *remember;
	struct familiar *familiar;
	const struct protocol *protocol;
	bool             tls, plaintext, starttls;
	const char      *peer, *certificate;
	struct alias_book *aliases;
	struct regulars   *regulars;
	struct pool       *pool;                /* NULL: none, all is done by steps */
	struct settings  settings;
	pthread_mutex_t  lock;                  /* of what follows, and of wake, watched, notified of sessions */
	pthread_cond_t   happened;
	struct session  *sessions[SESSIONS_MAX];
	bool             mute;
};

struct session {
	struct imap_world *w;
	struct buf       in, out, received;
	void            *state;
	bool             eof, closed, tls, plaintext, starttls, compressed;
	const char      *peer, *certificate;
	struct network   from;          /* unless it is a unix socket */
	bool             wake;
	mailbox_id       watched;
	mail_modseq      latest;        /* that was told of it */
	bool             listens, changed, notified;
	unsigned         bad, steps, end_after, light_steps, refused_steps, long_turns;
	size_t           soft, largest;
};

#endif
