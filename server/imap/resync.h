/* resync - the QRESYNC parameter of SELECT and EXAMINE: what changed while the client was away [RFC 7162 s3.2.5]. */
#ifndef RESTANTE_SERVER_IMAP_RESYNC_H
#define RESTANTE_SERVER_IMAP_RESYNC_H

#include "server/imap/imap.h"

enum resync_phase {
	RESYNC_BEGIN,
	RESYNC_CHANGED,
	RESYNC_VANISHED,
	RESYNC_FETCH,
};

struct resync {
	/* As the client gave it. */
	uint32_t       uidvalidity;
	mail_modseq    since;
	bool           has_known;
	struct seq_set known;           /* UIDs */
	bool           has_match;
	struct seq_set match_seqs;      /* of as many messages as match_uids, both ascending */
	struct seq_set match_uids;

	/* Where the telling stands. */
	enum resync_phase phase;
	struct uid_set gone;            /* known to the client, and no more */
	size_t         gone_told;       /* ranges */
	struct uid_set here;            /* known to the client, and in the view */
	struct uid_set changed;         /* of them those that changed */
	mail_uid       next_uid;
};

/* QRESYNC SP "(" ... ")", behind the name. */
bool parse_resync(struct imap *im, struct cursor *c, struct resync *r);
/* After the mailbox has been selected and its counters are told: a piece of VANISHED (EARLIER), then of FETCH. *done
 * when it was the last one. Pool. */
MUST_USE enum rc resync_tell(struct imap *im, struct resync *r, bool *done, struct err *e);
/* Frees what the telling made; also in the middle. */
void resync_drop(struct resync *r);

#endif
