/* resolve_secret - random bytes that the volume keeps for the server, by name. The writer makes
 * them, so that two who ask at the same time get the same. */
#include "index/resolve.h"
#include "index/volume_impl.h"

#include "lib/secret.h"

static enum rc
read_secret(struct db *db, struct slice name, struct arena *a, struct slice *out, struct err *e)
{
	sqlite3_stmt *q;
	enum rc rc = db_first(db, &q, "SELECT value FROM secret WHERE name=?1",
	                      DB_ARGS(DB_BYTES(name)), e);

	if (rc != RC_OK)
		return rc;
	*out = arena_dup(a, db_bytes(q, 0));
	db_end(q);
	if (out->ptr == NULL)
		return err_nomem(e);
	return out->len == VOLUME_SECRET_LEN
	           ? RC_OK
	           : err_set(e, RC_CORRUPT, "index: a secret of another length");
}

static enum rc
make_secret(struct resolver *rs, struct slice name, struct slice *out, struct err *e)
{
	struct record r = { .type = RECORD_SECRET };
	uint8_t *value = arena_alloc(&rs->c->arena, VOLUME_SECRET_LEN);
	enum rc rc;

	if (value == NULL)
		return err_nomem(e);
	if (secret_random(value, VOLUME_SECRET_LEN, e) != RC_OK)
		return resolve_refuse(rs, RC_IO, e, "no random bytes from the system");
	*out = slice_of(value, VOLUME_SECRET_LEN);
	r.u.secret = (struct record_secret){ name, *out };
	rc = resolve_frame_begin(rs, e);
	if (rc == RC_OK)
		rc = resolve_add(rs, &r, e);
	return rc == RC_OK ? resolve_frame_end(rs, e) : rc;
}

enum rc
resolve_secret(struct resolver *rs, struct err *e)
{
	struct change_secret *c = &rs->c->u.secret;
	enum rc rc;

	if (c->name.len == 0 || c->name.len > SECRET_NAME_MAX)
		return resolve_refuse(rs, RC_LIMIT, e, "a secret's name is too long");
	rc = read_secret(rs->db, c->name, &rs->c->arena, &c->value, e);
	return rc == RC_NOT_FOUND ? make_secret(rs, c->name, &c->value, e) : rc;
}

static enum rc
find_secret(struct volume *v, struct slice name, struct arena *a, struct slice *out, struct err *e)
{
	struct db *db;
	enum rc rc = db_pool_borrow(v->pool, &db, e);

	if (rc != RC_OK)
		return rc;
	rc = read_secret(db, name, a, out, e);
	db_pool_return(v->pool, &db);
	return rc;
}

static enum rc
ask_writer(struct volume *v, struct slice name, uint8_t out[VOLUME_SECRET_LEN], struct err *e)
{
	struct change *c = change_new(CHANGE_SECRET);
	enum rc rc;

	if (c == NULL)
		return err_nomem(e);
	c->who.protocol = PROTO_SYSTEM;
	c->u.secret.name = name;
	rc = volume_submit_wait(v, c);
	if (rc == RC_OK)
		memcpy(out, c->u.secret.value.ptr, VOLUME_SECRET_LEN);
	else
		*e = c->err;
	if (rc == RC_OK)
		secret_wipe((void *)(uintptr_t)c->u.secret.value.ptr, VOLUME_SECRET_LEN);
	change_free(&c);
	return rc;
}

enum rc
volume_secret(struct volume *v, const char *name, uint8_t out[VOLUME_SECRET_LEN], struct err *e)
{
	struct slice found;
	struct arena a;
	enum rc rc;

	arena_init(&a, 4096);
	rc = find_secret(v, slice_str(name), &a, &found, e);
	if (rc == RC_OK) {
		memcpy(out, found.ptr, VOLUME_SECRET_LEN);
		secret_wipe((void *)(uintptr_t)found.ptr, VOLUME_SECRET_LEN);
	}
	arena_fini(&a);
	return rc == RC_NOT_FOUND && v->writer != NULL ? ask_writer(v, slice_str(name), out, e)
	                                               : rc;
}
