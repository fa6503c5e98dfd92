/* restart - see restart.h. Everything that is not compared here is read anew for each connection, or by SIGHUP itself. */
#include "server/restart.h"

#include <stdio.h>

static unsigned
tell(bool same, const char *key)
{
	struct logline l;

	if (same)
		return 0;
	log_begin(&l, LOGLEVEL_WARN, "server.needs_restart");
	log_cstr(&l, "key", key);
	log_end(&l);
	return 1;
}

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static unsigned
tell_server(const struct conf_server *a, const struct conf_server *b)
{
	return tell(same_text(a->user, b->user), "[server] user") +
	       tell(same_text(a->hostname, b->hostname), "[server] hostname") +
	       tell(same_text(a->control_socket, b->control_socket), "[server] control_socket") +
	       tell(a->reactors == b->reactors, "[server] reactors") +
	       tell(a->pool_threads == b->pool_threads, "[server] pool_threads");
}

static bool
same_volume(const struct conf_volume *a, const struct conf_volume *b)
{
	return same_text(a->name, b->name) && same_text(a->path, b->path) && a->durability == b->durability;
}

static bool
same_listen(const struct conf_listen *a, const struct conf_listen *b)
{
	return same_text(a->name, b->name) && a->protocol == b->protocol && same_text(a->address, b->address) &&
	       a->port == b->port && same_text(a->socket, b->socket) && a->mode == b->mode;
}

unsigned
restart_tell(const struct conf *started, const struct conf *now)
{
	unsigned n = tell_server(&started->server, &now->server);
	bool same = started->n_listens == now->n_listens;

	for (size_t i = 0; same && i < now->n_listens; i++)
		same = same_listen(&started->listens[i], &now->listens[i]);
	return n + tell(same, "[listen]");
}

unsigned
restart_tell_volume(const struct conf_volume *opened, const struct conf *now)
{
	char key[80];
	bool same = false;

	for (size_t i = 0; i < now->n_volumes; i++)
		same = same || same_volume(opened, &now->volumes[i]);
	(void)snprintf(key, sizeof key, "[volume %s]", opened->name);
	return tell(same, key);
}
