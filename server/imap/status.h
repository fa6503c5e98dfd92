/* status - the items of STATUS, shared with LIST ... RETURN (STATUS ...) [RFC 9051 s6.3.11, RFC 5819]. */
#ifndef RESTANTE_SERVER_IMAP_STATUS_H
#define RESTANTE_SERVER_IMAP_STATUS_H

#include "server/imap/imap.h"

/* "(" status-att *(SP status-att) ")": bits added to *items. */
bool parse_status_items(struct imap *im, struct cursor *c, uint32_t *items);
/* Asking for HIGHESTMODSEQ is a CONDSTORE-enabling command [RFC 7162 s3.1]; before the first imap_out_status. Pool. */
void imap_status_enables(struct imap *im, uint32_t items);
/* "* STATUS name (...)": from counters of the row, so the cost does not follow the messages. */
void imap_out_status(struct imap *im, const struct mailbox_info *box, uint32_t items);

#endif
