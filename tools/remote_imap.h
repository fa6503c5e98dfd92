/* remote_imap - the parts of the IMAP client: a connection with its commands (remote_imap.c), logging in
 * (remote_imap_login.c), the list of mailboxes (remote_imap_list.c), their messages (remote_imap_walk.c). One thread.
 *
 * Commands are pipelined where the standard lets them. A response is read by imap_read; what concerns the connection as
 * a whole it takes in itself. A connection that failed is `broken` until imap_connect makes it anew.
 */
#ifndef RESTANTE_TOOLS_REMOTE_IMAP_H
#define RESTANTE_TOOLS_REMOTE_IMAP_H

#include "tools/remote_login.h"
#include "tools/remote_response.h"

#define IMAP_CHUNK        200u          /* messages whose flags and dates are known in advance */
#define IMAP_WINDOW_MAX   16u           /* texts asked for in advance */
#define IMAP_WINDOW_BYTES (4u << 20)    /* of which so much, or one */
#define IMAP_BOXES_MAX    50000u
#define IMAP_SAME_MAX     100u          /* that would get one name */
#define IMAP_MESSAGES_MAX (1u << 24)    /* of a mailbox */
#define IMAP_BREAKS_MAX   2u            /* broken connections over one message */

struct imap_box {
	struct slice name;              /* UTF-8, "/" between levels */
	struct slice wire;              /* as the server writes it */
	struct slice text;              /* that, as UTF-8 */
	uint32_t     special_use;
	bool         subscribed;
	bool         exists;            /* can be opened; else it is subscribed only */
	struct imap_box *next;
	struct imap_box *same_wire, *same_name;         /* of one hash */
};

#define IMAP_HASHES 4096u

struct imap_entry {
	mail_uid         uid;
	bool             known;         /* the server has told of it */
	bool             answered;      /* asked for, and done */
	unsigned         tag;           /* asked for by this command, 0: not asked */
	unsigned         asked;         /* how many times */
	bool             refused;
	bool             has_date;
	uint32_t         flags;
	struct slice     keywords;      /* in the chunk's arena */
	struct mail_date date;
	uint64_t         size;
	char             why[REMOTE_TEXT_MAX];
};

/* The mailbox that is read. */
struct imap_walk {
	const struct imap_box *box;
	uint32_t          uidvalidity, uidnext, exists;         /* as EXAMINE told */
	bool              sticky;               /* UIDs stay the same */
	struct uid_set    todo;                 /* all of its UIDs */
	mail_uid          after;                /* the last one of the chunks so far */
	struct arena      arena;                /* of the chunk */
	struct imap_entry entries[IMAP_CHUNK];
	size_t            count;
	size_t            at;                   /* the message told; `count` when all were */
	size_t            next;                 /* the first that was not asked for */
	unsigned          window;               /* how many to ask for in advance */
	unsigned          outstanding;          /* commands for texts not answered */
	uint64_t          outstanding_bytes;
	bool              reading;              /* resp stands in the text of the message told */
	bool              done;                 /* the text was read to its end */
	uint64_t          got, len;             /* of the text: read; its length */
};

struct imap {
	const struct remote_options *remote;
	const struct import_options *options;
	char                   server[REMOTE_HOST_MAX + 20];
	struct remote_conn    *conn;            /* NULL: none */
	struct remote_lex      lex;
	struct remote_response resp;            /* the last one read */
	struct buf             out;             /* a command that is not sent yet */
	unsigned               tag;             /* of the last command */
	bool                   broken;          /* the connection is of no further use */
	bool                   safe;            /* see remote_connect */
	bool                   preauth, has_capabilities, warned;
	struct {
		bool starttls, sasl_ir, literal_plus, literal_minus, list_extended, special_use,
		    namespace, enable;
		bool utf8_accept, rev1, rev2, login_disabled;
		char mechanisms[256];
	} can;
	bool                   utf8;            /* names are UTF-8, not modified UTF-7 */
	char                   bye[REMOTE_TEXT_MAX];
	struct uid_set        *found;           /* where SEARCH results go */
	/* The list, remote_imap_list.c. */
	struct arena           arena;
	struct imap_box       *boxes;           /* in the order they are read in */
	struct imap_box      **last_box;        /* where the next one is put */
	size_t                 box_count;
	struct imap_box       *by_wire[IMAP_HASHES], *by_name[IMAP_HASHES];
	struct remote_namespace personal[REMOTE_NAMESPACES_MAX], other[REMOTE_NAMESPACES_MAX];
	size_t                 personal_count, other_count;
	/* Reading. */
	struct imap_box       *next_box;
	struct arena           told;            /* what `next` gave out */
	struct imap_walk       walk;
	unsigned               breaks;          /* since something went well */
	unsigned               lost;            /* messages in a row that could not be read for broken connections */
};

/* ---- remote_imap.c ---- */

/* remote_open of an IMAP URL. */
MUST_USE enum rc remote_open_imap(const struct remote_options *remote,
                                  const struct import_options *options, struct import_source *out,
                                  struct err *e);

/* A new connection, logged in. Errors name the server. */
MUST_USE enum rc imap_connect(struct imap *i, struct err *e);
void imap_disconnect(struct imap *i);
/* Write a command: its words, then imap_send. Strings are quoted or literals as needed; of a literal that the server
 * must ask for, this waits for the server. */
void imap_begin(struct imap *i, const char *words);
void imap_add(struct imap *i, const char *words);
MUST_USE enum rc imap_add_string(struct imap *i, struct slice text, struct err *e);
/* Queue the command that was written; imap_flush sends what is queued. Returns its tag's number. */
unsigned imap_queue(struct imap *i);
MUST_USE enum rc imap_flush(struct imap *i, struct err *e);
/* One response into i->resp. At a text it stops (resp.at_text). RC_IO and RC_SYNTAX: broken. */
MUST_USE enum rc imap_read(struct imap *i, struct err *e);
/* Send, and read until the command is done; `take` sees every untagged response. RC_DENIED: NO, RC_SYNTAX: BAD. Texts
 * that come by are read over. */
typedef enum rc (*imap_take)(struct imap *i, const struct remote_response *r, void *arg,
                             struct err *e);
MUST_USE enum rc imap_run(struct imap *i, imap_take take, void *arg, struct err *e);
/* The number of the tag of i->resp, 0 if it is none of ours. */
unsigned imap_tag(const struct imap *i);
MUST_USE enum rc imap_break(struct imap *i, struct err *e);

/* ---- remote_imap_login.c ---- */

MUST_USE enum rc imap_login(struct imap *i, struct err *e);
void imap_take_capabilities(struct imap *i, struct slice words);

/* ---- remote_imap_list.c ---- */

/* Fills i->boxes. */
MUST_USE enum rc imap_list(struct imap *i, struct err *e);

/* ---- remote_imap_walk.c ---- */

MUST_USE enum rc imap_source_next(void *state, struct import_item *out, struct err *e);
MUST_USE enum rc imap_source_read(void *state, uint8_t *to, size_t size, size_t *got,
                                  struct err *e);
/* A command was answered: keep the books of texts asked for. */
void imap_walk_answered(struct imap *i);

#endif
