/* claim - what must not be done twice at once in a volume: see enum claim_kind in volume.h.
 *
 * All claims that are held stand in one list; a new one waits or is refused while one like it
 * stands there. They are their holders' own memory, so there is no limit to their number and no
 * failure to make one. A claim that is waited for is waited for holding no other, so that two
 * cannot wait for each other; a move, which needs two volumes, never waits.
 *
 * Rejected: a lock for each kind. A thread that holds it could not be named to who is refused, and
 * imports need one for each account.
 */
#include "index/volume_impl.h"

static bool
is_like(const struct claim *a, const struct claim *b)
{
	return a->kind == b->kind && a->account == b->account;
}

/* The lock is held. */
static const struct claim *
find_like(const struct claims *all, const struct claim *c)
{
	for (const struct claim *held = all->held; held != NULL; held = held->next)
		if (is_like(held, c))
			return held;
	return NULL;
}

/* The lock is held. */
static void
hold(struct claims *all, struct claim *c)
{
	c->next = all->held;
	all->held = c;
}

enum rc
volume_claim(struct volume *v, struct claim *c, struct err *e)
{
	const struct claim *other;
	enum rc rc = RC_OK;

	(void)pthread_mutex_lock(&v->claims.lock);
	other = find_like(&v->claims, c);
	if (other == NULL)
		hold(&v->claims, c);
	else
		rc = err_set(e, RC_BUSY, "volume %s: %s is under way; try again when it is done",
		             v->name, other->what);
	(void)pthread_mutex_unlock(&v->claims.lock);
	return rc;
}

void
volume_claim_wait(struct volume *v, struct claim *c)
{
	(void)pthread_mutex_lock(&v->claims.lock);
	while (find_like(&v->claims, c) != NULL)
		(void)pthread_cond_wait(&v->claims.released, &v->claims.lock);
	hold(&v->claims, c);
	(void)pthread_mutex_unlock(&v->claims.lock);
}

void
volume_release(struct volume *v, struct claim *c)
{
	struct claim **at = &v->claims.held;

	(void)pthread_mutex_lock(&v->claims.lock);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	(void)pthread_cond_broadcast(&v->claims.released);
	(void)pthread_mutex_unlock(&v->claims.lock);
}

const char *
volume_claimed(struct volume *v, enum claim_kind kind)
{
	const struct claim like = { .kind = kind };
	const struct claim *held;
	const char *what;

	(void)pthread_mutex_lock(&v->claims.lock);
	held = find_like(&v->claims, &like);
	what = held != NULL ? held->what : NULL;
	(void)pthread_mutex_unlock(&v->claims.lock);
	return what;
}
