/* maintain - one piece of maintenance of a volume at a time: check, scrub, compaction and backup would confuse each other.
 * See volume.h. */
#include "index/volume_impl.h"

enum rc
volume_maintain_begin(struct volume *v, const char *what, bool wait, struct err *e)
{
	struct maintenance *m = &v->maintenance;
	enum rc rc = RC_OK;

	(void)pthread_mutex_lock(&m->lock);
	m->waiting++;
	while (m->what != NULL && wait)
		(void)pthread_cond_wait(&m->free, &m->lock);
	m->waiting--;
	if (m->what != NULL)
		rc = err_set(e, RC_BUSY, "volume %s: %s is under way", v->name, m->what);
	else
		m->what = what;
	(void)pthread_mutex_unlock(&m->lock);
	return rc;
}

void
volume_maintain_end(struct volume *v)
{
	(void)pthread_mutex_lock(&v->maintenance.lock);
	v->maintenance.what = NULL;
	(void)pthread_cond_signal(&v->maintenance.free);
	(void)pthread_mutex_unlock(&v->maintenance.lock);
}

void
volume_stop_maintenance(struct volume *v)
{
	atomic_store(&v->ending, true);
}

bool
volume_maintain_wanted(struct volume *v)
{
	bool wanted;

	(void)pthread_mutex_lock(&v->maintenance.lock);
	wanted = v->maintenance.waiting > 0;
	(void)pthread_mutex_unlock(&v->maintenance.lock);
	return wanted;
}
