/* policy - [auth] of the configuration, in the form that sasl/ takes. */
#ifndef RESTANTE_SERVER_POLICY_H
#define RESTANTE_SERVER_POLICY_H

#include "lib/conf.h"
#include "sasl/exchange.h"

/* What it points to belongs to conf. RC_SYNTAX: e names the key and what is wrong with its value. */
MUST_USE enum rc policy_read(const struct conf *conf, struct sasl_policy *out, struct err *e);

#endif
