/* delay - see delay.h. */
#include "server/pop3/delay.h"

#include <pthread.h>

#define WAYS 8u                         /* entries that an account may be found in */
#define ROWS (POP3_DELAY_ACCOUNTS / WAYS)

struct entry {
	const struct volume *volume;  /* volumes stay open as long as the server runs; NULL: free */
	account_id           account;
	uint64_t             at_ms;
};

static struct {
	pthread_mutex_t lock;
	struct entry    rows[ROWS][WAYS];
} logins = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Ids count upwards, so neighbours fall into different rows. */
static struct entry *
row_of(const struct volume *v, account_id account)
{
	return logins.rows[((uint64_t)account + (uintptr_t)v / 64) % ROWS];
}

/* The account's entry, or the one that it may take over. */
static struct entry *
entry_of(const struct volume *v, account_id account)
{
	struct entry *row = row_of(v, account), *oldest = &row[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (row[i].volume == v && row[i].account == account)
			return &row[i];
		if (row[i].at_ms < oldest->at_ms)
			oldest = &row[i];
	}
	return oldest;
}

bool
pop3_delay_pass(const struct volume *v, account_id account, uint64_t seconds, uint64_t now_ms)
{
	struct entry *e;
	bool early;

	if (seconds == 0)
		return true;
	pthread_mutex_lock(&logins.lock);
	e = entry_of(v, account);
	early = e->volume == v && e->account == account && now_ms - e->at_ms < seconds * 1000;
	if (!early)
		*e = (struct entry){ v, account, now_ms };
	pthread_mutex_unlock(&logins.lock);
	return !early;
}
