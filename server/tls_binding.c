/* tls_binding - channel bindings. See tls_binding.h.
 *
 * tls-unique is not offered: it is not defined for TLS 1.3, and on older versions it has been
 * attacked [RFC 9266 s1].
 */
#include "server/tls_binding.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "server/tls_certificate.h"
#include "server/tls_tickets.h"

#define EXPORTER_LABEL "EXPORTER-Channel-Binding"
#define EXPORTER_LEN   32u

/* Only a master secret that no other connection can have makes it unique: always so in TLS 1.3,
 * before that with the extended master secret. Renegotiation, which must be off, is
 * [RFC 9266 s2, s4.2]. */
static bool
exporter(SSL *ssl, uint8_t *out, size_t cap, size_t *len)
{
	static const unsigned char no_context[1];
	bool ok;

	if (cap < EXPORTER_LEN ||
	    (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1))
		return false;
	ok = SSL_export_keying_material(ssl, out, EXPORTER_LEN, EXPORTER_LABEL,
	                                sizeof EXPORTER_LABEL - 1, no_context, 0, 1) == 1;
	ERR_clear_error();
	*len = EXPORTER_LEN;
	return ok;
}

/* Where a session is resumed, the client has seen the certificate that it began
 * with, and no other. */
static bool
end_point(SSL *ssl, uint8_t *out, size_t cap, size_t *len)
{
	X509 *cert = SSL_get_certificate(ssl);

	if (SSL_session_reused(ssl))
		return tls_tickets_end_point(ssl, out, cap, len);
	return cert != NULL && tls_certificate_end_point(cert, out, cap, len);
}

bool
tls_binding(SSL *ssl, struct slice type, uint8_t *out, size_t cap, size_t *len)
{
	*len = 0;
	if (slice_eq(type, SLICE("tls-exporter")))
		return exporter(ssl, out, cap, len);
	return slice_eq(type, SLICE("tls-server-end-point")) && end_point(ssl, out, cap, len);
}
