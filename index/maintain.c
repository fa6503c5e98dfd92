/* maintain - one piece of maintenance of a volume at a time, as check, compaction and backup would confuse each other; and,
 * beside it, one piece of the admin's work on accounts, as two restores into one mailbox would put everything there twice.
 * See volume.h.
 *
 * The former is waited for, holding nothing; the latter never, so that a move, which needs two volumes, cannot block another.
 */
#include "index/volume_impl.h"

#include <stdlib.h>
#include <string.h>

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

const char *
volume_maintenance(struct volume *v)
{
	const char *what;

	(void)pthread_mutex_lock(&v->maintenance.lock);
	what = v->maintenance.what;
	(void)pthread_mutex_unlock(&v->maintenance.lock);
	return what;
}

enum rc
volume_work_begin(struct volume *v, const char *what, struct err *e)
{
	struct maintenance *m = &v->maintenance;
	enum rc rc = RC_OK;

	(void)pthread_mutex_lock(&m->lock);
	if (m->work != NULL)
		rc = err_set(e, RC_BUSY, "volume %s: %s is under way; try again when it is done", v->name, m->work);
	else
		m->work = what;
	(void)pthread_mutex_unlock(&m->lock);
	return rc;
}

void
volume_work_end(struct volume *v)
{
	(void)pthread_mutex_lock(&v->maintenance.lock);
	v->maintenance.work = NULL;
	(void)pthread_mutex_unlock(&v->maintenance.lock);
}

/* A free place, if nobody imports into this account; NULL otherwise. */
static account_id *
import_place(struct maintenance *m, account_id account)
{
	account_id *place = NULL;

	for (unsigned i = 0; i < IMPORTS_MAX; i++) {
		if (m->importing[i] == account)
			return NULL;
		if (m->importing[i] == 0)
			place = &m->importing[i];
	}
	return place;
}

bool
volume_import_begin(struct volume *v, account_id account, bool wait)
{
	struct maintenance *m = &v->maintenance;
	account_id *place;

	(void)pthread_mutex_lock(&m->lock);
	while ((place = import_place(m, account)) == NULL && wait)
		(void)pthread_cond_wait(&m->imported, &m->lock);
	if (place != NULL)
		*place = account;
	(void)pthread_mutex_unlock(&m->lock);
	return place != NULL;
}

void
volume_import_end(struct volume *v, account_id account)
{
	struct maintenance *m = &v->maintenance;

	(void)pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < IMPORTS_MAX; i++)
		if (m->importing[i] == account)
			m->importing[i] = 0;
	(void)pthread_cond_broadcast(&m->imported);
	(void)pthread_mutex_unlock(&m->lock);
}

void
volume_note_backup(struct volume *v, uint64_t time_us, const char *where)
{
	char *copy = strdup(where);

	(void)pthread_mutex_lock(&v->maintenance.lock);
	free(v->maintenance.backed_up_to);
	v->maintenance.backed_up_to = copy;
	v->maintenance.backed_up_us = time_us;
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
