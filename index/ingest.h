/* ingest - what the writer sees of an ingested message. The rest is in volume.h. */
#ifndef RESTANTE_INDEX_INGEST_H
#define RESTANTE_INDEX_INGEST_H

#include "index/volume.h"

/* Complete but for the LSN; lives as long as the message. */
const struct record_blob *ingested_blob(const struct ingested *m);

#endif
