/* fill - a volume of many messages made of real mail, for the benchmarks of maintenance. On demand.
 *
 *     fill VOLUME_DIR ACCOUNTS MESSAGES MAIL_DIR [EXPUNGE_PERCENT]
 *
 * Makes the volume if it is missing, accounts user0 ... and delivers the files below MAIL_DIR
 * (named *.txt or *.eml) to them in turn, again and again; the ids in Message-ID, References and
 * In-Reply-To are changed from round to round, so that every round is other mail with threads of
 * its own. Then expunges so many percent of all UIDs that their INBOXes ever had, evenly spread;
 * with MESSAGES 0 of a volume made before. Prints one JSON line.
 */
#define _GNU_SOURCE
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "index/volume.h"

#define BATCH 64u

struct mail {
	char  *bytes;
	size_t len;
};

static struct mail *mails;
static size_t       mail_count;

_Noreturn static void
die(const char *what, const struct err *e)
{
	fprintf(stderr, "fill: %s: %s\n", what, e != NULL ? e->text : "failed");
	exit(1);
}

static void
load_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct mail m = { .bytes = NULL };
	size_t cap = 0;

	if (f == NULL)
		die(path, NULL);
	while (!feof(f)) {
		if (m.len == cap) {
			cap = cap > 0 ? cap * 2 : 8192;
			m.bytes = realloc(m.bytes, cap);
			if (m.bytes == NULL)
				die("memory", NULL);
		}
		m.len += fread(m.bytes + m.len, 1, cap - m.len, f);
	}
	fclose(f);
	mails = realloc(mails, (mail_count + 1) * sizeof *mails);
	if (mails == NULL)
		die("memory", NULL);
	mails[mail_count++] = m;
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void
load_mails(char *dir)
{
	char *paths[] = { dir, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	FTSENT *f;

	while (fts != NULL && (f = fts_read(fts)) != NULL) {
		const char *dot = strrchr(f->fts_name, '.');

		if (f->fts_info == FTS_F && dot != NULL &&
		    (strcmp(dot, ".txt") == 0 || strcmp(dot, ".eml") == 0))
			load_file(f->fts_path);
	}
	if (fts != NULL)
		fts_close(fts);
	if (mail_count == 0)
		die("no mail below the directory", NULL);
}

static bool
holds_ids(const char *line, size_t len)
{
	static const char *const names[] = { "message-id:", "references:", "in-reply-to:" };

	for (size_t i = 0; i < 3; i++)
		if (len > strlen(names[i]) && strncasecmp(line, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* The mail, its ids marked with the round. */
static void
feed(struct ingest *in, const struct mail *m, size_t round, struct err *e)
{
	const char *p = m->bytes, *end = p + m->len;
	bool ids = false;
	char mark[32];
	size_t mark_len = (size_t)snprintf(mark, sizeof mark, "<r%zu.", round);

	if (m->len > 5 && memcmp(p, "From ", 5) == 0)
		p = (const char *)memchr(p, '\n', m->len) + 1;
	while (p < end && *p != '\n' && *p != '\r') {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *stop = nl != NULL ? nl + 1 : end;

		if (*p != ' ' && *p != '\t')
			ids = holds_ids(p, (size_t)(stop - p));
		while (p < stop) {
			const char *lt = ids ? memchr(p, '<', (size_t)(stop - p)) : NULL;
			const char *to = lt != NULL ? lt : stop;

			if (ingest_feed(in, slice_of(p, (size_t)(to - p)), e) != RC_OK ||
			    (lt != NULL && ingest_feed(in, slice_of(mark, mark_len), e) != RC_OK))
				die("ingest", e);
			p = lt != NULL ? lt + 1 : stop;
		}
	}
	if (ingest_feed(in, slice_of(p, (size_t)(end - p)), e) != RC_OK)
		die("ingest", e);
}

/* Its name is gone with the arena. */
static struct mailbox_info
inbox_of(struct volume *v, unsigned i)
{
	struct change *c = change_new(CHANGE_ACCOUNT_CREATE);
	struct account_info account;
	struct mailbox_info box;
	struct err e = ERR_INIT;
	struct arena a;
	char name[32];

	if (c == NULL)
		die("memory", NULL);
	arena_init(&a, 1 << 20);
	(void)snprintf(name, sizeof name, "user%u", i);
	c->u.account.name = slice_str(name);
	c->u.account.credential_name = slice_str("password");
	c->u.account.credential_value = slice_str("none");
	(void)volume_submit_wait(v, c);         /* it may be there already */
	change_free(&c);
	if (volume_find_account(v, slice_str(name), &a, &account, &e) != RC_OK ||
	    volume_find_mailbox(v, account.id, slice_str("INBOX"), &a, &box, &e) != RC_OK)
		die(name, &e);
	arena_fini(&a);
	return box;
}

/* BATCH messages as one change. */
static uint64_t
append(struct volume *v, const mailbox_id *boxes, unsigned accounts, size_t from, size_t count)
{
	struct change *c = change_new(CHANGE_APPEND);
	struct append_message *m = arena_array(&c->arena, count, sizeof *m);
	struct append_target *t = arena_array(&c->arena, count, sizeof *t);
	struct err e = ERR_INIT;
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		struct ingest *in;

		if (ingest_new(v, 0, &in, &e) != RC_OK)
			die("ingest", &e);
		feed(in, &mails[(from + i) % mail_count], (from + i) / mail_count, &e);
		m[i] = (struct append_message){ .internaldate = { 1700000000 + (int64_t)(from + i),
		                                0 },
			                        .targets = &t[i], .target_count = 1 };
		if (ingest_finish(&in, &m[i].content, &e) != RC_OK)
			die("ingest", &e);
		bytes += ingested_size(m[i].content);
		t[i] = (struct append_target){ .mailbox = boxes[(from + i) % accounts] };
	}
	c->u.append.messages = m;
	c->u.append.message_count = (uint32_t)count;
	c->u.append.each_target = true;
	if (volume_submit_wait(v, c) != RC_OK)
		die("append", &c->err);
	change_free(&c);
	return bytes;
}

/* Evenly spread over the UIDs. */
static void
expunge(struct volume *v, mailbox_id box, mail_uid last, unsigned percent)
{
	struct change *c = change_new(CHANGE_EXPUNGE);

	c->u.expunge.mailbox = box;
	c->u.expunge.any = true;
	for (mail_uid uid = 1; uid <= last; uid++)
		if (uid * percent / 100 != (uid - 1) * percent / 100 &&
		    !uid_set_add(&c->u.expunge.uids, uid, uid))
			die("memory", NULL);
	if (volume_submit_wait(v, c) != RC_OK)
		die("expunge", &c->err);
	change_free(&c);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	struct volume_params p = { .name = "bench", .mode = VOLUME_WRITE };
	struct err e = ERR_INIT;
	struct volume *v;
	mailbox_id *boxes;
	unsigned accounts;
	uint64_t bytes = 0;
	size_t count;
	double start;

	if (argc < 5) {
		fputs("usage: fill VOLUME_DIR ACCOUNTS MESSAGES MAIL_DIR [EXPUNGE_PERCENT]\n",
		    stderr);
		return 2;
	}
	p.path = argv[1];
	accounts = (unsigned)atoi(argv[2]);
	count = (size_t)atoll(argv[3]);
	load_mails(argv[4]);
	if (accounts == 0 || (volume_create(p.path, &e) != RC_OK && e.code != RC_EXISTS) ||
	    volume_open(&p, &v, &e) != RC_OK)
		die(argv[1], &e);
	boxes = calloc(accounts, sizeof *boxes);
	for (unsigned i = 0; i < accounts; i++)
		boxes[i] = inbox_of(v, i).id;
	start = seconds();
	for (size_t done = 0; done < count; done += BATCH)
		bytes += append(v, boxes, accounts, done,
		                count - done < BATCH ? count - done : BATCH);
	for (unsigned i = 0; argc > 5 && i < accounts; i++)
		expunge(v, boxes[i], inbox_of(v, i).uidnext - 1, (unsigned)atoi(argv[5]));
	printf("{\"messages\": %zu, \"bytes\": %llu, \"seconds\": %.2f}\n", count,
	    (unsigned long long)bytes, seconds() - start);
	volume_close(&v);
	free(boxes);
	return 0;
}
