/* damage - what the operator is told when a client asks for a message that cannot be read. */
#ifndef RESTANTE_SERVER_DAMAGE_H
#define RESTANTE_SERVER_DAMAGE_H

#include "index/volume.h"
#include "server/session.h"

struct damaged_message {
	struct volume           *volume;
	mailbox_id               mailbox;
	mail_uid                 uid;
	const struct blob_place *place; /* where it lies, as far as the index knows */
	const struct err        *why;   /* may be NULL */
};

/* A line `ev` with account, mailbox, UID and file; not more than ten a minute for all sessions, as clients ask again
 * and again: the next line says how many were left out. Reads the index: pool. */
void damage_log(struct session *s, const char *ev, const struct damaged_message *m);

#endif
