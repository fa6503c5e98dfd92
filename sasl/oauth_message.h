/* oauth_message - what a client sends in OAUTHBEARER [RFC 7628 s3.1] and XOAUTH2. Pure functions.
 *
 * XOAUTH2 is described by Google ("OAuth 2.0 Mechanism") and Microsoft in the same words:
 *
 *     "user=" name ^A "auth=Bearer " token ^A ^A
 *
 * Here its pairs may come in any order, and unknown ones are passed over as in OAUTHBEARER.
 */
#ifndef RESTANTE_SASL_OAUTH_MESSAGE_H
#define RESTANTE_SASL_OAUTH_MESSAGE_H

#include "sasl/account.h"

enum oauth_request {
	OAUTH_TOKEN,            /* a token to be verified */
	OAUTH_QUERY,            /* nothing to verify: the client asks what is wanted here [RFC 7628 s4.3] */
	OAUTH_OTHER,            /* well-formed, but no bearer token: another scheme, no auth, or two */
	OAUTH_END,              /* a single ^A: the client has read why it failed [s3.2.3] */
	OAUTH_MALFORMED,
};

struct oauth_message {
	char         user[SASL_NAME_MAX + 1];   /* authzid, or user=; "": none named */
	struct slice token;                     /* within the message; so are the next */
	struct slice host;                      /* ptr NULL: not sent */
	struct slice port;                      /* likewise; a number from 1 to 65535 */
};

enum oauth_request oauth_parse_bearer(struct slice in, struct oauth_message *out);
enum oauth_request oauth_parse_xoauth2(struct slice in, struct oauth_message *out);

#endif
