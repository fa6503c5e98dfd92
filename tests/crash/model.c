/* model - see model.h. */
#include "tests/crash/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG_LEN     (1200u << 10)        /* stored in more than BLOB_INLINE_MAX bytes */
#define BINARY_FROM (150u << 10)
#define MIDDLE_LEN  (60u << 10)

const char *const model_keywords[KEYWORDS] = { "", "red", "$Forwarded" };
const int64_t model_date = 1700000000;

static struct buf mails[MAILS];

/* Text that deflate makes a little smaller and, behind `binary`, bytes that it cannot: they are
 * stored as they are, so that reading a large mail again and again, which is most of what a trial
 * does, costs no inflating. */
static void
add_noise(struct buf *b, size_t len, size_t binary)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < len; i++) {
		char c;

		x = x * 1664525u + 1013904223u;
		if (i >= binary)
			c = (x >> 16 & 0xFF) == '\r' || (x >> 16 & 0xFF) == '\n' ? '-'
			                                                         : (char)(x >> 16);
		else if (i % 76 >= 74)
			c = i % 76 == 74 ? '\r' : '\n';
		else
			c = (char)(33 + (x >> 16) % 94);
		if (!buf_append(b, &c, 1))
			abort();
	}
}

void
model_init_mails(void)
{
	for (unsigned i = 0; i < MAILS; i++) {
		char text[512];

		buf_init(&mails[i], MODEL_MAIL_MAX);
		(void)snprintf(text, sizeof text,
		    "From: Anna <anna@example.org>\r\nTo: ben@example.org\r\nSubject: Letter %u\r\n"
		    "Message-ID: <%u@example.org>\r\n\r\nThis is letter %u.\r\n",
		    i, i, i);
		if (!buf_append_str(&mails[i], text))
			abort();
		if (i >= MAIL_SMALL)
			add_noise(&mails[i], i == MAIL_BIG ? BIG_LEN : MIDDLE_LEN, BINARY_FROM);
	}
}

struct slice
model_mail(unsigned mail)
{
	return buf_slice(&mails[mail]);
}

struct model_account *
model_account(struct model *m, const char *name)
{
	for (unsigned i = 0; i < m->count; i++)
		if (strcmp(m->accounts[i].name, name) == 0)
			return &m->accounts[i];
	return NULL;
}

struct model_box *
model_find_box(struct model_account *a, const char *name)
{
	for (unsigned i = 0; a != NULL && i < a->box_count; i++)
		if (strcmp(a->boxes[i].name, name) == 0)
			return &a->boxes[i];
	return NULL;
}

struct model_box *
model_box(struct model *m, const char *account, const char *name)
{
	return model_find_box(model_account(m, account), name);
}
