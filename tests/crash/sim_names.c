/* sim_names - see sim_impl.h. Lists: the volumes of these tests have some dozen files. */
#define _GNU_SOURCE
#include "tests/crash/sim_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
sim_set_path(char *dst, size_t size, const char *dir, const char *name)
{
	int n = snprintf(dst, size, "%s%s%s", dir, dir[0] != '\0' && name[0] != '\0' ? "/" : "",
	                 name);

	if (n < 0 || (size_t)n >= size)
		abort();
}

struct entry *
sim_find_entry(struct entry *list, const char *path)
{
	while (list != NULL && strcmp(list->path, path) != 0)
		list = list->next;
	return list;
}

void
sim_set_entry(struct entry **list, const char *path, struct sim_file *f)
{
	struct entry *e = sim_find_entry(*list, path);

	if (e == NULL) {
		e = sim_must(calloc(1, sizeof *e));
		sim_set_path(e->path, sizeof e->path, "", path);
		e->next = *list;
		*list = e;
	}
	e->file = f;
}

void
sim_drop_entry(struct entry **list, const char *path)
{
	for (struct entry **p = list; *p != NULL; p = &(*p)->next) {
		struct entry *e = *p;

		if (strcmp(e->path, path) == 0) {
			*p = e->next;
			free(e);
			return;
		}
	}
}

void
sim_free_entries(struct entry **list)
{
	while (*list != NULL)
		sim_drop_entry(list, (*list)->path);
}

enum piece
sim_piece_of(const char *path)
{
	const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;

	if (strncmp(name, "s-", 2) == 0 || strncmp(name, "b-", 2) == 0 || strcmp(name, "log") == 0)
		return PIECE_LOG;
	if (strncmp(name, "head", 4) == 0)
		return PIECE_HEAD;
	return strncmp(name, "index.db", 8) == 0 ? PIECE_INDEX : PIECE_OTHER;
}

struct sim_file *
sim_new_file(const char *path, bool is_dir)
{
	struct sim_file *f = sim_must(calloc(1, sizeof *f));

	sim_set_path(f->real, sizeof f->real, sim.root, path);
	f->fd = -1;
	f->piece = sim_piece_of(path);
	f->is_dir = is_dir;
	f->next = sim.files;
	sim.files = f;
	return f;
}

bool
sim_is_shm(const char *path)
{
	size_t n = strlen(path);

	return n > 4 && strcmp(path + n - 4, "-shm") == 0;
}

/* The path below the root; false: elsewhere, or a file that is no part of what is durable. "" is
 * the root itself. */
bool
sim_find_path(int dirfd, const char *path, char out[PATH_LEN])
{
	char whole[2 * PATH_LEN];

	if (path[0] == '/') {
		sim_set_path(whole, sizeof whole, "", path);
	} else if (dirfd >= 0 && dirfd < FDS_MAX && sim.fds[dirfd] != NULL) {
		sim_set_path(whole, sizeof whole, sim.fds[dirfd]->real,
		             strcmp(path, "..") == 0 ? "" : path);
		if (strcmp(path, "..") == 0)
			*strrchr(whole, '/') = '\0';
	} else {
		return false;
	}
	if (strncmp(whole, sim.root, sim.root_len) != 0 || sim_is_shm(whole))
		return false;
	if (whole[sim.root_len] == '\0')
		out[0] = '\0';
	else if (whole[sim.root_len] == '/')
		sim_set_path(out, PATH_LEN, "", whole + sim.root_len + 1);
	else
		return false;
	return true;
}

void
sim_note_entry(const char *path, const char *from, struct sim_file *f)
{
	struct entry_op *op = sim_must(calloc(1, sizeof *op));

	op->seq = ++sim.seq;
	sim_set_path(op->path, sizeof op->path, "", path);
	sim_set_path(op->from, sizeof op->from, "", from);
	op->file = f;
	*sim.ops_end = op;
	sim.ops_end = &op->next;
}

static bool
lies_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	const char *rest = n == 0 ? path : path + n + 1;

	return (n == 0 || (strncmp(path, dir, n) == 0 && path[n] == '/')) &&
	       strchr(rest, '/') == NULL;
}

void
sim_apply_entry(struct entry **list, const struct entry_op *op)
{
	if (op->from[0] != '\0')
		sim_drop_entry(list, op->from);
	if (op->file != NULL)
		sim_set_entry(list, op->path, op->file);
	else
		sim_drop_entry(list, op->path);
}

/* The directory's entries are durable as they are. */
void
sim_settle_entries(const char *dir)
{
	struct entry_op **p = &sim.ops, *op;

	while ((op = *p) != NULL) {
		if (!lies_in(op->path, dir)) {
			p = &op->next;
			continue;
		}
		sim_apply_entry(&sim.durable, op);
		*p = op->next;
		free(op);
	}
	sim.ops_end = p;
}
