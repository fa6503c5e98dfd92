/* scrubber - the scrub of a volume: in the background, round and round at a configured rate, or once when asked.
 *
 * What it finds goes to the log (ev=scrub.damage), each place once while the server runs, and counts in the volume's
 * status. Where it was is kept in the file `scrub` beside the index, which may be deleted at any time.
 */
#ifndef RESTANTE_INDEX_SCRUBBER_H
#define RESTANTE_INDEX_SCRUBBER_H

#include "index/volume.h"

struct scrubber;

/* Starts its thread; a rate of 0 lets it sleep. NULL: no memory or no thread, told in the log: a volume
 * works without. */
struct scrubber *scrubber_start(struct volume *v);
void scrubber_stop(struct scrubber **s);        /* within a moment */
void scrubber_set_rate(struct scrubber *s, uint64_t bytes_per_s);
void scrubber_get_status(struct scrubber *s, struct scrub_status *out);

#endif
