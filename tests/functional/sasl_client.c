/* sasl_client PORT USER PASSWORD MECHANISM TYPE - logs in to an IMAP server on 127.0.0.1 over TLS
 * with libsasl2's client side, bound to the channel by TYPE: tls-exporter, tls-server-end-point, or
 * "" for no binding.
 *
 * The tests' only client that binds by tls-server-end-point. It computes the bindings itself
 * [RFC 5929 s4.1, 9266 s2]. Certificates are not verified: that is what the binding is for. Exit 0:
 * logged in; 1: the server said NO; 2: anything else. With TLS12=1 in the environment,
 * TLS 1.2 is used.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sasl/sasl.h>
#include <sasl/saslutil.h>

#define LINE_MAX_LEN 8192

static const char *user, *password;
static SSL *tls;

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static void
connect_tls(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (ctx == NULL || fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		die("no connection");
	if (getenv("TLS12") != NULL)
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	tls = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (tls == NULL || SSL_set_fd(tls, fd) != 1 || SSL_connect(tls) != 1)
		die("no TLS");
}

/* The hash of the certificate with the hash that signed it; SHA-256 instead of MD5 and SHA-1. */
static unsigned
end_point(unsigned char out[EVP_MAX_MD_SIZE])
{
	X509 *cert = SSL_get1_peer_certificate(tls);
	const EVP_MD *md = EVP_sha256();
	unsigned len = 0;
	int digest = NID_undef;

	if (cert == NULL)
		die("no certificate");
	if (OBJ_find_sigid_algs(X509_get_signature_nid(cert), &digest, NULL) == 1 &&
	    digest != NID_undef && digest != NID_md5 && digest != NID_sha1)
		md = EVP_get_digestbynid(digest);
	if (md == NULL || X509_digest(cert, md, out, &len) != 1)
		die("no hash of the certificate");
	X509_free(cert);
	return len;
}

static unsigned
get_binding(const char *type, unsigned char out[EVP_MAX_MD_SIZE])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (strcmp(type, "tls-server-end-point") == 0)
		return end_point(out);
	if (SSL_export_keying_material(tls, out, 32, label, sizeof label - 1,
	                               (const unsigned char *)"", 0, 1) != 1)
		die("no exporter");
	return 32;
}

static void
read_line(char line[LINE_MAX_LEN])
{
	size_t len = 0;

	for (;;) {
		if (len == LINE_MAX_LEN - 1 || SSL_read(tls, line + len, 1) != 1)
			die("the connection ended");
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len > 0 && line[len - 1] == '\r' ? len - 1 : len] = '\0';
}

/* "+ ..." or the tagged answer. */
static void
read_answer(char line[LINE_MAX_LEN])
{
	do
		read_line(line);
	while (strncmp(line, "* ", 2) == 0);
}

static void
say(const char *text)
{
	if (SSL_write(tls, text, (int)strlen(text)) <= 0)
		die("cannot write");
}

static void
say_base64(const char *text, unsigned len)
{
	char out[LINE_MAX_LEN];
	unsigned n = 0;

	if (sasl_encode64(text, len, out, sizeof out - 2, &n) != SASL_OK)
		die("too long");
	strcpy(out + n, "\r\n");
	say(out);
}

static int
get_name(void *context, int id, const char **result, unsigned *len)
{
	(void)context;
	(void)id;
	*result = user;
	if (len != NULL)
		*len = (unsigned)strlen(user);
	return SASL_OK;
}

static int
get_password(sasl_conn_t *conn, void *context, int id, sasl_secret_t **out)
{
	static sasl_secret_t *secret;

	(void)conn;
	(void)context;
	(void)id;
	if (secret == NULL) {
		secret = malloc(sizeof *secret + strlen(password) + 1);
		if (secret == NULL)
			return SASL_NOMEM;
		secret->len = strlen(password);
		memcpy(secret->data, password, secret->len);
	}
	*out = secret;
	return SASL_OK;
}

/* Challenge and answer until the server has decided. The exit status. */
static int
authenticate(sasl_conn_t *conn, const char *mechanism)
{
	char line[LINE_MAX_LEN], decoded[LINE_MAX_LEN];
	const char *out = NULL, *chosen = NULL;
	unsigned len = 0, n = 0;
	int rc = sasl_client_start(conn, mechanism, NULL, &out, &len, &chosen);

	if (rc != SASL_OK && rc != SASL_CONTINUE)
		die("libsasl2: %s", sasl_errdetail(conn));
	snprintf(line, sizeof line, "a AUTHENTICATE %s\r\n", mechanism);
	say(line);
	for (read_answer(line); line[0] == '+'; read_answer(line)) {
		const char *text = line[1] == ' ' ? line + 2 : line + 1;

		if (*text != '\0') {
			if (sasl_decode64(text, (unsigned)strlen(text), decoded, sizeof decoded,
			        &n) != SASL_OK)
				die("no base64: %s", line);
			rc = sasl_client_step(conn, decoded, n, NULL, &out, &len);
			if (rc != SASL_OK && rc != SASL_CONTINUE)
				die("libsasl2: %s", sasl_errdetail(conn));
		}
		say_base64(out != NULL ? out : "", out != NULL ? len : 0);
		out = NULL;
	}
	puts(line);
	if (strncmp(line, "a OK", 4) == 0)
		return rc == SASL_OK ? 0 : 2;   /* the server has proved itself, too */
	return strncmp(line, "a NO", 4) == 0 ? 1 : 2;
}

int
main(int argc, char **argv)
{
	const sasl_callback_t callbacks[] = {
		{ SASL_CB_USER, (int (*)(void))(void (*)(void))get_name, NULL },
		{ SASL_CB_AUTHNAME, (int (*)(void))(void (*)(void))get_name, NULL },
		{ SASL_CB_PASS, (int (*)(void))(void (*)(void))get_password, NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	unsigned char data[EVP_MAX_MD_SIZE];
	sasl_channel_binding_t binding = { .critical = 1, .data = data };
	sasl_conn_t *conn = NULL;
	char greeting[LINE_MAX_LEN];
	int status;

	if (argc != 6)
		die("usage: sasl_client PORT USER PASSWORD MECHANISM TYPE");
	user = argv[2];
	password = argv[3];
	connect_tls(atoi(argv[1]));
	read_line(greeting);
	if (sasl_client_init(NULL) != SASL_OK ||
	    sasl_client_new("imap", "localhost", NULL, NULL, callbacks, SASL_SUCCESS_DATA, &conn) !=
	        SASL_OK)
		die("no libsasl2");
	binding.name = argv[5];
	if (argv[5][0] != '\0') {
		binding.len = get_binding(argv[5], data);
		if (sasl_setprop(conn, SASL_CHANNEL_BINDING, &binding) != SASL_OK)
			die("libsasl2 takes no binding");
	}
	status = authenticate(conn, argv[4]);
	sasl_dispose(&conn);
	sasl_client_done();
	SSL_free(tls);
	return status;
}
