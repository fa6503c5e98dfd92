/* load - one client's load on a mail server, whichever it is, over IMAP, POP3 or LMTP, and one JSON
 * line of what it got.
 *
 *     load -p PORT [-H ADDRESS] [--tls] [--resume] [--compress] [-c CONNECTIONS] [-u USER]
 *          [-w PASSWORD] [--users N] [-n OPERATIONS | -t SECONDS] [--seed N] [--verify]
 *          MODE [ARGUMENTS]
 *
 * `load --help` lists modes and options. USER may hold %d: the connection's number modulo --users.
 * -n counts the operations of all connections (default: one each). Connections are made and users
 * logged in before the clock starts, except where the mode is about just that. Exit 1 and a message
 * on stderr for any answer that is not as it must be, 2 for a usage error. SIGTERM ends a run early;
 * what was done until then counts.
 *
 * Threads with blocking sockets rather than epoll: a handful of connections is never ready at the
 * same time, and a thread's own read() is the least there is.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/load.h"
#include "tests/bench/load_files.h"
#include "tests/bench/load_words.h"

static const struct load_mode modes[] = {
	{ "lmtp", "", 0, lmtp_begin, lmtp_op, .end = lmtp_end },
	{ "fill", "", 0, fill_begin, fill_op, .end = lmtp_end },
	{ "login", "", 0, NULL, login_op, .end = NULL, .buffer = CONN_SHORT },
	{ "select", "MAILBOX", 1, NULL, select_op, .end = NULL, .partly = true, .buffer = CONN_SHORT },
	{ "fetch", "ITEMS", 1, session_begin_inbox, fetch_op, .end = session_end },
	{ "bodies", "", 0, session_begin_inbox, bodies_op, .end = session_end },
	{ "late", "", 0, late_begin, late_op, .end = session_end },
	{ "random", "", 0, random_begin, random_op, .end = random_end },
	{ "pop3", "", 0, NULL, pop3_op, .end = NULL },
	{ "store", "", 0, session_begin_inbox, store_op, .end = store_end },
	{ "append", "", 0, append_begin, append_op, .end = session_end },
	{ "multiappend", "COUNT", 1, append_begin, multiappend_op, .end = session_end },
	{ "copy", "COUNT", 1, session_begin_inbox, copy_op, .end = session_end, .partly = true },
	{ "move", "COUNT", 1, session_begin_inbox, move_op, .end = session_end, .partly = true },
	{ "expunge", "COUNT", 1, session_begin_inbox, expunge_op, .end = session_end, .partly = true },
	{ "search", "CRITERIA ...", 1, session_begin_inbox, search_op, .end = session_end },
	{ "command", "WORD ...", 1, session_begin_inbox, command_op, .end = session_end },
	{ "qresync", "", 0, qresync_begin, qresync_op, .end = qresync_end, .partly = true },
	{ "session", "", 0, session_begin, session_op, .end = session_over },
	{ "idle", "", 0, NULL, idle_op, .end = NULL, .hold = true, .buffer = CONN_SMALL },
	{ "exists", "", 0, exists_begin, exists_op, .end = exists_end, .partly = true },
	{ "mail", "", 0, mail_begin, mail_op, .end = mail_end, .partly = true },
};

#define IDLE_THREADS 8u
#define STUCK_S      10u        /* after SIGTERM, for an answer that does not come */

static volatile sig_atomic_t stopped;
static pthread_barrier_t ready;
static double started;

static void
on_signal(int number)
{
	(void)number;
	stopped = 1;
	alarm(STUCK_S);
}

bool
load_stopped(void)
{
	return stopped != 0;
}

_Noreturn void
load_fail(const char *format, ...)
{
	va_list ap;

	flockfile(stderr);
	fprintf(stderr, "load: ");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	_exit(1);
}

void *
load_alloc(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (p == NULL)
		load_fail("no memory");
	return p;
}

void *
load_realloc(void *p, size_t count, size_t size)
{
	if (count > SIZE_MAX / size || (p = realloc(p, count * size)) == NULL)
		load_fail("no memory");
	return p;
}

double
load_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void
load_sample(struct load_worker *w, double since)
{
	if (w->sample_count == w->sample_max) {
		w->sample_max = w->sample_max * 2 + 1024;
		w->samples = load_realloc(w->samples, w->sample_max, sizeof *w->samples);
	}
	w->samples[w->sample_count++] = (float)(load_now_ms() - since);
}

const char *
load_name(const char *pattern, size_t number)
{
	static _Thread_local char name[512];
	const char *at = strstr(pattern, "%d");

	if (at == NULL)
		return pattern;
	snprintf(name, sizeof name, "%.*s%zu%s", (int)(at - pattern), pattern, number, at + 2);
	return name;
}

size_t
load_arg_number(const struct load_options *opt, size_t arg, size_t otherwise)
{
	char *end;
	size_t n;

	for (size_t i = 0; i <= arg; i++)
		if (opt->args[i] == NULL)
			return otherwise;
	n = strtoul(opt->args[arg], &end, 10);
	if (*end != '\0' || n == 0)
		load_fail("not a number: %s", opt->args[arg]);
	return n;
}

struct conn *
load_connect(struct load_worker *w, size_t number, int port, bool tls)
{
	struct conn_target target = { .host = w->opt->host,
		.port = port,
		.tls = tls,
		.resume = w->opt->resume,
		.quickack = w->opt->quickack,
		.buffer = w->opt->buffer,
		.number = number };
	struct conn *c = conn_open(&target);

	w->handshakes += tls;
	w->resumed += conn_resumed(c);
	return c;
}

/* --- the run --- */

static const struct load_mode *mode;

static bool
is_over(const struct load_worker *w)
{
	const struct load_options *opt = w->opt;

	if (load_stopped())
		return true;
	if (opt->operations != 0)
		return w->job >= opt->operations;
	return load_now_ms() - started >= opt->seconds * 1e3;
}

static void *
run(void *arg)
{
	struct load_worker *w = arg;

	if (mode->begin != NULL)
		mode->begin(w);
	pthread_barrier_wait(&ready);           /* all have begun */
	pthread_barrier_wait(&ready);           /* the clock runs */
	for (w->job = w->number; !is_over(w); w->job += w->opt->threads, w->turn++)
		mode->op(w);
	w->ended = load_now_ms();
	if (mode->end != NULL && !load_stopped())
		mode->end(w);
	free(w->mail.bytes);
	stock_free(&w->stock);
	if (!mode->hold)
		free(w->state);
	conn_end_thread();
	return NULL;
}

static int
by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* All workers' counts in the first one; returns the seconds. */
static double
gather(struct load_worker *w, size_t count)
{
	double ended = started, sum = 0;

	for (size_t i = 0; i < count; i++) {
		ended = w[i].ended > ended ? w[i].ended : ended;
		if (i == 0)
			continue;
		w->bytes += w[i].bytes;
		w->messages += w[i].messages;
		w->verified += w[i].verified;
		w->matches += w[i].matches;
		w->packed += w[i].packed;
		w->handshakes += w[i].handshakes;
		w->resumed += w[i].resumed;
		w->samples = load_realloc(
		    w->samples, w->sample_count + w[i].sample_count + 1, sizeof *w->samples);
		memcpy(w->samples + w->sample_count, w[i].samples,
		    w[i].sample_count * sizeof *w->samples);
		w->sample_count += w[i].sample_count;
		free(w[i].samples);
	}
	for (size_t i = 0; i < w->sample_count; i++)
		sum += (double)w->samples[i];
	qsort(w->samples, w->sample_count, sizeof *w->samples, by_value);
	return (mode->partly ? sum / (double)count : ended - started) / 1e3;
}

static double
own_cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void
report(struct load_worker *w, double own)
{
	const struct load_options *opt = w->opt;
	double seconds = gather(w, opt->threads), n = (double)w->sample_count;

	if (w->sample_count == 0)
		load_fail("no operation was done");
	if (seconds <= 0)
		seconds = 1e-9;
	printf("{\"mode\":\"%s\",\"connections\":%zu,\"ops\":%zu,\"seconds\":%.6f,\"rate\":%.2f,"
	       "\"p50_ms\":%.3f,"
	       "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"bytes\":%llu,\"mb_per_s\":%.2f,\"errors\":0",
	    mode->name, opt->connections, w->sample_count, seconds, n / seconds,
	    (double)w->samples[w->sample_count / 2], (double)w->samples[w->sample_count * 99 / 100],
	    (double)w->samples[w->sample_count - 1], (unsigned long long)w->bytes,
	    (double)w->bytes / seconds / 1e6);
	if (w->messages != 0)
		printf(",\"messages\":%llu,\"messages_per_s\":%.1f",
		    (unsigned long long)w->messages, (double)w->messages / seconds);
	if (w->exists != 0)
		printf(",\"exists\":%llu", (unsigned long long)w->exists);
	if (w->packed != 0)
		printf(",\"mean\":%.0f,\"deflated\":%.3f", (double)w->bytes / (double)w->messages,
		       (double)w->packed / (double)w->bytes);
	if (opt->verify)
		printf(",\"verified\":%llu", (unsigned long long)w->verified);
	if (w->matches != 0)
		printf(",\"matches\":%llu", (unsigned long long)w->matches);
	if (w->handshakes != 0)
		printf(",\"handshakes\":%llu,\"resumed\":%llu", (unsigned long long)w->handshakes,
		       (unsigned long long)w->resumed);
	printf(",\"seed\":%llu,\"load_cpu_s\":%.3f}\n", (unsigned long long)opt->recipe.seed, own);
}

/* The sessions wait as they are. */
static void
hold(size_t sessions)
{
	sigset_t ends, before;

	printf("{\"ready\":%zu}\n", sessions);
	fflush(stdout);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, &before);
	while (!load_stopped())
		sigsuspend(&before);
}

/* As high as it may be; root may raise the ceiling itself. */
static void
raise_limit(const struct load_options *opt)
{
	struct rlimit files, more = { opt->connections + 100, opt->connections + 100 };

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	if (files.rlim_max >= more.rlim_max || setrlimit(RLIMIT_NOFILE, &more) != 0)
		setrlimit(RLIMIT_NOFILE, &files);
}

static void
run_all(const struct load_options *opt)
{
	struct load_worker *w = load_alloc(opt->threads, sizeof *w);
	pthread_t *threads = load_alloc(opt->threads, sizeof *threads);
	double cpu;

	pthread_barrier_init(&ready, NULL, (unsigned)opt->threads + 1);
	for (size_t i = 0; i < opt->threads; i++) {
		w[i].opt = opt;
		w[i].number = i;
		if (pthread_create(&threads[i], NULL, run, &w[i]) != 0)
			load_fail("no thread");
	}
	pthread_barrier_wait(&ready);
	cpu = own_cpu();
	started = load_now_ms();
	pthread_barrier_wait(&ready);
	for (size_t i = 0; i < opt->threads; i++)
		pthread_join(threads[i], NULL);
	if (mode->hold)
		hold(opt->connections);
	for (size_t i = 0; mode->hold && i < opt->threads; i++)
		idle_over(&w[i]);
	report(w, own_cpu() - cpu);
	free(w->samples);
	free(threads);
	free(w);
}

/* --- options --- */

static void
usage(void)
{
	printf("usage: load -p PORT [OPTION ...] MODE [ARGUMENT ...]\n"
	       "  -H ADDRESS         127.0.0.1\n"
	       "  -p PORT            of the protocol that the mode speaks\n"
	       "  --tls              from the first octet; --resume offers the session of the "
	       "connection before\n"
	       "  --compress         COMPRESS=DEFLATE\n"
	       "  -c N               connections (1)\n"
	       "  -u USER            %%d in it is the connection's number modulo --users "
	       "(user%%d); -w PASSWORD (secret)\n"
	       "  --users N          (1)\n"
	       "  -n N | -t SECONDS  operations of all connections together, or how long (-n: the "
	       "connections)\n"
	       "  --mailbox NAME     that is selected (INBOX)\n"
	       "  --quickack         acknowledge at once what comes: a server without TCP_NODELAY "
	       "waits for that, up to 40 ms\n"
	       "  --verify           compare each body with what the generator makes\n"
	       "  --seed N --mail real|text --size-mean N    of generated mail (fill and mail: 1, "
	       "else a new\n"
	       "                     one each run; real; 44000 or 5000)\n"
	       "  --mail DIR/        the messages in its files, lines ended with CRLF, each with "
	       "an X-Load before it\n"
	       "  --first N          the first message's number (0)\n"
	       "  --recipients N     of each message (1); --rcpt PATTERN of RCPT TO (as -u)\n"
	       "  --bdat             BDAT instead of DATA\n"
	       "  --messages N       fill: how many to deliver, message k to user k modulo "
	       "--users; --largest OCTETS:\n"
	       "                     and one so large to user 0\n"
	       "  --lmtp-port PORT   for modes that deliver mail to an IMAP session\n"
	       "  --no-wait          session: IDLE ends at once, nothing is delivered\n"
	       "  --out DIR          mail: write the messages into files there\n"
	       "modes:\n");
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		printf("  %s %s\n", modes[i].name, modes[i].args);
}

_Noreturn static void
bad_usage(const char *what, const char *value)
{
	fprintf(stderr, "load: %s: %s (load --help)\n", what, value);
	exit(2);
}

static size_t
number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end != '\0' || end == text || *text == '-')
		bad_usage("not a number", text);
	return n;
}

enum {
	OPT_TLS = 256,
	OPT_RESUME,
	OPT_COMPRESS,
	OPT_USERS,
	OPT_MAILBOX,
	OPT_VERIFY,
	OPT_SEED,
	OPT_MAIL,
	OPT_SIZE_MEAN,
	OPT_FIRST,
	OPT_RECIPIENTS,
	OPT_RCPT,
	OPT_BDAT,
	OPT_MESSAGES,
	OPT_LARGEST,
	OPT_LMTP_PORT,
	OPT_NO_WAIT,
	OPT_QUICKACK,
	OPT_OUT,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "tls", no_argument, NULL, OPT_TLS },
	{ "resume", no_argument, NULL, OPT_RESUME },
	{ "compress", no_argument, NULL, OPT_COMPRESS },
	{ "users", required_argument, NULL, OPT_USERS },
	{ "mailbox", required_argument, NULL, OPT_MAILBOX },
	{ "verify", no_argument, NULL, OPT_VERIFY },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "mail", required_argument, NULL, OPT_MAIL },
	{ "size-mean", required_argument, NULL, OPT_SIZE_MEAN },
	{ "first", required_argument, NULL, OPT_FIRST },
	{ "recipients", required_argument, NULL, OPT_RECIPIENTS },
	{ "rcpt", required_argument, NULL, OPT_RCPT },
	{ "bdat", no_argument, NULL, OPT_BDAT },
	{ "messages", required_argument, NULL, OPT_MESSAGES },
	{ "largest", required_argument, NULL, OPT_LARGEST },
	{ "lmtp-port", required_argument, NULL, OPT_LMTP_PORT },
	{ "no-wait", no_argument, NULL, OPT_NO_WAIT },
	{ "quickack", no_argument, NULL, OPT_QUICKACK },
	{ "out", required_argument, NULL, OPT_OUT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static enum mail_kind
kind_of(const char *name)
{
	if (strcmp(name, "real") == 0)
		return MAIL_REAL;
	if (strchr(name, '/') != NULL) {
		files_load(name);
		return MAIL_FILES;
	}
	if (strcmp(name, "text") != 0)
		bad_usage("no such mail", name);
	return MAIL_TEXT;
}

static void
set_option(struct load_options *opt, int option, const char *value)
{
	switch (option) {
	case 'H': opt->host = value; break;
	case 'p': opt->port = (int)number(value); break;
	case 'c': opt->connections = number(value); break;
	case 'u': opt->user = value; break;
	case 'w': opt->password = value; break;
	case 'n':
	case OPT_MESSAGES: opt->operations = number(value); break;
	case 't': opt->seconds = atof(value); break;
	case OPT_TLS: opt->tls = true; break;
	case OPT_RESUME: opt->resume = true; break;
	case OPT_COMPRESS: opt->compress = true; break;
	case OPT_USERS: opt->users = number(value); break;
	case OPT_MAILBOX: opt->mailbox = value; break;
	case OPT_VERIFY: opt->verify = true; break;
	case OPT_SEED: opt->recipe.seed = number(value); break;
	case OPT_MAIL: opt->recipe.kind = kind_of(value); break;
	case OPT_SIZE_MEAN: opt->recipe.size_mean = number(value); break;
	case OPT_FIRST: opt->first = number(value); break;
	case OPT_RECIPIENTS: opt->recipients = number(value); break;
	case OPT_RCPT: opt->rcpt = value; break;
	case OPT_BDAT: opt->bdat = true; break;
	case OPT_LARGEST: opt->largest = number(value); break;
	case OPT_LMTP_PORT: opt->lmtp_port = (int)number(value); break;
	case OPT_NO_WAIT: opt->wait = false; break;
	case OPT_QUICKACK: opt->quickack = true; break;
	case OPT_OUT: opt->out = value; break;
	case OPT_HELP: usage(); exit(0);
	default: exit(2);               /* getopt has told */
	}
}

/* Runs of other modes, users or mail with the same --seed have no message in common, as some
 * servers keep equal ones once. 48 bits, which every reader of JSON takes. */
static uint64_t
own_seed(const struct load_options *opt)
{
	const char *names[] = { mode->name, opt->rcpt, opt->mailbox,
		opt->recipe.kind == MAIL_TEXT ? "text" : "real" };
	uint64_t hash = opt->recipe.seed;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		for (const char *p = names[i]; *p != '\0'; p++)
			hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
		hash = (hash ^ 0x100) * 0x100000001b3u;
	}
	return hash >> 16;
}

/* A second delivery of the same message is no delivery to some servers: where no seed is given,
 * each run has one of its own. */
static void
set_seed(struct load_options *opt)
{
	bool as_given = strcmp(mode->name, "fill") == 0 || strcmp(mode->name, "mail") == 0;

	if (opt->recipe.seed == 0)
		opt->recipe.seed =
		    as_given ? 1 : (uint64_t)time(NULL) << 20 | ((uint64_t)getpid() & 0xfffff);
	if (!as_given)
		opt->recipe.seed = own_seed(opt);
}

static void
set_defaults(struct load_options *opt)
{
	if (opt->connections == 0 || opt->users == 0 || opt->recipients == 0)
		bad_usage("at least one", "-c, --users, --recipients");
	if (opt->rcpt == NULL)
		opt->rcpt = opt->user;
	set_seed(opt);
	if (opt->recipe.size_mean == 0)
		opt->recipe.size_mean =
		    opt->recipe.kind == MAIL_TEXT ? MAIL_TEXT_MEAN : MAIL_REAL_MEAN;
	opt->threads =
	    mode->hold && opt->connections > IDLE_THREADS ? IDLE_THREADS : opt->connections;
	opt->buffer = mode->buffer != 0 ? mode->buffer : CONN_LARGE;
	opt->recipe.stride = strcmp(mode->name, "fill") == 0 ? opt->users : opt->connections;
	if (mode->hold || (opt->operations == 0 && opt->seconds <= 0))
		opt->operations = opt->connections;
}

int
main(int argc, char **argv)
{
	struct load_options opt = { .host = "127.0.0.1",
		.user = "user%d",
		.password = "secret",
		.mailbox = "INBOX",
		.wait = true,
		.connections = 1,
		.users = 1,
		.recipients = 1 };
	struct sigaction end = { .sa_handler = on_signal };
	int option;
	size_t args = 0;

	while ((option = getopt_long(argc, argv, "H:p:c:u:w:n:t:", long_options, NULL)) != -1)
		set_option(&opt, option, optarg);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0] && optind < argc; i++)
		if (strcmp(modes[i].name, argv[optind]) == 0)
			mode = &modes[i];
	if (mode == NULL)
		bad_usage("no such mode", optind < argc ? argv[optind] : "(none)");
	optind++;
	opt.args = argv + optind;
	while (opt.args[args] != NULL)
		args++;
	if (args < mode->arg_count)
		bad_usage("arguments are missing", mode->args);
	set_defaults(&opt);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	raise_limit(&opt);
	words_init();
	run_all(&opt);
	return 0;
}
