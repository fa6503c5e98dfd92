/* binding - what a SCRAM client says of channel binding, judged before libsasl2 sees it
 * [RFC 5802 s6].
 *
 * libsasl2 2.1.28 holds one channel binding per connection, while the client chooses among the
 * types; so the type is read from its first message, and that binding is set. What libsasl2 leaves
 * open is decided here too: it does not compare the mechanism's name with the client's flag, takes
 * "y" only as seriously as a binding happens to be set, and lets anything follow the header in c=
 * when nothing is bound. What the client is told does not depend on any account.
 *
 *   gs2-header = gs2-cbind-flag "," [authzid] ","     gs2-cbind-flag = ("p=" cb-name) / "n" / "y"   [RFC 5802 s7]
 */
#include "lib/base64.h"
#include "sasl/internal.h"

#define TLS_EXPORTER    "tls-exporter"          /* [RFC 9266] */
#define TLS_END_POINT   "tls-server-end-point"  /* [RFC 5929 s4] */

/* tls-unique is left out: TLS 1.3 has none, and in 1.2 it binds the wrong session after a
 * resumption unless extended master secrets are used [RFC 7627]. */
static bool
is_known_type(struct slice type)
{
	return slice_eq(type, SLICE(TLS_EXPORTER)) || slice_eq(type, SLICE(TLS_END_POINT));
}

/* A type is there if there is data of it. */
static bool
get_binding(const struct sasl_setup *setup, struct slice type, uint8_t out[SASL_BINDING_MAX],
            size_t *len)
{
	return setup->tls && setup->binding != NULL && is_known_type(type) &&
	       setup->binding(setup->binding_arg, type, out, SASL_BINDING_MAX, len) && *len > 0 &&
	       *len <= SASL_BINDING_MAX;
}

bool
sasl_binding_possible(const struct sasl_setup *setup)
{
	uint8_t data[SASL_BINDING_MAX];
	size_t len = 0;

	return get_binding(setup, SLICE(TLS_EXPORTER), data, &len) ||
	       get_binding(setup, SLICE(TLS_END_POINT), data, &len);
}

static bool
refuse(struct sasl_exchange *x, enum rc rc, const char *why)
{
	err_set(&x->err, rc, "%s", why);
	return false;
}

/* Give libsasl2 the binding that the client asked for, and note what its c= will have to hold. */
static bool
use_binding(struct sasl_exchange *x, struct slice type)
{
	size_t len = 0;

	if (!get_binding(&x->setup, type, x->binding_data, &len) ||
	    !slice_to_cstr(type, x->binding_type, sizeof x->binding_type))
		return refuse(x, RC_DENIED,
		    "this connection has no channel binding of the type that the client asks for");
	x->binding = (sasl_channel_binding_t){ .name = x->binding_type, .critical = 1,
	                                       .len = (unsigned long)len,
		                               .data = x->binding_data };
	if (sasl_setprop(x->conn, SASL_CHANNEL_BINDING, &x->binding) != SASL_OK)
		return refuse(x, RC_IO, "libsasl2 takes no channel binding");
	if (!buf_append(&x->bound, x->binding_data, len))
		return refuse(x, RC_NOMEM, "out of memory");
	return true;
}

/* The flag must fit the mechanism's name: "p" goes with -PLUS and nothing else does. "y" says that
 * the client could bind and was not told that we can: if we did tell, somebody between
 * us took it away. */
static bool
check_flag(struct sasl_exchange *x, struct slice flag)
{
	bool plus = sasl_without_plus(x->mechanism) != x->mechanism;
	enum sasl_mechanism other = x->mechanism == SASL_MECH_SCRAM_SHA_256
	                                ? SASL_MECH_SCRAM_SHA_256_PLUS
	                                : SASL_MECH_SCRAM_SHA_1_PLUS;

	if (slice_starts(flag, SLICE("p="))) {
		if (!plus)
			return refuse(x, RC_DENIED,
			              "channel binding asked for, but not by a -PLUS mechanism");
		return use_binding(x, slice_sub(flag, 2, flag.len));
	}
	if (!slice_eq(flag, SLICE("n")) && !slice_eq(flag, SLICE("y")))
		return refuse(x, RC_SYNTAX, "SCRAM: expected p=, n or y");
	if (plus)
		return refuse(x, RC_DENIED, "a -PLUS mechanism without channel binding");
	if (slice_eq(flag, SLICE("y")) && (x->offered & SASL_MECH_BIT(other)) != 0)
		return refuse(x, RC_DENIED,
		              "the client was not told of -PLUS, which is offered here: is "
		              "somebody between it and us?");
	return true;
}

/* client-first-message: keep the header, which c= has to repeat. */
static bool
check_first(struct sasl_exchange *x, struct slice message)
{
	size_t flag = slice_find_byte(message, ',');
	size_t authzid = slice_find_byte(slice_sub(message, flag + 1, message.len), ',');
	size_t header = flag + 1 + authzid + 1;

	if (flag == message.len || header > message.len)
		return refuse(x, RC_SYNTAX, "SCRAM: expected two commas behind the header");
	if (!buf_append_slice(&x->bound, slice_sub(message, 0, header)))
		return refuse(x, RC_NOMEM, "out of memory");
	x->scram_begun = true;
	return check_flag(x, slice_sub(message, 0, flag));
}

/* client-final-message: "The server MUST always validate the client's c= field" [RFC 5802 s6]. */
static bool
check_final(struct sasl_exchange *x, struct slice message)
{
	struct slice value = slice_sub(message, 2, slice_find_byte(message, ','));
	struct buf decoded;
	bool good, same;

	if (!slice_starts(message, SLICE("c=")))
		return refuse(x, RC_SYNTAX, "SCRAM: expected c=");
	buf_init(&decoded, SASL_MESSAGE_MAX);
	good = base64_decode(value, &decoded);
	same = slice_eq(buf_slice(&decoded), buf_slice(&x->bound));
	buf_fini(&decoded);
	if (!good)
		return refuse(x, RC_SYNTAX, "SCRAM: c= is not base64");
	if (!same)
		return refuse(x, RC_DENIED,
		    x->binding.data != NULL
		        ? "channel binding does not match: is somebody between the client and us?"
		        : "c= is not the header that the client began with");
	return true;
}

/* libsasl2 takes an empty message for none and goes on waiting for the first. */
bool
sasl_binding_check(struct sasl_exchange *x, struct slice message)
{
	if (message.len == 0)
		return true;
	return x->scram_begun ? check_final(x, message) : check_first(x, message);
}
