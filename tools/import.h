/* import - where messages come from: the sources that `restantectl import` reads, behind one interface.
 *
 * A source is asked for one message after the other, in the order in which they are to stand in their mailboxes, and
 * then, if the message is wanted, for its bytes. So a source holds one message's state and no more, and one that is far
 * away fetches nothing that is not wanted. The driver (import.c) makes of it the stream that the verb `import` reads
 * (index/parcel.h); the volume skips what the mailbox has already, by its bytes and INTERNALDATE, so a source may be
 * read again from its beginning at any time. A source whose messages are dear to fetch gives each a `key`: with
 * --resume FILE the driver notes there those that are durable and does not ask for them again.
 *
 * Rejected: a source that pushes messages into a sink. Then either it or the sender of the stream would need a thread.
 *
 * One thread. A source belongs to whom it was opened by; close frees it.
 */
#ifndef RESTANTE_TOOLS_IMPORT_H
#define RESTANTE_TOOLS_IMPORT_H

#include "lib/arena.h"
#include "lib/err.h"
#include "store/record.h"

struct import_options {
	const char *format;             /* --format, or NULL: find out */
	const char *mailbox;            /* --mailbox, or NULL: what the source is called, if it is one mailbox; of many,
	                                 * only this one */
	bool        keep_uids;          /* UIDs and UIDVALIDITYs are wanted: messages must come in the order of UIDs */
	bool        keep_uidl;
	bool        force;              /* --force: a file is a message whatever it begins with */
	/* Tell about something that is passed over ("Sent/17: ..."); the import's exit status is 1 then. */
	void      (*complain)(void *arg, const char *text);
	void       *complain_arg;
};

/* A mailbox of the source. */
struct import_mailbox {
	struct slice name;              /* UTF-8, "/" between levels, INBOX; no name of ours need be valid */
	uint32_t     uidvalidity;       /* 0: not known */
	mail_uid     uidnext;           /* 0: not known */
	uint32_t     special_use;       /* enum special_use, 0: not known or none */
	bool         subscribe;
};

/* A message of the mailbox told last. */
struct import_message {
	struct slice     label;         /* what to call it in errors: a path, "INBOX UID 17" */
	struct slice     key;           /* the same whenever this source is read, different for each of its messages, of
	                                 * printable ASCII without spaces; empty: none */
	uint32_t         flags;         /* enum mail_flag */
	struct slice     keywords;      /* one space between; what is no keyword is left out by the driver */
	struct mail_date internaldate;
	mail_uid         uid;           /* 0: not known. Ascending within the mailbox if keep_uids */
	struct slice     uidl;          /* POP3's unique-id, empty: not known */
	uint64_t         size;          /* in bytes, 0: not known; for progress only */
};

enum import_event {
	IMPORT_MAILBOX,                 /* `mailbox` is filled; the messages that follow are of it */
	IMPORT_MESSAGE,                 /* `message` is filled */
	IMPORT_SUBSCRIPTION,            /* `mailbox.name` is subscribed, whether there is such a mailbox or not */
	IMPORT_END,
};

struct import_item {
	enum import_event     event;
	struct import_mailbox mailbox;
	struct import_message message;
};

struct import_source {
	void *state;
	/* What comes next; slices in *out are valid until the next call of `next`. A message whose bytes were not read,
	 * or not all, is passed over. What is broken but leaves the rest readable is told by options->complain and
	 * passed over. Not RC_OK: nothing more can be read, and the import ends. */
	enum rc (*next)(void *state, struct import_item *out, struct err *e);
	/* The next bytes of the message told last: up to `size`, with line ends as they are; *got is 0 at its end.
	 * RC_IO, RC_CORRUPT ...: this message cannot be read, what was read of it is dropped, and the import goes on.
	 * RC_CANCELLED: nothing more can be read. */
	enum rc (*read)(void *state, uint8_t *to, size_t size, size_t *got, struct err *e);
	void (*close)(void *state);
};

/* Open a source by what the admin called it: a URL, or files. `options` and `source` outlive it. RC_SYNTAX: it is
 * nothing that can be imported, and e says what to do. */
MUST_USE enum rc import_open(const char *source, const struct import_options *options,
                             struct import_source *out, struct err *e);

/* ---- its parts: import_maildir.c, import_mbox.c, import_eml.c ---- */

/* Maildir, Maildir++ and Dovecot's layout "fs": a tree of Maildirs. */
MUST_USE enum rc import_open_maildir(const char *path, const struct import_options *options,
                                     struct import_source *out, struct err *e);
/* A file, or a tree of files. */
MUST_USE enum rc import_open_mbox(const char *path, const struct import_options *options,
                                  struct import_source *out, struct err *e);
/* A file, or a tree of files *.eml. */
MUST_USE enum rc import_open_eml(const char *path, const struct import_options *options,
                                 struct import_source *out, struct err *e);

/* import_look.c: why what begins so (64 KiB of it, or all) is no message; NULL: it may be one. */
#define IMPORT_LOOK 65536u
const char *import_is_no_message(struct slice head);

/* Tell of something passed over. */
void import_complain(const struct import_options *options, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* True, and told: what is found in a source is not followed if it is a symbolic link. A user's directory that root
 * imports would else be a way to read others' files; and a link to a directory above it would have no end. */
bool import_is_link(const char *path, const struct import_options *options);
/* What errno says of an open() with O_NOFOLLOW. */
const char *import_why_not_opened(void);
/* A file's modification time in the local zone: INTERNALDATE where nothing better is known. */
struct mail_date import_date_of(int64_t sec);

#endif
