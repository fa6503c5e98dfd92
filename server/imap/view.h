/* view - what one session knows of its selected mailbox: UID ranges and two modseqs [design, section 2].
 *
 * Sequence numbers are positions in `uids`. The ranges are loaded lazily: SELECT answers from counters alone, and the
 * first command that needs sequence numbers or sets calls imap_view_load. Only telling the client changes the view:
 * EXISTS appends, EXPUNGE removes. A message that others expunged stays in the view, and can be fetched, until told.
 */
#ifndef RESTANTE_SERVER_IMAP_VIEW_H
#define RESTANTE_SERVER_IMAP_VIEW_H

#include "index/volume.h"

struct imap_view {
	struct uid_set uids;            /* valid if loaded */
	bool           loaded;
	mail_uid       uidnext;         /* told: messages from here on are unknown to the client */
	uint32_t       exists;          /* told EXISTS count, after told EXPUNGEs */
	uint32_t       recent;          /* told RECENT count */
	mail_uid       recent_from;     /* this session's \Recent messages have UIDs from here on */
	mail_modseq    changed_told;    /* flag changes up to here are told */
	mail_modseq    expunged_told;   /* expunges up to here are told; <= changed_told */
	uint32_t       uidvalidity;
};

void imap_view_init(struct imap_view *view);
/* Start from what SELECT told: counters of `box`. */
void imap_view_start(struct imap_view *view, const struct mailbox_info *box);
void imap_view_reset(struct imap_view *view);   /* frees; nothing selected */
/* Load the UIDs as of what was told. Pool. */
MUST_USE enum rc imap_view_load(struct imap_view *view, struct volume *v, mailbox_id mailbox, struct err *e);

#endif
