/* ingest - what the writer sees of an ingested message. The rest is in volume.h. */
#ifndef RESTANTE_INDEX_INGEST_H
#define RESTANTE_INDEX_INGEST_H

#include "index/volume.h"

/* Complete but for the LSN; lives as long as the message. */
const struct record_blob *ingested_blob(const struct ingested *m);

/* The log of this volume is about to be closed: end what is still streaming into it. Its next call gives RC_IO. */
struct ingest_set;
struct ingest_set *ingest_set_new(void);
void ingest_set_free(struct ingest_set **s);
void ingest_set_interrupt(struct ingest_set *s);

#endif
