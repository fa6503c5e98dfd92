/* conf_values - what stands behind "=", checked and put into the field of its key. See
 * conf_reader.h.
 *
 * The kinds of values are those of enum key_type. Lists are separated by commas. */
#include "lib/conf_reader.h"

#include <arpa/inet.h>

static bool
fail_value(struct conf_reader *r, const struct key_def *k, const char *value)
{
	char allowed[CONF_ALLOWED_MAX];

	conf_key_allowed(k, allowed, sizeof allowed);
	return conf_fail_at(r, r->line, "[%s] %s = %.80s: allowed: %s", r->label, k->name, value,
	               allowed);
}

/* Digits and perhaps one suffix that multiplies: "64K", "30m". */
static bool
parse_scaled(const char *value, const char *suffixes, const uint64_t *factors, uint64_t *out)
{
	struct slice s = slice_str(value);
	uint64_t factor = 1;

	if (s.len > 0) {
		const char *hit = strchr(suffixes, s.ptr[s.len - 1]);

		if (hit != NULL) {
			factor = factors[hit - suffixes];
			s.len--;
		}
	}
	if (!slice_to_u64(s, UINT64_MAX / factor, out))
		return false;
	*out *= factor;
	return true;
}

static bool
parse_octal(const char *value, uint64_t *out)
{
	uint64_t v = 0;

	if (*value == '\0' || strlen(value) > 8)
		return false;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '7')
			return false;
		v = v * 8 + (uint64_t)(*value - '0');
	}
	*out = v;
	return true;
}

static bool
parse_number(const struct key_def *k, const char *value, uint64_t *out)
{
	static const uint64_t size_factors[] = { KIB, MIB, GIB };
	static const uint64_t time_factors[] = { 1, 60, 3600, DAY };
	bool ok = false;

	if (k->type == KEY_NUMBER)
		ok = slice_to_u64(slice_str(value), UINT64_MAX, out);
	else if (k->type == KEY_SIZE)
		ok = parse_scaled(value, "KMG", size_factors, out);
	else if (k->type == KEY_DURATION)
		ok = parse_scaled(value, "smhd", time_factors, out);
	else if (k->type == KEY_MODE)
		ok = parse_octal(value, out);
	return ok && *out >= k->min && *out <= k->max;
}

/* "Deleted Items 30d": the age is the last word. A bare number is refused: days that were meant and
 * seconds that are done would empty a folder. */
static bool
parse_age(struct conf_reader *r, const struct key_def *k, struct slice item, struct conf_age *out)
{
	struct key_def duration = *k;
	size_t cut = item.len;
	char age[24];

	duration.type = KEY_DURATION;
	while (cut > 0 && item.ptr[cut - 1] != ' ' && item.ptr[cut - 1] != '\t')
		cut--;
	if (!slice_to_cstr(slice_sub(item, cut, item.len), age, sizeof age) || age[0] == '\0' ||
	    strchr("smhd", age[strlen(age) - 1]) == NULL ||
	    !parse_number(&duration, age, &out->age))
		return false;
	item = slice_trim(slice_sub(item, 0, cut));
	if (item.len == 0 || item.len > CONF_MAILBOX_MAX)
		return false;
	out->mailbox = arena_cstr(&r->c->arena, item);
	return out->mailbox != NULL;
}

/* Cut the next of a list off `rest`; false at the end. */
static bool
next_item(struct slice *rest, struct slice *item)
{
	size_t comma = slice_find_byte(*rest, ',');

	if (rest->len == 0)
		return false;
	*item = slice_trim(slice_sub(*rest, 0, comma));
	*rest = slice_sub(*rest, comma + 1, rest->len);
	return true;
}

static bool
store_ages(struct conf_reader *r, const struct key_def *k, const char *value, void *field)
{
	struct conf_age *list = arena_array(&r->c->arena, CONF_AGES_MAX, sizeof *list);
	struct conf_ages ages = { list, 0 };
	struct slice rest = slice_str(value), item;

	if (list == NULL)
		return conf_fail_nomem(r);
	while (next_item(&rest, &item)) {
		if (ages.count == CONF_AGES_MAX || !parse_age(r, k, item, &list[ages.count]))
			return fail_value(r, k, value);
		ages.count++;
	}
	memcpy(field, &ages, sizeof ages);
	return true;
}

static size_t
count_items(const char *value)
{
	struct slice rest = slice_str(value), item;
	size_t n = 0;

	while (next_item(&rest, &item))
		n++;
	return n;
}

static bool
is_one_of(const struct key_def *k, struct slice word)
{
	for (size_t i = 0; i < WORDS_MAX && k->words[i] != NULL; i++)
		if (slice_eq(word, slice_str(k->words[i])))
			return true;
	return k->words[0] == NULL;
}

static bool
store_list(struct conf_reader *r, const struct key_def *k, const char *value, void *field)
{
	size_t n = count_items(value);
	const char **words = arena_array(&r->c->arena, n + 1, sizeof *words);
	struct conf_list list = { words, 0 };
	struct slice rest = slice_str(value), item;

	if (words == NULL)
		return conf_fail_nomem(r);
	if (n > k->max)
		return fail_value(r, k, value);
	while (next_item(&rest, &item)) {
		if (item.len == 0 || !is_one_of(k, item))
			return fail_value(r, k, value);
		words[list.count] = arena_cstr(&r->c->arena, item);
		if (words[list.count++] == NULL)
			return conf_fail_nomem(r);
	}
	memcpy(field, &list, sizeof list);
	return true;
}

static bool
store_networks(struct conf_reader *r, const struct key_def *k, const char *value, void *field)
{
	size_t n = count_items(value);
	struct network *all = arena_array(&r->c->arena, n + 1, sizeof *all);
	struct conf_networks networks = { all, 0 };
	struct slice rest = slice_str(value), item;

	if (all == NULL)
		return conf_fail_nomem(r);
	if (n > k->max)
		return fail_value(r, k, value);
	while (next_item(&rest, &item))
		if (!network_parse(item, &all[networks.count++]))
			return fail_value(r, k, value);
	memcpy(field, &networks, sizeof networks);
	return true;
}

static bool
is_address(const char *value)
{
	struct in6_addr addr;

	return inet_pton(AF_INET, value, &addr) == 1 || inet_pton(AF_INET6, value, &addr) == 1;
}

static bool
parse_word(const struct key_def *k, const char *value, unsigned *out)
{
	for (unsigned i = 0; i < WORDS_MAX && k->words[i] != NULL; i++) {
		if (strcmp(k->words[i], value) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* A copy of the value; a relative path becomes one below the configuration's directory. */
static bool
store_string(struct conf_reader *r, const struct key_def *k, const char *value, void *field)
{
	struct slice s = slice_str(value);

	if (k->type == KEY_PATH && s.len > 0 && value[0] != '/')
		s = arena_printf(&r->c->arena, "%s/%s", r->c->dir, value);
	else
		s = slice_of(arena_cstr(&r->c->arena, s), s.len);
	if (s.ptr == NULL)
		return conf_fail_nomem(r);
	memcpy(field, &s.ptr, sizeof s.ptr);
	return true;
}

bool
conf_set_value(struct conf_reader *r, const struct key_def *k, const char *value, bool preset)
{
	void *field = (char *)r->object + k->offset;
	uint64_t number = 0;
	unsigned word = 0;
	bool flag;

	switch (k->type) {
	case KEY_TEXT:
		if (strlen(value) > k->max)
			return fail_value(r, k, value);
		return store_string(r, k, value, field);
	case KEY_PATH:
		if (!preset && strlen(value) < k->min)
			return fail_value(r, k, value);
		return store_string(r, k, value, field);
	case KEY_ADDRESS:
		if (!is_address(value))
			return fail_value(r, k, value);
		return store_string(r, k, value, field);
	case KEY_BOOL:
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
			return fail_value(r, k, value);
		flag = strcmp(value, "yes") == 0;
		memcpy(field, &flag, sizeof flag);
		return true;
	case KEY_NUMBER:
	case KEY_SIZE:
	case KEY_DURATION:
	case KEY_MODE:
		if (!parse_number(k, value, &number) && !preset)
			return fail_value(r, k, value);
		memcpy(field, &number, sizeof number);
		return true;
	case KEY_AGES:
		return store_ages(r, k, value, field);
	case KEY_LIST:
		return store_list(r, k, value, field);
	case KEY_NETWORKS:
		return store_networks(r, k, value, field);
	case KEY_WORD:
		if (!parse_word(k, value, &word))
			return fail_value(r, k, value);
		memcpy(field, &word, sizeof word);
		return true;
	}
	return false;
}

