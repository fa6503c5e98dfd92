/* remote_response - one response of an IMAP server, parsed. [RFC 9051 s7, s9; RFC 3501 s7]
 *
 * What we need of it is understood; all else is read over, whatever it is. Reading stops where a message's text begins,
 * so that it can be taken in pieces while it arrives, and goes on behind it.
 */
#ifndef RESTANTE_TOOLS_REMOTE_RESPONSE_H
#define RESTANTE_TOOLS_REMOTE_RESPONSE_H

#include "lib/uidset.h"
#include "store/record.h"
#include "tools/remote_lex.h"

enum remote_response_kind {
	RESPONSE_CONTINUE,              /* "+": text */
	RESPONSE_TAGGED,                /* tag, condition, code, text */
	RESPONSE_CONDITION,             /* "*": condition, code, text */
	RESPONSE_CAPABILITY,            /* text */
	RESPONSE_LIST,                  /* list; LSUB as well, with `lsub` */
	RESPONSE_NAMESPACE,             /* namespaces */
	RESPONSE_STATUS,                /* status */
	RESPONSE_EXISTS,                /* number */
	RESPONSE_FETCH,                 /* number, fetch */
	RESPONSE_SEARCH,                /* its UIDs went into the set; of ESEARCH as well */
	RESPONSE_ENABLED,               /* text */
	RESPONSE_OTHER,
};

enum remote_condition {
	CONDITION_OK,
	CONDITION_NO,
	CONDITION_BAD,
	CONDITION_BYE,
	CONDITION_PREAUTH,
};

struct remote_namespace {
	struct slice prefix;
	char         separator;         /* 0: NIL */
};

#define REMOTE_NAMESPACES_MAX 16

struct remote_fetch {
	bool             has_uid, has_flags, has_date, has_size, has_text;
	mail_uid         uid;
	uint32_t         flags;         /* enum mail_flag; \Recent is no property of a message */
	struct slice     keywords;      /* one space between */
	struct mail_date date;
	uint64_t         size;          /* RFC822.SIZE */
};

struct remote_response {
	enum remote_response_kind kind;
	enum remote_condition     condition;
	struct slice              tag;
	struct slice              code, code_text;      /* "UIDNEXT", "17"; "" for none */
	struct slice              text;
	uint32_t                  number;
	struct {
		bool         lsub;
		struct slice attributes;        /* one space between */
		char         separator;         /* 0: NIL */
		struct slice name;              /* as it is on the wire */
	} list;
	struct {
		size_t                  personal_count, other_count;
		struct remote_namespace personal[REMOTE_NAMESPACES_MAX];
		struct remote_namespace other[REMOTE_NAMESPACES_MAX];   /* of other users, and shared */
	} namespaces;
	struct {
		struct slice name;
		bool         has_uidvalidity, has_uidnext, has_messages;
		uint32_t     uidvalidity, uidnext, messages;
	} status;
	struct remote_fetch       fetch;
	/* The text of `fetch` is next: remote_response_text, then remote_response_resume. */
	bool                      at_text;
	uint64_t                  text_len, text_left;
	struct slice              text_quoted;          /* it came as a quoted string: what is left of it */
};

/* Read one, to its end or until out->at_text. The UIDs that SEARCH found are appended to `found`, if not NULL: they are
 * in order after uid_set_sort. Slices in *out are valid until the next one is read. False: l->rc, l->err say why; the
 * connection is of no further use. */
MUST_USE bool remote_response_read(struct remote_lex *l, struct uid_set *found,
                                   struct remote_response *out);
/* At most `max` octets of the text, none at its end; valid until the next call. */
MUST_USE bool remote_response_text(struct remote_lex *l, struct remote_response *r, size_t max,
                                   struct slice *out);
/* Read over what is left of the text, at most REMOTE_SKIP_MAX, then the rest of the response. */
MUST_USE bool remote_response_resume(struct remote_lex *l, struct remote_response *r);
/* Is there such a word in a text of words? Any case. */
bool remote_words_have(struct slice words, struct slice word);

#endif
