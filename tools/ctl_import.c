/* ctl_import - restantectl import: sources become the stream that the verb `import` reads. See
 * tools/import.h.
 *
 * The stream is made as it is asked for, so nothing is held but one piece of it and, of each
 * message that is not answered yet, what it is called. Answers come in batches; a message counts as
 * imported when its answer is here, which is when it is durable. With --resume FILE the keys of
 * such messages are added to FILE, and messages whose keys stand there are not even read. The file
 * is a shortcut and may be lost or cut: what it does not know is read again, and the volume finds
 * that it is there.
 */
#include "tools/import.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/parcel.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/when.h"
#include "tools/ctl.h"
#include "tools/import_remote.h"

#define STREAM_MAX    (PARCEL_BODY_MAX + PARCEL_DATA_MAX)
#define RESUME_MAX    (1u << 30)
#define TOO_LARGE     "it is over the limit message_size"
#define KEYWORDS_TOLD (PARCEL_BODY_MAX / 2)
#define NAME_TOLD     4000u     /* of a longer name, which is refused by its length as well
                                 * when it is cut */

/* A message that is not answered yet. */
struct pending {
	char *label;                    /* NULL: it is settled */
	char *key;                      /* NULL: none */
};

struct driver {
	struct ctl            *ctl;
	struct ctl_progress    progress;
	struct import_options  options;
	struct import_login   *login;           /* where a source is a URL */
	const char            *into;
	int64_t                since;           /* seconds; INT64_MIN: all */
	bool                   dry_run, json;

	const char *const     *sources;         /* what is still to be opened */
	int                    source_count;
	struct import_source   source;          /* close NULL: none is open */

	struct buf             out;             /* of the stream, not taken yet */
	bool                   begun, in_message, closed;
	bool                   failed;          /* a source, which was told */
	uint64_t               taken;           /* bytes of the message */
	struct pending        *pending;         /* of seqs first_seq .. next_seq - 1 */
	size_t                 pending_cap;
	uint64_t               first_seq, next_seq;

	FILE                  *resume;          /* to append to; NULL: none */
	struct buf             resume_text;     /* as it was: lines ended by NUL */
	const char           **keys;            /* in it, in order */
	size_t                 key_count;

	uint64_t               done, there, bad, left, bytes;
	uint64_t               began_ms;
};

/* ---- messages under way ---- */

static struct pending *
pending_of(struct driver *d, uint64_t seq)
{
	return &d->pending[(seq - 1) % d->pending_cap];
}

static bool
pending_grow(struct driver *d)
{
	size_t cap = d->pending_cap > 0 ? d->pending_cap * 2 : 512;
	struct pending *p = calloc(cap, sizeof *p);

	if (p == NULL)
		return false;
	for (uint64_t s = d->first_seq; s < d->next_seq; s++)
		p[(s - 1) % cap] = *pending_of(d, s);
	free(d->pending);
	d->pending = p;
	d->pending_cap = cap;
	return true;
}

static char *
dup_text(struct slice s)
{
	char *t = malloc(s.len + 1);

	if (t == NULL)
		return NULL;
	if (s.len > 0)
		memcpy(t, s.ptr, s.len);
	t[s.len] = '\0';
	return t;
}

static bool
pending_add(struct driver *d, const struct import_message *m)
{
	struct pending p = { .label = NULL, .key = NULL };

	if (d->next_seq - d->first_seq == d->pending_cap && !pending_grow(d))
		return false;
	p.label = dup_text(m->label);
	if (m->key.len > 0 && d->resume != NULL)
		p.key = dup_text(m->key);
	if (p.label == NULL || (p.key == NULL && m->key.len > 0 && d->resume != NULL)) {
		free(p.label);
		return false;
	}
	d->next_seq++;
	*pending_of(d, d->next_seq - 1) = p;
	return true;
}

static void
pending_settle(struct driver *d, uint64_t seq)
{
	struct pending *p = pending_of(d, seq);

	free(p->label);
	free(p->key);
	*p = (struct pending){ NULL, NULL };
	while (d->first_seq < d->next_seq && pending_of(d, d->first_seq)->label == NULL)
		d->first_seq++;
}

/* ---- what is passed over ---- */

static void
complain(void *arg, const char *text)
{
	struct driver *d = arg;

	ctl_progress_clear(&d->progress);
	ctl_error(d->ctl, "%s", text);
	d->bad++;
}

static void
complain_of(struct driver *d, const char *label, const char *why)
{
	char text[ERR_TEXT_MAX + 512];

	snprintf(text, sizeof text, "%s: %s", label, why);
	complain(d, text);
}

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
is_known(const struct driver *d, struct slice key)
{
	char text[512];
	const char *t = text;

	return key.len > 0 && d->key_count > 0 && slice_to_cstr(key, text, sizeof text) &&
	    bsearch(&t, d->keys, d->key_count, sizeof *d->keys, compare_keys) != NULL;
}

/* The limit of a message, as of one by LMTP. A source may send for ever, so it is looked
 * after here too. */
static bool
is_too_large(const struct driver *d, uint64_t size)
{
	const struct conf *conf = d->ctl->conf;

	return conf != NULL && conf->limits.message_size > 0 && size > conf->limits.message_size;
}

static bool
is_wanted(struct driver *d, const struct import_message *m)
{
	if (d->since != INT64_MIN && m->internaldate.sec < d->since)
		return false;
	if (is_known(d, m->key)) {
		d->there++;
		return false;
	}
	if (is_too_large(d, m->size)) {
		char label[512];

		snprintf(label, sizeof label, "%.*s", SLICE_ARG(m->label));
		complain_of(d, label, TOO_LARGE);
		return false;
	}
	return true;
}

/* ---- the stream ---- */

static enum rc
put_mailbox(struct driver *d, const struct import_mailbox *m, bool subscription, struct err *e)
{
	struct buf name;
	struct parcel_mailbox pm;
	bool ok;

	buf_init(&name, 8192);
	if (d->into != NULL)
		buf_printf(&name, "%.4000s/", d->into);
	buf_append_slice(&name, slice_sub(m->name, 0, NAME_TOLD));
	pm = (struct parcel_mailbox){
		.name = slice_sub(buf_slice(&name), 0, NAME_TOLD),
		.uidvalidity = m->uidvalidity,
		.uidnext = m->uidnext,
		.special_use = d->into == NULL ? m->special_use : 0,
		.subscribe = m->subscribe,
	};
	ok = !name.failed && (subscription ? parcel_put_subscription(&d->out, pm.name)
	                                   : parcel_put_mailbox(&d->out, &pm));
	buf_fini(&name);
	return ok ? RC_OK : err_nomem(e);
}

/* No more than a record of the stream carries; the volume takes fewer still. */
static struct slice
fit_keywords(struct slice words)
{
	size_t end = words.len < KEYWORDS_TOLD ? words.len : KEYWORDS_TOLD;

	while (end < words.len && end > 0 && words.ptr[end] != ' ')
		end--;
	return slice_sub(words, 0, end);
}

static enum rc
put_message(struct driver *d, const struct import_message *m, struct err *e)
{
	struct parcel_message pm = {
		.seq = d->next_seq,
		.flags = m->flags,
		.keywords = fit_keywords(m->keywords),
		.internaldate = m->internaldate,
		.uid = m->uid,
		.uidl = m->uidl.len <= UIDL_MAX ? m->uidl : SLICE_NONE,
		.size = m->size,
	};

	if (!is_wanted(d, m))
		return RC_OK;
	if (!parcel_put_message(&d->out, &pm) || !pending_add(d, m))
		return err_nomem(e);
	d->in_message = true;
	d->taken = 0;
	return RC_OK;
}

static enum rc
end_message(struct driver *d, const char *why, struct err *e)
{
	uint64_t seq = d->next_seq - 1;

	d->in_message = false;
	if (why != NULL) {
		complain_of(d, pending_of(d, seq)->label, why);
		pending_settle(d, seq);
	}
	return parcel_put_end(&d->out, why == NULL) ? RC_OK : err_nomem(e);
}

/* More of the message. */
static enum rc
put_bytes(struct driver *d, struct err *e)
{
	uint8_t bytes[PARCEL_DATA_MAX];
	struct err why = ERR_INIT;
	size_t n = 0;
	enum rc rc = d->source.read(d->source.state, bytes, sizeof bytes, &n, &why);

	if (rc == RC_CANCELLED) {
		*e = why;
		return err_add(e, "%s", pending_of(d, d->next_seq - 1)->label);
	}
	if (rc != RC_OK)
		return end_message(d, why.text[0] != '\0' ? why.text : rc_name(rc), e);
	if (n == 0)
		return end_message(d, d->taken == 0 ? "it is empty" : NULL, e);
	d->taken += n;
	d->bytes += n;
	if (is_too_large(d, d->taken))
		return end_message(d, TOO_LARGE, e);
	return parcel_put_data(&d->out, slice_of(bytes, n)) ? RC_OK : err_nomem(e);
}

static void
close_source(struct driver *d)
{
	if (d->source.close != NULL)
		d->source.close(d->source.state);
	d->source = (struct import_source){ NULL, NULL, NULL, NULL };
}

static enum rc
open_source(struct driver *d, struct err *e)
{
	const char *name = *d->sources++;
	enum rc rc;

	d->source_count--;
	if (remote_url_is(slice_str(name)))
		return import_login_open(d->login, name, &d->options, &d->source, e);
	rc = import_open(name, &d->options, &d->source, e);
	return rc == RC_OK ? RC_OK : err_add(e, "%s", name);
}

static enum rc
put_item(struct driver *d, struct err *e)
{
	struct import_item item = { .event = IMPORT_END };
	enum rc rc = d->source.next(d->source.state, &item, e);

	if (rc != RC_OK)
		return rc;
	switch (item.event) {
	case IMPORT_MAILBOX:
		return put_mailbox(d, &item.mailbox, false, e);
	case IMPORT_SUBSCRIPTION:
		return put_mailbox(d, &item.mailbox, true, e);
	case IMPORT_MESSAGE:
		return put_message(d, &item.message, e);
	case IMPORT_END:
		close_source(d);
		return RC_OK;
	}
	return RC_OK;
}

/* Put something into `out`, unless all is there. */
static enum rc
produce(struct driver *d, struct err *e)
{
	if (!d->begun) {
		d->begun = true;
		return parcel_put_begin(&d->out) ? RC_OK : err_nomem(e);
	}
	if (d->in_message)
		return put_bytes(d, e);
	if (d->source.close != NULL)
		return put_item(d, e);
	if (d->source_count > 0)
		return open_source(d, e);
	d->closed = true;
	return parcel_put_close(&d->out) ? RC_OK : err_nomem(e);
}

/* A source has failed. The stream is ended as it should be, so that what went before
 * is answered for. */
static enum rc
give_up(struct driver *d, struct err *e)
{
	ctl_progress_clear(&d->progress);
	ctl_error(d->ctl, "%s", e->text[0] != '\0' ? e->text : rc_name(e->code));
	d->failed = d->closed = true;
	if ((d->in_message && !parcel_put_end(&d->out, false)) || !parcel_put_close(&d->out))
		return err_nomem(e);
	d->in_message = false;
	return RC_OK;
}

static enum rc
give(void *arg, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	struct driver *d = arg;

	/* Full pieces: a round through the socket for each small record would be slow. */
	while (d->out.len < size && !d->closed && buf_room(&d->out) > PARCEL_BODY_MAX) {
		if (produce(d, e) != RC_OK && (e->code == RC_NOMEM || give_up(d, e) != RC_OK))
			return e->code;
	}
	*got = d->out.len < size ? d->out.len : size;
	if (*got > 0)
		memcpy(to, d->out.ptr, *got);
	buf_consume(&d->out, *got);
	return RC_OK;
}

/* ---- answers ---- */

static void
note_key(struct driver *d, const char *key)
{
	if (key != NULL && d->resume != NULL && !d->dry_run)
		fprintf(d->resume, "%s\n", key);
}

/* "WHAT SEQ REST" */
static bool
hear(void *arg, struct slice text)
{
	struct driver *d = arg;
	size_t end = slice_find_byte(text, ' ');
	struct slice what = slice_sub(text, 0, end), rest = slice_sub(text, end + 1, text.len);
	size_t second = slice_find_byte(rest, ' ');
	char why[ERR_TEXT_MAX];
	const struct pending *p;
	uint64_t seq;

	if (!slice_to_u64(slice_sub(rest, 0, second), UINT64_MAX, &seq) || seq < d->first_seq ||
	    seq >= d->next_seq)
		return true;
	rest = slice_sub(rest, second + 1, rest.len);
	p = pending_of(d, seq);
	if (p->label == NULL)
		return true;
	if (slice_eq(what, SLICE("done"))) {
		d->done++;
		note_key(d, p->key);
	} else if (slice_eq(what, SLICE("there"))) {
		d->there++;
		note_key(d, p->key);
	} else if (slice_eq(what, SLICE("bad"))) {
		snprintf(why, sizeof why, "%.*s", SLICE_ARG(rest));
		complain_of(d, p->label, why);
	} else {
		if (d->left++ == 0) {
			snprintf(why, sizeof why, "%.*s", SLICE_ARG(rest));
			ctl_progress_clear(&d->progress);
			ctl_error(d->ctl, "%s: %s", p->label, why);
		}
	}
	pending_settle(d, seq);
	ctl_progress_count(&d->progress, "messages imported", d->done + d->there);
	return true;
}

/* ---- --resume ---- */

static bool
resume_load(struct driver *d, FILE *f)
{
	size_t n, cap = 0;

	do {
		uint8_t *to = buf_reserve(&d->resume_text, 65536);

		if (to == NULL)
			return false;
		n = fread(to, 1, 65536, f);
		buf_commit(&d->resume_text, n);
	} while (n > 0);
	for (size_t i = 0; i < d->resume_text.len; i++)
		cap += d->resume_text.ptr[i] == '\n';
	d->keys = calloc(cap + 1, sizeof *d->keys);
	if (d->keys == NULL)
		return false;
	/* A last line without its end was cut. */
	for (uint8_t *p = d->resume_text.ptr, *nl; d->key_count < cap; p = nl + 1) {
		nl = memchr(p, '\n', d->resume_text.len - (size_t)(p - d->resume_text.ptr));
		*nl = '\0';
		d->keys[d->key_count++] = (const char *)p;
	}
	if (d->key_count > 1)
		qsort(d->keys, d->key_count, sizeof *d->keys, compare_keys);
	return true;
}

static bool
resume_open(struct driver *d, const char *path)
{
	bool ok;

	if (path == NULL)
		return true;
	d->resume = fopen(path, "a+e");
	if (d->resume == NULL) {
		ctl_error(d->ctl, "%s: %s", path, strerror(errno));
		return false;
	}
	rewind(d->resume);
	ok = resume_load(d, d->resume);
	if (!ok)
		ctl_error(d->ctl, "%s: no memory for it", path);
	/* Behind a line that was cut a new one begins. */
	if (ok && d->resume_text.len > 0 && d->resume_text.ptr[d->resume_text.len - 1] != '\0')
		fputc('\n', d->resume);
	return ok;
}

/* ---- the verb ---- */

static bool
driver_init(struct driver *d, struct ctl *ctl)
{
	const char *since = options_value(&ctl->options, "--since");
	struct err e = ERR_INIT;
	uint64_t us = 0;

	*d = (struct driver){
		.ctl = ctl,
		.options = {
			.format = options_value(&ctl->options, "--format"),
			.mailbox = options_value(&ctl->options, "--mailbox"),
			.keep_uids = options_given(&ctl->options, "--keep-uids"),
			.keep_uidl = options_given(&ctl->options, "--keep-uidl"),
			.force = options_given(&ctl->options, "--force"),
			.complain = complain,
			.complain_arg = d,
		},
		.into = options_value(&ctl->options, "--into"),
		.since = INT64_MIN,
		.dry_run = options_given(&ctl->options, "--dry-run"),
		.json = options_given(&ctl->options, "--json"),
		.sources = ctl->args + 1,
		.source_count = ctl->argc - 1,
		.first_seq = 1,
		.next_seq = 1,
		.began_ms = clock_mono_ms(),
	};
	ctl_progress_init(&d->progress);
	buf_init(&d->out, STREAM_MAX + 2 * PARCEL_BODY_MAX);
	buf_init(&d->resume_text, RESUME_MAX);
	if (since != NULL && when_parse(slice_str(since), clock_wall_us(), &us, &e) != RC_OK) {
		ctl_error(ctl, "--since: %s", e.text);
		return false;
	}
	if (since != NULL)
		d->since = (int64_t)(us / 1000000u);
	return resume_open(d, options_value(&ctl->options, "--resume"));
}

/* False: the resume file could not be written. */
static bool
driver_fini(struct driver *d)
{
	bool ok = true;

	close_source(d);
	for (uint64_t s = d->first_seq; s < d->next_seq; s++) {
		free(pending_of(d, s)->label);
		free(pending_of(d, s)->key);
	}
	free(d->pending);
	free(d->keys);
	buf_fini(&d->resume_text);
	buf_fini(&d->out);
	if (d->resume != NULL)
		ok = fclose(d->resume) == 0;
	return ok;
}

static void
report(const struct driver *d)
{
	uint64_t ms = clock_mono_ms() - d->began_ms;
	uint64_t rate = d->done * 1000u / (ms > 0 ? ms : 1);
	struct json j;
	struct buf b;

	if (!d->json) {
		printf("%s%" PRIu64 " message%s imported (%" PRIu64 " per second), %" PRIu64
		       " were there, %" PRIu64 " not taken, %" PRIu64 " left\n",
		       d->dry_run ? "dry run, nothing was changed: " : "", d->done,
		       admin_plural(d->done), rate, d->there, d->bad, d->left);
		return;
	}
	buf_init(&b, 4096);
	json_init(&j, &b);
	json_object(&j, NULL);
	json_bool(&j, "dry_run", d->dry_run);
	json_u64(&j, "imported", d->done);
	json_u64(&j, "there", d->there);
	json_u64(&j, "bad", d->bad);
	json_u64(&j, "left", d->left);
	json_u64(&j, "bytes", d->bytes);
	json_u64(&j, "ms", ms);
	json_end(&j);
	printf("%.*s\n", SLICE_ARG(buf_slice(&b)));
	buf_fini(&b);
}

static enum admin_exit
run(struct driver *d)
{
	const struct ctl_bulk bulk = { .arg = d, .line = hear, .read = give,
	                               .progress = &d->progress };
	const char *argv[6] = { "import" };
	enum admin_exit status;
	int n = 1;

	if (d->dry_run)
		argv[n++] = "--dry-run";
	if (d->options.keep_uids)
		argv[n++] = "--keep-uids";
	if (d->options.keep_uidl)
		argv[n++] = "--keep-uidl";
	argv[n++] = "--";
	argv[n++] = d->ctl->args[0];
	status = ctl_run_bulk(d->ctl, n, argv, &bulk);
	ctl_progress_clear(&d->progress);
	/* What was sent and not answered may be there or not. */
	d->left += d->next_seq - d->first_seq;
	if (d->begun)
		report(d);
	return status == ADMIN_OK && (d->bad > 0 || d->failed) ? ADMIN_FAILED : status;
}

enum admin_exit
ctl_import(struct ctl *ctl)
{
	static const char *const formats[] = { "maildir", "mbox", "eml" };
	const char *format = options_value(&ctl->options, "--format");
	enum admin_exit status = ADMIN_FAILED;
	bool known = format == NULL;
	struct import_login login;
	struct err e = ERR_INIT;
	struct driver d;

	for (size_t i = 0; !known && i < sizeof formats / sizeof formats[0]; i++)
		known = strcmp(format, formats[i]) == 0;
	if (!known) {
		ctl_error(ctl, "--format: maildir, mbox or eml, not %s", format);
		return ADMIN_USAGE;
	}
	if (import_login_init(&login, ctl, ctl->args + 1, ctl->argc - 1, &e) != RC_OK) {
		ctl_error(ctl, "%s", e.text);
		import_login_fini(&login);
		return e.code == RC_SYNTAX ? ADMIN_USAGE : ADMIN_FAILED;
	}
	if (driver_init(&d, ctl)) {
		d.login = &login;
		status = run(&d);
	}
	import_login_fini(&login);
	if (!driver_fini(&d)) {
		ctl_error(ctl, "the file of --resume could not be written");
		status = ADMIN_FAILED;
	}
	return status;
}
