/* lmtp_load - deliver messages over LMTP from several connections and report the rate. On
 * demand, never in CI.
 *
 *     lmtp_load PORT CONNECTIONS MESSAGES SIZE RECIPIENT [SAMPLES]
 *
 * Every connection sends one message after the other, MAIL, RCPT and DATA pipelined as Postfix
 * does, and waits for the 250 of each before the next: what is counted is durable. Message text
 * is random words, so that it compresses about as well as real text does. A RECIPIENT that ends
 * with # gets the number of the connection in its place. Prints one JSON line: rate, and the
 * latency from the final dot to the 250. SAMPLES is a file that gets a line for each delivery:
 * when the 250 came, by the monotonic clock, and the latency, both in milliseconds. SIGTERM
 * ends it early; what was delivered until then counts.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct sender {
	pthread_t   thread;
	int         port;
	unsigned    seed;
	size_t      count;
	size_t      size;
	char        recipient[256];
	struct sample *samples;
	size_t      done;
	bool        failed;
};

struct sample {
	double at_ms, latency_ms;
};

static atomic_bool stop;

static void
on_term(int number)
{
	(void)number;
	atomic_store(&stop, true);
}

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool
send_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* Read `replies` complete replies; all must begin with 2 or 3. */
static bool
expect(FILE *in, int replies)
{
	char line[2048];

	while (replies > 0) {
		if (fgets(line, sizeof line, in) == NULL)
			return false;
		if (line[0] != '2' && line[0] != '3') {
			fprintf(stderr, "lmtp_load: %s", line);
			return false;
		}
		if (line[3] == ' ')
			replies--;
	}
	return true;
}

static size_t
make_message(char *dst, size_t size, unsigned *seed, unsigned long number)
{
	static const char *const words[] = { "mail", "server", "holds", "letters", "until", "their",
	                                     "owner", "calls",
		"for", "them", "today", "report", "meeting", "invoice", "attached", "regards", "please", "answer" };
	size_t len = (size_t)sprintf(dst,
	    "From: Load <load@example.org>\r\nTo: test@example.org\r\n"
	    "Subject: load %lu\r\nMessage-ID: <%lu.%u@load.example.org>\r\n"
	    "Date: Tue, 03 Nov 2026 10:00:00 +0100\r\n\r\n",
	    number, number, *seed);
	size_t column = 0;

	while (len + 20 < size) {
		const char *word = words[(size_t)rand_r(seed) % (sizeof words / sizeof words[0])];

		len += (size_t)sprintf(dst + len, "%s%x ", word, (unsigned)rand_r(seed) & 0xff);
		column += strlen(word) + 3;
		if (column > 66) {
			len += (size_t)sprintf(dst + len, "\r\n");
			column = 0;
		}
	}
	len += (size_t)sprintf(dst + len, "\r\n.\r\n");
	return len;
}

static bool
deliver(int fd, FILE *in, struct sender *s, char *text, size_t k)
{
	char envelope[512];
	int n = snprintf(envelope, sizeof envelope,
	                 "MAIL FROM:<load@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n", s->recipient);
	size_t len = make_message(text, s->size, &s->seed, k);
	double start, end;

	if (!send_all(fd, envelope, (size_t)n) || !expect(in, 3))
		return false;
	start = now_ms();
	if (!send_all(fd, text, len) || !expect(in, 1))
		return false;
	end = now_ms();
	s->samples[k] = (struct sample){ end, end - start };
	return true;
}

static void *
run(void *arg)
{
	struct sender *s = arg;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	char *text = malloc(s->size + 1024);
	FILE *in;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->failed = true;
	if (text == NULL || fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		return NULL;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	in = fdopen(fd, "r");
	if (in == NULL || !expect(in, 1) || !send_all(fd, "LHLO load.example.org\r\n", 23) ||
	    !expect(in, 1))
		return NULL;
	s->failed = false;
	while (s->done < s->count && !s->failed && !atomic_load(&stop)) {
		s->failed = !deliver(fd, in, s, text, s->done);
		s->done += !s->failed;
	}
	fclose(in);
	free(text);
	return NULL;
}

static void
set_recipient(struct sender *s, const char *name, size_t number)
{
	size_t len = strlen(name);

	if (len > 0 && name[len - 1] == '#')
		snprintf(s->recipient, sizeof s->recipient, "%.*s%zu", (int)(len - 1), name,
		         number);
	else
		snprintf(s->recipient, sizeof s->recipient, "%s", name);
}

static int
by_latency(const void *a, const void *b)
{
	double x = ((const struct sample *)a)->latency_ms,
	       y = ((const struct sample *)b)->latency_ms;

	return (x > y) - (x < y);
}

/* All samples one behind the other; returns how many. */
static size_t
gather(struct sample *all, const struct sender *s, size_t conns)
{
	size_t n = 0;

	for (size_t i = 0; i < conns; i++) {
		memmove(all + n, s[i].samples, s[i].done * sizeof *all);
		n += s[i].done;
	}
	return n;
}

static bool
write_samples(const char *path, const struct sample *all, size_t n)
{
	FILE *f = fopen(path, "w");

	for (size_t i = 0; f != NULL && i < n; i++)
		fprintf(f, "%.3f %.3f\n", all[i].at_ms, all[i].latency_ms);
	return f != NULL && fclose(f) == 0;
}

int
main(int argc, char **argv)
{
	struct sender *s;
	struct sample *all;
	size_t conns, total, each, n;
	double start, seconds;
	bool failed = false;

	if (argc != 6 && argc != 7) {
		fprintf(stderr,
		        "usage: lmtp_load PORT CONNECTIONS MESSAGES SIZE RECIPIENT [SAMPLES]\n");
		return 2;
	}
	conns = strtoul(argv[2], NULL, 10);
	total = strtoul(argv[3], NULL, 10);
	if (conns == 0 || total < conns)
		return 2;
	each = total / conns;
	s = calloc(conns, sizeof *s);
	all = calloc(each * conns, sizeof *all);
	if (s == NULL || all == NULL)
		return 1;
	signal(SIGTERM, on_term);
	start = now_ms();
	for (size_t i = 0; i < conns; i++) {
		s[i] = (struct sender){ .port = atoi(argv[1]), .seed = (unsigned)i + 1,
		                        .count = each,
			.size = strtoul(argv[4], NULL, 10), .samples = all + i * each };
		set_recipient(&s[i], argv[5], i);
		pthread_create(&s[i].thread, NULL, run, &s[i]);
	}
	for (size_t i = 0; i < conns; i++) {
		pthread_join(s[i].thread, NULL);
		failed = failed || s[i].failed;
	}
	seconds = (now_ms() - start) / 1e3;
	n = gather(all, s, conns);
	if (n == 0 || (argc == 7 && !write_samples(argv[6], all, n)))
		return 1;
	qsort(all, n, sizeof *all, by_latency);
	printf("{\"connections\":%zu,\"messages\":%zu,\"size\":%s,\"seconds\":%.3f,\"rate\":%.0f,"
	       "\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"failed\":%s}\n",
	       conns, n, argv[4], seconds, (double)n / seconds, all[n / 2].latency_ms,
	       all[n * 99 / 100].latency_ms, failed ? "true" : "false");
	free(s);
	free(all);
	return failed ? 1 : 0;
}
