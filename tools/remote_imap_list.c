/* remote_imap_list - which mailboxes there are, and what they are called here. See remote_imap.h.
 *
 * A name is taken over as UTF-8 with "/" between its levels. The prefix of the personal namespace
 * ("INBOX." of many servers) is no part of it; other users' and shared namespaces are not read. A
 * "/" or a control character within a level becomes "_", and of two mailboxes that would get one
 * name the later gets a number.
 */
#include "tools/remote_imap.h"

#include "lib/mutf7.h"
#include "lib/siphash.h"
#include "lib/text.h"

#define NAME_MAX_WIRE 8192u

/* ---- names ---- */

/* The wire's form as UTF-8. Names that break their encoding's rules stand for themselves. */
static struct slice
decode_name(struct imap *i, struct slice wire)
{
	struct slice out;
	struct buf b;

	buf_init(&b, NAME_MAX_WIRE);
	if (i->utf8 || mutf7_decode(wire, &b) != MUTF7_OK) {
		buf_reset(&b);
		(void)text_utf8_repair(wire, &b);
	}
	out = arena_dup(&i->arena, buf_slice(&b));
	buf_fini(&b);
	return out;
}

/* Is it INBOX, as servers write it? [RFC 9051 s5.1] */
static bool
is_inbox(struct slice name)
{
	return slice_eq_nocase(name, SLICE("INBOX"));
}

/* The namespace that the name lies in, NULL: none of these. */
static const struct remote_namespace *
find_namespace(const struct remote_namespace *all, size_t count, struct slice wire)
{
	for (size_t n = 0; n < count; n++) {
		if (all[n].prefix.len > 0 && slice_starts_nocase(wire, all[n].prefix))
			return &all[n];
	}
	return NULL;
}

/* "Shared" is of the namespace "Shared/", too. */
static bool
is_foreign(const struct imap *i, struct slice wire, char separator)
{
	for (size_t n = 0; n < i->other_count; n++) {
		struct slice prefix = i->other[n].prefix;

		if (prefix.len == 0)
			continue;
		if (slice_starts(wire, prefix))
			return true;
		if (separator != '\0' && prefix.ptr[prefix.len - 1] == (uint8_t)separator &&
		    slice_eq(wire, slice_sub(prefix, 0, prefix.len - 1)))
			return true;
	}
	return false;
}

static struct slice
without_prefix(const struct imap *i, struct slice wire)
{
	const struct remote_namespace *ns = find_namespace(i->personal, i->personal_count, wire);
	struct slice rest;

	if (ns == NULL)
		return wire;
	rest = slice_sub(wire, ns->prefix.len, wire.len);
	return rest.len == 0 || is_inbox(rest) ? wire : rest;   /* INBOX.INBOX is not INBOX */
}

static struct slice
local_name(struct imap *i, struct slice wire, char separator)
{
	struct slice name = decode_name(i, without_prefix(i, wire));
	uint8_t *p = (uint8_t *)(uintptr_t)name.ptr;     /* the arena's, so ours */

	if (p == NULL || is_inbox(name))
		return p == NULL ? name : SLICE("INBOX");
	for (size_t n = 0; n < name.len; n++) {
		if (p[n] == (uint8_t)separator && separator != '\0')
			p[n] = '/';
		else if (p[n] < 0x20 || p[n] == 0x7f || p[n] == '/')
			p[n] = '_';
	}
	return name;
}

static size_t
hash(struct slice name)
{
	static const uint8_t key[16] = "mailbox names";

	return (size_t)(siphash(key, name.ptr, name.len) % IMAP_HASHES);
}

static struct imap_box *
find_wire(const struct imap *i, struct slice wire)
{
	struct imap_box *b = i->by_wire[hash(wire)];

	while (b != NULL && !slice_eq(b->wire, wire))
		b = b->same_wire;
	return b;
}

static struct imap_box *
find_name(const struct imap *i, struct slice name)
{
	struct imap_box *b = i->by_name[hash(name)];

	while (b != NULL && !slice_eq(b->name, name))
		b = b->same_name;
	return b;
}

/* The name, or with a number behind it if there is one like it already. NULL:
 * there are too many. */
static struct slice
free_name(struct imap *i, struct slice name)
{
	struct slice free = name;

	for (unsigned n = 2; free.ptr != NULL && find_name(i, free) != NULL; n++)
		free = n > IMAP_SAME_MAX ? SLICE_NONE :
		    arena_printf(&i->arena, "%.*s (%u)", SLICE_ARG(name), n);
	return free;
}

/* ---- what the server lists ---- */

static const struct {
	struct slice     name;
	enum special_use use;
} uses[] = {
	{ SLICE_INIT("\\All"), USE_ALL },         { SLICE_INIT("\\Archive"), USE_ARCHIVE },
	{ SLICE_INIT("\\Drafts"), USE_DRAFTS },   { SLICE_INIT("\\Flagged"), USE_FLAGGED },
	{ SLICE_INIT("\\Junk"), USE_JUNK },       { SLICE_INIT("\\Sent"), USE_SENT },
	{ SLICE_INIT("\\Trash"), USE_TRASH },     { SLICE_INIT("\\Important"), USE_IMPORTANT },
	{ SLICE_INIT("\\Snoozed"), USE_SNOOZED }, { SLICE_INIT("\\Scheduled"), USE_SCHEDULED },
	{ SLICE_INIT("\\Memos"), USE_MEMOS },
};

static uint32_t
special_uses(struct slice attributes)
{
	uint32_t found = 0;

	for (size_t n = 0; n < sizeof uses / sizeof uses[0]; n++) {
		if (remote_words_have(attributes, uses[n].name))
			found |= uses[n].use;
	}
	return found;
}

/* INBOX is the first; the others follow as they are listed. */
static void
link_box(struct imap *i, struct imap_box *box)
{
	struct imap_box **at = is_inbox(box->name) || i->last_box == NULL ? &i->boxes : i->last_box;
	size_t wire = hash(box->wire), name = hash(box->name);

	box->next = *at;
	*at = box;
	if (box->next == NULL)
		i->last_box = &box->next;
	box->same_wire = i->by_wire[wire];
	i->by_wire[wire] = box;
	box->same_name = i->by_name[name];
	i->by_name[name] = box;
}

static enum rc
add_box(struct imap *i, const struct remote_response *r, bool exists, struct err *e)
{
	struct imap_box *box = arena_zalloc(&i->arena, sizeof *box);

	if (box == NULL || ++i->box_count > IMAP_BOXES_MAX)
		return err_set(e, RC_LIMIT, "the server has too many mailboxes");
	box->wire = arena_dup(&i->arena, r->list.name);
	box->text = decode_name(i, r->list.name);
	box->name = free_name(i, local_name(i, r->list.name, r->list.separator));
	if (box->wire.ptr == NULL || box->text.ptr == NULL || box->name.ptr == NULL)
		return err_set(e, RC_LIMIT, "the server has too many mailboxes");
	box->special_use = special_uses(r->list.attributes);
	box->exists = exists;
	box->subscribed = !exists;
	link_box(i, box);
	return RC_OK;
}

static bool
cannot_be_read(struct slice attributes)
{
	return remote_words_have(attributes, SLICE("\\Noselect")) ||
	    remote_words_have(attributes, SLICE("\\NonExistent"));
}

static enum rc
take_listed(struct imap *i, const struct remote_response *r, void *arg, struct err *e)
{
	(void)arg;
	if (r->kind != RESPONSE_LIST || r->list.lsub || cannot_be_read(r->list.attributes) ||
	    is_foreign(i, r->list.name, r->list.separator) || find_wire(i, r->list.name) != NULL)
		return RC_OK;
	return add_box(i, r, true, e);
}

static enum rc
take_subscribed(struct imap *i, const struct remote_response *r, void *arg, struct err *e)
{
	struct imap_box *box;

	(void)arg;
	if (r->kind != RESPONSE_LIST || is_foreign(i, r->list.name, r->list.separator))
		return RC_OK;
	/* LSUB shows parents of what is subscribed, too [RFC 3501 s6.3.9]. */
	if (r->list.lsub && remote_words_have(r->list.attributes, SLICE("\\Noselect")))
		return RC_OK;
	box = is_inbox(r->list.name) ? find_name(i, SLICE("INBOX")) : find_wire(i, r->list.name);
	if (box == NULL)
		return add_box(i, r, false, e);
	box->subscribed = true;
	return RC_OK;
}

static bool
copy_namespaces(struct imap *i, const struct remote_namespace *from, size_t count,
                struct remote_namespace *to)
{
	for (size_t n = 0; n < count; n++) {
		to[n] = from[n];
		to[n].prefix = arena_dup(&i->arena, from[n].prefix);
		if (to[n].prefix.ptr == NULL)
			return false;
	}
	return true;
}

static enum rc
take_namespaces(struct imap *i, const struct remote_response *r, void *arg, struct err *e)
{
	(void)arg;
	if (r->kind != RESPONSE_NAMESPACE)
		return RC_OK;
	i->personal_count = r->namespaces.personal_count;
	i->other_count = r->namespaces.other_count;
	return copy_namespaces(i, r->namespaces.personal, i->personal_count, i->personal) &&
	               copy_namespaces(i, r->namespaces.other, i->other_count, i->other)
	           ? RC_OK
	           : err_nomem(e);
}

/* A command of which NO or BAD is no more than a pity. */
static enum rc
run_optional(struct imap *i, const char *command, imap_take take, struct err *e)
{
	imap_begin(i, command);
	if (imap_run(i, take, NULL, e) == RC_OK ||
	    (!i->broken && (e->code == RC_DENIED || e->code == RC_SYNTAX)))
		return RC_OK;
	return e->code;
}

/* ---- which are asked for ---- */

/* The URL's name may be written as here or as there. */
static bool
is_wanted(const struct imap *i, const struct imap_box *box)
{
	struct slice url = slice_str(i->remote->url.mailbox),
	             option = slice_str(i->options->mailbox);

	if (url.len > 0)
		return slice_eq(url, box->name) || slice_eq(url, box->text) ||
		       (is_inbox(url) && is_inbox(box->name));
	return option.len == 0 || slice_eq(option, box->name) ||
	       (is_inbox(option) && is_inbox(box->name));
}

static enum rc
keep_wanted(struct imap *i, struct err *e)
{
	struct imap_box **at = &i->boxes;
	const char *name = i->remote->url.mailbox[0] != '\0' ? i->remote->url.mailbox
	                                                     : i->options->mailbox;
	bool any = false;

	if (name == NULL || name[0] == '\0')
		return RC_OK;
	while (*at != NULL) {
		if (!is_wanted(i, *at) || !(*at)->exists) {
			*at = (*at)->next;
			continue;
		}
		any = true;
		at = &(*at)->next;
	}
	if (!any)
		return err_set(e, RC_NOT_FOUND, "the server has no mailbox %s", name);
	if (i->remote->url.mailbox[0] != '\0' && i->options->mailbox != NULL)
		i->boxes->name = slice_str(i->options->mailbox);
	return RC_OK;
}

enum rc
imap_list(struct imap *i, struct err *e)
{
	bool extended = i->can.list_extended;

	if (i->can.namespace && run_optional(i, "NAMESPACE", take_namespaces, e) != RC_OK)
		return e->code;
	imap_begin(i, extended && i->can.special_use ? "LIST \"\" \"*\" RETURN (SPECIAL-USE)"
	                                             : "LIST \"\" \"*\"");
	if (imap_run(i, take_listed, NULL, e) != RC_OK)
		return err_add(e, "listing the mailboxes");
	if (run_optional(i, extended ? "LIST (SUBSCRIBED) \"\" \"*\"" : "LSUB \"\" \"*\"",
	        take_subscribed, e) != RC_OK ||
	    keep_wanted(i, e) != RC_OK)
		return e->code;
	i->next_box = i->boxes;
	return RC_OK;
}
