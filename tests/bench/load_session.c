/* load_session - what a user's client does from login to logout: list of mailboxes, flags of all
 * messages, the list of the newest, some read and marked so, a sent message stored, a read one
 * filed away, IDLE, the end.
 *
 * With --lmtp-port a message is delivered in IDLE and waited for. Without, or with --no-wait, IDLE
 * ends at once: the servers' delay of a notification is another measurement (mode exists), and the
 * filed message comes back as the one that is appended, so that INBOX keeps its size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load.h"
#include "tests/bench/load_words.h"

#define NEWEST 20u
#define READ   5u

struct boxes {
	char       sent[128], archive[128];
	struct rng rng;
};

static bool
is_delivering(const struct load_worker *w)
{
	return w->opt->lmtp_port != 0 && w->opt->wait;
}

/* Other messages than those that are delivered. */
static struct mail_recipe
sent_mail(const struct load_worker *w)
{
	struct mail_recipe r = w->opt->recipe;

	r.kind = MAIL_TEXT;
	r.size_mean = MAIL_TEXT_MEAN;
	r.seed += 1000003;
	return r;
}

void
session_begin(struct load_worker *w)
{
	struct boxes *b = load_alloc(1, sizeof *b);
	struct mail_recipe sent = sent_mail(w);
	char prefix[64];

	load_login(w, &w->imap, w->number);
	imap_prefix(&w->imap, prefix);
	snprintf(b->sent, sizeof b->sent, "%sload-sent", prefix);
	snprintf(b->archive, sizeof b->archive, "%sload-archive", prefix);
	imap_try(&w->imap, "CREATE \"%s\"", b->sent);
	imap_try(&w->imap, "CREATE \"%s\"", b->archive);
	if (!is_delivering(w))
		strcpy(b->sent, "INBOX");
	imap_logout(&w->imap);
	b->rng = rng_of(w->opt->recipe.seed, w->number);
	w->state = b;
	stock_fill(w, &sent, 1);
	if (is_delivering(w))
		lmtp_open(w, w->opt->lmtp_port);
}

/* Some of the newest: what the server must find, send and mark. Returns the last one's number. */
static uint64_t
read_some(struct load_worker *w, struct boxes *b)
{
	struct imap *im = &w->imap;
	uint64_t at = 0, newest = im->exists - NEWEST;

	for (unsigned i = 0; i < READ; i++) {
		at = newest + 1 + rng_below(&b->rng, NEWEST);
		imap_command(im, "FETCH %llu BODY.PEEK[]", (unsigned long long)at);
		if (im->literals != 1)
			load_fail("no body of message %llu came", (unsigned long long)at);
		w->bytes += im->literal_bytes;
		imap_command(im, "STORE %llu +FLAGS (\\Seen)", (unsigned long long)at);
	}
	return at;
}

static void
wait_in_idle(struct load_worker *w)
{
	uint64_t before = w->imap.exists;

	imap_send(&w->imap, "IDLE");
	imap_wait_plus(&w->imap);
	if (is_delivering(w)) {
		mail_make(&w->opt->recipe, w->opt->first + w->job, 0, &w->mail);
		lmtp_deliver(w, w->number, 1);
		while (w->imap.exists <= before)
			imap_response(&w->imap);
	}
	conn_printf(w->imap.conn, "DONE\r\n");
	conn_flush(w->imap.conn);
	imap_wait(&w->imap);
}

static void
sync_inbox(struct load_worker *w)
{
	struct imap *im = &w->imap;

	imap_command(im, "LIST \"\" *");
	imap_select(im, "INBOX");
	if (im->exists < NEWEST)
		load_fail("INBOX has %llu messages; a session needs %u",
		    (unsigned long long)im->exists, NEWEST);
	imap_command(im, "UID FETCH 1:* (FLAGS)");
	if (im->fetched != im->exists)
		load_fail("flags of %llu of %llu messages came", (unsigned long long)im->fetched,
		          (unsigned long long)im->exists);
	imap_command(im, "FETCH %llu:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
	             (unsigned long long)(im->exists - NEWEST + 1));
	if (im->fetched != NEWEST)
		load_fail(
		    "%llu of the newest %u messages came", (unsigned long long)im->fetched, NEWEST);
}

void
session_op(struct load_worker *w)
{
	struct boxes *b = w->state;
	struct imap *im = &w->imap;
	struct mail_recipe text = sent_mail(w);
	double since = load_now_ms();
	uint64_t at, before;

	load_login(w, im, w->number);
	imap_can(im, "LITERAL+");
	sync_inbox(w);
	at = read_some(w, b);
	stock_take(w, &text, w->opt->first + w->job);
	append_send(w, im, b->sent);
	imap_wait(im);
	before = im->exists;
	imap_command(im, "MOVE %llu \"%s\"", (unsigned long long)at, b->archive);
	if (im->exists >= before)
		load_fail("a moved message is still there");
	wait_in_idle(w);
	imap_logout(im);
	load_sample(w, since);
}

void
session_over(struct load_worker *w)
{
	if (is_delivering(w))
		lmtp_end(w);
}
