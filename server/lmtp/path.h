/* path - reverse-path and forward-path of MAIL and RCPT, and the parameters behind them
 * [RFC 5321 s4.1.2; RFC 6531 s3.3].
 *
 * Pure functions over a line; results are slices of it or lie in the arena. On failure the parser keeps the first thing
 * that was expected, for the answer.
 *
 * Leniencies, as MTAs pass such addresses on: dots anywhere in a dot-string ("a..b@x", "a.@x", which some phone
 * companies gave to people), underscores in domains, a forward-path without a domain, spaces before "<".
 */
#ifndef RESTANTE_SERVER_LMTP_PATH_H
#define RESTANTE_SERVER_LMTP_PATH_H

#include "lib/arena.h"

/* More than the minima of [RFC 5321 s4.5.3.1]; names must fit accounts. */
#define LMTP_LOCAL_MAX  255u
#define LMTP_DOMAIN_MAX 255u

struct lmtp_parser {
	struct slice rest;
	const char  *expected;          /* NULL: no failure so far */
};

struct lmtp_path {
	bool         null;              /* "<>" */
	struct slice local;             /* without quotes; may be empty: ""@example.org */
	struct slice domain;            /* "example.org", "[192.0.2.1]", or empty */
	struct slice text;              /* as written, without "<", source route, ">" */
	bool         utf8;              /* holds non-ASCII */
};

struct lmtp_param {
	struct slice name;
	struct slice value;             /* empty if there is none */
	bool         has_value;
};

void lmtp_parser_init(struct lmtp_parser *p, struct slice line);

/* Reverse-path = Path / "<>" */
bool lmtp_parse_reverse_path(struct lmtp_parser *p, struct arena *a, struct lmtp_path *out);
/* Path, or "<postmaster>" */
bool lmtp_parse_forward_path(struct lmtp_parser *p, struct arena *a, struct lmtp_path *out);
/* *( SP esmtp-param ), one at a time: false at the end of the line, or when p->expected is set. */
bool lmtp_parse_param(struct lmtp_parser *p, struct lmtp_param *out);
/* Domain / address-literal, the whole of `s`: the argument of LHLO. */
bool lmtp_domain_valid(struct slice s);

#endif
