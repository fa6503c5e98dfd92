/* fetch_needs - what must be read for the items of a FETCH, known before its first message. */
#include "server/imap/fetch.h"

#include <assert.h>

bool
fetch_is_section(const struct fetch_item *it)
{
	return it->kind == FETCH_SECTION || it->kind == FETCH_BINARY || it->kind == FETCH_BINARY_SIZE;
}

bool
fetch_reads_log(const struct fetch_item *it)
{
	return fetch_is_section(it) || it->kind == FETCH_PREVIEW;
}

static enum fetch_source
source_of(enum fetch_kind kind)
{
	switch (kind) {
	case FETCH_UID:
	case FETCH_FLAGS:
	case FETCH_INTERNALDATE:
	case FETCH_RFC822_SIZE:
	case FETCH_MODSEQ:
	case FETCH_SAVEDATE:
		return FETCH_OF_COLUMNS;
	case FETCH_ENVELOPE:
	case FETCH_BODY:
	case FETCH_BODYSTRUCTURE:
		return FETCH_OF_SUMMARY;
	case FETCH_SECTION:
	case FETCH_BINARY:
	case FETCH_BINARY_SIZE:
	case FETCH_EMAILID:
	case FETCH_THREADID:
	case FETCH_PREVIEW:
		return FETCH_OF_REST;
	}
	assert(false && "unknown item");
	return FETCH_OF_REST;
}

void
fetch_note_needs(struct fetch_request *r)
{
	r->only_flags = true;
	for (size_t i = 0; i < r->count; i++) {
		enum fetch_kind kind = r->items[i].kind;
		enum fetch_source source = source_of(kind);

		r->reads_log = r->reads_log || fetch_reads_log(&r->items[i]);
		if (kind != FETCH_UID && kind != FETCH_FLAGS && kind != FETCH_MODSEQ)
			r->only_flags = false;
		if (source > r->source)
			r->source = source;
	}
	r->only_content = fetch_asks_content(r);
}
