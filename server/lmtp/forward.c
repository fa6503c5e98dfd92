/* forward - the attributes of XCLIENT and XFORWARD. See forward.h. */
#include "server/lmtp/forward.h"

#include "lib/network.h"
#include "server/lmtp/xtext.h"

#define ARENA_MAX 65536u        /* octets; a session that sends more than that is refused the rest
                                 * until it begins anew */

static const struct attribute {
	struct slice           name;
	enum forward_attribute at;
	bool                   xclient, xforward;
} attributes[] = {
	{ SLICE_INIT("NAME"), FORWARD_NAME, true, true },
	{ SLICE_INIT("ADDR"), FORWARD_ADDR, true, true },
	{ SLICE_INIT("PORT"), FORWARD_PORT, true, true },
	{ SLICE_INIT("PROTO"), FORWARD_PROTO, true, true },
	{ SLICE_INIT("HELO"), FORWARD_HELO, true, true },
	{ SLICE_INIT("IDENT"), FORWARD_IDENT, false, true },
	{ SLICE_INIT("SOURCE"), FORWARD_SOURCE, false, true },
	{ SLICE_INIT("LOGIN"), FORWARD_LOGIN, true, false },
	{ SLICE_INIT("DESTADDR"), FORWARD_DESTADDR, true, false },
	{ SLICE_INIT("DESTPORT"), FORWARD_DESTPORT, true, false },
};

void
forward_init(struct forward *f)
{
	*f = (struct forward){ .value = { SLICE_NONE } };
	arena_init(&f->arena, ARENA_MAX);
}

void
forward_reset(struct forward *f)
{
	arena_reset(&f->arena);
	for (size_t i = 0; i < FORWARD_COUNT; i++)
		f->value[i] = SLICE_NONE;
}

void
forward_fini(struct forward *f)
{
	arena_fini(&f->arena);
	for (size_t i = 0; i < FORWARD_COUNT; i++)
		f->value[i] = SLICE_NONE;
}

static bool
is_printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 32 || s.ptr[i] > 126)
			return false;
	return s.len <= FORWARD_VALUE_MAX;
}

/* An address, "IPV6:" before those of IPv6 (which some leave out). */
static bool
read_address(struct slice *value)
{
	struct network n;

	if (slice_starts_nocase(*value, SLICE("IPV6:")))
		*value = slice_sub(*value, 5, value->len);
	return slice_find_byte(*value, '/') == value->len && network_parse(*value, &n);
}

static bool
read_value(struct forward *f, enum forward_attribute at, struct slice text, struct slice *out)
{
	uint64_t port;

	*out = SLICE_NONE;
	if (slice_eq_nocase(text, SLICE("[UNAVAILABLE]")) ||
	    slice_eq_nocase(text, SLICE("[TEMPUNAVAIL]")))
		return true;
	if (!xtext_decode(text, &f->arena, out) || !is_printable(*out) || out->len == 0)
		return false;
	if (at == FORWARD_ADDR || at == FORWARD_DESTADDR)
		return read_address(out);
	if (at == FORWARD_PORT || at == FORWARD_DESTPORT)
		return slice_to_u64(*out, 65535, &port);
	return true;
}

static const struct attribute *
find_attribute(struct slice name, bool xclient)
{
	for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
		const struct attribute *a = &attributes[i];

		if ((xclient ? a->xclient : a->xforward) && slice_eq_nocase(a->name, name))
			return a;
	}
	return NULL;
}

bool
forward_parse(struct forward *f, struct slice args, bool xclient)
{
	struct slice value[FORWARD_COUNT];

	memcpy(value, f->value, sizeof value);
	if (args.len == 0)
		return false;
	while (args.len > 0) {
		size_t space = slice_find_byte(args, ' ');
		struct slice word = slice_sub(args, 0, space);
		size_t equals = slice_find_byte(word, '=');
		const struct attribute *a = find_attribute(slice_sub(word, 0, equals), xclient);

		if (a == NULL || equals == word.len ||
		    !read_value(f, a->at, slice_sub(word, equals + 1, word.len), &value[a->at]))
			return false;
		args = slice_sub(args, space + 1, args.len);
	}
	memcpy(f->value, value, sizeof value);
	return true;
}
