/* import_meta - what an export writes beside the messages, as their files have no place for it: "restante-messages".
 *
 * Lines of fields with a tab between. The first: "restante-messages", 1, UIDVALIDITY, UIDNEXT, special uses (a number),
 * the mailbox's name. Each other: the message's id (its file's name without flags, or in an mbox its number from 1),
 * UID, seconds of INTERNALDATE, its zone in minutes, flags (letters of Maildir), keywords, POP3 unique-id, bytes as in
 * the mailbox. "-" stands for nothing. An import that finds the file gives all of it back.
 *
 * One thread.
 */
#ifndef RESTANTE_TOOLS_IMPORT_META_H
#define RESTANTE_TOOLS_IMPORT_META_H

#include <stdio.h>

#include "tools/import.h"

#define META_NAME "restante-messages"
/* So begins the name of a file or directory that could not be called as its mailbox: it is called as META_NAME says. */
#define META_ODD  "restante-mailbox-"
/* How an export writes a dot in the name of a Maildir's folder, where it would part levels. */
#define IMPORT_DOT "&AC4-"

struct import_meta;

struct meta_row {
	struct slice     id;
	mail_uid         uid;
	struct mail_date internaldate;
	uint32_t         flags;
	struct slice     keywords;
	struct slice     uidl;
	uint64_t         size;
};

/* RC_NOT_FOUND: there is no such file. RC_SYNTAX: it is none of ours. */
MUST_USE enum rc import_meta_load(const char *path, struct import_meta **out, struct err *e);
void import_meta_free(struct import_meta **m);
/* The first line; the name may be empty. */
void import_meta_mailbox(const struct import_meta *m, struct import_mailbox *out);
/* What the mailbox at `path` is called: as `m` says, if the path's last part says so (META_ODD); else
 * `name`. m: or NULL */
struct slice import_meta_name(const struct import_meta *m, const char *path, struct slice name);
/* NULL: none of that id. */
const struct meta_row *import_meta_find(const struct import_meta *m, struct slice id);

/* For the export. */
bool meta_write_mailbox(FILE *f, const struct import_mailbox *m);
bool meta_write_row(FILE *f, const struct meta_row *r);

/* Letters of Maildir: D F R S T; others are ignored. */
uint32_t import_flags_of(struct slice letters);
/* With a NUL, in ASCII order. */
#define META_FLAGS_SIZE 6
void import_letters_of(uint32_t flags, char out[META_FLAGS_SIZE]);

/* A whole file of at most `max` bytes. RC_NOT_FOUND. */
MUST_USE enum rc import_read_file(const char *path, struct buf *out, struct err *e);
/* The line at the front of *text without its LF or CR LF, taken off it. False: the end. */
bool import_take_line(struct slice *text, struct slice *line);
/* The field at the front of *line up to `sep`, taken off it. */
struct slice import_take_field(struct slice *line, uint8_t sep);

#endif
