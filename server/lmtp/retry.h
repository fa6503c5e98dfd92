/* retry - telling a delivery that comes again, as our reply was lost, from another one of equal octets.
 *
 * A delivery's key is the SHA-256 of mailbox, sender, queue id (XFORWARD's IDENT, if there is one) and of a GMAC of the
 * message as it was sent, with the server's secret: who does not know that cannot make a message that would be taken for
 * another one, and of 44 KB it takes a quarter of SHA-256's time. A server without any secret, as no volume could keep one,
 * has sums all the same. The writer notes the key with the message and decides (append_target.delivery_key): a key
 * that it has of a session which is over is the same delivery again. So it must learn when a client has got our 250. We
 * say so as soon as the client sends anything behind it: whoever goes on, or says QUIT, has read the reply, or at least
 * one of them, which is all that some read. What had come before we answered (a client that pipelines) shows nothing;
 * such a client's next octets do.
 */
#ifndef RESTANTE_SERVER_LMTP_RETRY_H
#define RESTANTE_SERVER_LMTP_RETRY_H

#include "index/volume.h"

struct lmtp;
struct lmtp_group;
struct lmtp_rcpt;
struct lmtp_unconfirmed;
struct evp_cipher_ctx_st;

/* Part of struct lmtp. */
struct lmtp_retry {
	struct lmtp_retry       *prev, *next;   /* sessions that are open */
	uint64_t                 session;
	struct evp_cipher_ctx_st *mac;          /* NULL: not made yet */
	bool                     on;            /* this message gets keys */
	uint8_t                  sum[16];       /* of the message */
	struct lmtp_unconfirmed *unconfirmed;   /* answered 250, and nothing has come since */
	uint64_t                 seen;          /* octets that had come when we answered */
};

/* Reactor. */
void lmtp_retry_open(struct lmtp *l);
void lmtp_retry_close(struct lmtp *l);

/* The message, as it comes; pool. */
void lmtp_retry_begin(struct lmtp *l);
void lmtp_retry_take(struct lmtp *l, struct slice piece);
void lmtp_retry_finish(struct lmtp *l);
/* Keys for the targets of the group's change; RC_NOMEM. */
MUST_USE enum rc lmtp_retry_set_keys(struct lmtp *l, struct lmtp_group *g);

/* The recipient is answered 250. */
void lmtp_retry_answered(struct lmtp *l, const struct lmtp_rcpt *r);
/* All are answered, and so many octets have come since the connection began. */
void lmtp_retry_all_answered(struct lmtp *l, uint64_t received);
/* So many have come now. Any owner; cheap. */
void lmtp_retry_heard(struct lmtp *l, uint64_t received);

/* For volume_params.session_alive: a session that may still learn of its 250. Any thread. */
bool lmtp_session_alive(void *arg, uint64_t session);

#endif
