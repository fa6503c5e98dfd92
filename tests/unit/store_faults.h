/* store_faults - the file backend with failures on demand, for tests. */
#ifndef RESTANTE_TESTS_STORE_FAULTS_H
#define RESTANTE_TESTS_STORE_FAULTS_H

#include "store/backend.h"

#include <errno.h>

/* Each counts down to its failure; 0: never. */
static struct {
	_Atomic int append_refused;     /* ENOSPC before a byte is written */
	_Atomic int append_dead;        /* written, then the sync fails */
	_Atomic int append_unwritten;   /* the write itself fails */
	_Atomic int sync_dead;
	_Atomic int seal_fails;
	_Atomic int create_refused;
	_Atomic int reacquire_fails;
	_Atomic bool reacquire_stuck;   /* every time */
	_Atomic uint64_t bad_from, bad_to;      /* bytes of any piece that cannot be read */
	_Atomic bool only_reserve;      /* appends without the reserve are refused */
} fault;

static inline bool
fault_now(_Atomic int *countdown)
{
	return *countdown > 0 && --*countdown == 0;
}

struct fault_forward {
	backend_done done;
	void        *arg;
	bool         die;
};

static void
fault_forward_done(void *arg, enum append_outcome outcome, const struct err *e)
{
	struct fault_forward *f = arg;
	struct err mine = ERR_INIT;

	if (!f->die) {
		f->done(f->arg, outcome, e);
		return;
	}
	err_os(&mine, EIO, "injected: sync");
	f->done(f->arg, APPEND_DEAD, &mine);
}

static inline void
fault_append(struct backend *b, struct backend_append *what, backend_done done, void *arg)
{
	struct fault_forward f = { done, arg, fault_now(&fault.append_dead) };
	struct err e = ERR_INIT;

	if (fault_now(&fault.append_refused) || (fault.only_reserve && !what->reserve_ok)) {
		err_os(&e, ENOSPC, "injected: append");
		done(arg, APPEND_REFUSED, &e);
	} else if (fault_now(&fault.append_unwritten)) {
		err_os(&e, EIO, "injected: write");
		done(arg, APPEND_DEAD, &e);
	} else {
		backend_file.append(b, what, fault_forward_done, &f);
	}
}

static inline void
fault_sync(struct backend *b, backend_done done, void *arg)
{
	struct fault_forward f = { done, arg, fault_now(&fault.sync_dead) };

	backend_file.sync(b, fault_forward_done, &f);
}

static inline enum rc
fault_seal(struct backend *b, const struct root_segment *seg, struct err *e)
{
	if (fault_now(&fault.seal_fails))
		return err_os(e, EIO, "injected: seal");
	return backend_file.segment_seal(b, seg, e);
}

static inline enum append_outcome
fault_create(struct backend *b, const struct root_segment *seg, struct slice header,
             bool reserve_ok, const struct root_segment *sealed, struct err *e)
{
	if (fault_now(&fault.create_refused)) {
		err_os(e, EMFILE, "injected: create");
		return APPEND_REFUSED;
	}
	return backend_file.segment_create(b, seg, header, reserve_ok, sealed, e);
}

static inline enum rc
fault_reacquire(struct backend *b, uint64_t takeover_id, struct err *e)
{
	if (fault.reacquire_stuck || fault_now(&fault.reacquire_fails))
		return err_os(e, EIO, "injected: reacquire");
	return backend_file.reacquire(b, takeover_id, e);
}

static inline enum rc
fault_read(struct backend *b, const struct seg_id *id, uint64_t off, void *dst, size_t len,
           size_t *got, struct err *e)
{
	if (off < fault.bad_to && off + len > fault.bad_from)
		return err_os(e, EIO, "injected: read");
	return backend_file.read(b, id, off, dst, len, got, e);
}

static struct backend_ops faulty;

static inline enum rc
fault_acquire(const char *path, const struct backend_acquire *how, struct backend **out,
              struct err *e)
{
	enum rc rc = backend_file.acquire(path, how, out, e);

	if (rc == RC_OK)
		(*out)->ops = &faulty;
	return rc;
}

/* A table of a backend without faults set. */
static inline const struct backend_ops *
faulty_backend(void)
{
	memset(&fault, 0, sizeof fault);
	faulty = backend_file;
	faulty.acquire = fault_acquire;
	faulty.append = fault_append;
	faulty.sync = fault_sync;
	faulty.segment_seal = fault_seal;
	faulty.segment_create = fault_create;
	faulty.reacquire = fault_reacquire;
	faulty.read = fault_read;
	return &faulty;
}

#endif
