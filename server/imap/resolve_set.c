/* resolve_set - what sets of numbers mean in the selected mailbox: the UIDs of the view that a
 * sequence-set, a UID set or "$" names [RFC 9051 s9 sequence-set, s6.4.4.1]; and that there are no
 * sequence numbers with UIDONLY [RFC 9586]. */
#include "server/imap/imap.h"

static uint32_t
resolve_number(uint64_t n, uint32_t star)
{
	return n == SEQ_STAR ? star : (uint32_t)n;
}

/* The numbers written, ordered and joined, "*" being `star`. Where one end is "*" and the other
 * beyond it, the range is the last message alone, also for sequence numbers: clients ask "101:*"
 * for what may have come. */
static bool
collect_numbers(const struct seq_set *set, uint32_t star, struct uid_set *out)
{
	for (uint32_t i = 0; i < set->count; i++) {
		const struct seq_range *r = &set->ranges[i];
		uint32_t a = resolve_number(r->first, star), b = resolve_number(r->last, star);

		if (star == 0 && (r->first == SEQ_STAR || r->last == SEQ_STAR))
			continue;       /* the mailbox is empty */
		if (!uid_set_add(out, a < b ? a : b, a < b ? b : a))
			return false;
	}
	return true;
}

/* A number written that no message has; 0 if there is none. A range that ends in "*" never has
 * one. */
static uint32_t
first_beyond(const struct seq_set *set, uint32_t exists)
{
	for (uint32_t i = 0; i < set->count; i++) {
		const struct seq_range *r = &set->ranges[i];

		if (r->first == SEQ_STAR || r->last == SEQ_STAR)
			continue;
		if (r->first > exists || r->last > exists)
			return (uint32_t)(r->first > r->last ? r->first : r->last);
	}
	return 0;
}

/* UIDs of the sequence numbers in `seqs`, in one pass over both. */
static bool
seqs_to_uids(const struct uid_set *view, const struct uid_set *seqs, struct uid_set *out)
{
	uint64_t before = 0;
	size_t j = 0;

	for (size_t i = 0; i < view->count && j < seqs->count; i++) {
		const struct uid_range *v = &view->ranges[i];
		uint64_t last = before + (v->last - v->first) + 1; /* its last sequence number */

		for (size_t k = j; k < seqs->count && seqs->ranges[k].first <= last; k++) {
			uint64_t a = seqs->ranges[k].first, b = seqs->ranges[k].last;
			uint64_t from = a > before ? a - before - 1 : 0;
			uint64_t to = (b < last ? b : last) - before - 1;

			if (b > before &&
			    !uid_set_add(out, v->first + (mail_uid)from, v->first + (mail_uid)to))
				return false;
			if (b <= last)
				j = k + 1;
		}
		before = last;
	}
	return true;
}

static enum rc
resolve(const struct imap_view *view, const struct seq_set *set, bool uids, struct uid_set *out,
	struct err *e)
{
	struct uid_set numbers;
	bool ok;

	if (set->saved_result)
		return uid_set_intersect(out, &view->saved, &view->uids) ? RC_OK : err_nomem(e);
	uid_set_init(&numbers, VIEW_RANGES_MAX);
	ok = collect_numbers(set, uids ? uid_set_max(&view->uids) : view->exists, &numbers);
	if (uids)
		ok = ok && uid_set_intersect(out, &numbers, &view->uids);
	else
		ok = ok && seqs_to_uids(&view->uids, &numbers, out);
	uid_set_fini(&numbers);
	return ok ? RC_OK : err_nomem(e);
}

bool
imap_resolve_numbers(struct imap *im, const struct seq_set *set, bool uids, struct uid_set *out)
{
	struct err e = ERR_INIT;
	uint32_t beyond = 0;
	enum rc rc;

	uid_set_init(out, VIEW_RANGES_MAX);
	rc = imap_view_load(&im->view, im->volume, im->mailbox, &e);
	if (rc == RC_OK && !uids && !set->saved_result)
		beyond = first_beyond(set, im->view.exists);
	if (beyond > 0) {
		imap_reply(im, IMAP_BAD, "Message number %u of %u is not there", beyond,
			   im->view.exists);
		return false;
	}
	if (rc == RC_OK)
		rc = resolve(&im->view, set, uids, out, &e);
	if (rc == RC_OK)
		return true;
	uid_set_fini(out);
	imap_reply_error(im, rc, &e);
	return false;
}

bool
imap_resolve_set(struct imap *im, const struct seq_set *set, struct uid_set *out)
{
	return imap_resolve_numbers(im, set, im->uid_command, out);
}

bool
imap_refuse_numbers(struct imap *im)
{
	if (!im->uidonly)
		return false;
	imap_reply(im, IMAP_BAD,
	           "[UIDREQUIRED] Message numbers are not allowed after ENABLE UIDONLY");
	return true;
}

bool
imap_refuse_command(struct imap *im)
{
	return !im->uid_command && imap_refuse_numbers(im);
}
