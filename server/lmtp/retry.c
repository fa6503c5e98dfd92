/* retry - telling a delivery that comes again from another one. See retry.h. */
#include "server/lmtp/retry.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "lib/bytes.h"
#include "server/lmtp/lmtp.h"

struct lmtp_unconfirmed {
	struct lmtp_unconfirmed *next;
	struct volume           *volume;
	uint8_t                  key[DELIVERY_KEY_LEN];
};

_Static_assert(DELIVERY_KEY_LEN == 32, "a key is a SHA-256");

/* Walked only when a key is found again. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct lmtp_retry *open_sessions;

void
lmtp_retry_open(struct lmtp *l)
{
	struct lmtp_retry *r = &l->retry;

	r->session = session_id(l->s);
	pthread_mutex_lock(&lock);
	r->next = open_sessions;
	if (r->next != NULL)
		r->next->prev = r;
	open_sessions = r;
	pthread_mutex_unlock(&lock);
}

static void
forget(struct lmtp_retry *r)
{
	while (r->unconfirmed != NULL) {
		struct lmtp_unconfirmed *u = r->unconfirmed;

		r->unconfirmed = u->next;
		free(u);
	}
}

void
lmtp_retry_close(struct lmtp *l)
{
	struct lmtp_retry *r = &l->retry;

	pthread_mutex_lock(&lock);
	if (r->next != NULL)
		r->next->prev = r->prev;
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		open_sessions = r->next;
	pthread_mutex_unlock(&lock);
	forget(r);
	EVP_MD_CTX_free(r->sha);
}

bool
lmtp_session_alive(void *arg, uint64_t session)
{
	const struct lmtp_retry *r;

	(void)arg;
	pthread_mutex_lock(&lock);
	for (r = open_sessions; r != NULL && r->session != session; r = r->next)
		;
	pthread_mutex_unlock(&lock);
	return r != NULL;
}

/* ---- keys ---- */

/* Without memory for a sum there are no keys: the message is delivered all the same. */
void
lmtp_retry_begin(struct lmtp *l)
{
	struct lmtp_retry *r = &l->retry;

	if (r->sha == NULL)
		r->sha = EVP_MD_CTX_new();
	r->on = session_conf(l->s)->lmtp.duplicate_window > 0 && r->sha != NULL &&
	        EVP_DigestInit_ex(r->sha, EVP_sha256(), NULL) == 1;
}

void
lmtp_retry_take(struct lmtp *l, struct slice piece)
{
	if (l->retry.on && piece.len > 0)
		l->retry.on = EVP_DigestUpdate(l->retry.sha, piece.ptr, piece.len) == 1;
}

void
lmtp_retry_finish(struct lmtp *l)
{
	l->retry.on = l->retry.on && EVP_DigestFinal_ex(l->retry.sha, l->retry.sum, NULL) == 1;
}

/* Each part with its length before it, so that no two lists of parts are the same octets. */
static bool
add_part(EVP_MD_CTX *sha, struct slice part)
{
	uint8_t len[8];

	put_le64(len, part.len);
	return EVP_DigestUpdate(sha, len, sizeof len) == 1 &&
	       (part.len == 0 || EVP_DigestUpdate(sha, part.ptr, part.len) == 1);
}

static bool
make_key(struct lmtp *l, mailbox_id mailbox, uint8_t out[DELIVERY_KEY_LEN])
{
	EVP_MD_CTX *sha = l->retry.sha;
	uint8_t box[8];

	put_le64(box, mailbox);
	return EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1 &&
	       add_part(sha, slice_of(box, sizeof box)) && add_part(sha, l->sender) &&
	       add_part(sha, l->forward.value[FORWARD_IDENT]) &&
	       add_part(sha, slice_of(l->retry.sum, sizeof l->retry.sum)) &&
	       EVP_DigestFinal_ex(sha, out, NULL) == 1;
}

enum rc
lmtp_retry_set_keys(struct lmtp *l, struct lmtp_group *g)
{
	uint8_t (*keys)[DELIVERY_KEY_LEN];

	if (!l->retry.on)
		return RC_OK;
	keys = arena_array(&g->change->arena, g->target_count, sizeof *keys);
	if (keys == NULL)
		return err_nomem(&g->err);
	for (uint32_t i = 0; i < g->target_count; i++) {
		if (!make_key(l, g->targets[i].mailbox, keys[i]))
			return err_nomem(&g->err);
		g->targets[i].delivery_key = keys[i];
	}
	g->change->u.append.delivery_window = (uint32_t)session_conf(l->s)->lmtp.duplicate_window;
	return RC_OK;
}

/* ---- replies ---- */

/* Recipients that share a copy have it twice here, which does no harm. Without memory it
 * stays unconfirmed. */
void
lmtp_retry_answered(struct lmtp *l, const struct lmtp_rcpt *r)
{
	for (const struct lmtp_place *p = r->places; p != NULL; p = p->next) {
		const struct append_target *t = &p->group->targets[p->target];
		struct lmtp_unconfirmed *u = t->delivery_key != NULL ? malloc(sizeof *u) : NULL;

		if (u == NULL)
			continue;
		u->volume = p->group->volume;
		memcpy(u->key, t->delivery_key, DELIVERY_KEY_LEN);
		u->next = l->retry.unconfirmed;
		l->retry.unconfirmed = u;
	}
}

void
lmtp_retry_all_answered(struct lmtp *l, uint64_t received)
{
	l->retry.seen = received;
}

/* The keys of one volume at a time; those of other volumes stay in the list. */
static void
confirm_volume(struct lmtp_retry *r, struct volume *v)
{
	uint8_t keys[64][DELIVERY_KEY_LEN];
	struct lmtp_unconfirmed **link = &r->unconfirmed;
	uint32_t n = 0;

	while (*link != NULL && n < sizeof keys / sizeof keys[0]) {
		struct lmtp_unconfirmed *u = *link;

		if (u->volume != v) {
			link = &u->next;
			continue;
		}
		memcpy(keys[n++], u->key, DELIVERY_KEY_LEN);
		*link = u->next;
		free(u);
	}
	volume_confirm(v, r->session, (const uint8_t (*)[DELIVERY_KEY_LEN])keys, n);
}

void
lmtp_retry_heard(struct lmtp *l, uint64_t received)
{
	struct lmtp_retry *r = &l->retry;

	if (r->unconfirmed == NULL || received <= r->seen)
		return;
	while (r->unconfirmed != NULL)
		confirm_volume(r, r->unconfirmed->volume);
}
