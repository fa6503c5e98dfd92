/* record_type - types of records, as they are told and as they are stored. See record.h. */
#include "store/record.h"

#include "store/front.h"

enum record_type
record_type_of(uint8_t stored)
{
	switch (stored) {
	case RECORD_STORED_BLOB_BASE64:
	case RECORD_STORED_BLOB_FRONT:
		return RECORD_BLOB;
	case RECORD_STORED_DELIVERY:
		return RECORD_DELIVERY;
	default:
		return (enum record_type)stored;
	}
}

uint8_t
record_stored_type(const struct record *r)
{
	if (r->type == RECORD_DELIVERY && r->u.delivery.key.len == DELIVERY_KEY_KEPT)
		return RECORD_STORED_DELIVERY;
	if (r->type == RECORD_BLOB && front_is_base(&r->u.blob))
		return RECORD_STORED_BLOB_FRONT;
	if (r->type == RECORD_BLOB)
		for (uint32_t i = 0; i < r->u.blob.chunk_count; i++)
			if (r->u.blob.chunks[i].method == CHUNK_BASE64)
				return RECORD_STORED_BLOB_BASE64;
	return (uint8_t)r->type;
}

const char *
record_type_name(enum record_type type)
{
	switch (record_type_of((uint8_t)type)) {
	case RECORD_COUNTERS:
		return "counters";
	case RECORD_ACCOUNT:
		return "account";
	case RECORD_CREDENTIAL:
		return "credential";
	case RECORD_MAILBOX:
		return "mailbox";
	case RECORD_SUBSCRIPTION:
		return "subscription";
	case RECORD_BLOB:
		return "blob";
	case RECORD_MESSAGES:
		return "messages";
	case RECORD_FLAGS:
		return "flags";
	case RECORD_EXPUNGE:
		return "expunge";
	case RECORD_GONE:
		return "gone";
	case RECORD_SOME_MESSAGES:
		return "some messages";
	case RECORD_PURGE:
		return "purge";
	case RECORD_UIDL:
		return "uidl";
	case RECORD_SUMMARY:
		return "summary";
	case RECORD_SECRET:
		return "secret";
	case RECORD_DELIVERY:
		return "delivery";
	}
	return NULL;
}

/* Who does not know a summary record has an older parser, which could not read that summary: it
 * serves the one it knows. Who knows no secrets does not use them, nor does he look for deliveries
 * that come twice. */
bool
record_is_skippable(enum record_type type)
{
	return type == RECORD_GONE || type == RECORD_SUMMARY || type == RECORD_SECRET ||
	       type == RECORD_DELIVERY;
}
