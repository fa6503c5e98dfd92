/* admin - the admin's verbs over open volumes: what restantectl does on a stopped volume and the daemon does for it
 * through the control socket, in one place, so that both answer alike.
 *
 * A verb is a list of words ("user", "add", "anna", "SCRAM-SHA-256$..."), checked against one table (admin.c; the words
 * are listed there); its output is lines of text or JSON. Passwords never come here: restantectl makes the verifier.
 * Calls block (I/O, waiting for the writer): a thread of their own or a tool's main thread.
 */
#ifndef RESTANTE_INDEX_ADMIN_H
#define RESTANTE_INDEX_ADMIN_H

#include "index/volume.h"
#include "store/copy.h"

/* Exit statuses of restantectl [design, section 7]. */
enum admin_exit {
	ADMIN_OK = 0,
	ADMIN_FAILED = 1,
	ADMIN_USAGE = 2,
	ADMIN_DAMAGE = 3,
};

struct admin_output {
	void  *arg;
	/* One line of result, without its line end. False: nobody reads any more, stop. */
	bool (*line)(void *arg, struct slice text);
	/* One line for stderr. */
	void (*error)(void *arg, struct slice text);
	/* Progress of long work: a bar on a terminal, plain lines in a pipe; may be NULL. */
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
	/* Bytes of a result that is no text, as they are; may be NULL: then such a verb is refused. False: stop. */
	bool (*data)(void *arg, struct slice bytes);
};

/* Bytes that a verb takes from its caller. Both sides use it: in the daemon it is the control socket, elsewhere what
 * makes the bytes. */
struct admin_input {
	void *arg;
	/* The next bytes: at least one and at most `size`; *got is 0 at their end. Blocks. Not RC_OK: there are no
	 * more, and they are incomplete. */
	enum rc (*read)(void *arg, uint8_t *to, size_t size, size_t *got, struct err *e);
};

struct admin_call;

/* Verbs about the server itself: who is connected, who is kept out. Only the daemon can do them. */
struct admin_live {
	void *arg;
	enum admin_exit (*who)(void *arg, struct admin_call *c);
	enum admin_exit (*kick)(void *arg, struct admin_call *c);
	enum admin_exit (*block_list)(void *arg, struct admin_call *c);
	enum admin_exit (*block_clear)(void *arg, struct admin_call *c);
};

#define ADMIN_VOLUME_NAME_MAX 64u

/* A volume that is configured and not open. */
struct admin_absent {
	char volume[ADMIN_VOLUME_NAME_MAX];
	char reason[ERR_TEXT_MAX];
};

/* How its line in the status begins, a format for its name; volume create looks for it there. */
#define ADMIN_NOT_AVAILABLE "volume %s: NOT AVAILABLE: "

struct admin {
	struct volume *const *volumes;
	size_t                volume_count;
	const struct admin_absent *absent;      /* online only: elsewhere all are open */
	size_t                absent_count;
	bool                  online;           /* inside the daemon */
	uint64_t              retention_us;     /* of the configuration */
	uint64_t              compact_rate;     /* bytes per second, of the configuration */
	uint64_t              message_size;     /* the largest that import takes, of the configuration; 0: any */
	uint64_t              started_ms;       /* online: clock_mono_ms() when the daemon started; 0: not told */
	const struct admin_live   *live;        /* NULL: not inside the daemon */
	const struct admin_output *out;
	const struct admin_input  *input;       /* may be NULL: then a verb that takes bytes is refused */
	const atomic_bool         *gone;        /* set by any thread: nobody waits for the verb any more, it
	                                         * ends soon; or NULL */
};

/* argv: the verb's words. Options stand anywhere behind the verb, "--" ends them. */
enum admin_exit admin_run(struct admin *ad, int argc, const char *const *argv);

/* What a verb needs of the volumes where no daemon has them. */
enum admin_access {
	ADMIN_LOOKS,            /* takes no lock and writes nothing: it may meet a volume that somebody else has open */
	ADMIN_READS,            /* must tell what is true: takes the lock */
	ADMIN_WRITES,
};
/* How a verb is called. restantectl takes it from here where it adds nothing of its own, and the log
 * what an option is. */
struct admin_grammar {
	int               words;                /* of the verb itself */
	int               min_args, max_args;   /* behind them, without options */
	const char       *options;              /* see lib/options.h */
	const char       *usage;
	enum admin_access access;
};
/* False: unknown verb. */
bool admin_find_grammar(int argc, const char *const *argv, struct admin_grammar *out);

/* "1 message", "2 messages": what stands behind the word. */
static inline const char *
admin_plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* What a copy of a volume came to, in one line, of text or JSON. */
struct admin_copy {
	const char *volume, *path;
	bool        dry_run, json;
};
void admin_append_copy(struct buf *line, const struct admin_copy *k, const struct copy_result *r);

/* May an account be called so? RC_SYNTAX or RC_LIMIT, and e says why in words for whoever chose it. */
MUST_USE enum rc admin_check_name(struct slice name, struct err *e);
/* Bytes: digits, perhaps with K, M, G or T (powers of 1024). */
bool admin_parse_size(struct slice text, uint64_t *out);
/* A number of messages: digits. */
bool admin_parse_count(struct slice text, uint64_t *out);

#endif
