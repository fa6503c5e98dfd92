/* mime_section - what the part numbers of a section name [RFC 9051 s6.4.5.1], over the part
 * table. See mime.h. */
#include "lib/mime.h"

static bool
is_root(const struct mime_part *p)
{
	return (p->flags & MIME_PART_ROOT) != 0;
}

/* The part of that number below container i, or UINT32_MAX. */
static uint32_t
child_of(const struct mime_summary *s, uint32_t i, uint32_t number)
{
	for (uint32_t c = i + 1; c < s->parts[i].next && c < s->nparts; c = s->parts[c].next)
		if (s->parts[c].number == number && !is_root(&s->parts[c]))
			return c;
	return UINT32_MAX;
}

/* The root of the message within part i, or UINT32_MAX. */
static uint32_t
embedded_root(const struct mime_summary *s, uint32_t i)
{
	if (s->parts[i].kind != MIME_MESSAGE || i + 1 >= s->parts[i].next ||
	    !is_root(&s->parts[i + 1]))
		return UINT32_MAX;
	return i + 1;
}

/* Part `number` of the message whose root is i: of a message that is not multipart only part 1
 * exists, its body. */
static uint32_t
part_of_message(const struct mime_summary *s, uint32_t root, uint32_t number)
{
	if (s->parts[root].kind == MIME_MULTIPART)
		return child_of(s, root, number);
	return number == 1 ? root : UINT32_MAX;
}

/* section-part = nz-number *("." nz-number); a multipart's parts, or those of the message
 * within a part. */
static uint32_t
find_part(const struct mime_summary *s, const uint32_t *path, size_t n)
{
	uint32_t at = part_of_message(s, 0, path[0]);

	for (size_t i = 1; i < n && at != UINT32_MAX; i++) {
		uint32_t root;

		if (s->parts[at].kind == MIME_MULTIPART) {
			at = child_of(s, at, path[i]);
			continue;
		}
		root = embedded_root(s, at);
		at = root != UINT32_MAX ? part_of_message(s, root, path[i]) : UINT32_MAX;
	}
	return at;
}

static bool
give(struct mime_range *out, uint64_t off, uint64_t len, const struct mime_part *part)
{
	*out = (struct mime_range){ off, len, part };
	return true;
}

/* HEADER and TEXT of the message whose root is p, MIME and body of a part. */
static bool
give_header(struct mime_range *out, const struct mime_part *p)
{
	return give(out, p->header_off, p->header_len, p);
}

static bool
give_body(struct mime_range *out, const struct mime_part *p)
{
	return give(out, p->body_off, p->body_len, p);
}

static bool
section_of_message(const struct mime_summary *s, uint32_t root, enum mime_section what,
                   struct mime_range *out)
{
	switch (what) {
	case MIME_SECTION_HEADER:
		return give_header(out, &s->parts[root]);
	case MIME_SECTION_TEXT:
		return give_body(out, &s->parts[root]);
	case MIME_SECTION_ALL:
	case MIME_SECTION_MIME:
		return false;
	}
	return false;
}

bool
mime_find_section(const struct mime_summary *s, const uint32_t *path, size_t n,
                  enum mime_section what, struct mime_range *out)
{
	uint32_t at, root;

	if (n == 0) {
		if (what == MIME_SECTION_ALL)
			return give(out, 0, s->size, NULL);
		return section_of_message(s, 0, what, out);
	}
	at = find_part(s, path, n);
	if (at == UINT32_MAX)
		return false;
	if (what == MIME_SECTION_ALL)
		return give_body(out, &s->parts[at]);
	if (what == MIME_SECTION_MIME)
		return give_header(out, &s->parts[at]);
	root = embedded_root(s, at);
	return root != UINT32_MAX && section_of_message(s, root, what, out);
}
