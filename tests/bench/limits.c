/* limits - what this machine can do at best: the figures beside which those of a mail server are quoted.
 *
 *     limits DIRECTORY CERTIFICATE KEY SECONDS
 *
 * Prints one JSON line for each figure: durable appends of 4 KiB one after the other in DIRECTORY, deflate and inflate of
 * 64 KiB pieces by zlib and (when built with LIMITS_ISAL) ISA-L, bytes through a loopback connection, handshakes of
 * OpenSSL over loopback from 16 connections at once with nothing behind them, and the memory that a connection with TLS
 * takes in a process that does nothing else. Each takes about SECONDS. Client and server share the cores, as they do when
 * a server is measured.
 *
 * Text is words of a skewed distribution, attachments are base64 of random octets: the two ends of what mail is.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#ifdef LIMITS_ISAL
#include <isa-l/igzip_lib.h>
#endif

enum {
	PIECE = 65536,
	PIECES = 64,
	CONNECTIONS = 16,
	HELD = 1000,		/* connections whose memory is looked at */
};

static double seconds_each;
static const char *certificate, *key;

static void
die(const char *what)
{
	fprintf(stderr, "limits: %s: %s\n", what, strerror(errno));
	ERR_print_errors_fp(stderr);
	exit(1);
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
say(const char *name, double value, const char *unit)
{
	printf("{\"what\": \"limit\", \"name\": \"%s\", \"value\": %.4g, \"unit\": \"%s\"}\n", name, value, unit);
	fflush(stdout);
}

/* --- the disk --- */

static void
measure_sync(const char *directory)
{
	static const char block[4096] = "x";
	char path[4096];
	double start = now_s(), took;
	long count = 0;
	int fd;

	snprintf(path, sizeof path, "%s/limits.%d", directory, (int)getpid());
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		die(path);
	unlink(path);
	do {
		if (write(fd, block, sizeof block) != (ssize_t)sizeof block || fdatasync(fd) != 0)
			die(path);
		count++;
		took = now_s() - start;
	} while (took < seconds_each);
	close(fd);
	say("fdatasync", (double)count / took, "appends/s");
}

/* --- compression --- */

static uint64_t seed = 88172645463325252;

static uint32_t
random_u32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

/* Words of which a few are frequent, in lines. */
static void
make_text(uint8_t *to, size_t len)
{
	static char words[4096][12];
	static int made;
	size_t at = 0, column = 0;

	for (; made < 4096; made++) {
		uint32_t letters = 2 + random_u32() % 9;

		for (uint32_t k = 0; k < letters; k++)
			words[made][k] = "etaoinshrdlucmfwypvbgkjqxz"[random_u32() % (1 + random_u32() % 26)];
	}
	while (at < len) {
		uint32_t rank = random_u32() % (1 + random_u32() % (1 + random_u32() % 4096));
		const char *word = words[rank];

		for (; *word != '\0' && at < len; at++, column++)
			to[at] = (uint8_t)*word++;
		if (at < len)
			to[at++] = column > 65 ? '\n' : ' ';
		if (column++ > 65)
			column = 0;
	}
}

static void
make_base64(uint8_t *to, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t k = 0; k < len; k++)
		to[k] = (uint8_t)(k % 77 == 76 ? '\n' : digits[random_u32() % 64]);
}

static size_t
zlib_deflate(void *context, uint8_t *to, size_t room, const uint8_t *from, size_t len)
{
	z_stream *z = context;

	deflateReset(z);
	z->next_in = (uint8_t *)(uintptr_t)from;
	z->avail_in = (unsigned)len;
	z->next_out = to;
	z->avail_out = (unsigned)room;
	if (deflate(z, Z_FINISH) != Z_STREAM_END)
		die("deflate");
	return room - z->avail_out;
}

static size_t
zlib_inflate(void *context, uint8_t *to, size_t room, const uint8_t *from, size_t len)
{
	z_stream *z = context;

	inflateReset(z);
	z->next_in = (uint8_t *)(uintptr_t)from;
	z->avail_in = (unsigned)len;
	z->next_out = to;
	z->avail_out = (unsigned)room;
	if (inflate(z, Z_FINISH) != Z_STREAM_END)
		die("inflate");
	return room - z->avail_out;
}

typedef size_t codec_fn(void *context, uint8_t *to, size_t room, const uint8_t *from, size_t len);

/* MB of plain octets a second; the pieces go to `out`, which the caller owns. */
static double
run_codec(codec_fn *codec, void *context, uint8_t *out, size_t *out_len, const uint8_t *in, const size_t *in_len,
	  size_t stride)
{
	double start = now_s(), took;
	size_t rounds = 0;

	do {
		for (size_t k = 0; k < PIECES; k++)
			out_len[k] = codec(context, out + k * 2 * PIECE, 2 * PIECE, in + k * stride, in_len[k]);
		rounds++;
		took = now_s() - start;
	} while (took < seconds_each / 4);
	return (double)(rounds * PIECES * PIECE) / 1e6 / took;
}

static void
say_codec(const char *library, const char *what, const char *of, double value, const char *unit)
{
	char name[80];

	snprintf(name, sizeof name, "%s %s %s", library, what, of);
	say(name, value, unit);
}

#ifdef LIMITS_ISAL
static size_t
isal_pack(void *context, uint8_t *to, size_t room, const uint8_t *from, size_t len)
{
	static uint8_t level[ISAL_DEF_LVL1_DEFAULT];
	struct isal_zstream *z = context;

	isal_deflate_init(z);
	z->level = 1;
	z->level_buf = level;
	z->level_buf_size = sizeof level;
	z->end_of_stream = 1;
	z->next_in = (uint8_t *)(uintptr_t)from;
	z->avail_in = (uint32_t)len;
	z->next_out = to;
	z->avail_out = (uint32_t)room;
	if (isal_deflate(z) != COMP_OK)
		die("isal_deflate");
	return z->total_out;
}

static size_t
isal_unpack(void *context, uint8_t *to, size_t room, const uint8_t *from, size_t len)
{
	struct inflate_state *z = context;

	isal_inflate_init(z);
	z->next_in = (uint8_t *)(uintptr_t)from;
	z->avail_in = (uint32_t)len;
	z->next_out = to;
	z->avail_out = (uint32_t)room;
	if (isal_inflate(z) != ISAL_DECOMP_OK)
		die("isal_inflate");
	return z->total_out;
}
#endif

/* Packs and unpacks the pieces with one library. */
static void
measure_codec(const char *library, const char *of, const uint8_t *plain, codec_fn *pack, void *packer,
	      codec_fn *unpack, void *unpacker)
{
	static uint8_t packed[PIECES * 2 * PIECE], again[PIECES * 2 * PIECE];
	size_t full[PIECES], packed_len[PIECES], again_len[PIECES], sum = 0;

	for (size_t k = 0; k < PIECES; k++)
		full[k] = PIECE;
	say_codec(library, "deflate", of, run_codec(pack, packer, packed, packed_len, plain, full, PIECE), "MB/s");
	say_codec(library, "inflate", of, run_codec(unpack, unpacker, again, again_len, packed, packed_len, 2 * PIECE),
		  "MB/s");
	for (size_t k = 0; k < PIECES; k++) {
		if (again_len[k] != PIECE || memcmp(again + k * 2 * PIECE, plain + k * PIECE, PIECE) != 0)
			die("what came back is different");
		sum += packed_len[k];
	}
	say_codec(library, "ratio", of, (double)sum / (PIECES * PIECE), "of 1");
}

static void
measure_compression(void)
{
	static uint8_t plain[2][PIECES * PIECE];
	static const char *const of[2] = {"text", "base64"};
	z_stream packer = {0}, unpacker = {0};

	make_text(plain[0], sizeof plain[0]);
	make_base64(plain[1], sizeof plain[1]);
	if (deflateInit2(&packer, 4, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK || inflateInit2(&unpacker, -15) != Z_OK)
		die("zlib");
	for (int k = 0; k < 2; k++) {
		measure_codec("zlib (level 4)", of[k], plain[k], zlib_deflate, &packer, zlib_inflate, &unpacker);
#ifdef LIMITS_ISAL
		static struct isal_zstream isal_packer;
		static struct inflate_state isal_unpacker;

		measure_codec("ISA-L (level 1)", of[k], plain[k], isal_pack, &isal_packer, isal_unpack, &isal_unpacker);
#endif
	}
	deflateEnd(&packer);
	inflateEnd(&unpacker);
}

/* --- the loopback --- */

static int
listen_loopback(struct sockaddr_in *at)
{
	socklen_t len = sizeof *at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof *at) != 0 || listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)at, &len) != 0)
		die("listen");
	return fd;
}

/* Without delay: tickets and the first octet would wait for an acknowledgement otherwise. */
static int
accept_loopback(int listener)
{
	int fd = accept(listener, NULL, NULL), on = 1;

	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static int
connect_loopback(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) != 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void *
write_until_refused(void *arg)
{
	static uint8_t data[PIECE];

	while (send(*(int *)arg, data, sizeof data, MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void
measure_loopback(void)
{
	static uint8_t data[4 * PIECE];
	struct sockaddr_in at;
	int listener = listen_loopback(&at), in = connect_loopback(&at), out = accept_loopback(listener);
	double start = now_s(), took, bytes = 0;
	pthread_t writer;

	if (out < 0 || pthread_create(&writer, NULL, write_until_refused, &out) != 0)
		die("loopback");
	do {
		ssize_t got = recv(in, data, sizeof data, 0);

		if (got <= 0)
			die("loopback");
		bytes += (double)got;
		took = now_s() - start;
	} while (took < seconds_each);
	shutdown(in, SHUT_RDWR);
	close(in);
	pthread_join(writer, NULL);
	close(out);
	close(listener);
	say("loopback, one connection", bytes / 1e6 / took, "MB/s");
}

/* --- TLS --- */

static SSL_CTX *
server_context(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	if (c == NULL || SSL_CTX_use_certificate_file(c, certificate, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1)
		die("certificate");
	SSL_CTX_set_session_id_context(c, (const unsigned char *)"limits", 6);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);	/* tickets carry all */
	return c;
}

static SSL *
shake_hands(SSL_CTX *context, int fd, bool server, SSL_SESSION *session)
{
	SSL *s = SSL_new(context);

	if (s == NULL || SSL_set_fd(s, fd) != 1 || (session != NULL && SSL_set_session(s, session) != 1))
		die("SSL_new");
	if ((server ? SSL_accept(s) : SSL_connect(s)) != 1)
		die("handshake");
	return s;
}

struct shaking {
	struct sockaddr_in at;
	int listener;
	SSL_CTX *server, *client;
	bool resumes;
	atomic_bool is_over;
	atomic_long done, resumed;
};

/* Accepts, shakes hands, says one octet (with which the tickets arrive) and waits for the end. */
static void *
serve(void *arg)
{
	struct shaking *w = arg;
	int fd;
	char c;

	while ((fd = accept_loopback(w->listener)) >= 0) {
		SSL *s = shake_hands(w->server, fd, true, NULL);

		if (SSL_write(s, "*", 1) == 1)
			(void)SSL_read(s, &c, 1);
		SSL_free(s);
		close(fd);
		ERR_clear_error();
	}
	return NULL;
}

static void *
ask(void *arg)
{
	struct shaking *w = arg;
	SSL_SESSION *session = NULL;
	char c;

	while (!atomic_load(&w->is_over)) {
		int fd = connect_loopback(&w->at);
		SSL *s = shake_hands(w->client, fd, false, session);

		if (SSL_read(s, &c, 1) != 1)
			die("the first octet");
		atomic_fetch_add(&w->done, 1);
		if (SSL_session_reused(s))
			atomic_fetch_add(&w->resumed, 1);
		if (w->resumes) {
			SSL_SESSION_free(session);
			session = SSL_get1_session(s);
		}
		SSL_shutdown(s);
		SSL_free(s);
		close(fd);
	}
	SSL_SESSION_free(session);
	return NULL;
}

static void
measure_handshakes(const char *name, bool resumes)
{
	struct shaking w = {.server = server_context(), .client = SSL_CTX_new(TLS_client_method()), .resumes = resumes};
	pthread_t servers[CONNECTIONS], clients[CONNECTIONS];
	struct timespec wait = {.tv_sec = (time_t)seconds_each, .tv_nsec = (long)(fmod(seconds_each, 1) * 1e9)};
	double start, took;

	w.listener = listen_loopback(&w.at);
	start = now_s();
	for (int k = 0; k < CONNECTIONS; k++)
		if (pthread_create(&servers[k], NULL, serve, &w) != 0 || pthread_create(&clients[k], NULL, ask, &w) != 0)
			die("pthread_create");
	nanosleep(&wait, NULL);
	atomic_store(&w.is_over, true);
	for (int k = 0; k < CONNECTIONS; k++)
		pthread_join(clients[k], NULL);
	took = now_s() - start;
	shutdown(w.listener, SHUT_RDWR);
	for (int k = 0; k < CONNECTIONS; k++)
		pthread_join(servers[k], NULL);
	close(w.listener);
	if (resumes ? w.resumed < w.done / 2 : w.resumed > 0)
		die("resumption");
	say(name, (double)w.done / took, "/s");
	SSL_CTX_free(w.server);
	SSL_CTX_free(w.client);
}

static long
pss_kb(void)
{
	char line[200];
	long kb = 0;
	FILE *f = fopen("/proc/self/smaps_rollup", "re");

	if (f == NULL)
		die("smaps_rollup");
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "Pss:", 4) == 0)
			kb = atol(line + 4);
	fclose(f);
	return kb;
}

/* The other end of the held connections, in a process of its own so that its memory does not count. */
static void
hold_clients(const struct sockaddr_in *at)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	char c;

	for (int k = 0; k < HELD; k++)
		if (SSL_read(shake_hands(context, connect_loopback(at), false, NULL), &c, 1) != 1)
			die("the first octet");
	pause();
	_exit(0);
}

static void
measure_memory(void)
{
	SSL_CTX *context = server_context();
	struct sockaddr_in at;
	int listener = listen_loopback(&at), status;
	long before = 0;
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (child == 0)
		hold_clients(&at);
	for (int k = 0; k < HELD; k++) {
		if (k == 10)		/* what is needed once is there */
			before = pss_kb();
		SSL *s = shake_hands(context, accept_loopback(listener), true, NULL);

		if (SSL_write(s, "*", 1) != 1)
			die("the first octet");
	}
	say("memory of a TLS connection", (double)(pss_kb() - before) / (HELD - 10), "kB");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

int
main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: limits DIRECTORY CERTIFICATE KEY SECONDS\n");
		return 2;
	}
	certificate = argv[2];
	key = argv[3];
	seconds_each = atof(argv[4]);
	signal(SIGPIPE, SIG_IGN);
	measure_memory();
	measure_sync(argv[1]);
	measure_compression();
	measure_loopback();
	measure_handshakes("TLS handshakes, full", false);
	measure_handshakes("TLS handshakes, resumed", true);
	return 0;
}
