/* restanted - main.
 *
 * What is started is the supervisor (supervisor.h). It starts this program once more, with
 * --server, as the server proper, whose main() is here too: become the user, take the configuration
 * from the supervisor, open volumes (waiting for the lock), take the sockets, listen, ready. The
 * order of an end: accept no more, sessions end, reactors end, volumes close.
 *
 * If a port is taken, the volumes are tried before giving up: when another restanted has them, its
 * pid is the better answer; when it is just ending, we wait for it and ask for the ports then.
 *
 * All signals are blocked in all threads of the server and taken by one thread of their own, so no
 * handler ever runs. Before the server is ready, SIGTERM ends the process on the spot: nothing was
 * promised to anybody, and a replay can be interrupted like by a crash.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "config.h"
#include "index/admin.h"
#include "lib/clock.h"
#include "lib/process.h"
#include "sasl/library.h"
#include "server/absent.h"
#include "server/acceptor.h"
#include "server/aliases.h"
#include "server/control.h"
#include "server/core.h"
#include "server/parent.h"
#include "server/preflight.h"
#include "server/sandbox.h"
#include "server/supervisor.h"
#include "server/verbs.h"

#define LOCK_WAIT_MS     5000u
#define PORT_WAIT_MS     1000u
#define OTHER_FILES      1024           /* descriptors besides connections: log, index, threads */

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
	const char *conf_path;
	const char *tie;                /* to the supervisor; NULL: that is what we are to be */
	bool        test;
};

/* What main and the signal thread share. */
static struct shared {
	pthread_mutex_t lock;           /* held during a reload, so that the end waits for it */
	enum phase { STARTING, READY, ENDING, ENDED } phase;
	sem_t           end;            /* posted by SIGTERM */
	struct server  *srv;            /* set before READY */
	uint64_t        started_ms;
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- command line ---- */

static void
usage(FILE *to)
{
	fputs("usage: restanted -c FILE [-t]\n"
	      "       restanted -V | -h\n"
	      "  -c FILE  configuration, see restante.conf(5)\n"
	      "  -t       check the configuration and exit\n"
	      "  -V       print the version (--version)\n"
	      "  -h       print this (--help)\n",
	      to);
}

static void
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "server", required_argument, NULL, 's' },     /* the supervisor's word to
		                                                 * us, nobody else's */
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct options){ NULL, NULL, false };
	while ((c = getopt_long(argc, argv, "c:tVh", names, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->conf_path = optarg;
			break;
		case 's':
			o->tie = optarg;
			break;
		case 't':
			o->test = true;
			break;
		case 'V':
			puts("restanted " RESTANTE_VERSION);
			exit(EXIT_SUCCESS);
		case 'h':
			usage(stdout);
			exit(EXIT_SUCCESS);
		default:
			usage(stderr);
			exit(EXIT_USAGE);
		}
	}
	if (o->conf_path == NULL || optind < argc) {
		usage(stderr);
		if (optind < argc)
			fprintf(stderr, "restanted: too many words: %s\n", argv[optind]);
		else
			fputs("restanted: missing: -c FILE\n", stderr);
		exit(EXIT_USAGE);
	}
}

/* ---- open files ---- */

static void
raise_files(uint64_t connections)
{
	uint64_t needed = connections + OTHER_FILES, got = privileges_raise_files(needed);

	if (got < needed)
		log_event(LOGLEVEL_WARN, "server.files",
		          "limit=%llu needed=%llu text=\"fewer open files are allowed than "
		          "max_connections needs: raise LimitNOFILE= of the unit, or ulimit -Hn, "
		          "or lower max_connections in [limits]\"",
		          (unsigned long long)got, (unsigned long long)needed);
}

/* ---- signals ---- */

static void
log_error(const char *ev, const struct err *e)
{
	struct logline l;

	log_begin(&l, LOGLEVEL_ERROR, ev);
	log_err(&l, e);
	log_end(&l);
}

static void
reload(void)
{
	struct err e = ERR_INIT;
	struct settings *settings;

	if (server_reload(shared.srv, &e) == RC_OK) {
		settings = server_settings(shared.srv);
		/* only root could: then it is the warning */
		raise_files(settings->conf->limits.max_connections);
		settings_unref(&settings);
		log_event(LOGLEVEL_INFO, "server.reloaded", "%s", "");
		parent_tell(TELL_RELOADED);
	} else {
		log_error("server.reload_failed", &e);
		parent_tell(TELL_RELOAD_FAILED);
	}
}

static void
on_signal(int sig)
{
	switch (shared.phase) {
	case STARTING:
		if (sig != SIGHUP)
			_exit(EXIT_SUCCESS);
		break;
	case READY:
		if (sig == SIGHUP)
			reload();
		else
			sem_post(&shared.end);
		break;
	case ENDING:
	case ENDED:
		break;
	}
}

static void *
signal_main(void *arg)
{
	sigset_t *set = arg;
	bool ended = false;
	int sig;

	while (!ended) {
		if (sigwait(set, &sig) != 0)
			continue;
		pthread_mutex_lock(&shared.lock);
		on_signal(sig);
		ended = shared.phase == ENDED;
		pthread_mutex_unlock(&shared.lock);
	}
	return NULL;
}

static void
enter_phase(enum phase phase)
{
	pthread_mutex_lock(&shared.lock);
	shared.phase = phase;
	pthread_mutex_unlock(&shared.lock);
}

static enum rc
start_signals(pthread_t *thread, struct err *e)
{
	static sigset_t set;
	int failed;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);  /* a limit on the size of files is a failed write, not the end */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGHUP, SIG_DFL);        /* the supervisor had it ignored up to here */
	sem_init(&shared.end, 0, 0);
	failed = pthread_create(thread, NULL, signal_main, &set);
	return failed == 0 ? RC_OK : err_os(e, failed, "thread of signals");
}

/* Its signals stay blocked: what comes from now on is too late to matter. */
static void
stop_signals(pthread_t thread)
{
	enter_phase(ENDED);
	pthread_kill(thread, SIGTERM);
	pthread_join(thread, NULL);
}

/* ---- the control socket ---- */

static bool
admin_line(void *arg, struct slice text)
{
	return control_out(arg, text);
}

static void
admin_error(void *arg, struct slice text)
{
	(void)control_err(arg, text);
}

static void
admin_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)control_progress(arg, what, done, total);
}

static bool
admin_data(void *arg, struct slice bytes)
{
	return control_data(arg, bytes);
}

static enum rc
admin_read(void *arg, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	return control_read(arg, to, size, got, e);
}

static int
run_words(struct server *srv, struct admin *ad, int argc, const char *const *argv)
{
	struct absent_list *absent = calloc(1, sizeof *absent);
	enum admin_exit status = ADMIN_FAILED;

	if (absent == NULL) {
		admin_error(ad->out->arg, SLICE("out of memory"));
		return (int)status;
	}
	absent_copy(server_absent(srv), absent);
	ad->absent = absent->all;
	ad->absent_count = absent->count;
	ad->volumes = server_volumes(srv, &ad->volume_count);
	status = admin_run(ad, argc, argv);
	free(absent);
	return (int)status;
}

static int
on_request(void *arg, struct control_call *call, int argc, const char *const *argv)
{
	struct admin_output out = { call, admin_line, admin_error, admin_progress, admin_data };
	struct admin_input input = { call, admin_read };
	struct admin ad = {
		.online = true, .started_ms = shared.started_ms, .out = &out, .input = &input,
		.gone = control_gone(call),
	};
	struct admin_live live = verbs_live(arg);
	struct settings *settings = server_settings(arg);

	ad.live = &live;
	ad.retention_us = settings->conf->maintenance.retention * 1000000u;
	ad.compact_rate = settings->conf->maintenance.compact_rate;
	ad.message_size = settings->conf->limits.message_size;
	settings_unref(&settings);
	return run_words(arg, &ad, argc, argv);
}

/* ---- start and end ---- */

static void
announce(struct server *srv, const struct listeners *ls)
{
	char absent[ERR_TEXT_MAX];
	struct logline l;

	log_begin(&l, LOGLEVEL_INFO, "server.ready");
	log_cstr(&l, "version", RESTANTE_VERSION);
	log_int(&l, "pid", process_pid());
	log_int(&l, "server_pid", getpid());
	for (size_t i = 0; i < ls->count; i++) {
		const char *sep = strchr(ls->all[i].name, ' ');
		char key[16];

		snprintf(key, sizeof key, "%.*s", (int)(sep - ls->all[i].name), ls->all[i].name);
		log_cstr(&l, key, sep + 1);
	}
	if (absent_names(server_absent(srv), absent, sizeof absent)[0] != '\0')
		log_cstr(&l, "unavailable", absent);
	log_end(&l);
	parent_tell(TELL_READY);
}

/* The volumes are ours; whoever had the ports with them has ended, or is about to. */
static enum rc
ask_again(const struct conf *started, struct listeners *ls, struct err *e)
{
	uint64_t until = clock_mono_ms() + PORT_WAIT_MS;
	enum rc rc;

	do {
		listeners_close(ls);
		*e = (struct err)ERR_INIT;
		rc = parent_listeners(started, ls, e);
	} while (rc == RC_EXISTS && clock_mono_ms() < until && poll(NULL, 0, 20) == 0);
	return rc;
}

/* A start waits for a restanted that is just ending, whichever of its belongings we meet first. */
static enum rc
take_places(struct server *srv, const struct conf *started, struct listeners *ls,
            struct control **control, struct err *e)
{
	enum rc bound = parent_listeners(started, ls, e);
	struct err why = *e;
	enum rc rc;

	if (bound != RC_OK && bound != RC_EXISTS)
		return bound;
	rc = server_open_volumes(srv, LOCK_WAIT_MS, e);
	if (rc != RC_OK) {
		if (bound != RC_OK && rc != RC_BUSY)
			*e = why;
		return rc;
	}
	if (bound == RC_EXISTS)
		rc = ask_again(started, ls, e);
	if (rc != RC_OK)
		return rc;
	rc = control_open(ls->control, on_request, srv, control, e);
	ls->control = -1;               /* taken over */
	return rc;
}

static enum rc
start_reactors(struct server *srv, struct listeners *ls, struct err *e)
{
	enum rc rc = server_make_reactors(srv, ls->reactors, e);
	struct reactor *r;

	if (rc == RC_OK)
		rc = listeners_listen(ls, e);
	for (unsigned i = 0; rc == RC_OK && (r = server_reactor(srv, i)) != NULL; i++)
		rc = acceptor_new(r, i, ls, e);
	for (unsigned i = 0; rc == RC_OK && (r = server_reactor(srv, i)) != NULL; i++)
		rc = reactor_start(r, e);
	return rc;
}

static void
stop_reactors(struct server *srv)
{
	struct reactor *r;

	for (unsigned i = 0; (r = server_reactor(srv, i)) != NULL; i++)
		reactor_stop(r);
	for (unsigned i = 0; (r = server_reactor(srv, i)) != NULL; i++)
		reactor_join(r);
}

static void
wait_for_end(void)
{
	while (sem_wait(&shared.end) != 0)
		;
	enter_phase(ENDING);
	log_event(LOGLEVEL_INFO, "server.stopping", "%s", "");
}

/* Plugins are loaded while volumes open, which waits for the disk. */
struct library {
	struct sasl_library_options options;
	pthread_t                   thread;
	enum rc                     rc;
	struct err                  e;
};

static void *
library_main(void *arg)
{
	struct library *l = arg;

	l->rc = sasl_library_init(&l->options, &l->e);
	return NULL;
}

static enum rc
open_all(struct server *srv, const struct conf *started, struct listeners *ls,
         struct control **control, struct library *l, struct err *e)
{
	int failed = pthread_create(&l->thread, NULL, library_main, l);
	enum rc rc;

	if (failed != 0)
		return err_os(e, failed, "thread of libsasl2");
	rc = take_places(srv, started, ls, control, e);
	pthread_join(l->thread, NULL);
	if (rc == RC_OK && l->rc != RC_OK) {
		*e = l->e;
		rc = l->rc;
	}
	return rc;
}

static enum rc
serve(struct settings **settings, const struct conf *started, struct err *e)
{
	struct server *srv;
	struct listeners ls = LISTENERS_INIT;
	struct control *control = NULL;
	struct library library = { .options = { .config_dir = started->auth.sasl_config,
	                                        .sources = &(*settings)->policy.sources },
	                           .e = ERR_INIT };
	enum rc rc = server_new(settings, &srv, e);

	if (rc != RC_OK)
		return rc;
	shared.srv = srv;
	shared.started_ms = clock_mono_ms();
	rc = open_all(srv, started, &ls, &control, &library, e);
	if (rc == RC_OK)
		rc = start_reactors(srv, &ls, e);
	if (rc == RC_OK)
		rc = control_start(control, e);
	if (rc == RC_OK)
		rc = parent_listen_control(e);
	if (rc == RC_OK)
		rc = server_start_maintenance(srv, e);
	if (rc == RC_OK) {
		enter_phase(READY);
		announce(srv, &ls);
		wait_for_end();
	}
	stop_reactors(srv);
	server_stop_maintenance(srv);
	control_close(&control);
	server_free(&srv);
	listeners_close(&ls);
	sasl_library_fini();
	return rc;
}

/* ---- the server proper ---- */

/* What is wrong with the configuration, and with what it names, is told as the supervisor
 * tells it: status 2. */
static int
misconfigured(const struct err *e)
{
	fprintf(stderr, "restanted: %s\n", e->text);
	return EXIT_USAGE;
}

static int
failed(const struct err *e)
{
	log_error("server.failed", e);
	return EXIT_FAILED;
}

/* From what root started to what serves. */
static enum rc
become(const char *tie, struct conf **started, struct conf **conf, struct err *e)
{
	enum rc rc = parent_attach(tie, e);

#ifdef __linux__
	(void)prctl(PR_SET_NAME, "restanted");  /* execution by a descriptor has left
	                                         * its number there */
#endif
	if (rc == RC_OK)
		rc = parent_conf(ASK_STARTED, started, e);
	if (rc == RC_OK)
		rc = privileges_drop((*started)->server.user, e);
	if (rc == RC_OK)
		rc = parent_conf(ASK_CURRENT, conf, e);
	if (rc == RC_OK)
		log_set_level((*conf)->server.log_level);
	return rc;
}

static enum rc
run(struct settings **settings, const struct conf *started, struct err *e)
{
	pthread_t signals;
	enum rc rc = start_signals(&signals, e);

	if (rc != RC_OK) {
		settings_unref(settings);
		return rc;
	}
	rc = parent_bind_life(e);
	if (rc == RC_OK)
		rc = serve(settings, started, e);
	stop_signals(signals);
	return rc;
}

static int
server_main(const char *tie)
{
	struct conf *started = NULL, *conf = NULL;
	struct settings *settings = NULL;
	struct err e = ERR_INIT;
	int status = EXIT_SUCCESS;

	if (become(tie, &started, &conf, &e) != RC_OK) {
		status = failed(&e);
	} else if (sandbox_start(conf, &e) != RC_OK) {
		conf_free(&conf);
		status = failed(&e);
	} else if (settings_new(&conf, NULL, &settings, &e) != RC_OK) {
		status = misconfigured(&e);
	} else {
		if (run(&settings, started, &e) != RC_OK)
			status = failed(&e);
		else
			log_event(LOGLEVEL_INFO, "server.stopped", "%s", "");
	}
	conf_free(&started);
	return status;
}

/* ---- what was started ---- */

/* As the user of [server], for good: libsasl2 runs code of its plugins. */
static enum rc
test_library(const struct settings *settings, struct err *e)
{
	const struct conf *conf = settings->conf;
	struct sasl_library_options library = { .config_dir = conf->auth.sasl_config,
	                                        .sources = &settings->policy.sources };
	struct identity id;
	enum rc rc = privileges_find(conf->server.user, &id, e);

	if (rc == RC_OK && id.other)
		rc = privileges_drop(conf->server.user, e);
	if (rc == RC_OK)
		rc = sasl_library_init(&library, e);
	if (rc == RC_OK)
		sasl_library_fini();
	return rc;
}

static int
test_main(struct conf **conf)
{
	struct settings *settings = NULL;
	struct alias_book *book = NULL;
	struct err e = ERR_INIT;
	enum rc rc = settings_new(conf, NULL, &settings, &e);

	if (rc == RC_OK)
		rc = preflight_check_all(settings->conf, &e);
	if (rc == RC_OK)
		rc = alias_book_new(&book, &e);
	if (rc == RC_OK)
		rc = alias_book_load(book, settings->conf->lmtp.aliases, &e);
	if (rc == RC_OK)
		rc = test_library(settings, &e);
	alias_book_free(&book);
	settings_unref(&settings);
	return rc == RC_OK ? EXIT_SUCCESS : misconfigured(&e);
}

int
main(int argc, char **argv)
{
	struct conf *conf = NULL;
	struct err e = ERR_INIT;
	struct options o;

	process_open_standard();
	parse_options(argc, argv, &o);
	if (o.tie != NULL)
		return server_main(o.tie);
	if (conf_load(o.conf_path, &conf, &e) != RC_OK)
		return misconfigured(&e);
	if (o.test)
		return test_main(&conf);
	log_set_level(conf->server.log_level);
	raise_files(conf->limits.max_connections);
	return supervisor_run(&conf, argv[0]);
}
