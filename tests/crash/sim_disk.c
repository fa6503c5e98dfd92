/* sim_disk - see sim_disk.h.
 *
 * Rejected: a file system in memory (SQLite and mmap of its -shm want real files); overlapping
 * writes that reach the disk in the wrong order (no page cache does that; an older one without the
 * newer is what a dropped edit gives).
 */
#define _GNU_SOURCE
#include "tests/crash/sim_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- SQLite's ---- */

struct sim_file *
sim_vfs_file(const char *path, bool made)
{
	char rel[PATH_LEN];
	struct entry *e;
	struct sim_file *f = NULL;

	sim_lock();
	if (sim_find_path(-1, path, rel)) {
		e = sim_find_entry(sim.now, rel);
		if (e == NULL && made) {
			f = sim_new_file(rel, false);
			sim_set_entry(&sim.now, rel, f);
			sim_note_entry(rel, "", f);
		} else if (e != NULL) {
			f = e->file;
		}
	}
	sim_unlock(0);
	return f;
}

int
sim_vfs_open(const char *path)
{
	sim_lock();
	return sim_unlock(sim_admit(sim_piece_of(path), false, false) == FAIL ? errno : 0);
}

int
sim_vfs_write(struct sim_file *f, const void *bytes, size_t *len, uint64_t off)
{
	sim_lock();
	return sim_unlock(sim_write_bytes(f, bytes, len, off) == 0 ? 0 : errno);
}

int
sim_vfs_truncate(struct sim_file *f, uint64_t len)
{
	sim_lock();
	return sim_unlock(sim_truncate_to(f, len) == 0 ? 0 : errno);
}

int
sim_vfs_sync(struct sim_file *f)
{
	sim_lock();
	return sim_unlock(sim_sync_file(f) == 0 ? 0 : errno);
}

int
sim_vfs_sync_dir(const char *path)
{
	char rel[PATH_LEN];
	char *slash;

	sim_lock();
	if (!sim_find_path(-1, path, rel))
		return sim_unlock(0);
	slash = strrchr(rel, '/');
	if (slash != NULL)
		*slash = '\0';
	else
		rel[0] = '\0';
	if (sim_admit(PIECE_INDEX, false, true) != GO)
		return sim_unlock(EIO);
	sim_settle_entries(rel);
	return sim_unlock(0);
}

int
sim_vfs_read(void)
{
	return sim_is_cut() ? EIO : 0;
}

/* ---- before and after ---- */

/* Everything below the root as it is. */
static void
scan(const char *rel)
{
	char path[2 * PATH_LEN], sub[2 * PATH_LEN];
	struct dirent *de;
	DIR *dir;

	sim_set_path(path, sizeof path, sim.root, rel);
	dir = sim_must(opendir(path));
	while ((de = readdir(dir)) != NULL) {
		struct sim_file *f;
		bool is_dir = de->d_type == DT_DIR;

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		sim_set_path(sub, sizeof sub, rel, de->d_name);
		if (sim_is_shm(sub)) {
			sim_set_path(path, sizeof path, sim.root, sub);
			(void)unlink(path);
			continue;
		}
		f = sim_new_file(sub, is_dir);
		sim_set_entry(&sim.now, sub, f);
		sim_set_entry(&sim.durable, sub, f);
		if (is_dir)
			scan(sub);
	}
	closedir(dir);
}

static void
drop_all(void)
{
	while (sim.files != NULL) {
		struct sim_file *f = sim.files;

		sim.files = f->next;
		sim_free_edits(f);
		sim_free_stale(f);
		if (f->fd >= 0)
			close(f->fd);
		if (strncmp(f->real, sim.grave, strlen(sim.grave)) == 0)
			(void)unlink(f->real);
		free(f);
	}
	while (sim.ops != NULL) {
		struct entry_op *op = sim.ops;

		sim.ops = op->next;
		free(op);
	}
	sim.ops_end = &sim.ops;
	sim_free_entries(&sim.now);
	sim_free_entries(&sim.durable);
	memset(sim.fds, 0, sizeof sim.fds);
}

/* The root itself has a file: directories are opened through it. */
static void
load(void)
{
	struct sim_file *f = sim_new_file("", true);

	sim_set_path(f->real, sizeof f->real, "", sim.root);
	sim_set_entry(&sim.now, "", f);
	sim_set_entry(&sim.durable, "", f);
	scan("");
	sim.cut = sim.takeover = false;
}

void
sim_reset(void)
{
	sim_lock();
	drop_all();
	load();
	sim_unlock(0);
}

void
sim_mount(const char *root)
{
	sim_lock();
	sim.ops_end = &sim.ops;
	sim_set_path(sim.root, sizeof sim.root, "", root);
	sim.root_len = strlen(sim.root);
	(void)snprintf(sim.grave, sizeof sim.grave, "%.400s.lost", root);
	if (mkdir(sim.grave, 0700) != 0)
		abort();
	load();
	fs = &sim_fs;
	sim_unlock(0);
}

void
sim_unmount(void)
{
	sim_lock();
	fs = &fs_posix;
	drop_all();
	(void)rmdir(sim.grave);
	sim_unlock(0);
}

static bool
dir_survives(const char *path)
{
	char dir[PATH_LEN];
	char *slash;

	sim_set_path(dir, sizeof dir, "", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		return true;
	*slash = '\0';
	return sim_find_entry(sim.durable, dir) != NULL && dir_survives(dir);
}

/* Files that have no name on the disk go, those whose removal was lost come back. Directories stay
 * where they are; only one that was made and lost goes, when it is empty. */
static void
put_entries(void)
{
	char path[2 * PATH_LEN];

	for (struct sim_file *f = sim.files; f != NULL; f = f->next)
		if (!f->is_dir && strncmp(f->real, sim.grave, strlen(sim.grave)) != 0)
			sim_bury(f);
	for (struct entry *e = sim.now; e != NULL; e = e->next) {
		sim_set_path(path, sizeof path, sim.root, e->path);
		if (e->file->is_dir && sim_find_entry(sim.durable, e->path) == NULL)
			(void)rmdir(path);
	}
	for (struct entry *e = sim.durable; e != NULL; e = e->next) {
		if (e->file->is_dir || !dir_survives(e->path))
			continue;
		sim_set_path(path, sizeof path, sim.root, e->path);
		if (rename(e->file->real, path) != 0)
			abort();
		sim_set_path(e->file->real, sizeof e->file->real, "", path);
	}
}

void
sim_restore(void)
{
	struct fate t;

	sim_lock();
	sim.cut = true;
	sim.boots++;
	t.mood = (enum mood)sim_draw(MOODS);
	t.up_to = sim.seq > 40 ? sim.seq - sim_draw(40) : sim_draw(sim.seq + 1);
	for (struct sim_file *f = sim.files; f != NULL; f = f->next)
		sim_put_image(f, &t);
	for (const struct entry_op *op = sim.ops; op != NULL; op = op->next)
		if (sim_keeps(&t, op->seq))
			sim_apply_entry(&sim.durable, op);
	put_entries();
	drop_all();
	load();
	sim_unlock(0);
}
