/* framer - cuts the input into commands. It knows lines, literals and limits, and nothing else of IMAP.
 *
 * A command is a line, or several joined by literals [RFC 9051 s4.3, RFC 7888]. The frame holds it as it was sent, the
 * literals in place behind their "{n}CRLF", without the final CRLF. What breaks a limit, or is no line at all, is
 * refused: the command is swallowed to its true end, octets of its non-synchronising literals included, so that they
 * are never taken for commands; then the refusal is reported, once. A refused synchronising literal ends the command at
 * once, as the client must not send it. What is swallowed is limited too, as a line without end, compressed, costs its
 * sender next to nothing.
 *
 * Input may come in any pieces; each octet is looked at once. One owner at a time. Holds no memory between commands.
 *
 * Rejected: finding "APPEND" in here. Instead every literal is reported before its first octet, and the caller says
 * what becomes of it: collected, streamed, or refused.
 */
#ifndef RESTANTE_SERVER_IMAP_FRAMER_H
#define RESTANTE_SERVER_IMAP_FRAMER_H

#include "lib/buf.h"

struct framer_limits {
	size_t   command;       /* octets of a frame */
	uint32_t literals;      /* in one command */
	uint64_t swallow;       /* octets of a refused literal, or of the lines of a refused command, that are read;
	                         * more end the connection */
	bool     lf_ends_line;  /* a line of LF alone ends there (and is refused), so that a person typing
	                         * gets an answer */
};

enum framer_event {
	FRAMER_MORE,            /* all input is taken, no command is complete */
	FRAMER_COMMAND,         /* the frame is complete; framer_next goes on */
	FRAMER_LITERAL,         /* f->literal is announced at the end of the frame: framer_collect,
	                         * _stream or _refuse */
	FRAMER_REFUSED,         /* a command was refused and is over: f->refused says why; framer_next goes on */
	FRAMER_CLOSE,           /* the client does not speak IMAP, or cannot be followed: say f->refused and close */
};

struct framer_literal {
	uint64_t size;
	bool     sync;          /* the client waits for a continuation */
	bool     binary;        /* literal8: may hold NUL */
	size_t   spec_len;      /* octets of "{n}CRLF" at the end of the frame */
};

struct framer {
	struct buf            frame;
	struct framer_limits  limits;
	struct framer_literal literal;
	const char           *refused;          /* a fixed sentence; NULL if the command is fine so far */

	/* The framer's own. */
	enum framer_state {
		FRAMER_LINE,
		FRAMER_OFFERED,         /* a literal, not decided yet */
		FRAMER_OCTETS,          /* of a collected or swallowed literal */
		FRAMER_STREAMING,       /* literal_left octets are the caller's */
		FRAMER_OVER,            /* command or refusal reported */
	}                     state;
	uint64_t              literal_left;
	uint32_t              literals;
	bool                  first;            /* no line has ended on this connection yet */
	bool                  foreign;          /* FRAMER_CLOSE: the client speaks HTTP, TLS or the like */
	bool                  raw;              /* a line is just a line (framer_expect_line) */
	bool                  line_flawed;      /* NUL, bare CR or bare LF in this command */
	size_t                line_len;         /* octets of the line so far, swallowed ones too */
	uint64_t              swallowed;        /* octets of this command's lines that were not kept */
	uint8_t               tail[32];         /* the last octets of the line, to find the literal of
	                                         * a swallowed one */
	size_t                tail_len;
};

void framer_init(struct framer *f, const struct framer_limits *limits);
void framer_fini(struct framer *f);
/* Other limits (a login, its end), from the next command on. */
void framer_set_limits(struct framer *f, const struct framer_limits *limits);

/* Look at more input; *used octets of it are done with, also when an event comes before its end. */
enum framer_event framer_feed(struct framer *f, struct slice in, size_t *used);

/* After FRAMER_LITERAL. Collect: false when a limit forbids it; it is refused then. */
bool framer_collect(struct framer *f);
/* The caller takes the octets, says so by framer_streamed, and then feeds what follows: the frame begins anew, behind
 * the literal. */
void framer_stream(struct framer *f);
void framer_streamed(struct framer *f, uint64_t n);
/* Refuse the command under way, with a fixed sentence, after FRAMER_LITERAL or while streaming. The next framer_feed
 * (with any input, also none) goes on with swallowing and reports. `sent`: the client sends the literal's octets
 * whatever we say, as it was told to go on or does not ask. */
void framer_refuse(struct framer *f, const char *why, bool sent);

/* Forget the command; the next line begins another. */
void framer_next(struct framer *f);
/* The same, but the next line is no command: whatever stands in it, it ends at its CRLF (SASL answers, DONE). */
void framer_expect_line(struct framer *f);
/* A command is begun and not over. */
bool framer_busy(const struct framer *f);

#endif
