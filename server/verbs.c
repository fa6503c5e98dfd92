/* verbs - who, kick, block list, block clear. See verbs.h.
 *
 * What sessions are is copied out of the registry at once; names of accounts and mailboxes are
 * looked up afterwards, as that reads the index.
 */
#include "server/verbs.h"

#include <stdio.h>
#include <stdlib.h>

#include "index/admin_impl.h"
#include "lib/clock.h"
#include "lib/when.h"
#include "server/core.h"
#include "server/guard.h"
#include "server/registry.h"

/* ---- which sessions ---- */

struct selection {
	struct registry_filter filter;
	struct network         network;
};

static bool
parse_id(const char *text, uint64_t *id)
{
	uint64_t n = 0;
	size_t len = strlen(text);

	for (size_t i = 0; i < len && len <= 16; i++) {
		int digit = ascii_hex_value((uint8_t)text[i]);

		if (digit < 0)
			return false;
		n = n << 4 | (unsigned)digit;
	}
	*id = n;
	return len > 0 && len <= 16 && n != 0;
}

/* `id` may be NULL. ADMIN_OK: sel is filled, and its pointers lead into it.
 * Otherwise told already. */
static enum admin_exit
select_sessions(struct admin_call *c, const char *id, struct selection *sel)
{
	const char *peer = admin_option(c, "--peer");

	*sel = (struct selection){ .network.bits = 0 };
	if (peer != NULL && !network_parse(slice_str(peer), &sel->network)) {
		admin_complain(c, "not a network: %.100s (192.0.2.1, 192.0.2.0/24, 2001:db8::/32)",
		               peer);
		return ADMIN_USAGE;
	}
	if (peer != NULL)
		sel->filter.network = &sel->network;
	if (id != NULL && !parse_id(id, &sel->filter.id)) {
		admin_complain(c, "not the id of a session: %.40s", id);
		return ADMIN_USAGE;
	}
	if (c->argc > 0) {
		struct account_info account;
		enum admin_exit status = admin_find(c, c->args[0], &sel->filter.volume, &account);

		sel->filter.account = account.id;
		return status;
	}
	return ADMIN_OK;
}

/* ---- who ---- */

struct names {
	struct slice account, admin, mailbox;   /* empty: none, or it is gone */
};

static struct names
find_names(struct admin_call *c, const struct registry_row *row)
{
	struct names n = { SLICE_NONE, SLICE_NONE, SLICE_NONE };
	struct account_info account;
	struct mailbox_info box;
	struct err e = ERR_INIT;

	if (row->volume == NULL)
		return n;
	if (volume_get_account(row->volume, row->account, &c->arena, &account, &e) == RC_OK)
		n.account = account.name;
	if (row->admin_volume != NULL &&
	    volume_get_account(row->admin_volume, row->admin, &c->arena, &account, &e) == RC_OK)
		n.admin = account.name;
	if (row->mailbox != 0 &&
	    volume_get_mailbox(row->volume, row->mailbox, &c->arena, &box, &e) == RC_OK)
		n.mailbox = box.name;
	return n;
}

static const char *
or_none(const char *text)
{
	return text != NULL && text[0] != '\0' ? text : "-";
}

/* Names may hold anything but controls, so tabs part the columns. */
static bool
tell_line(struct admin_call *c, const struct registry_row *row, const struct names *n,
          const char *since)
{
	buf_printf(&c->line, "%llx\t%.*s\t%s\t%s\t%s\t%s\t", (unsigned long long)row->id,
	           SLICE_ARG(n->account.len > 0 ? n->account : SLICE("-")), row->protocol,
	           row->peer, since, or_none(row->activity));
	buf_printf(&c->line, "%.*s\t%llu\t%llu\t%s\t%s",
	           SLICE_ARG(n->mailbox.len > 0 ? n->mailbox : SLICE("-")),
	           (unsigned long long)row->bytes_in, (unsigned long long)row->bytes_out,
	           or_none(row->tls), or_none(row->mechanism));
	return admin_send(c);
}

static bool
tell_json(struct admin_call *c, const struct registry_row *row, const struct names *n,
          const char *since)
{
	char id[17];
	struct json j;

	snprintf(id, sizeof id, "%llx", (unsigned long long)row->id);
	json_init(&j, &c->line);
	json_object(&j, NULL);
	json_cstr(&j, "session", id);
	if (row->volume != NULL) {
		json_str(&j, "account", n->account);
		json_cstr(&j, "volume", volume_name(row->volume));
		json_cstr(&j, "mechanism", row->mechanism);
	}
	if (n->admin.len > 0)
		json_str(&j, "admin", n->admin);
	json_cstr(&j, "protocol", row->protocol);
	json_cstr(&j, "peer", row->peer);
	json_cstr(&j, "since", since);
	if (row->activity != NULL)
		json_cstr(&j, "command", row->activity);
	if (n->mailbox.len > 0)
		json_str(&j, "mailbox", n->mailbox);
	json_u64(&j, "bytes_in", row->bytes_in);
	json_u64(&j, "bytes_out", row->bytes_out);
	if (row->tls != NULL)
		json_cstr(&j, "tls", row->tls);
	json_end(&j);
	return admin_send(c);
}

static bool
tell_row(struct admin_call *c, const struct registry_row *row)
{
	struct names n = find_names(c, row);
	char since[WHEN_TEXT_MAX];
	bool more;

	if (c->json)
		when_format_utc(row->began_us, since);
	else
		when_format(row->began_us, since);
	more = c->json ? tell_json(c, row, &n, since) : tell_line(c, row, &n, since);
	arena_reset(&c->arena);
	return more;
}

static enum admin_exit
verb_who(void *arg, struct admin_call *c)
{
	struct registry *r = server_registry(arg);
	struct registry_row *rows;
	struct selection sel;
	struct err e = ERR_INIT;
	enum admin_exit status = select_sessions(c, NULL, &sel);
	size_t count;

	if (status != ADMIN_OK)
		return status;
	if (registry_list(r, &sel.filter, &rows, &count, &e) != RC_OK)
		return admin_fail(c, &e);
	for (size_t i = 0; i < count; i++)
		if ((rows[i].volume != NULL || admin_flag(c, "--all")) && !tell_row(c, &rows[i]))
			break;
	free(rows);
	return ADMIN_OK;
}

/* ---- kick ---- */

static enum admin_exit
verb_kick(void *arg, struct admin_call *c)
{
	struct selection sel;
	enum admin_exit status = select_sessions(c, admin_option(c, "--session"), &sel);
	struct json j;
	size_t n;

	if (status != ADMIN_OK)
		return status;
	if (c->argc == 0 && sel.filter.id == 0 && sel.filter.network == NULL) {
		admin_complain(c, "whose sessions? An account, --session or --peer must be given");
		return ADMIN_USAGE;
	}
	n = registry_end(server_registry(arg), &sel.filter, END_KICKED);
	if (n == 0 && sel.filter.id != 0) {
		admin_complain(c, "there is no such session");
		return ADMIN_FAILED;
	}
	if (!c->json) {
		admin_printf(c, "%zu session%s ended", n, n == 1 ? "" : "s");
		return ADMIN_OK;
	}
	json_init(&j, &c->line);
	json_object(&j, NULL);
	json_u64(&j, "ended", n);
	json_end(&j);
	(void)admin_send(c);
	return ADMIN_OK;
}

/* ---- block ---- */

static uint64_t
mono_s(void)
{
	return clock_mono_ms() / 1000u;
}

static bool
tell_block(struct admin_call *c, const struct guard_block *b)
{
	uint64_t until_us = clock_wall_us() + (b->until_s - mono_s()) * 1000000u;
	char network[NETWORK_TEXT_MAX], until[WHEN_TEXT_MAX];
	struct json j;

	network_format(&b->network, network);
	if (!c->json) {
		when_format(until_us, until);
		return admin_printf(c, "%s\t%s\t%s", b->name[0] != '\0' ? b->name : "-", network,
		                    until);
	}
	when_format_utc(until_us, until);
	json_init(&j, &c->line);
	json_object(&j, NULL);
	if (b->name[0] != '\0')
		json_cstr(&j, "account", b->name);
	json_cstr(&j, "network", network);
	json_cstr(&j, "until", until);
	json_end(&j);
	return admin_send(c);
}

static enum admin_exit
verb_block_list(void *arg, struct admin_call *c)
{
	struct guard_block *blocks;
	struct err e = ERR_INIT;
	size_t n;

	if (guard_list(server_guard(arg), mono_s(), &blocks, &n, &e) != RC_OK)
		return admin_fail(c, &e);
	for (size_t i = 0; i < n && tell_block(c, &blocks[i]); i++)
		;
	free(blocks);
	return ADMIN_OK;
}

/* Meant as an address, but none: a mistake that would go unseen. */
static bool
is_bad_network(struct slice text)
{
	bool number = text.len > 0;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t b = text.ptr[i];

		if (b == ':' || b == '/')
			return true;
		number = number && (b == '.' || (b >= '0' && b <= '9'));
	}
	return number;
}

/* Who is kept out may be no account of ours: names are taken as they are, folded as ours
 * if there is one. */
static enum admin_exit
verb_block_clear(void *arg, struct admin_call *c)
{
	struct slice name = c->argc > 0 ? slice_str(c->args[0]) : SLICE_NONE;
	struct account_info account;
	struct network network;
	struct err e = ERR_INIT;
	struct volume *v;
	bool is_network = c->argc > 0 && network_parse(name, &network), known;
	struct json j;
	size_t n;

	known = c->argc > 0 && !is_network &&
	        admin_look_up(c, c->args[0], &v, &account, &e) == RC_OK;
	if (known)
		name = account.name;
	n = guard_clear(server_guard(arg), is_network ? SLICE_NONE : name,
	                is_network ? &network : NULL, mono_s());
	if (n == 0 && !is_network && !known && is_bad_network(name)) {
		admin_complain(c, "%.*s is no network, and nobody of that name is blocked",
		               SLICE_ARG(name));
		return ADMIN_FAILED;
	}
	if (!c->json) {
		admin_printf(c, "%zu block%s cleared", n, n == 1 ? "" : "s");
		return ADMIN_OK;
	}
	json_init(&j, &c->line);
	json_object(&j, NULL);
	json_u64(&j, "cleared", n);
	json_end(&j);
	(void)admin_send(c);
	return ADMIN_OK;
}

struct admin_live
verbs_live(struct server *srv)
{
	return (struct admin_live){ .arg = srv, .who = verb_who, .kick = verb_kick,
	                            .block_list = verb_block_list,
	                            .block_clear = verb_block_clear };
}
