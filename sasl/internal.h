/* internal - what the files of sasl/ share and nobody else includes, but their tests. */
#ifndef RESTANTE_SASL_INTERNAL_H
#define RESTANTE_SASL_INTERNAL_H

#include "sasl/exchange.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

/* libsasl2 keeps callbacks of every type as one type. The way over void (*)(void) says that the cast is meant. */
#define SASL_FN(fn) ((int (*)(void))(void (*)(void))(fn))

enum exchange_state {
	EXCHANGE_NEW,
	EXCHANGE_WAITING,       /* for the client's next message */
	EXCHANGE_OVER,
};

#define EXCHANGE_CALLBACKS 5

struct sasl_exchange {
	sasl_conn_t                *conn;
	sasl_callback_t             callbacks[EXCHANGE_CALLBACKS];
	const struct sasl_accounts *accounts;
	const char                 *mechanisms;         /* offered on this connection */
	enum exchange_state         state;
	bool                        verified;           /* our own check said yes to the password */
	struct sasl_attempt         authc;              /* who proves to be somebody */
	struct sasl_attempt         authz;              /* whose mail is asked for, if named apart */
	bool                        authz_named;
	struct sasl_identity        authenticated;
	struct sasl_identity        authorized;
	uint8_t                     claimed[SASL_NAME_MAX];     /* the authentication identity as the client sent it */
	size_t                      claimed_len;
	struct err                  err;                /* of our callbacks: outranks what libsasl2 makes of it */
};

/* The exchange that a libsasl2 connection belongs to, from inside a plugin; NULL if it is none of ours. */
struct sasl_exchange *sasl_exchange_of(const sasl_utils_t *utils);

/* The text behind sasl_mechanisms, for a connection on which everything is allowed. */
const char *sasl_library_mechanisms(void);

/* Register our auxprop plugin, named SASL_AUXPROP_NAME. A libsasl2 result. */
#define SASL_AUXPROP_NAME "restante"
int sasl_auxprop_register(void);

#endif
