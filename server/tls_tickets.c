/* tls_tickets - keys of session tickets. See tls_tickets.h.
 *
 * Whoever gets a key can read what was said on TLS 1.2 connections that its tickets stand for, so
 * keys live for hours [RFC 9325 s3.4, s4.4]. With TLS 1.3 a resumed session has a key exchange of
 * its own, and a ticket is used once. 0-RTT data is never taken: it could be sent again by anybody
 * [RFC 8446 s8].
 *
 * A ticket is bound to where it may be used by the session id context (tls.c). It carries the hash
 * of our certificate, for tls-server-end-point, and the time of the full handshake: with each
 * resumption a new ticket is given, so that else a client's certificate would count for ever once
 * it has been verified.
 *
 * Rejected: OpenSSL's own keys, which each SSL_CTX makes for itself: a reload would forget all
 * sessions. A cache of sessions: it costs memory for each client that ever came.
 */
#include "server/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/clock.h"
#include "server/tls_certificate.h"

#define KEY_NAME_LEN 16
#define CARRIED_FORM 1u
#define CARRIED_HEAD 9u         /* form, time of the full handshake; then the hash */

struct ticket_key {
	uint64_t born_s;                        /* 0: none */
	uint8_t  name[KEY_NAME_LEN];
	uint8_t  aes[32];
	uint8_t  mac[32];
};

struct tls_tickets {
	atomic_uint       refs;
	pthread_mutex_t   lock;                 /* over what follows */
	struct ticket_key now, before;
	atomic_ullong     skew_s;               /* tls_tickets_age */
};

/* ---- keys ---- */

static uint64_t
seconds(const struct tls_tickets *t)
{
	return clock_mono_ms() / 1000u + 1u + atomic_load(&t->skew_s);
}

static bool
make_key(struct tls_tickets *t)
{
	struct ticket_key fresh = { .born_s = seconds(t) };

	if (RAND_bytes(fresh.name, sizeof fresh.name) != 1 ||
	    RAND_priv_bytes(fresh.aes, sizeof fresh.aes) != 1 ||
	    RAND_priv_bytes(fresh.mac, sizeof fresh.mac) != 1)
		return false;
	t->before = t->now;
	t->now = fresh;
	OPENSSL_cleanse(&fresh, sizeof fresh);
	return true;
}

enum rc
tls_tickets_new(struct tls_tickets **out, struct err *e)
{
	struct tls_tickets *t = calloc(1, sizeof *t);

	*out = NULL;
	if (t == NULL)
		return err_nomem(e);
	atomic_init(&t->refs, 1);
	pthread_mutex_init(&t->lock, NULL);
	if (!make_key(t)) {
		tls_tickets_unref(&t);
		return err_set(e, RC_IO, "the system has no random numbers");
	}
	*out = t;
	return RC_OK;
}

struct tls_tickets *
tls_tickets_ref(struct tls_tickets *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void
tls_tickets_unref(struct tls_tickets **tp)
{
	struct tls_tickets *t = *tp;

	*tp = NULL;
	if (t == NULL || atomic_fetch_sub(&t->refs, 1) > 1)
		return;
	pthread_mutex_destroy(&t->lock);
	OPENSSL_cleanse(t, sizeof *t);
	free(t);
}

void
tls_tickets_age(struct tls_tickets *t, uint64_t passed)
{
	atomic_fetch_add(&t->skew_s, passed);
}

static bool
key_to_make(struct tls_tickets *t, struct ticket_key *out)
{
	bool ok = true;

	pthread_mutex_lock(&t->lock);
	if (seconds(t) - t->now.born_s >= TLS_TICKETS_ROTATE_S)
		ok = make_key(t);
	*out = t->now;
	pthread_mutex_unlock(&t->lock);
	return ok;
}

void
tls_tickets_tidy(struct tls_tickets *t)
{
	struct ticket_key *keys[] = { &t->now, &t->before };

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < 2; i++)
		if (keys[i]->born_s != 0 &&
		    seconds(t) - keys[i]->born_s >= 2 * TLS_TICKETS_ROTATE_S)
			OPENSSL_cleanse(keys[i], sizeof *keys[i]);
	pthread_mutex_unlock(&t->lock);
}

static bool
key_to_read(struct tls_tickets *t, const uint8_t *name, struct ticket_key *out, bool *current)
{
	const struct ticket_key *keys[] = { &t->now, &t->before };
	bool found = false;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < 2 && !found; i++) {
		found = keys[i]->born_s != 0 &&
		        seconds(t) - keys[i]->born_s < 2 * TLS_TICKETS_ROTATE_S &&
		        memcmp(keys[i]->name, name, KEY_NAME_LEN) == 0;
		if (found)
			*out = *keys[i];
		*current = i == 0 && seconds(t) - keys[i]->born_s < TLS_TICKETS_ROTATE_S;
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

/* ---- what OpenSSL asks ---- */

static bool
init_mac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof k->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* -1: failed, 0: no ticket, or a full handshake; 1; 2: take it and give a new one
 * [SSL_CTX_set_tlsext_ticket_key_cb(3)]. */
static int
on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
              EVP_MAC_CTX *mac, int making)
{
	struct tls_tickets *t = tls_tickets_of(ssl);
	struct ticket_key k;
	bool ok, current = true;

	if (making) {
		ok = key_to_make(t, &k) &&
		     RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
		     init_mac(mac, &k) &&
		     EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.aes, iv) == 1;
		if (ok)
			memcpy(name, k.name, KEY_NAME_LEN);
	} else {
		if (!key_to_read(t, name, &k, &current))
			return 0;
		ok = init_mac(mac, &k) &&
		     EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.aes, iv) == 1;
	}
	OPENSSL_cleanse(&k, sizeof k);
	if (!ok)
		return -1;
	/* A ticket of TLS 1.3 is used once, so that nobody can tell connections of one client by it
	 * [RFC 8446 C.4]. */
	return making || (current && SSL_version(ssl) < TLS1_3_VERSION) ? 1 : 2;
}

/* ---- what a ticket carries ---- */

static bool
carried(SSL_SESSION *session, uint64_t *verified_s, struct slice *end_point)
{
	uint8_t *data = NULL;
	size_t len = 0;

	if (SSL_SESSION_get0_ticket_appdata(session, (void **)&data, &len) != 1 ||
	    len < CARRIED_HEAD || data[0] != CARRIED_FORM)
		return false;
	*verified_s = get_le64(data + 1);
	*end_point = slice_of(data + CARRIED_HEAD, len - CARRIED_HEAD);
	return true;
}

static int
on_ticket_made(SSL *ssl, void *arg)
{
	uint8_t data[CARRIED_HEAD + TLS_END_POINT_MAX] = { CARRIED_FORM };
	X509 *cert = SSL_get_certificate(ssl);
	size_t len = 0;

	(void)arg;
	if (SSL_session_reused(ssl))            /* what it carried goes on */
		return 1;
	put_le64(data + 1, seconds(tls_tickets_of(ssl)));
	if (cert == NULL ||
	    !tls_certificate_end_point(cert, data + CARRIED_HEAD, TLS_END_POINT_MAX, &len))
		len = 0;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data, CARRIED_HEAD + len);
}

static SSL_TICKET_RETURN
on_ticket_taken(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_len,
                SSL_TICKET_STATUS status, void *arg)
{
	struct slice end_point;
	uint64_t verified_s, now = seconds(tls_tickets_of(ssl));

	(void)name, (void)name_len, (void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (!carried(session, &verified_s, &end_point) || now < verified_s ||
	    now - verified_s >= TLS_TICKETS_VERIFIED_S)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW
	                                          : SSL_TICKET_RETURN_USE;
}

void
tls_tickets_apply(SSL_CTX *ctx)
{
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key);
	SSL_CTX_set_session_ticket_cb(ctx, on_ticket_made, on_ticket_taken, NULL);
	/* A ticket costs an eighth of a full handshake. Who resumes gets the next one with it. */
	(void)SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_timeout(ctx, TLS_TICKETS_SESSION_S);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(ctx, 0);
}

bool
tls_tickets_end_point(SSL *ssl, uint8_t *out, size_t cap, size_t *len)
{
	struct slice end_point;
	uint64_t verified_s;

	*len = 0;
	if (!SSL_session_reused(ssl) || !carried(SSL_get_session(ssl), &verified_s, &end_point) ||
	    end_point.len == 0 || end_point.len > cap)
		return false;
	memcpy(out, end_point.ptr, end_point.len);
	*len = end_point.len;
	return true;
}
