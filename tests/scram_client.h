/* scram_client - the client's side of SCRAM [RFC 5802 s3, s5], written anew from the RFC for tests and fuzz targets, so
 * that the server is not checked with its own code. Passwords are taken as they are: tests use ASCII. */
#ifndef RESTANTE_TESTS_SCRAM_CLIENT_H
#define RESTANTE_TESTS_SCRAM_CLIENT_H

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/slice.h"

struct scram_client {
	const char  *hash;              /* "SHA-256", "SHA-1" */
	const char  *header;            /* gs2-header: "n,,", "p=tls-exporter,a=bert," */
	struct slice binding;           /* what c= holds behind the header */
	const char  *user, *password;
	char         first_bare[600];
	char         server_final[120];         /* what the server has to say in the end */
	char         salt[200];                 /* in base64, as the server told */
	unsigned     iterations;
	size_t       hash_len;
};

static inline const char *
scram_client_first(struct scram_client *c, char out[1024])
{
	snprintf(c->first_bare, sizeof c->first_bare, "n=%s,r=fyko+d2lbbFgONRv9qkxdawL", c->user);
	snprintf(out, 1024, "%s%s", c->header, c->first_bare);
	return out;
}

static inline void
scram_client_hmac(const EVP_MD *md, const uint8_t *key, size_t key_len, const char *text,
                  uint8_t out[64])
{
	unsigned len = 0;

	if (HMAC(md, key, (int)key_len, (const uint8_t *)text, strlen(text), out, &len) == NULL)
		abort();
}

/* "r=NONCE,s=SALT,i=COUNT" */
static inline bool
scram_client_read(struct scram_client *c, const char *server_first, char nonce[500],
                  uint8_t salt[200], size_t *salt_len)
{
	int n;

	if (sscanf(server_first, "r=%499[^,],s=%199[^,],i=%u", nonce, c->salt, &c->iterations) !=
	        3 ||
	    c->iterations == 0 || c->iterations > 100000)
		return false;
	n = EVP_DecodeBlock(salt, (const uint8_t *)c->salt, (int)strlen(c->salt));
	if (n < 3)
		return false;
	for (size_t i = strlen(c->salt); i > 0 && c->salt[i - 1] == '='; i--)
		n--;
	*salt_len = (size_t)n;
	return true;
}

/* client-final-message without the proof */
static inline void
scram_client_unproven(const struct scram_client *c, const char *nonce, char out[1400])
{
	uint8_t bound[512], text[700];
	size_t n = strlen(c->header);

	memcpy(bound, c->header, n);
	if (c->binding.len > 0)
		memcpy(bound + n, c->binding.ptr, c->binding.len);
	EVP_EncodeBlock(text, bound, (int)(n + c->binding.len));
	snprintf(out, 1400, "c=%s,r=%s", (const char *)text, nonce);
}

/* The client's last message; false if the server's first is none. */
static inline bool
scram_client_final(struct scram_client *c, const char *server_first, char out[1600])
{
	const EVP_MD *md = strcmp(c->hash, "SHA-256") == 0 ? EVP_sha256() : EVP_sha1();
	uint8_t salt[200], salted[64], key[64], stored[64], signature[64], text[100];
	char nonce[500], unproven[1400], message[3000];
	size_t salt_len;

	c->hash_len = (size_t)EVP_MD_get_size(md);
	if (!scram_client_read(c, server_first, nonce, salt, &salt_len))
		return false;
	scram_client_unproven(c, nonce, unproven);
	snprintf(message, sizeof message, "%s,%s,%s", c->first_bare, server_first, unproven);
	PKCS5_PBKDF2_HMAC(c->password, (int)strlen(c->password), salt, (int)salt_len,
	                  (int)c->iterations, md, (int)c->hash_len, salted);
	scram_client_hmac(md, salted, c->hash_len, "Server Key", key);
	scram_client_hmac(md, key, c->hash_len, message, signature);
	EVP_EncodeBlock(text, signature, (int)c->hash_len);
	snprintf(c->server_final, sizeof c->server_final, "v=%s", (const char *)text);
	scram_client_hmac(md, salted, c->hash_len, "Client Key", key);
	EVP_Digest(key, c->hash_len, stored, NULL, md, NULL);
	scram_client_hmac(md, stored, c->hash_len, message, signature);
	for (size_t i = 0; i < c->hash_len; i++)
		key[i] ^= signature[i];
	EVP_EncodeBlock(text, key, (int)c->hash_len);
	snprintf(out, 1600, "%s,p=%s", unproven, (const char *)text);
	return true;
}

#endif
