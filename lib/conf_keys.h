/* conf_keys - which sections and keys a configuration may have. Internal to lib/conf*.c; constant, so any thread. */
#ifndef RESTANTE_LIB_CONF_KEYS_H
#define RESTANTE_LIB_CONF_KEYS_H

#include "lib/conf.h"

#define DAY       86400u
#define KIB       UINT64_C(1024)
#define MIB       (1024 * KIB)
#define GIB       (1024 * MIB)

enum section_id {
	SEC_SERVER,
	SEC_TLS,
	SEC_CERTIFICATE,
	SEC_VOLUME,
	SEC_LISTEN,
	SEC_AUTH,
	SEC_LMTP,
	SEC_POP3,
	SEC_LIMITS,
	SEC_MAINTENANCE,
};

struct section_def {
	const char *name;
	bool        named;      /* [volume NAME], any number of them */
	const char *help;
};

enum key_type {
	KEY_TEXT,
	KEY_PATH,               /* made absolute; "" stays "" */
	KEY_ADDRESS,            /* IPv4 or IPv6 in digits */
	KEY_BOOL,               /* bool */
	KEY_NUMBER,             /* uint64_t */
	KEY_SIZE,               /* uint64_t bytes, suffix K, M, G */
	KEY_DURATION,           /* uint64_t seconds, suffix s, m, h, d */
	KEY_MODE,               /* uint64_t, octal */
	KEY_WORD,               /* enum, the index in words[] */
	KEY_AGES,               /* struct conf_ages; min and max are of an age */
	KEY_LIST,               /* struct conf_list; at most max words, of words[] if there are any */
	KEY_NETWORKS,           /* struct conf_networks; at most max */
};

#define WORDS_MAX 16

struct key_def {
	enum section_id section;
	const char     *name;
	enum key_type   type;
	size_t          offset;         /* in the section's struct */
	const char     *preset;         /* default as it would be written; NULL: must be given */
	uint64_t        min, max;
	const char     *words[WORDS_MAX];
	const char     *help;
};

#define CONF_SECTION_COUNT 10u
#define CONF_KEYS_MAX      256u
#define CONF_ALLOWED_MAX   320u   /* bytes of what conf_key_allowed says */

/* By enum section_id. */
extern const struct section_def conf_sections[CONF_SECTION_COUNT];
/* In the order in which conf_describe tells them; at most CONF_KEYS_MAX. */
extern const struct key_def conf_keys[];
extern const size_t         conf_key_count;

/* What the key accepts, in words, into out of `size` bytes: for error texts and for conf_describe. */
void conf_key_allowed(const struct key_def *k, char *out, size_t size);

#endif
