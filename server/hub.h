/* hub - who watches which mailbox.
 *
 * Volumes call hub_notify from their writer's thread after each commit and before its answers, so who has an answer finds
 * its MODSEQ in `latest`: a watcher that knows its mailbox up to there need not ask the index for news, unless it has seen
 * more there meanwhile. A watcher's callback is run under a lock of the hub and must only take a note and wake somebody.
 * Cost: one look-up for each changed mailbox, whatever their number; memory only for mailboxes that are being watched.
 * Any thread.
 */
#ifndef RESTANTE_SERVER_HUB_H
#define RESTANTE_SERVER_HUB_H

#include "index/volume.h"

struct hub;

/* One session's interest in one mailbox; embedded in the session. */
struct watcher {
	struct watcher *prev, *next;
	struct volume  *volume;         /* NULL: watches nothing */
	mailbox_id      mailbox;
	_Atomic mail_modseq latest;     /* told since hub_watch, MODSEQ_GONE too; 0: nothing */
	atomic_bool     listens;        /* `changed` is wanted */
	/* Any thread, under the hub's lock; must not call the hub. */
	void          (*changed)(struct watcher *w);
};

MUST_USE enum rc hub_new(struct hub **out, struct err *e);
void hub_free(struct hub **h);
/* From now on changes of this mailbox are told. What w watched before is forgotten. */
void hub_watch(struct hub *h, struct watcher *w, struct volume *v, mailbox_id mailbox);
/* When it returns, `changed` is not running and will not be called again. Harmless when nothing is watched. */
void hub_unwatch(struct hub *h, struct watcher *w);
/* From now on `changed` is called, or not. What was told before it was wanted stands in `latest`, so look there behind
 * this. Any thread. */
void hub_listen(struct watcher *w, bool wanted);
mail_modseq hub_latest(const struct watcher *w);
/* For struct volume_params. */
void hub_notify(void *hub, struct volume *v, mailbox_id mailbox, mail_modseq modseq);

#endif
