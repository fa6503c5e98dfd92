/* load_mail - see load_mail.h.
 *
 * Sizes are log-normal; the medians below make the means that load_mail.h promises (bench test:
 * mode `mail`). An answer belongs to the first message of its group of eight in the same mailbox.
 * Quantities are few and plain on purpose: what matters to a mail store is the size, how well it
 * compresses, the number and depth of parts, and headers as long as today's.
 */
#define _GNU_SOURCE
#include "tests/bench/load_mail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/load.h"
#include "tests/bench/load_files.h"
#include "tests/bench/load_words.h"

#define THREAD        8u
#define HEADER_ROOM   4096u
#define FIRST_DATE    1717200000 /* 1 June 2024; 100,000 messages of a mailbox reach to April 2026 */
#define MARK          "X-Load: "
#define LARGE_PARTS   5u

static const char *const kinds_of_mail[] = { "real", "text", "file" };

struct maker {
	const struct mail_recipe *recipe;
	uint64_t    number;
	struct mail *out;
	struct rng   rng;
	char        *at;                /* what was written ends here */
	char         boundary[2][40];
};

static void
reserve(struct maker *m, size_t room)
{
	size_t len = (size_t)(m->at - m->out->bytes);

	if (m->out->bytes == NULL)
		len = 0;
	if (len + room > m->out->max) {
		m->out->max = (len + room) * 2;
		m->out->bytes = load_realloc(m->out->bytes, m->out->max, 1);
	}
	m->at = m->out->bytes + len;
}

/* Room must have been reserved. */
static void __attribute__((format(printf, 2, 3)))
put(struct maker *m, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	m->at += vsnprintf(m->at, m->out->max - (size_t)(m->at - m->out->bytes), format, ap);
	va_end(ap);
}

static void
put_name(struct maker *m, struct rng *r, const char *field)
{
	char first[WORD_ROOM], last[WORD_ROOM], domain[WORD_ROOM];

	*(words_pick(r, first, true) - 1) = '\0';
	*(words_pick(r, last, true) - 1) = '\0';
	*(words_pick(r, domain, true) - 1) = '\0';
	put(m, "%s: %c%s %c%s <%s.%s@%s.example>\r\n", field, first[0] & ~0x20, first + 1,
	    last[0] & ~0x20, last + 1, first, last, domain);
}

/* As an encoded word if it is not ASCII. */
static void
put_subject_word(struct maker *m, struct rng *r, bool ascii)
{
	char word[WORD_ROOM];
	bool encode = false;

	*(words_pick(r, word, ascii) - 1) = '\0';
	for (const char *p = word; *p != '\0'; p++)
		encode = encode || (uint8_t)*p >= 0x80;
	if (!encode) {
		put(m, "%s ", word);
		return;
	}
	put(m, "=?utf-8?q?");
	for (const char *p = word; *p != '\0'; p++)
		put(m, (uint8_t)*p < 0x80 ? "%c" : "=%02X", (uint8_t)*p);
	put(m, "?= ");
}

/* Of the thread: the same words in all its messages. */
static void
put_subject(struct maker *m, uint64_t root)
{
	struct rng r = rng_of(m->recipe->seed + 1, root);
	unsigned words = 3 + rng_below(&r, 5);

	put(m, "Subject: %s", root != m->number ? "Re: " : "");
	for (unsigned i = 0; i < words; i++)
		put_subject_word(m, &r, i != 1 || root % 5 != 0);
	put(m, "%llu\r\n", (unsigned long long)(root % 9973));
}

static void
put_received(struct maker *m, time_t when, unsigned hop)
{
	char host[WORD_ROOM], date[64], id[16];
	struct tm tm;

	*(words_pick(&m->rng, host, true) - 1) = '\0';
	when -= hop * 2;
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&when, &tm));
	*words_token(&m->rng, id, 11) = '\0';
	put(m,
	    "Received: from mx%u.%s.example (mx%u.%s.example [192.0.2.%u])\r\n"
	    "\tby relay%u.example.org (Postfix) with ESMTPS id %s\r\n"
	    "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n"
	    "\tfor <user%llu@example.org>; %s\r\n",
	    hop, host, hop, host, rng_below(&m->rng, 250), hop, id,
	    (unsigned long long)(m->number % 1000), date);
}

static void
put_signature(struct maker *m, time_t when)
{
	char hash[48], *line;

	*words_token(&m->rng, hash, 43) = '\0';
	put(m, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s2024;\r\n"
	       "\tt=%lld; h=from:to:cc:subject:date:message-id:mime-version:content-type:\r\n"
	       "\tin-reply-to:references; bh=%s=;\r\n\tb=",
	    (long long)when, hash);
	for (unsigned i = 0; i < 5; i++) {
		line = m->at;
		m->at = words_token(&m->rng, line, 68);
		put(m, "%s", i < 4 ? "\r\n\t " : "==\r\n");
	}
	put(m,
	    "Authentication-Results: mx.example.org; dkim=pass (2048-bit key) "
	    "header.d=example.org\r\n"
	    "\theader.i=@example.org header.b=%.8s; spf=pass smtp.mailfrom=bounce@example.org;\r\n"
	    "\tdmarc=pass (p=quarantine dis=none) header.from=example.org\r\n",
	    hash);
}

static void
put_ids(struct maker *m, uint64_t root)
{
	unsigned long long seed = m->recipe->seed, number = m->number, first = root;

	put(m, "Message-ID: <%llu.%llu.%llx@load.example.org>\r\n", number, seed,
	    (number + 1) * 0x9e3779b97f4a7c15u);
	if (root != m->number)
		put(m,
		    "In-Reply-To: <%llu.%llu.%llx@load.example.org>\r\n"
		    "References: <%llu.%llu.%llx@load.example.org>\r\n",
		    first, seed, (first + 1) * 0x9e3779b97f4a7c15u, first, seed,
		    (first + 1) * 0x9e3779b97f4a7c15u);
}

/* The first message of the thread; of every eight in a mailbox some are answers to the first. */
static uint64_t
thread_root(const struct maker *m)
{
	uint64_t place = m->number / m->recipe->stride, in_thread = place % THREAD;

	if (in_thread == 0 || in_thread > 4)
		return m->number;
	return m->number - in_thread * m->recipe->stride;
}

/* How it was made. */
static void
put_mark(struct maker *m, size_t size)
{
	reserve(m, HEADER_ROOM);
	put(m, MARK "%s.%llu.%llu.%zu.%zu.%zu\r\n", kinds_of_mail[m->recipe->kind],
	    (unsigned long long)m->recipe->seed, (unsigned long long)m->number,
	    m->recipe->size_mean, m->recipe->stride, size);
}

static void
put_header(struct maker *m)
{
	uint64_t root = thread_root(m);
	time_t when = (time_t)m->out->when;
	char date[64];
	struct tm tm;

	for (unsigned i = 0; i < 1 + (m->recipe->kind == MAIL_REAL) * 2; i++)
		put_received(m, when, i);
	if (m->recipe->kind == MAIL_REAL)
		put_signature(m, when);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&when, &tm));
	put_name(m, &m->rng, "From");
	put_name(m, &m->rng, "To");
	if (m->number % 3 == 0)
		put_name(m, &m->rng, "Cc");
	put_subject(m, root);
	put(m, "Date: %s\r\n", date);
	put_ids(m, root);
	put(m, "MIME-Version: 1.0\r\n");
}

/* --- parts --- */

static void
put_prose(struct maker *m, size_t len, enum prose_form form)
{
	reserve(m, len + HEADER_ROOM);
	put(m, "Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n",
	    form == PROSE_HTML ? "html" : "plain",
	    form == PROSE_TEXT ? "8bit" : "quoted-printable");
	if (form == PROSE_HTML)
		put(m,
		    "<html><head><meta http-equiv=3D\"Content-Type\" content=3D\"text/html; =\r\n"
		    "charset=3Dutf-8\"></head><body>=\r\n<p style=3D\"margin: 0 0 1em\">");
	m->at = words_prose(&m->rng, m->at, len, form);
	if (form == PROSE_HTML)
		put(m, "</p></body></html>\r\n");
}

static void
put_multipart(struct maker *m, const char *subtype, unsigned level)
{
	reserve(m, HEADER_ROOM);
	strcpy(m->boundary[level], "----=_Part_");
	*words_token(&m->rng, m->boundary[level] + 11, 20) = '\0';
	put(m, "Content-Type: multipart/%s;\r\n\tboundary=\"%s\"\r\n\r\n", subtype,
	    m->boundary[level]);
}

static void
put_boundary(struct maker *m, unsigned level, const char *end)
{
	reserve(m, HEADER_ROOM);
	put(m, "\r\n--%s%s\r\n", m->boundary[level], end);
}

static void
put_alternative(struct maker *m, size_t len, unsigned level)
{
	put_multipart(m, "alternative", level);
	put_boundary(m, level, "");
	put_prose(m, len, m->number % 2 == 0 ? PROSE_QP : PROSE_TEXT);
	put_boundary(m, level, "");
	put_prose(m, len * 2, PROSE_HTML);
	put_boundary(m, level, "--");
}

/* Like the beginning of a PDF, a JPEG and a DOCX; the rest is as good as random, as it is in these.
 */
static void
put_attachment(struct maker *m, size_t len)
{
	static const struct {
		const char *type, *name, *begin;
	} kinds[] = {
		{ "application/pdf", "pdf",
		    "JVBERi0xLjcKJeLjz9MKNSAwIG9iago8PC9GaWx0ZXIvRmxhdGVEZWNvZGUvTGVuZ3RoIDM2" },
		{ "image/jpeg", "jpg",
		    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgK" },
		{ "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx",
		    "UEsDBBQABgAIAAAAIQDfpNJsWgEAACAFAAATAAgCW0NvbnRlbnRfVHlwZXNdLnhtbCCiBAIo" },
	};
	unsigned k = rng_below(&m->rng, 3);
	char name[WORD_ROOM];

	*(words_pick(&m->rng, name, true) - 1) = '\0';
	reserve(m, words_base64_size(len) + HEADER_ROOM);
	put(m,
	    "Content-Type: %s;\r\n\tname=\"%s-%u.%s\"\r\nContent-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n\tfilename=\"%s-%u.%s\"\r\n\r\n%s\r\n",
	    kinds[k].type, name, (unsigned)m->number, kinds[k].name, name, (unsigned)m->number,
	    kinds[k].name, kinds[k].begin);
	m->at = words_base64(&m->rng, m->at, (len + 3) & ~(size_t)3);
}

static void
put_mixed(struct maker *m, size_t text, unsigned count, size_t each)
{
	put_multipart(m, "mixed", 0);
	put_boundary(m, 0, "");
	put_alternative(m, text, 1);
	for (unsigned i = 0; i < count; i++) {
		put_boundary(m, 0, "");
		put_attachment(
		    m, each != 0 ? each : rng_size(&m->rng, m->recipe->size_mean * 125 / 100, 1.1));
	}
	put_boundary(m, 0, "--");
}

static void
put_real(struct maker *m)
{
	size_t text = rng_size(&m->rng, m->recipe->size_mean / 10, 0.9);
	unsigned kind = rng_below(&m->rng, 20);

	if (kind < 4)
		put_mixed(m, text, kind == 0 ? 2 : 1, 0);
	else if (kind < 14)
		put_alternative(m, text, 0);
	else
		put_prose(m, text, kind % 2 == 0 ? PROSE_TEXT : PROSE_QP);
}

static void
put_file(struct maker *m)
{
	const struct mail *file = files_at(m->number);

	reserve(m, file->len);
	memcpy(m->at, file->bytes, file->len);
	m->at += file->len;
}

void
mail_make(const struct mail_recipe *recipe, uint64_t number, size_t size, struct mail *out)
{
	struct maker m = { .recipe = recipe, .number = number, .out = out, .at = out->bytes,
	                   .rng = rng_of(recipe->seed, number) };

	out->when = (int64_t)(FIRST_DATE + number / recipe->stride * 600 + rng_below(&m.rng, 600));
	out->number = number;
	put_mark(&m, size);
	if (recipe->kind != MAIL_FILES || size != 0)
		put_header(&m);
	if (size != 0)
		put_mixed(&m, 2000, LARGE_PARTS, size / LARGE_PARTS * 76 / 78);
	else if (recipe->kind == MAIL_FILES)
		put_file(&m);
	else if (recipe->kind == MAIL_REAL)
		put_real(&m);
	else
		put_prose(&m, rng_size(&m.rng, recipe->size_mean * 55 / 100, 0.9), PROSE_TEXT);
	out->len = (size_t)(m.at - out->bytes);
}

void
mail_verify(const char *bytes, size_t len, struct mail *spare)
{
	const char *mark = memmem(bytes, len < 8192 ? len : 8192, MARK, strlen(MARK)), *p;
	unsigned long long seed, number;
	struct mail_recipe r;
	size_t size, rest;
	char kind[8];

	if (mark == NULL)
		load_fail("a message is not of this generator");
	rest = len - (size_t)(mark - bytes);
	if (sscanf(mark + strlen(MARK), "%7[a-z].%llu.%llu.%zu.%zu.%zu", kind, &seed, &number,
		&r.size_mean, &r.stride, &size) != 6 ||
	    r.stride == 0)
		load_fail("a message's " MARK "is damaged");
	r.seed = seed;
	for (r.kind = MAIL_REAL; strcmp(kind, kinds_of_mail[r.kind]) != 0; r.kind++)
		if (r.kind == MAIL_FILES)
			load_fail("a message's " MARK "names no kind");
	mail_make(&r, number, size, spare);
	if (rest == spare->len && memcmp(mark, spare->bytes, rest) == 0)
		return;
	for (p = mark;
	     p < bytes + len && (size_t)(p - mark) < spare->len && *p == spare->bytes[p - mark];
	     p++)
		;
	load_fail("message %llu of seed %llu differs from octet %zu on: %zu octets, %zu were sent",
	    number, seed, (size_t)(p - mark), rest, spare->len);
}
