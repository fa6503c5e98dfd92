/* object_id - the identifiers of RFC 8474 as clients see them. They are fixed for ever: a client
 * that kept one must find it again after any upgrade.
 *
 * EMAILID is "E" and the first 160 bits of the message's SHA-256 in hexadecimal: the same octets
 * have the same one, in any mailbox, after any copy, export or rebuild. THREADID is "T" and the
 * thread's number in hexadecimal, MAILBOXID "M" and the mailbox's random 128 bits. The letters keep
 * them apart [s5.2]; no two differ by case alone.
 *
 * Rejected: the blob's id (a rebuild from an export would change it); all 256 bits (64 digits in
 * each answer of a listing, for no more safety than 160 give).
 */
#include "server/imap/imap.h"

#define EMAILID_OCTETS 20u

static void
out_hex(struct buf *out, const uint8_t *octets, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		buf_append_byte(out, (uint8_t)digits[octets[i] >> 4]);
		buf_append_byte(out, (uint8_t)digits[octets[i] & 15]);
	}
}

void
imap_out_emailid(struct buf *out, const uint8_t sha256[SHA256_LEN])
{
	buf_append_byte(out, 'E');
	out_hex(out, sha256, EMAILID_OCTETS);
}

void
imap_out_threadid(struct buf *out, uint64_t threadid)
{
	uint8_t octets[8];

	for (unsigned i = 0; i < sizeof octets; i++)
		octets[i] = (uint8_t)(threadid >> (56 - 8 * i));
	buf_append_byte(out, 'T');
	out_hex(out, octets, sizeof octets);
}

void
imap_out_mailboxid(struct buf *out, const uint8_t id[MAILBOXID_LEN])
{
	buf_append_byte(out, 'M');
	out_hex(out, id, MAILBOXID_LEN);
}
