/* deflate - a filter that deflates what is written and inflates what is read [RFC 4978, RFC 1951].
 *
 * It lies on TLS or on the socket, so that octets are compressed before they are encrypted. Memory: about 270 KiB while
 * a session talks, and what deflate_rest leaves of it while it sleeps. Used by one thread: the session's reactor.
 */
#ifndef RESTANTE_SERVER_DEFLATE_H
#define RESTANTE_SERVER_DEFLATE_H

#include "server/stream.h"

/* Both directions are compressed from the next octet on. `early`: octets that were read already and are not inflated
 * yet; copied. NULL without memory. Freed by the ops' free. */
struct filter *deflate_new(struct filter *below, struct slice early);

/* The next flush ends the compressed stream with a final block, so that the peer sees where it goes on in clear. Then
 * deflate_end. */
void deflate_last(struct filter *f);
/* Neither direction is compressed any more. The filter skips what the peer's
 * compressor still says after its last octet of data (up to an empty stored block at an octet's end, or the end of a
 * final block), then passes everything through. */
void deflate_end(struct filter *f);
/* After deflate_end: nothing is held back, the filter may be taken out of the stack. */
bool deflate_is_over(const struct filter *f);
/* Begin anew after deflate_end, in a filter that still holds octets read from below: they come behind `early`. False
 * without memory. */
bool deflate_again(struct filter *f, struct slice early);
/* deflate_end has not been called, or deflate_again after it. */
bool deflate_is_on(const struct filter *f);

/* Write octets that are raw deflate already into the compressed stream: whole blocks, none of them final, that refer to
 * nothing before them and end on an octet's boundary once all of them are written (each call writes *n of them; nothing
 * else may come between). Results as of the ops' write. Not after deflate_last. */
enum stream_result deflate_splice(struct filter *f, const uint8_t *ptr, size_t len, size_t *n);

/* Bytes of memory that it has now, about. */
size_t deflate_held(const struct filter *f);
/* Nothing has been said for a while: give back what can be made again. All that was written has been flushed. */
void deflate_rest(struct filter *f);

#endif
