/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Makes the parent what the books say. The audit trail is the journal: each backend has a place in it ("meta"
 * backend:<parent>:<name>), walks on from there, and makes each child that it meets what is registered now (not what it
 * was then: several changes become one). A child is published when all backends of its parent have it. Everything is
 * idempotent: after a crash it is done again. A backend that is down is asked again, with growing pauses; the others go
 * on. Also here: reading the parent zone (import).
 * @source PROTOCOL G.5 step 11, G.8
 */
#ifndef PRT_BACKEND_H
#define PRT_BACKEND_H

#include "shell.h"

struct prt_backends;
MSP_CHECKED enum msp_err prt_backends_open(struct prt_app *app, struct prt_backends **out, struct msp_why *why);
/** After a reload: what stays the same goes on. */
void prt_backends_renew(struct prt_backends *b);
void prt_backends_close(struct prt_backends **b);
/** There is something new in the journal. */
void prt_backends_poke(struct prt_app *app);
/** The parent zone was read and something was new. is_first: all children are, and the journal does not name them. */
void prt_backends_imported(struct prt_app *app, const struct msp_name *parent, bool is_first);

struct prt_backend_state { /* for msctl, metrics, health */
	const struct prt_conf_parent *parent;
	const struct prt_conf_backend *conf;
	uint64_t place; /* journal done up to here */
	bool is_busy;
	bool is_down;        /* the last attempt failed */
	bool is_standby;     /* another process does it */
	size_t left;         /* children set aside, tried again later: others go on meanwhile */
	struct msp_why last; /* of the last attempt that failed, empty when nothing is left of it */
	struct msp_wall last_ok, next;
};
size_t prt_backends_count(const struct prt_backends *b);
void prt_backends_state(const struct prt_backends *b, size_t i, struct prt_backend_state *out);

/* --- for the drivers: backend_update.c, backend_file.c, backend_hook.c, backend_sql.c --- */

/** One child to be made so. Borrowed until done. */
struct prt_backend_job {
	const struct prt_delegation *have; /* what the backend is known to have */
	const struct prt_delegation *want;
	const struct prt_delegation *maybe; /* what it may have as well, of attempts that ended in doubt; NULL */
	uint64_t seq;                       /* newest journal record that it answers */
};
/**
 * MSP_OK; MSP_EREFUSED: never in this form (why says what), not tried again; MSP_ENET: the backend cannot be reached,
 * all wait; else: try again later. With several jobs that failed, each is tried by itself, so that one child holds up
 * nobody else.
 */
typedef void prt_backend_done_fn(void *arg, enum msp_err err, const struct msp_why *why);
#define PRT_BATCH_MAX 1024
struct prt_backend; /* a driver's instance; its first member: */
struct prt_backend_driver {
	const char *name;
	size_t batch; /* most jobs at once, at most PRT_BATCH_MAX */
	/** It always writes all children of the parent, imported ones too: jobs (none, for imports) only say when. */
	bool is_whole;
	enum msp_err (*open)(struct prt_app *app, const struct prt_conf_parent *parent,
			     const struct prt_conf_backend *conf, struct prt_backend **out, struct msp_why *why);
	/** One call at a time. done fires exactly once, from the loop, for all jobs of the call, unless closed. */
	enum msp_err (*apply)(struct prt_backend *b, const struct prt_backend_job *jobs, size_t count,
			      prt_backend_done_fn *done, void *arg);
	void (*close)(struct prt_backend **b);
};
struct prt_backend {
	const struct prt_backend_driver *driver;
};
extern const struct prt_backend_driver prt_backend_update, prt_backend_file, prt_backend_hook, prt_backend_sql;

/* --- import.c --- */
struct prt_importer;
MSP_CHECKED enum msp_err prt_importer_open(struct prt_app *app, struct prt_importer **out);
void prt_importer_renew(struct prt_importer *i);
void prt_importer_close(struct prt_importer **i);
/** An operator: look now; force: believe it whatever it lost. False: not ours, or it has no primary. */
bool prt_importer_start(struct prt_app *app, const struct msp_name *zone, bool force);
/** NOTIFY(SOA) for a parent from its primary's address: look now. False: not ours. */
bool prt_importer_notify(struct prt_app *app, const struct msp_name *zone, const struct msp_addr *from);
struct prt_import_state {
	const struct prt_conf_parent *parent;
	bool is_busy, has_serial;
	uint32_t serial;
	uint64_t children;
	struct msp_wall last_ok;
	struct msp_why last; /* why the last look failed; empty: it did not */
};
size_t prt_importer_count(const struct prt_importer *i);
void prt_importer_state(const struct prt_importer *i, size_t n, struct prt_import_state *out);

#endif
