/* private - what imap.c and the commands that talk while they run (AUTHENTICATE, IDLE, APPEND, STARTTLS) share. */
#ifndef RESTANTE_SERVER_IMAP_PRIVATE_H
#define RESTANTE_SERVER_IMAP_PRIVATE_H

#include "server/imap/framer.h"
#include "server/imap/imap.h"
#include "server/login.h"

enum imap_phase {
	PHASE_COMMAND,          /* the framer collects one */
	PHASE_RUN,              /* cmd->run is due */
	PHASE_INPUT,            /* cmd->input waits for the client */
	PHASE_TELL,             /* the command is done; what changed is told */
	PHASE_ANSWER,           /* of the tagged answer a long set is being written, on the pool */
	PHASE_CLOSE,            /* flush and close */
};

/* Where a step runs. */
enum imap_light {
	LIGHT_NO,               /* on the pool */
	LIGHT_READS,            /* on the reactor, as long as it need not wait */
	LIGHT_ALL,              /* on the reactor; it reads nothing */
};

/* The mailbox that a name said at this volume_places_version, since the login. */
struct append_target_memory {
	mailbox_id mailbox;             /* 0: none is kept */
	account_id account;
	uint64_t   version;
	uint8_t    len, name[39];       /* a longer name is looked up each time */
};

struct imap_private {
	enum imap_phase phase;
	size_t          answered;       /* PHASE_ANSWER: ranges of im->reply_set written */
	struct framer   framer;
	size_t          in_taken;       /* octets at the front of session_in that are done with */
	enum session_next due;          /* NEXT_STARTTLS, _COMPRESS, _PLAIN: once the tagged answer is written;
	                                 * _INPUT: nothing */
	bool            notified;       /* the selected mailbox changed since cmd->input looked last */
	enum imap_light light;          /* the step under way runs on the reactor */
	bool            heavy;          /* what follows of the command is no more read there */
	bool            got_line;       /* PHASE_INPUT: a line is in framer.frame */
	struct login    login;
	uint64_t        opened_ms;      /* for limits.auth_timeout: until login, talking does not help */
	struct slice    user;           /* heap */
	struct slice    hidden;         /* heap */
	uint64_t        begun_ms;       /* the command's run began; of INPROGRESS */
	uint64_t        ingests;        /* bytes that messages of the command hold */
	uint64_t        progress_ms;    /* the last INPROGRESS was written */
	struct append_target_memory append_target;
};

/* imap.c: is it known without looking that there is nothing to tell behind the command? */
bool imap_has_no_news(const struct imap *im);

/* light.c */
/* Of the next step. */
enum imap_light imap_how_light(struct imap *im);
/* May news be told on the reactor? */
bool imap_tells_little(const struct imap *im);
/* May the messages that a set names be looked for on the reactor? */
bool imap_names_little(const struct imap *im, const struct seq_set *set);
/* As many runs of the command as are light. */
enum imap_result imap_run_light(struct imap *im, enum imap_light light);
/* What is said and known before a run that may be refused what it reads. */
struct imap_before {
	size_t out, keywords_told;
	bool   ended;
};
struct imap_before imap_light_begin(struct imap *im);
/* False: something was refused, and nothing was said. */
MUST_USE bool imap_light_end(struct imap *im, const struct imap_before *b);

/* For `input`: collect one line that is no command (SASL answer, DONE). True: it is complete, or the connection ends
 * because it was too long. */
bool imap_input_line(struct imap *im);
/* "+ text": the client may go on. */
void imap_continue(struct imap *im, struct slice text);
/* Login succeeded: state and limits. False without memory. */
bool imap_logged_in(struct imap *im, struct volume *v, const struct account_info *account);
/* The state before login, with its limits and timeouts: when a session begins, and again by UNAUTHENTICATE
 * [RFC 8437 s3]. The limits hold from the next command on. */
void imap_logged_out(struct imap *im);
bool imap_offers_unauthenticate(const struct imap *im);
/* BAD "NAME: expected ..." from the cursor, or NO [LIMIT]. */
void imap_reply_expected(struct imap *im, const struct cursor *c);

#endif
