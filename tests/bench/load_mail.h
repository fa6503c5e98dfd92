/* load_mail - mail that looks like mail, made by number: the same recipe and number give the same
 * octets on every run.
 *
 * No two messages share a body, a part or an attachment. The first header field (X-Load) says how a
 * message was made, so that whoever gets it back can make it again and compare.
 */
#ifndef RESTANTE_BENCH_LOAD_MAIL_H
#define RESTANTE_BENCH_LOAD_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mail_kind {
	MAIL_REAL, /* a fifth with attachments, alternatives in HTML; mean MAIL_REAL_MEAN */
	MAIL_TEXT, /* text/plain alone; mean MAIL_TEXT_MEAN */
	MAIL_FILES, /* those of load_files.h, with X-Load before them */
};

#define MAIL_REAL_MEAN 44000u
#define MAIL_TEXT_MEAN 5000u

struct mail_recipe {
	enum mail_kind kind;
	uint64_t       seed;
	size_t         size_mean;
	size_t
	    stride; /* every stride-th message is in the same mailbox: answers name one of these */
};

/* Zeroed is empty; bytes are the owner's to free(). */
struct mail {
	char   *bytes;
	size_t  len, max;
	int64_t when;           /* its date, seconds since 1970 */
	uint64_t number;
};

/* Message `number`. `size` other than 0: of about so many octets, with five attachments of equal
 * size. */
void mail_make(const struct mail_recipe *recipe, uint64_t number, size_t size, struct mail *out);

/* Whether `len` octets are a message of this generator, behind header fields that a server has put
 * before it. Ends the program with a message if they are not. `spare` is made use of. */
void mail_verify(const char *bytes, size_t len, struct mail *spare);

#endif
