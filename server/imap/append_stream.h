/* append_stream - messages that come as literals of a command: what APPEND and REPLACE share.
 *
 * A message's octets never stand in the frame. When its literal is announced, the arguments before it are parsed, and
 * then the command goes through these stages, one input or one step at a time:
 *
 *     OPEN -> FEED -> NEXT -> OPEN (another message) ... -> COMMIT -> RESULT
 *        \______\_______\--> SWALLOW -> OVER
 *
 * OPEN looks the mailbox up, unless the session's last message went there and no mailbox has changed since, so that a
 * client that waits for a continuation is told TRYCREATE or TOOBIG instead; FEED
 * takes what is in the input buffer, so memory is bounded by it; after a refusal the rest of the command is swallowed
 * by the framer and then answered. COMMIT and RESULT are the command's own. All messages become one change: all are
 * there, or none.
 *
 * The functions run where the command's function of the same name runs. `st` lies in the command's arena.
 */
#ifndef RESTANTE_SERVER_IMAP_APPEND_STREAM_H
#define RESTANTE_SERVER_IMAP_APPEND_STREAM_H

#include "server/imap/imap.h"

enum append_stage {
	APPEND_OPEN,
	APPEND_FEED,
	APPEND_NEXT,
	APPEND_SWALLOW,
	APPEND_OVER,
	APPEND_COMMIT,
	APPEND_RESULT,
};

struct append_item;

struct append_stream {
	enum append_stage   stage;
	struct slice        name;               /* of the target, UTF-8 */
	struct slice        given;              /* of parse_mailbox_given */
	struct mailbox_info box;                /* id 0: not looked up yet */
	struct ingest      *ingest;
	struct append_item *first, *last;       /* `last` is under way until its content is set */
	uint32_t            count;
	uint32_t            count_max;          /* messages allowed in the command */
	uint64_t            bytes;
	uint64_t            held;               /* bytes of memory that complete messages have */
	bool                in_header;          /* of the message under way */
	bool                line_empty;         /* nothing of its line has come yet */
};

/* mailbox append-message, at the announcement of a literal; the cursor stands before the mailbox. Collects a literal
 * that is the mailbox. */
enum imap_literal append_stream_literal(struct imap *im, struct cursor *c,
                                        struct append_stream *st);
/* All stages but COMMIT and RESULT. */
enum imap_result append_stream_run(struct imap *im, struct append_stream *st);
/* For the command's own OPEN: the reply is set. Swallow what the client sends of this command in any case; then it is
 * answered. */
enum imap_result append_stream_refuse(struct imap *im, struct append_stream *st);
/* What is in the input is quickly taken, or the mailbox is known, or found without waiting. */
bool append_stream_light(struct imap *im, struct append_stream *st);
enum session_next append_stream_input(struct imap *im, struct append_stream *st);
void append_stream_drop(struct append_stream *st);

/* Of COMMIT: a CHANGE_APPEND of all messages, which it owns then. NULL without memory. */
struct change *append_stream_change(struct append_stream *st);
/* Of RESULT, the change succeeded: "APPENDUID 1 2:3" into *code, and the untagged LIST of a name that was not NFC. */
void append_stream_done(struct imap *im, struct append_stream *st, const struct change_append *done,
                        struct buf *code);
/* Likewise, of APPEND: a message that came into the selected mailbox is told, if it is all there is to tell. One with keywords
 * is not, as FLAGS would go before it. */
void append_stream_tell_own(struct imap *im, const struct append_stream *st, const struct change_append *done);
/* Of RESULT, it did not. */
void append_stream_failed(struct imap *im, struct append_stream *st, const struct change *c);

#endif
