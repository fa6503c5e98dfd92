/* restart - see restart.h. Everything that is not compared here is read anew for each connection,
 * or by SIGHUP itself. */
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

static bool
same_list(const struct conf_list *a, const struct conf_list *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = same_text(a->words[i], b->words[i]);
	return same;
}

static bool
same_volume(const struct conf_volume *a, const struct conf_volume *b)
{
	return same_text(a->named.name, b->named.name) && same_text(a->path, b->path) &&
	       a->durability == b->durability;
}

static bool
same_listen(const struct conf_listen *a, const struct conf_listen *b)
{
	return same_text(a->named.name, b->named.name) && a->protocol == b->protocol &&
	       same_text(a->address, b->address) && a->port == b->port &&
	       same_text(a->socket, b->socket) && a->mode == b->mode &&
	       same_text(a->group, b->group) && a->client_certificates == b->client_certificates &&
	       a->proxy_protocol == b->proxy_protocol;
}

/* Plugins are loaded once, and the sandbox lets nobody be asked if nobody was asked at the start.
 * The order is read anew. */
static unsigned
tell_auth(const struct conf_auth *a, const struct conf_auth *b, bool sandbox)
{
	bool same = true;

	for (size_t i = 0; i < b->password_sources.count; i++) {
		const char *word = b->password_sources.words[i];
		bool had = strcmp(word, "restante") == 0 ||
		           (!sandbox && strcmp(word, "saslauthd") == 0);

		for (size_t k = 0; k < a->password_sources.count; k++)
			had = had || strcmp(a->password_sources.words[k], word) == 0;
		same = same && had;
	}
	return tell(same, "[auth] password_sources") +
	       tell(same_text(a->sasl_config, b->sasl_config), "[auth] sasl_config");
}

unsigned
restart_tell(const struct conf *started, const struct conf *now)
{
	const struct conf_server *a = &started->server, *b = &now->server;

	return tell(same_text(a->hostname, b->hostname), "[server] hostname") +
	       tell(a->sandbox == b->sandbox && a->sandbox_connect == b->sandbox_connect,
	            "[server] sandbox") +
	       tell(same_list(&a->sandbox_paths, &b->sandbox_paths), "[server] sandbox_paths") +
	       tell(a->pool_threads == b->pool_threads, "[server] pool_threads") +
	       tell_auth(&started->auth, &now->auth, a->sandbox);
}

unsigned
restart_tell_fixed(const struct conf *started, const struct conf *now)
{
	const struct conf_server *a = &started->server, *b = &now->server;
	bool same = started->n_listens == now->n_listens;

	for (size_t i = 0; same && i < now->n_listens; i++)
		same = same_listen(&started->listens[i], &now->listens[i]);
	return tell(same_text(a->user, b->user), "[server] user") +
	       tell(same_text(a->control_socket, b->control_socket), "[server] control_socket") +
	       tell(a->reactors == b->reactors, "[server] reactors") + tell(same, "[listen]");
}

unsigned
restart_tell_volume(const struct conf_volume *opened, const struct conf *now)
{
	char key[80];
	bool same = false;

	for (size_t i = 0; i < now->n_volumes; i++)
		same = same || same_volume(opened, &now->volumes[i]);
	(void)snprintf(key, sizeof key, "[volume %s]", opened->named.name);
	return tell(same, key);
}
