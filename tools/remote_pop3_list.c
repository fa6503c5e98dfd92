/* remote_pop3_list - which messages a maildrop holds. [RFC 1939 s5 LIST, s7 UIDL] See
 * remote_pop3_impl.h. */
#include "tools/remote_pop3_impl.h"

#include "tools/remote_login.h"

#include <stdlib.h>

#define UIDL_TAKEN  250u                /* 70 by RFC 1939 s7; some servers send longer ones */
#define UIDLS_MAX   (512u << 20)        /* bytes of the list */

/* "17 text" */
static bool
split_line(struct slice line, uint32_t *number, struct slice *text)
{
	size_t end = slice_find_byte(line, ' ');
	uint64_t n;

	if (!slice_to_u64(slice_sub(line, 0, end), UINT32_MAX, &n) || n == 0)
		return false;
	*number = (uint32_t)n;
	*text = slice_trim(slice_sub(line, end, line.len));
	return true;
}

static enum rc
add_drop(struct buf *list, uint32_t number, struct slice text, struct err *e)
{
	struct drop drop = { .number = number };
	size_t count = list->len / sizeof drop;

	/* A scan listing may say more than the size [RFC 1939 s5]. */
	if (!slice_to_u64(slice_sub(text, 0, slice_find_byte(text, ' ')), INT64_MAX, &drop.size))
		drop.size = 0;
	if (count > 0 && ((const struct drop *)(const void *)list->ptr)[count - 1].number >= number)
		return err_set(e, RC_SYNTAX, "the server's list of messages is not in order");
	return buf_append(list, &drop, sizeof drop)
	           ? RC_OK
	           : err_set(e, RC_LIMIT, "the server has too many messages");
}

static struct drop *
find_number(struct drop *drops, size_t count, uint32_t number)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (drops[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && drops[low].number == number ? &drops[low] : NULL;
}

static bool
is_uidl(struct slice s)
{
	for (size_t n = 0; n < s.len; n++) {
		if (s.ptr[n] < 0x21 || s.ptr[n] > 0x7e)
			return false;
	}
	return s.len > 0 && s.len <= UIDL_TAKEN;
}

/* LIST or UIDL, each line to `take`. */
static enum rc
read_list(struct pop3 *p, const char *command, struct buf *list, struct arena *texts, struct err *e)
{
	unsigned lines = 0;
	bool more = true;

	if (pop3_say(p, command, SLICE_NONE, e) != RC_OK || pop3_status(p, e) != RC_OK)
		return e->code;
	while (more) {
		struct slice line, text;
		struct drop *drop;
		uint32_t number;

		if (pop3_list_line(p, &line, &more, e) != RC_OK)
			return e->code;
		if (!more)
			break;
		if (++lines > POP3_MESSAGES_MAX)
			return err_set(e, RC_LIMIT, "the server has too many messages");
		if (!split_line(line, &number, &text))
			return err_set(e, RC_SYNTAX,
			               "the server's list of messages cannot be understood");
		if (texts == NULL && add_drop(list, number, text, e) != RC_OK)
			return e->code;
		drop = find_number((void *)list->ptr, list->len / sizeof *drop, number);
		if (texts == NULL || drop == NULL || !is_uidl(text))
			continue;
		drop->uidl = arena_dup(texts, text);
		if (drop->uidl.ptr == NULL)
			return err_nomem(e);
	}
	return RC_OK;
}

/* The present session's messages. A server without UIDL is one whose messages have none. */
static enum rc
read_lists(struct pop3 *p, struct buf *list, struct arena *texts, struct err *e)
{
	buf_init(list, POP3_MESSAGES_MAX * sizeof(struct drop));
	if (read_list(p, "LIST", list, NULL, e) != RC_OK)
		return e->code;
	if (read_list(p, "UIDL", list, texts, e) != RC_OK && (p->broken || e->code != RC_DENIED))
		return e->code;
	return RC_OK;
}

enum rc
pop3_list(struct pop3 *p, struct err *e)
{
	struct buf list;
	enum rc rc = read_lists(p, &list, &p->arena, e);

	p->count = rc == RC_OK ? list.len / sizeof *p->drops : 0;
	p->drops = arena_array(&p->arena, p->count > 0 ? p->count : 1, sizeof *p->drops);
	if (rc == RC_OK && p->drops == NULL)
		rc = err_nomem(e);
	if (rc == RC_OK && list.len > 0)
		memcpy(p->drops, list.ptr, list.len);
	buf_fini(&list);
	if (rc != RC_OK && e->code != RC_NOMEM)
		(void)err_add(e, "%s", p->server);
	return rc;
}

static int
by_uidl(const void *a, const void *b)
{
	return slice_cmp(((const struct drop *)a)->uidl, ((const struct drop *)b)->uidl);
}

/* The numbers of a new session. */
static void
renumber(struct pop3 *p, struct buf *list)
{
	struct drop *now = (void *)list->ptr;
	size_t count = list->len / sizeof *now;

	if (count > 0)
		qsort(now, count, sizeof *now, by_uidl);
	for (size_t n = 0; n < p->count; n++) {
		const struct drop *found = p->drops[n].uidl.len == 0 || count == 0 ? NULL :
		    bsearch(&p->drops[n], now, count, sizeof *now, by_uidl);

		p->drops[n].number = found != NULL ? found->number : 0;
	}
}

enum rc
pop3_list_again(struct pop3 *p, struct err *e)
{
	struct arena texts;
	struct buf list;
	enum rc rc;

	arena_init(&texts, UIDLS_MAX);
	rc = read_lists(p, &list, &texts, e);
	if (rc == RC_OK)
		renumber(p, &list);
	buf_fini(&list);
	arena_fini(&texts);
	return rc;
}
