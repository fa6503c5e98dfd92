/* delay - when each account was last logged in to over POP3, for LOGIN-DELAY [RFC 2449 s6.5, s8.1.1].
 *
 * One table for the process, of a fixed size: with many accounts the oldest entries of a row are forgotten, and those
 * accounts may come again early, which costs the server a login and nobody anything else. It survives no restart.
 * Any thread.
 */
#ifndef RESTANTE_SERVER_POP3_DELAY_H
#define RESTANTE_SERVER_POP3_DELAY_H

#include "index/volume.h"

#define POP3_DELAY_ACCOUNTS 16384u      /* remembered at most: 384 KiB */

/* May this account begin a session now, `now_ms` of the monotonic clock? If so that is its last login from now on. */
bool pop3_delay_pass(const struct volume *v, account_id account, uint64_t seconds, uint64_t now_ms);

#endif
