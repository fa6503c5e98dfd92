/* fuzz_lmtp - whole LMTP sessions: any bytes as what an MTA sends, cut anywhere, ended anywhere;
 * and any bytes as a path with its parameters, and as mail data cut in two.
 *
 * The protocol runs as it is in the server; the core, the login, the recipients and the volumes are
 * stood in for by what is below, so that a session costs microseconds and depends on nothing but
 * its input. The first octet of the input chooses the shape of the session, the second where the
 * connection ends in a second run. Held against:
 *   - answers and delivered messages do not depend on how the input is cut, nor on when the
 *     output drains;
 *   - a session that ends earlier, in a chunk or an exchange too, gets a beginning of the same
 *     answers and messages;
 *   - each reply line is one: its code, an enhanced code of the same class, no more
 *     than 512 octets;
 *   - a message is no larger than the limit, and answered 250 if and only if a volume has it;
 *   - what is ingested is finished or given up, what is answered 250 is confirmed at most once;
 *   - who may not deliver delivers nothing;
 *   - a parsed path lies within its line, parameters come to an end, and mail data yields the same
 *     message and the same end however it is cut.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/ingest.h"
#include "server/lmtp/lmtp.h"
#include "server/recipient.h"
#include "server/regulars.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 4096u

enum shape {                    /* bits of the first octet */
	SHAPE_SPLIT = 1,        /* octet by octet */
	SHAPE_SMALL_OUT = 2,    /* the output is full soon */
	SHAPE_TLS = 4,
	SHAPE_CREATE = 8,       /* mail makes mailboxes */
	SHAPE_JUNK = 16,
	SHAPE_STRANGER = 32,    /* must log in before it may deliver */
	SHAPE_FAILING = 64,     /* the second volume fails at the commit */
	SHAPE_FULL = 128,       /* boris is over quota at the commit */
};

struct session {
	unsigned     shape;
	struct buf   in, out, received, delivered;
	struct conf  conf;
	void        *state;
	bool         tls, woken, handshake;
	unsigned     bad;
	unsigned     messages;          /* copies that a volume has */
	unsigned     confirmed;
};

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_lmtp: broken: %s\n", what);
		abort();
	}
}

#include "tests/fuzz/session_stub.h"

static bool
within(struct slice part, struct slice whole)
{
	return part.len == 0 ||
	       (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void
try_path(struct slice line)
{
	struct lmtp_parser p;
	struct lmtp_param param;
	struct lmtp_path path;
	struct arena a;
	size_t n = 0;

	arena_init(&a, 1u << 20);
	lmtp_parser_init(&p, line);
	if (lmtp_parse_forward_path(&p, &a, &path)) {
		require(within(path.text, line) && within(path.domain, line),
		        "a path within its line");
		require(path.local.len <= LMTP_LOCAL_MAX && path.domain.len <= LMTP_DOMAIN_MAX,
		        "limits");
		while (lmtp_parse_param(&p, &param))
			require(++n <= line.len, "an end of parameters");
	} else {
		require(p.expected != NULL, "a reason");
	}
	(void)lmtp_domain_valid(line);
	arena_fini(&a);
}

/* Bytes of `in` that were taken. */
static size_t
unstuff(struct dots *d, struct slice in, struct buf *out)
{
	size_t used = 0;

	while (used < in.len && d->state != DOTS_END) {
		struct slice piece;

		used += dots_next(d, slice_sub(in, used, in.len), &piece);
		buf_append_slice(out, piece);
	}
	return used;
}

static void
try_data(struct slice in, size_t cut)
{
	struct buf whole, parts;
	struct dots a, b;
	size_t used;

	buf_init(&whole, in.len + 1);
	buf_init(&parts, in.len + 1);
	dots_init(&a);
	dots_init(&b);
	used = unstuff(&a, in, &whole);
	require(a.state == DOTS_END || used == in.len, "all taken without an end");
	if (unstuff(&b, slice_sub(in, 0, cut), &parts) == cut)
		(void)unstuff(&b, slice_sub(in, cut, in.len), &parts);
	require(!whole.failed && slice_eq(buf_slice(&whole), buf_slice(&parts)),
	        "the same message");
	require(a.state == b.state, "the same end");
	buf_fini(&whole);
	buf_fini(&parts);
}

/* ---- ingestion: keeps the octets behind the trace ---- */

struct ingest {
	uint64_t   max;
	bool       traced;
	struct buf bytes;
};

struct ingested {
	unsigned   refs;
	struct buf bytes;
};

static unsigned ingesting;      /* begun and neither finished nor given up */

enum rc
ingest_new(struct volume *v, uint64_t max_size, struct ingest **out, struct err *e)
{
	(void)v;
	(void)e;
	*out = calloc(1, sizeof **out);
	require(*out != NULL, "memory");
	(*out)->max = max_size;
	buf_init(&(*out)->bytes, 1u << 20);
	ingesting++;
	return RC_OK;
}

void
ingest_keep_octets(struct ingest *in)
{
	require(!in->traced, "line ends are decided before the first octet");
}

enum rc
ingest_feed(struct ingest *in, struct slice bytes, struct err *e)
{
	if (!in->traced) {
		in->traced = true;      /* the first piece is ours */
		in->max -= bytes.len;
		return RC_OK;
	}
	if (bytes.len > in->max - in->bytes.len)
		return err_set(e, RC_LIMIT, "too large");
	require(buf_append_slice(&in->bytes, bytes), "room for a message");
	return RC_OK;
}

enum rc
ingest_finish(struct ingest **in, struct ingested **out, struct err *e)
{
	(void)e;
	*out = calloc(1, sizeof **out);
	require(*out != NULL, "memory");
	(*out)->refs = 1;
	(*out)->bytes = (*in)->bytes;
	free(*in);
	*in = NULL;
	ingesting--;
	return RC_OK;
}

void
ingest_abort(struct ingest **in)
{
	if (*in == NULL)
		return;
	buf_fini(&(*in)->bytes);
	free(*in);
	*in = NULL;
	ingesting--;
}

uint64_t
ingested_size(const struct ingested *m)
{
	return m->bytes.len;
}

const struct record_blob *
ingested_blob(const struct ingested *m)
{
	static const struct record_blob none;

	(void)m;
	return &none;
}

/* Now so, now so: a light step ends where the message does, another goes on. */
bool
ingest_is_quick(const struct ingest *in, struct slice more)
{
	return (in->bytes.len + more.len) % 2 == 0;
}

size_t
ingest_held(const struct ingest *in)
{
	(void)in;
	return 0;
}

size_t
ingested_held(const struct ingested *m)
{
	(void)m;
	return 0;
}

void
ingested_ref(struct ingested *m)
{
	m->refs++;
}

void
ingested_unref(struct ingested **mp)
{
	struct ingested *m = *mp;

	*mp = NULL;
	if (m == NULL || --m->refs > 0)
		return;
	buf_fini(&m->bytes);
	free(m);
}

/* ---- two volumes: anna, full and locked live on the first, boris on the second, team is both - */

static char volume_octets[2];
static struct session *now;     /* the one that runs: what the volumes are called for */

static struct volume *
volume_at(size_t i)
{
	return (struct volume *)(void *)&volume_octets[i];
}

const char *
volume_name(const struct volume *v)
{
	return v == volume_at(0) ? "v1" : "v2";
}

static enum rc
recipient_is(struct arena *a, struct recipient *out, bool anna, bool boris, struct slice detail)
{
	out->accounts = arena_array(a, 2, sizeof *out->accounts);
	require(out->accounts != NULL, "memory");
	if (anna)
		out->accounts[out->count++] = (struct recipient_account){
			volume_at(0), { .id = 1, .name = SLICE("anna") }, detail };
	if (boris)
		out->accounts[out->count++] = (struct recipient_account){
			volume_at(1), { .id = 2, .name = SLICE("boris") }, detail };
	return RC_OK;
}

enum rc
server_find_recipient(struct server *srv, struct slice local, struct slice domain, struct arena *a,
                      struct recipient *out, struct err *e)
{
	size_t plus = slice_find_byte(local, '+');
	struct slice name = slice_sub(local, 0, plus),
	             detail = slice_sub(local, plus + 1, local.len);
	bool anna = slice_eq(name, SLICE("anna")), boris = slice_eq(name, SLICE("boris"));
	enum rc rc;

	(void)srv;
	(void)domain;
	*out = (struct recipient){ .accounts = NULL };
	if (slice_eq(name, SLICE("team")))
		return recipient_is(a, out, true, true, detail);
	if (slice_eq(name, SLICE("broken")))
		return err_set(e, RC_IO, "broken");
	if (!anna && !boris && !slice_eq(name, SLICE("full")) && !slice_eq(name, SLICE("locked")))
		return err_set(e, RC_NOT_FOUND, "nobody");
	rc = recipient_is(a, out, !boris, boris, detail);
	if (name.ptr[0] == 'f')
		out->accounts[0].info.quota_bytes = out->accounts[0].info.used_bytes = 1;
	if (name.ptr[0] == 'l')
		out->accounts[0].info.flags = ACCOUNT_LOCKED;
	return rc;
}

struct regulars *
server_regulars(struct server *srv)
{
	static struct regulars *none;
	struct err e = ERR_INIT;

	(void)srv;
	if (none == NULL && regulars_new(&none, &e) != RC_OK)
		abort();
	return none;
}

uint64_t
server_recipients_version(const struct server *srv)
{
	static uint64_t version;

	(void)srv;
	return ++version;       /* nobody is known from before */
}

bool
server_misses_accounts(const struct server *srv)
{
	(void)srv;
	return false;
}

bool
server_knows_domain(struct server *srv, struct slice domain)
{
	(void)srv;
	(void)domain;
	return false;
}

const char *
server_hostname(const struct server *srv)
{
	(void)srv;
	return "mail.example";
}

struct slice
server_sasl_secret(const struct server *srv)
{
	(void)srv;
	return SLICE_NONE;
}

static const struct mailbox_info boxes[] = {
	{ .id = 1, .name = SLICE_INIT("INBOX") },
	{ .id = 2, .name = SLICE_INIT("Junk"), .special_use = USE_JUNK },
	{ .id = 3, .name = SLICE_INIT("Lists") },
};

#define BOXES (sizeof boxes / sizeof boxes[0])

enum rc
volume_find_mailbox(struct volume *v, account_id account, struct slice name, struct arena *a,
                    struct mailbox_info *out, struct err *e)
{
	(void)v;
	(void)account;
	(void)a;
	for (size_t i = 0; i < BOXES; i++) {
		if (slice_eq(boxes[i].name, name)) {
			*out = boxes[i];
			return RC_OK;
		}
	}
	return err_set(e, RC_NOT_FOUND, "no such mailbox");
}

enum rc
volume_list_mailboxes(struct volume *v, account_id account, struct arena *a,
                      struct mailbox_info **out, size_t *count, struct err *e)
{
	(void)v;
	(void)account;
	(void)e;
	*count = BOXES;
	*out = arena_array(a, BOXES, sizeof **out);
	require(*out != NULL, "memory");
	memcpy(*out, boxes, sizeof boxes);
	return RC_OK;
}

static void
submit_append(struct volume *v, struct change *c)
{
	const struct append_message *m = &c->u.append.messages[0];
	bool failing = v == volume_at(1) && (now->shape & SHAPE_FAILING) != 0;
	bool full = v == volume_at(1) && (now->shape & SHAPE_FULL) != 0;

	require(m->content->bytes.len <= MESSAGE_MAX, "a message within the limit");
	require(m->target_count > 0 && c->u.append.each_target, "targets");
	c->rc = failing ? err_set(&c->err, RC_IO, "failed") : RC_OK;
	for (uint32_t i = 0; i < m->target_count; i++) {
		m->targets[i].rc = full ? RC_LIMIT : RC_OK;
		m->targets[i].uid = i + 1;
		if (failing || full)
			continue;
		now->messages++;
		buf_append_slice(&now->delivered, buf_slice(&m->content->bytes));
		buf_append_byte(&now->delivered, (uint8_t)m->targets[i].mailbox);
	}
}

void
volume_submit(struct volume *v, struct change *c)
{
	c->rc = RC_OK;
	if (c->kind == CHANGE_APPEND)
		submit_append(v, c);
	else
		require(lmtp_folder_allowed(c->kind == CHANGE_SUBSCRIBE ? c->u.subscribe.name
		                                                        : c->u.mailbox.name),
		        "an allowed name");
	c->done(c, c->done_arg);
}

void
volume_confirm(struct volume *v, uint64_t session, const uint8_t (*keys)[DELIVERY_KEY_LEN],
               uint32_t count)
{
	(void)v;
	(void)keys;
	require(session == session_id(now) && count > 0, "own keys");
	now->confirmed += count;
}

/* ---- the login: any mechanism; "good" is good, "more" asks for more ---- */

void
login_init(struct login *l, struct session *s, const char *service)
{
	*l = (struct login){ .s = s, .service = service };
}

const char *
login_mechanisms(const struct login *l, char out[SASL_MECHANISMS_TEXT])
{
	(void)l;
	return strcpy(out, "PLAIN");
}

enum login_result
login_answer(struct login *l, struct slice line, struct buf *out)
{
	static const struct account_info mta = { .id = 9, .name = SLICE_INIT("MTA") };

	l->account = mta;
	if (slice_eq(line, SLICE("*")))
		return LOGIN_CANCELLED;
	if (slice_eq(line, SLICE("more"))) {
		buf_append_str(out, "bW9yZQ==");
		return LOGIN_CHALLENGE;
	}
	if (slice_eq(line, SLICE("other")))
		l->account.name = SLICE("anna");
	else if (!slice_eq(line, SLICE("good")))
		return line.len < 5 ? LOGIN_MALFORMED : LOGIN_REFUSED;
	return LOGIN_OK;
}

enum login_result
login_start(struct login *l, struct slice mechanism, struct slice initial, struct buf *out)
{
	if (!slice_eq_nocase(mechanism, SLICE("PLAIN")))
		return LOGIN_NO_MECHANISM;
	return initial.ptr == NULL ? LOGIN_CHALLENGE : login_answer(l, initial, out);
}

bool
login_failed_too_often(const struct login *l)
{
	return l->s->bad >= 5;
}

/* ---- the core's half of the contract ---- */

const char *
session_peer(const struct session *s)
{
	return (s->shape & SHAPE_STRANGER) != 0 ? "2001:db8::7" : "127.0.0.1";
}

const uint8_t *
session_ip(const struct session *s)
{
	static const uint8_t stranger[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 };
	static const uint8_t here[16] = { [15] = 1 };

	return (s->shape & SHAPE_STRANGER) != 0 ? stranger : here;
}

bool
session_is_unix(const struct session *s)
{
	(void)s;
	return false;
}

bool
session_is_loopback(const struct session *s)
{
	return (s->shape & SHAPE_STRANGER) == 0;
}

bool
session_has_tls(const struct session *s)
{
	return s->tls;
}

struct slice
session_certificate_name(const struct session *s)
{
	(void)s;
	return SLICE_NONE;
}

struct server *
session_server(const struct session *s)
{
	(void)s;
	return NULL;
}

static void
run_steps(struct session *s)
{
	for (;;) {
		bool light = lmtp_protocol.light(s->state);
		enum step_result r = lmtp_protocol.step(s->state);
		bool full = session_out_full(s);

		drain(s);
		if (r == STEP_DONE)
			return;
		require(r == STEP_MORE || s->woken, "a step that goes on");
		require(!light || r != STEP_MORE || full, "a light step goes on behind a full output only");
		if (r == STEP_WAIT_ADVANCE) {
			s->woken = false;
			return;
		}
		require(r == STEP_MORE || r == STEP_WAIT, "a result of LMTP's");
		if (r == STEP_WAIT)
			s->woken = false;
	}
}

/* Until it waits for input. False: it has ended, or TLS begins: what is lost then depends on how
 * the input is cut. */
static bool
run(struct session *s, enum session_next next)
{
	for (;; next = lmtp_protocol.advance(s->state)) {
		drain(s);
		switch (next) {
		case NEXT_INPUT:
			return true;
		case NEXT_STEP:
			run_steps(s);
			break;
		case NEXT_AGAIN:
			break;
		case NEXT_STARTTLS:
		case NEXT_CLOSE:
			return false;
		case NEXT_COMPRESS:
		case NEXT_PLAIN:
			require(false, "a result of LMTP's");
		}
	}
}

static void
begin(struct session *s, unsigned shape)
{
	static const char *const junk[] = { "X-Spam: *yes*", "X-Junk" },
	*const accounts[] = { "mta" };
	static const struct network everybody[] = { { { 0 }, 0 } };

	*s = (struct session){ .shape = shape, .tls = (shape & SHAPE_TLS) != 0 };
	buf_init(&s->in, SESSION_IN_MAX);
	buf_init(&s->out, SESSION_OUT_MAX);
	buf_init(&s->received, 64u << 20);
	buf_init(&s->delivered, 64u << 20);
	s->conf.limits.message_size = MESSAGE_MAX;
	s->conf.limits.max_recipients = 5;
	s->conf.limits.auth_timeout = 100000;
	s->conf.lmtp.duplicate_window = 100;
	s->conf.lmtp.trusted_networks = (struct conf_networks){ everybody, 1 };
	s->conf.lmtp.create_detail = (shape & SHAPE_CREATE) != 0;
	s->conf.lmtp.create_detail_limit = 5;
	if ((shape & SHAPE_JUNK) != 0)
		s->conf.lmtp.junk_headers = (struct conf_list){ junk, 2 };
	if ((shape & SHAPE_STRANGER) != 0)
		s->conf.lmtp.auth_accounts = (struct conf_list){ accounts, 1 };
	now = s;
	s->state = lmtp_protocol.open(s);
	require(s->state != NULL, "memory");
}

/* One connection that sends `in` and goes away. */
static void
play(struct session *s, unsigned shape, struct slice in)
{
	size_t piece = (shape & SHAPE_SPLIT) != 0 ? 1 : SESSION_IN_MAX;
	bool open;

	begin(s, shape);
	open = run(s, lmtp_protocol.greet(s->state));
	while (open && in.len > 0) {
		struct slice part = slice_sub(in, 0,
		                              piece < buf_room(&s->in) ? piece : buf_room(&s->in));

		require(part.len > 0 && buf_append_slice(&s->in, part), "room for input");
		in = slice_sub(in, part.len, in.len);
		open = run(s, lmtp_protocol.advance(s->state));
	}
	lmtp_protocol.cleanup(s->state);
	require(ingesting == 0, "what is begun is ended");
	lmtp_protocol.close(s->state);
}

static void
finish(struct session *s)
{
	buf_fini(&s->in);
	buf_fini(&s->out);
	buf_fini(&s->received);
	buf_fini(&s->delivered);
}

/* Each line of the answers; how many of them say that a message was delivered. */
static unsigned
check_replies(struct slice all)
{
	unsigned delivered = 0;

	while (all.len > 0) {
		size_t end = slice_find(all, SLICE("\r\n"));
		struct slice line = slice_sub(all, 0, end);
		bool plain;

		require(end < all.len && line.len >= 4 && line.len <= 510, "a line of its length");
		require(line.ptr[0] >= '2' && line.ptr[0] <= '5' && isdigit(line.ptr[1]) &&
		            isdigit(line.ptr[2]),
		        "a code");
		plain = slice_starts(line, SLICE("220 ")) || slice_starts(line, SLICE("354 ")) ||
		        slice_starts(line, SLICE("334 ")) || slice_starts(line, SLICE("250-")) ||
		        slice_starts(line, SLICE("250 SIZE "));
		require(plain || (line.ptr[3] == ' ' && line.ptr[4] == line.ptr[0] &&
		                  line.ptr[5] == '.'),
		        "an enhanced code");
		delivered += slice_starts(line, SLICE("250 2.0.0 Delivered"));
		all = slice_sub(all, end + 2, all.len);
	}
	return delivered;
}

static void
try_session(unsigned shape, size_t end, struct slice in)
{
	struct session whole, pieces, shorter;
	unsigned delivered;

	play(&whole, shape & ~(unsigned)(SHAPE_SPLIT | SHAPE_SMALL_OUT), in);
	play(&pieces, shape, in);
	require(slice_eq(buf_slice(&whole.received), buf_slice(&pieces.received)),
	        "the same answers");
	require(slice_eq(buf_slice(&whole.delivered), buf_slice(&pieces.delivered)),
	        "the same messages");
	delivered = check_replies(buf_slice(&whole.received));
	require(whole.messages > 0 || delivered == 0, "a message for each 250");
	require(delivered > 0 || whole.messages == 0 || (shape & (SHAPE_FAILING | SHAPE_FULL)) != 0,
	        "a 250 for each message");
	require(pieces.confirmed <= 5 * delivered * 2 + 1, "nothing is confirmed but deliveries");
	if ((shape & SHAPE_STRANGER) != 0 &&
	    slice_find(buf_slice(&whole.received), SLICE("\r\n235 ")) == whole.received.len)
		require(whole.messages == 0, "nothing from strangers");
	play(&shorter, shape, slice_sub(in, 0, end));
	require(slice_starts(buf_slice(&whole.received), buf_slice(&shorter.received)),
	        "a beginning of the answers");
	require(slice_starts(buf_slice(&whole.delivered), buf_slice(&shorter.delivered)),
	        "a beginning of the messages");
	finish(&whole);
	finish(&pieces);
	finish(&shorter);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);

	log_set_level(LOGLEVEL_ERROR);
	log_set_fd(-1);
	if (size < 2)
		return 0;
	in = slice_sub(in, 2, size);
	try_session(data[0], in.len * data[1] / 256, in);
	try_path(in);
	try_data(in, data[1] < in.len ? data[1] : in.len);
	return 0;
}
