/* retry - telling a delivery that comes again from another one. See retry.h. */
#include "server/lmtp/retry.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/bytes.h"
#include "lib/secret.h"
#include "server/lmtp/lmtp.h"
#include "store/sha256.h"

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
	EVP_CIPHER_CTX_free(r->mac);
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

/* The server's secret is for other things too; it is the same after a restart. */
static bool
make_key_of_mac(const struct lmtp *l, uint8_t key[32])
{
	static const char label[] = "delivery";
	uint8_t text[sizeof label + VOLUME_SECRET_LEN];
	struct slice secret = server_sasl_secret(session_server(l->s));
	bool ok;

	assert(secret.len <= VOLUME_SECRET_LEN);
	memcpy(text, label, sizeof label);
	if (secret.len > 0)
		memcpy(text + sizeof label, secret.ptr, secret.len);
	ok = EVP_Digest(text, sizeof label + secret.len, key, NULL, sha256_method(), NULL) == 1;
	secret_wipe(text, sizeof text);
	return ok;
}

/* NULL without memory. */
static EVP_CIPHER_CTX *
make_mac(const struct lmtp *l)
{
	EVP_CIPHER_CTX *mac = EVP_CIPHER_CTX_new();
	uint8_t key[32];
	bool ok = mac != NULL && make_key_of_mac(l, key) &&
	          EVP_EncryptInit_ex(mac, EVP_aes_128_gcm(), NULL, key, NULL) == 1;

	secret_wipe(key, sizeof key);
	if (!ok) {
		EVP_CIPHER_CTX_free(mac);
		mac = NULL;
	}
	return mac;
}

/* The nonce is always the same, as sums of equal messages must be, and nobody is shown one. Without memory there are no
 * keys: the message is delivered all the same. */
void
lmtp_retry_begin(struct lmtp *l)
{
	static const uint8_t nonce[12];
	struct lmtp_retry *r = &l->retry;

	r->on = session_conf(l->s)->lmtp.duplicate_window > 0;
	if (r->on && r->mac == NULL)
		r->mac = make_mac(l);
	r->on = r->on && r->mac != NULL && EVP_EncryptInit_ex(r->mac, NULL, NULL, NULL, nonce) == 1;
}

void
lmtp_retry_take(struct lmtp *l, struct slice piece)
{
	int n;

	assert(piece.len <= INT_MAX);
	if (l->retry.on && piece.len > 0)
		l->retry.on = EVP_EncryptUpdate(l->retry.mac, NULL, &n, piece.ptr, (int)piece.len) == 1;
}

void
lmtp_retry_finish(struct lmtp *l)
{
	struct lmtp_retry *r = &l->retry;
	uint8_t none[16];
	int n;

	r->on = r->on && EVP_EncryptFinal_ex(r->mac, none, &n) == 1 &&
	        EVP_CIPHER_CTX_ctrl(r->mac, EVP_CTRL_AEAD_GET_TAG, (int)sizeof r->sum, r->sum) == 1;
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
make_key(const struct lmtp *l, EVP_MD_CTX *sha, mailbox_id mailbox, uint8_t out[DELIVERY_KEY_LEN])
{
	uint8_t box[8];

	put_le64(box, mailbox);
	return EVP_DigestInit_ex(sha, sha256_method(), NULL) == 1 &&
	       add_part(sha, slice_of(box, sizeof box)) && add_part(sha, l->sender) &&
	       add_part(sha, l->forward.value[FORWARD_IDENT]) &&
	       add_part(sha, slice_of(l->retry.sum, sizeof l->retry.sum)) &&
	       EVP_DigestFinal_ex(sha, out, NULL) == 1;
}

enum rc
lmtp_retry_set_keys(struct lmtp *l, struct lmtp_group *g)
{
	uint8_t (*keys)[DELIVERY_KEY_LEN];
	EVP_MD_CTX *sha;
	bool ok;

	if (!l->retry.on)
		return RC_OK;
	keys = arena_array(&g->change->arena, g->target_count, sizeof *keys);
	sha = EVP_MD_CTX_new();
	ok = keys != NULL && sha != NULL;
	for (uint32_t i = 0; ok && i < g->target_count; i++) {
		ok = make_key(l, sha, g->targets[i].mailbox, keys[i]);
		g->targets[i].delivery_key = keys[i];
	}
	EVP_MD_CTX_free(sha);
	if (!ok)
		return err_nomem(&g->err);
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
