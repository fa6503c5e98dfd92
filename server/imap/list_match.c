/* list_match - see list_match.h. */
#include "server/imap/list_match.h"

#include <assert.h>

bool
list_pattern_make(struct slice reference, struct slice pattern, struct arena *a, struct slice *out)
{
	uint8_t *p;
	size_t n = 0;

	if (reference.len + pattern.len > LIST_PATTERN_MAX)
		return false;
	p = arena_alloc(a, reference.len + pattern.len + 1);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < reference.len + pattern.len; i++) {
		uint8_t ch = i < reference.len ? reference.ptr[i] : pattern.ptr[i - reference.len];

		if ((ch == '*' || ch == '%') && n > 0 && (p[n - 1] == '*' || p[n - 1] == '%')) {
			if (ch == '*')
				p[n - 1] = '*';         /* "%*" and "*%" match what "*" matches */
			continue;
		}
		p[n++] = ch;
	}
	*out = slice_of(p, n);
	return true;
}

/* How much of the name is compared without regard to case: "INBOX", if that is its first level. */
static size_t
inbox_prefix(struct slice name)
{
	return slice_starts(name, SLICE("INBOX")) && (name.len == 5 || name.ptr[5] == '/') ? 5 : 0;
}

/* Places in the pattern: at[p] says that the first p octets of it have matched what was read of
 * the name. `end` is one behind the last place that is set. */
struct places {
	bool   at[LIST_PATTERN_MAX + 1];
	size_t end;
};

/* A place before a wildcard is also one behind it, since it may match nothing. */
static void
place_set(struct places *s, struct slice pattern, size_t p)
{
	s->at[p] = true;
	if (p < pattern.len && (pattern.ptr[p] == '*' || pattern.ptr[p] == '%'))
		s->at[++p] = true;
	if (p + 1 > s->end)
		s->end = p + 1;
}

/* Read one octet of the name. */
static void
read_octet(const struct places *from, struct places *to, struct slice pattern, uint8_t ch,
	   bool nocase)
{
	to->end = 0;
	memset(to->at, 0, from->end + 1 <= sizeof to->at ? from->end + 1 : sizeof to->at);
	for (size_t p = 0; p < from->end && p < pattern.len; p++) {
		uint8_t want = pattern.ptr[p];

		if (!from->at[p])
			continue;
		if (want == '*' || (want == '%' && ch != '/'))
			place_set(to, pattern, p);
		else if (want != '%' &&
			 (want == ch || (nocase && ascii_lower(want) == ascii_lower(ch))))
			place_set(to, pattern, p + 1);
	}
}

bool
list_match(struct slice pattern, struct slice name)
{
	struct places sets[2];
	size_t nocase = inbox_prefix(name);
	unsigned now = 0;

	assert(pattern.len <= LIST_PATTERN_MAX);
	sets[0].end = 0;
	memset(sets[0].at, 0, sizeof sets[0].at);
	memset(sets[1].at, 0, sizeof sets[1].at);
	place_set(&sets[0], pattern, 0);
	for (size_t i = 0; i < name.len && sets[now].end > 0; i++) {
		read_octet(&sets[now], &sets[!now], pattern, name.ptr[i], i < nocase);
		now = !now;
	}
	return sets[now].end == pattern.len + 1;
}
