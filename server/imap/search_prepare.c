/* search_prepare - what a SEARCH program needs of the session before it runs: sets resolved in
 * the view, texts in UTF-8 and folded. A charset that iconv does not know is refused with those
 * that always work [RFC 9051 s6.4.4, s7.1]. */
#include "server/imap/search.h"

#include "lib/charset.h"
#include "lib/clock.h"
#include "lib/text.h"

/* The text in UTF-8, folded as what it is looked for in. */
static bool
fold_text(struct imap *im, const struct search_program *p, struct search_node *n)
{
	struct buf utf8, folded;
	bool ok;

	buf_init(&utf8, 4 * SEARCH_TEXT_MAX);
	buf_init(&folded, 32 * SEARCH_TEXT_MAX);
	ok = charset_to_utf8(p->charset.len > 0 ? p->charset : SLICE("UTF-8"), n->text, &utf8)
	  && text_searchfold(buf_slice(&utf8), &folded);
	if (ok) {
		n->text = arena_dup(&im->arena, buf_slice(&folded));
		ok = n->text.ptr != NULL;
	}
	buf_fini(&utf8);
	buf_fini(&folded);
	return ok;
}

static bool
prepare_node(struct imap *im, struct search_program *p, struct search_node *n)
{
	struct err e = ERR_INIT;

	switch (n->key) {
	case SEARCH_SET:
		if (!n->set_is_uids && imap_refuse_numbers(im))
			return false;   /* [RFC 9586 s3.5] */
		/* Not even with UID SEARCH [RFC 9051 s7.5.1, RFC 7162 s3.2.10.2]. */
		im->no_expunge = im->no_expunge || !n->set_is_uids;
		return imap_resolve_numbers(im, &n->set, n->set_is_uids, &n->uids);
	case SEARCH_HEADER:
		n->is_subject = slice_eq_nocase(n->name, SLICE("Subject"));
		p->asks_subject = p->asks_subject || n->is_subject;
		/* fall through */
	case SEARCH_ADDRESS:
	case SEARCH_BODY:
	case SEARCH_TEXT:
		if (fold_text(im, p, n))
			return true;
		imap_reply_error(im, err_nomem(&e), &e);
		return false;
	case SEARCH_AND:
	case SEARCH_OR:
	case SEARCH_ALL:
	case SEARCH_FLAG:
	case SEARCH_KEYWORD:
	case SEARCH_RECENT:
	case SEARCH_BEFORE:
	case SEARCH_ON:
	case SEARCH_SINCE:
	case SEARCH_LARGER:
	case SEARCH_SMALLER:
	case SEARCH_OLDER:
	case SEARCH_YOUNGER:
	case SEARCH_SAVEDBEFORE:
	case SEARCH_SAVEDON:
	case SEARCH_SAVEDSINCE:
	case SEARCH_MODSEQ:
	case SEARCH_THREADID:
	case SEARCH_SENTBEFORE:
	case SEARCH_SENTON:
	case SEARCH_SENTSINCE:
	case SEARCH_EMAILID:
		break;
	}
	return true;
}

static bool
is_of_uid(const struct search_node *n)
{
	return n->key == SEARCH_AND || n->key == SEARCH_OR || n->key == SEARCH_ALL || n->key == SEARCH_SET;
}

bool
search_prepare(struct imap *im, struct search_program *p)
{
	if (p->charset.len > 0 && !charset_known(p->charset)) {
		imap_reply(im, IMAP_NO, "[BADCHARSET (US-ASCII UTF-8)] Charset not known");
		return false;
	}
	p->now = (int64_t)(clock_wall_us() / 1000000);
	for (uint16_t i = 0; i < p->count; i++) {
		if (!prepare_node(im, p, &p->nodes[i]))
			return false;
		p->asks_more = p->asks_more || !(is_of_uid(&p->nodes[i]) || p->nodes[i].is_subject);
	}
	return true;
}

void
search_fini(struct search_program *p)
{
	for (uint16_t i = 0; i < p->count; i++)
		uid_set_fini(&p->nodes[i].uids);
}

/* Sets among the keys that must all hold; others cannot be used to leave messages out. */
bool
search_candidates(const struct imap *im, const struct search_program *p, struct uid_set *out)
{
	struct uid_set narrowed;
	bool ok = uid_set_copy(out, &im->view.uids);

	for (uint16_t i = p->nodes[0].child; ok && i != 0; i = p->nodes[i].next) {
		if (p->nodes[i].key != SEARCH_SET || p->nodes[i].negate)
			continue;
		uid_set_init(&narrowed, VIEW_RANGES_MAX);
		ok = uid_set_intersect(&narrowed, out, &p->nodes[i].uids);
		uid_set_fini(out);
		*out = narrowed;
	}
	return ok;
}
