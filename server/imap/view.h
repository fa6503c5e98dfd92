/* view - what one session knows of its selected mailbox: UID ranges and two modseqs [design, section 2].
 *
 * Sequence numbers are positions in `uids`. The ranges are loaded lazily: SELECT answers from counters (but
 * for UNSEEN in a small mailbox), and the first command that needs sequence numbers or sets calls imap_view_load. Only
 * telling the client changes the view: EXISTS appends, EXPUNGE removes. A message that others expunged stays in the
 * view, and can be fetched, until told.
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
	mail_modseq    settled;         /* up to here all is told but maybe expunges, new messages too */
	mail_modseq    shown;           /* no message was shown with a higher one */
	uint32_t       uidvalidity;
	size_t         keywords_told;   /* how many the last FLAGS named; a mailbox never loses one */
	/* A list of flag changes too long for one piece is told in the order of UIDs: from this UID on (0: no such list
	 * under way), and when it ends everything up to that MODSEQ is told. */
	mail_uid       tell_from;
	mail_modseq    tell_to;
	/* Expunges too many for one piece: members of `uids` still to be told (and then taken away), read when the
	 * mailbox was at gone_to (0: none). */
	struct uid_set gone;
	mail_modseq    gone_to;
	/* MODSEQs above expunged_told may have been shown while expunges wait (or news could not be read):
	 * HIGHESTMODSEQ says so [RFC 7162 s3.2]. held_back: it has been said. */
	bool           behind, held_back;
	struct uid_set saved;           /* "$" [RFC 5182]: UIDs */
};

#define VIEW_RANGES_MAX (1u << 22)      /* 32 MiB: a mailbox of 8 million messages with every second one gone */

void imap_view_init(struct imap_view *view);
/* Start from what SELECT told: counters of `box`. */
void imap_view_start(struct imap_view *view, const struct mailbox_info *box);
/* Messages from this UID on are this session's \Recent. Nothing was added or removed since the start. */
void imap_view_recent(struct imap_view *view, mail_uid from);
void imap_view_reset(struct imap_view *view);   /* frees; nothing selected */
/* Load the UIDs as of what was told. Pool, or a reactor where it may not wait (lib/nowait.h). */
MUST_USE enum rc imap_view_load(struct imap_view *view, struct volume *v, mailbox_id mailbox,
                                struct err *e);

/* Where in the view a walk through ascending UIDs stands; zeroed at its start, and useless once the view changes. */
struct view_walk {
	size_t   range;
	uint32_t before;        /* members in earlier ranges */
};

/* The sequence number of `uid`, 0 if it is not in the (loaded) view. `uid` never goes down in one walk: all together
 * cost one pass over the ranges. */
uint32_t imap_view_seq(const struct imap_view *view, struct view_walk *w, mail_uid uid);
/* Take the members of `gone` away: exists and recent follow. The view is loaded. False without memory: unchanged. */
MUST_USE bool imap_view_remove(struct imap_view *view, const struct uid_set *gone);
/* A change of this session's own was given MODSEQ `given`, and the mailbox was at `before` when it was submitted or
 * decided. If all before it is told and nothing of others came between, it counts as told: no echo, and true. */
bool imap_view_own_change(struct imap_view *view, mail_modseq before, mail_modseq given);
/* The same of an expunge: these are then told without asking for them. Else nothing happens. */
void imap_view_own_expunge(struct imap_view *view, const struct uid_set *gone, mail_modseq before,
                           mail_modseq given);

#endif
