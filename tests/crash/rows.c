/* rows - see rows.h. */
#include "tests/crash/rows.h"

#define LOGGED    "bwmsyihd"
#define COMPACTED LOGGED "r"
#define KEEP      .op = { .kind = OP_KEEP }
#define DAY_US    UINT64_C(86400000000)

/* One letter per enum sim_phase. */
const char rows_phase_letters[] = "bwmsyihrtd";

const struct row rows[] = {
	{ .name = "delivery", .op = { OP_DELIVER, TO("anna", "INBOX"), .mail = 2 }, .phases = LOGGED },
	{ .name = "delivery to an open segment", .op = { OP_DELIVER, TO("anna", "INBOX"), .flags = FLAG_SEEN, .mail = 3 },
	  .before = 1, .phases = "bwmsyid" },
	{ .name = "several recipients",
	  .op = { OP_DELIVER_MANY, .mail = 4, .target_count = 3,
	          .targets = { { .account = "anna", .box = "INBOX" }, { .account = "ben", .box = "INBOX" },
	                       { .account = "ben", .box = "Work" } } }, .phases = LOGGED },
	{ .name = "big message", .op = { OP_DELIVER_BIG, TO("ben", "INBOX"), .mail = MAIL_BIG }, .phases = LOGGED },
	{ .name = "big message to an open segment", .op = { OP_DELIVER_BIG, TO("ben", "INBOX"), .mail = MAIL_BIG }, .before = 1,
	  .phases = "bwmsyid" },
	{ .name = "roll-over", .op = { OP_DELIVER, TO("anna", "Work"), .mail = MAIL_SMALL }, .before = 2,
	  .max_segment = SMALL_SEGMENT, .phases = LOGGED },
	{ .name = "STORE", .op = { OP_STORE, IN("anna", "INBOX"), .first = 1, .last = 3, .flags = FLAG_FLAGGED, .keyword = 1 },
	  .phases = LOGGED },
	{ .name = "STORE relaxed", .relaxed = true, .phases = LOGGED,
	  .op = { OP_STORE, IN("anna", "INBOX"), .first = 1, .last = 3, .store = STORE_ADD, .flags = FLAG_SEEN } },
	{ .name = "delivery behind relaxed", .op = { OP_DELIVER, TO("anna", "Work"), .mail = 2 }, .before = 2,
	  .relaxed = true, .all_faults = true, .phases = "bwmsyid" },
	{ .name = "COPY", .op = { OP_COPY, IN("anna", "INBOX"), .to = "Work", .first = 1, .last = 3 }, .phases = LOGGED },
	{ .name = "MOVE", .op = { OP_MOVE, IN("anna", "INBOX"), .to = "Work/2026", .first = 2, .last = 4 }, .phases = LOGGED },
	{ .name = "EXPUNGE", .op = { OP_EXPUNGE, IN("anna", "INBOX"), .first = 2, .last = 3 }, .phases = LOGGED },
	{ .name = "REPLACE", .phases = LOGGED,
	  .op = { OP_REPLACE, IN("anna", "INBOX"), TO("anna", "INBOX"), .first = 2, .last = 2, .mail = 5 } },
	{ .name = "CREATE", .op = { OP_CREATE, IN("anna", "Letters/Old/May") }, .phases = LOGGED },
	{ .name = "RENAME", .op = { OP_RENAME, IN("anna", "Work"), .to = "Tea" }, .phases = LOGGED },
	{ .name = "DELETE", .op = { OP_DELETE, IN("anna", "Work/2026") }, .phases = LOGGED },
	{ .name = "SUBSCRIBE", .op = { OP_SUBSCRIBE, IN("anna", "Work"), .number = 1 }, .phases = LOGGED },
	{ .name = "account create", .op = { OP_ACCOUNT_CREATE, .account = "carl" }, .phases = LOGGED },
	{ .name = "account delete", .op = { OP_ACCOUNT_DELETE, .account = "ben" }, .phases = LOGGED },
	{ .name = "quota", .op = { OP_QUOTA, .account = "anna", .number = 50000 }, .phases = LOGGED },
	{ .name = "hide", .op = { OP_HIDE, .account = "anna", .number = 1 }, .phases = LOGGED },
	{ .name = "credential", .op = { OP_CREDENTIAL, .account = "ben", .number = 7 }, .phases = LOGGED },
	{ .name = "index checkpoint", .op = { .kind = OP_CHECKPOINT }, .before = 3, .phases = "id" },
	{ .name = "index checkpoint, relaxed", .op = { .kind = OP_CHECKPOINT }, .before = 2, .relaxed = true, .phases = "id" },
	{ .name = "close", .op = { .kind = OP_CLOSE }, .before = 2, .phases = "ihd" },
	{ .name = "rebuild", .op = { .kind = OP_REINDEX }, .before = 2, .phases = "ihd" },
	{ .name = "recovery", .op = { .kind = OP_OPEN }, .before = 2, .calls = 30, .phases = "td" },
	{ .name = "recovery, relaxed", .op = { .kind = OP_OPEN }, .before = 2, .relaxed = true, .calls = 30,
	  .all_faults = true, .phases = "td" },

	{ .name = "takeover from a killed owner", .work = WORK_KILLED, .op = { .kind = OP_OPEN }, .before = 2, .relaxed = true,
	  .calls = 30, .phases = "td" },

	{ .name = "import of a UID", .phases = LOGGED,
	  .op = { OP_IMPORT, TO("anna", "INBOX"), .first = 500, .flags = FLAG_ANSWERED, .mail = 2 } },
	{ .name = "undelete", .templ = TEMPL_WORN, .phases = LOGGED,
	  .op = { OP_UNDELETE, IN("anna", "Work"), TO("anna", "INBOX"), .first = 3, .flags = FLAG_SEEN, .mail = 2 } },
	{ .name = "account restore", .phases = LOGGED, .op = { OP_ACCOUNT_RESTORE, .account = "carl", .number = 5 } },
	{ .name = "compaction", .templ = TEMPL_WORN, .work = WORK_COMPACT, KEEP, .compact = { .all = true },
	  .max_segment = SMALL_SEGMENT, .step = 8, .phases = COMPACTED },
	{ .name = "compaction by threshold", .templ = TEMPL_WORN, .work = WORK_COMPACT, KEEP, .compact = { .threshold = 30 },
	  .max_segment = SMALL_SEGMENT, .step = 8, .phases = "bwmsyihrd" },
	{ .name = "compaction and changes", .templ = TEMPL_WORN, .work = WORK_COMPACT_BESIDE, KEEP,
	  .compact = { .all = true }, .step = 8, .phases = COMPACTED },
	{ .name = "recompression", .templ = TEMPL_WORN, .work = WORK_COMPACT, KEEP,
	  .compact = { .retention_us = DAY_US, .level = 1 }, .step = 8, .phases = COMPACTED },
	{ .name = "purge and compaction", .templ = TEMPL_WORN, .work = WORK_PURGE, .max_segment = SMALL_SEGMENT,
	  .compact = { .retention_us = DAY_US, .all = true }, .step = 10, .phases = COMPACTED,
	  .op = { OP_PURGE, IN("anna", "Work"), .first = 6 } },
	{ .name = "reaping", .templ = TEMPL_DROPPED, .work = WORK_REAP, KEEP, .phases = "ird" },
	{ .name = "recovery of a compaction", .templ = TEMPL_WORN, .work = WORK_COMPACT, .op = { .kind = OP_OPEN },
	  .compact = { .all = true }, .max_segment = SMALL_SEGMENT, .calls = 20, .phases = "td" },
	{ .name = "start behind a compaction", .templ = TEMPL_WORN, .work = WORK_COMPACT_WHOLE, .op = { .kind = OP_OPEN },
	  .compact = { .all = true }, .max_segment = SMALL_SEGMENT, .calls = 20, .all_faults = true, .phases = "td" },
	{ .name = "pruning", .templ = TEMPL_WORN, .work = WORK_PRUNE, KEEP, .phases = LOGGED },
	{ .name = "backup", .templ = TEMPL_COPIED, .work = WORK_BACKUP, KEEP, .step = 2, .phases = "bwmsyhd" },
	{ .name = "restore of a volume", .templ = TEMPL_COPIED, .work = WORK_PUT_BACK, KEEP, .step = 2,
	  .phases = "bwmsyhd" },
	{ .name = "takeover of a copy", .templ = TEMPL_COPIED, .work = WORK_RENEW, .op = { .kind = OP_OPEN }, .step = 6,
	  .phases = "td" },
	{ .name = "account move", .templ = TEMPL_PAIR, .work = WORK_MOVE, .step = 6, .phases = LOGGED,
	  .op = { OP_MOVE_ACCOUNT, .account = "ben" } },
	{ .name = "reparse", .templ = TEMPL_AGED, .work = WORK_REPARSE, KEEP, .step = 2, .phases = LOGGED },
};

const size_t rows_count = sizeof rows / sizeof *rows;
