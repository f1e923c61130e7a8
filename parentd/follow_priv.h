/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What the follow*.c files, agenda.c, sweep.c and report.c share. A task is a child for which something is to be done;
 * a run is the one thing that is being done for it: load the child, look outside, decide, store. follow.c has the line
 * of tasks, follow_work.c the steps that every run is made of, follow_check.c, follow_scan.c and follow_boot.c the
 * kinds of runs. The loop owns all of it; a worker or the books' thread has a run only between the start of a step and
 * its end.
 */
#ifndef PRT_FOLLOW_PRIV_H
#define PRT_FOLLOW_PRIV_H

#include "follow.h"
#include "work.h"

#include <msproto/base/map.h>
#include <msproto/io/batch.h>
#include <msproto/io/xchg.h>

#define PRT_TASKS_MAX    20000 /* children in line */
#define PRT_RUNS_MAX     8192  /* under way, whatever the settings say */
#define PRT_DO_TICK      (1u << 16)
#define PRT_POOL_MAX     4  /* pieces of work at a time; connections of the books for reading */
#define PRT_POOL_BATCH   16 /* runs in a piece */
#define PRT_RACES_MAX    3  /* judgements thrown away because the child had changed; then the books' thread judges */
#define PRT_STALL_MS     50
#define PRT_STALLS_MAX   100
#define PRT_LOOK_EARLY_S 300 /* who asks for a look has put its time off by no more than this (desk: a lease) */
#define PRT_ASKS_MAX     (2 * PRT_NS_MAX + 1)
#define PRT_PLAINS_MAX   (PRT_SERVERS_MAX + 63) /* vantage point 0 is here */
#define PRT_CHILD_MAX    (1u << 20)             /* octets of a child as stored */
#define PRT_REPORTS_MAX  65536

/** Why a scan: bits. */
#define PRT_BY_NOTIFY   1u
#define PRT_BY_DUE      2u
#define PRT_BY_OPERATOR 4u
#define PRT_BY_SWEEP    8u

enum prt_lane { PRT_LANE_URGENT, PRT_LANE_SCAN, PRT_LANE__N };

struct prt_watch {
	struct prt_watch *prev, *next;
	struct prt_watch **head; /* the list that it is in */
	prt_follow_fn *fn;
	void *arg;
};

struct prt_task {
	struct prt_follow *f;
	struct msp_name child;
	struct prt_task *prev, *next; /* in its lane's line, while nothing is done for it */
	bool is_in_line;
	enum prt_lane lane;
	unsigned want;           /* PRT_NEED_CHECK, LOOK, SCAN, PRT_DO_TICK: not begun yet */
	unsigned by;             /* PRT_BY_: of the scan that is wanted */
	uint32_t batch;          /* of the sweep */
	struct prt_watch *watch; /* of the check that is wanted */
	struct prt_errand *run;  /* owned; NULL: waits */
};

/** A DNSSEC look-up. */
struct prt_lookup {
	struct prt_errand *run;
	struct msp_name name;
	uint16_t type;
	bool is_open;  /* unsigned answers count too: set */
	bool is_known; /* the verdict, without asking */
	enum msp_lookup verdict;
	struct msp_secure_rrset *secure; /* owned */
	struct msp_rrset *set;           /* owned */
};
/** One server, or resolver, asked for KEY over TCP. */
struct prt_plain {
	struct prt_errand *run;
	struct msp_addr addr;
	unsigned vantage; /* 0: from here */
	bool is_asked;
	enum msp_err err;
	struct msp_rrset *keys; /* owned */
	struct msp_batch *batch;
	struct msp_xchg *xchg;
};
/** Of one run that looks for keys. */
struct prt_looking {
	struct prt_key key[PRT_KEYS_MAX]; /* that are due */
	enum prt_method method[PRT_KEYS_MAX];
	size_t keys, at;
	unsigned methods; /* still to be tried */
	enum prt_method now;
	struct prt_boot_secure signal[PRT_NS_MAX];
	struct prt_boot_seen seen;
	struct prt_plain *plain; /* owned */
	size_t plains, left;
	bool has_failed_now, has_failed; /* a key has become one that is not tried any more */
	struct prt_boot_plain said[PRT_PLAINS_MAX];
};

typedef void prt_step_fn(struct prt_errand *r);
typedef void prt_then_fn(struct prt_errand *r, enum msp_err err);
/** A decision: on a copy in a worker, or in the books. */
typedef enum msp_err prt_decide_fn(struct prt_errand *r, struct prt_child *c, struct msp_wall now,
				   struct prt_outcome *out);

struct prt_errand {
	struct prt_task *task;
	struct prt_follow *f;
	struct prt_errand *prev, *next; /* all runs */
	unsigned doing, by;
	struct prt_watch *watch;
	struct prt_settings *settings; /* a reference: rules point into it */
	const struct prt_rules *rules;
	uint32_t batch; /* of the sweep */

	/* a step in the pool */
	struct prt_errand *pool_next;
	prt_step_fn *work;
	prt_then_fn *then;
	enum msp_err err;
	/* a step that had no room */
	struct prt_errand *stall_next;
	prt_step_fn *resume;
	unsigned stalls;
	/* a step in the books */
	bool is_in_books;

	bool has_child;
	struct prt_child child; /* as loaded last */
	bool has_probed;
	struct prt_delegation probed; /* whose servers were looked at */
	const struct prt_delegation
		*known; /* borrowed from here; servers that it does not have are new. NULL: none is */
	bool is_idle;   /* nobody waits for it: what is known to be dead need not be asked */
	unsigned stage, questions;
	struct prt_probe *probe;
	struct prt_evidence evidence; /* owned */
	bool has_evidence;
	struct prt_evidence former; /* owned: of the look before, to be joined with it */
	bool has_former;
	struct prt_delegation base; /* a scan: what was registered when it began */
	bool has_base;
	struct prt_lookup *ask; /* owned */
	size_t asks, asks_left;
	prt_step_fn *asked;
	struct prt_dsboot_seen dsboot[PRT_NS_MAX];
	size_t dsboots;
	struct prt_looking *looking; /* owned */
	char why[PRT_TEXT_MAX];

	/* deciding */
	prt_decide_fn *decide;
	prt_then_fn *decided; /* NOT `then`: a judgement goes through the pool */
	struct msp_wall now;
	struct msp_buf before; /* the child that was judged, as stored */
	bool is_judged;        /* in a worker; false: the books' thread does it all */
	bool has_after, is_given;
	struct prt_child after;
	struct prt_outcome judged; /* what goes with it */
	unsigned races;
	struct prt_outcome out; /* what came of it in the end */
	bool is_obsolete;       /* what was looked at is not what the child has now */
	bool may;               /* a scan: the limits allow it */
	bool is_failure;        /* a scan: to be repeated */
};

struct prt_pool_item {
	struct prt_follow *f;
	struct prt_work *work;
	struct prt_errand *run[PRT_POOL_BATCH];
	size_t count;
};

struct prt_agenda {
	struct prt_follow *f;
	struct msp_timer *timer;
	struct prt_work *work;
	struct msp_name *name; /* owned, PRT_AGENDA_MAX */
	size_t count;
	struct msp_wall now;
	struct prt_due from, place; /* of this look; where the next one begins */
	enum msp_err err;
};
#define PRT_AGENDA_MAX 512

struct prt_follow {
	struct prt_app *app;
	struct msp_wall (*wall)(void); /* tests have their own */
	struct msp_map tasks;          /* owned, by name */
	struct {
		struct prt_task *first, *last;
		size_t running;
	} lane[PRT_LANE__N];
	size_t waiting;
	struct prt_errand *runs; /* all of them */
	struct {
		struct prt_errand *first, *last;
		struct prt_pool_item item[PRT_POOL_MAX];
	} pool;
	struct prt_errand *stalled;
	struct msp_timer *stall;
	bool is_pumping;
	struct prt_agenda agenda;
	struct prt_sweep *sweep;
	struct prt_reporter *reporter;
	struct msp_rr_scratch *scratch; /* owned */
};

/* --- follow.c --- */
/** MSP_EBUSY: too many; MSP_ENOMEM. */
MSP_CHECKED enum msp_err prt_task_want(struct prt_follow *f, const struct msp_name *child, unsigned want, unsigned by,
				       struct prt_task **out);
/** Something is to be done, or being done, for this child. */
bool prt_task_exists(const struct prt_follow *f, const struct msp_name *child);
/** Begin what may begin. */
void prt_follow_pump(struct prt_follow *f);
size_t prt_follow_limit(const struct prt_follow *f);
/** The run is over: watchers hear of it, what is wanted meanwhile gets in line. */
void prt_errand_end(struct prt_errand *r, enum msp_err err);
/** What was decided and stored: needs, reports, log. */
void prt_errand_outcome(struct prt_errand *r);
/** Something about records of this type has failed for good; r->child is there. Where nobody wants it: nothing. */
void prt_errand_report(struct prt_errand *r, uint16_t type, enum msp_ede_own ede);

/* --- follow_work.c --- */
MSP_CHECKED enum msp_err prt_errand_open(struct prt_task *t, unsigned doing, struct prt_errand **out);
void prt_errand_free(struct prt_errand **r);
/** In the pool, then on the loop: then(r, r->err). */
void prt_errand_work(struct prt_errand *r, prt_step_fn *work, prt_then_fn *then);
/** There is no room now: again in a moment. False: too often. */
bool prt_errand_stall(struct prt_errand *r, prt_step_fn *resume);
/** r->child, and r->rules for it. MSP_ENOTFOUND. */
void prt_errand_load(struct prt_errand *r, prt_then_fn *then);
/**
 * Decide, and store what was decided. Judged in a worker, on the child as it is; the books then only see whether it
 * still is so. What changes nothing is not stored. then: r->out is what came of it.
 */
void prt_errand_decide(struct prt_errand *r, prt_decide_fn *fn, prt_then_fn *then);
/** The same at once in the books, for what costs nothing. */
void prt_errand_note(struct prt_errand *r, prt_decide_fn *fn, prt_then_fn *then);
/** Look at the servers of d. known: as prt_probe_start; a part of r. then: r->evidence. */
void prt_errand_probe(struct prt_errand *r, const struct prt_delegation *d, const struct prt_delegation *known,
		      unsigned questions, prt_then_fn *then);
/** Room for look-ups; then they are asked, all at once. */
MSP_CHECKED enum msp_err prt_errand_asks(struct prt_errand *r, size_t count);
void prt_errand_ask(struct prt_errand *r, prt_step_fn *asked);
/** When no worker may be in the books any more. */
void prt_work_stop(struct prt_follow *f);
/** `labels` before the child's labels before "_signal" before the name server; MSP_ENAME: too long. */
MSP_CHECKED enum msp_err prt_signal_name(const char *labels, const struct msp_name *child, const struct msp_name *ns,
					 struct msp_name *out);
/** Name servers that are outside the child, at most PRT_NS_MAX. */
size_t prt_outside_ns(const struct prt_delegation *d, struct msp_name out[PRT_NS_MAX]);

/* --- kinds of runs: begin one --- */
void prt_tick_begin(struct prt_errand *r);  /* follow_check.c */
void prt_check_begin(struct prt_errand *r); /* follow_check.c */
void prt_scan_begin(struct prt_errand *r);  /* follow_scan.c */
void prt_look_begin(struct prt_errand *r);  /* follow_boot.c */
/** Whether a look at the child's CDS and CSYNC could lead to anything. */
bool prt_scan_is_worth(const struct prt_rules *rules, const struct prt_child *c);

/* --- agenda.c: what is due by itself --- */
MSP_CHECKED enum msp_err prt_agenda_open(struct prt_follow *f);
/** Look now. */
void prt_agenda_look(struct prt_follow *f);
void prt_agenda_close(struct prt_follow *f);

/* --- sweep.c: all children, one after the other --- */
MSP_CHECKED enum msp_err prt_sweep_open(struct prt_follow *f);
void prt_sweep_close(struct prt_sweep **s);
/** A child of this batch is through. */
void prt_sweep_done(struct prt_sweep *s, uint32_t batch);
void prt_sweep_stats(const struct prt_sweep *s, struct prt_follow_stats *out);
/** What the timer does; for tests: so much time has passed. */
void prt_sweep_step(struct prt_sweep *s, uint32_t ms);

/* --- report.c: RFC 9567 --- */
MSP_CHECKED enum msp_err prt_reporter_open(struct prt_follow *f);
void prt_reporter_close(struct prt_follow *f);
/** In a NOTIFY about records of this type the child's server has asked for reports there. */
void prt_report_channel(struct prt_reporter *r, const struct msp_name *child, uint16_t type,
			const struct msp_name *agent, struct msp_wall now);
/** The first of what the servers say about that (prt_server.agent) which is allowed; NULL: none. Borrowed from e. */
const struct msp_name *prt_report_offer(const struct prt_evidence *e, const struct prt_delegation *d);
/** A NOTIFY of the last two hours says where reports about d's child go. */
bool prt_report_is_told(const struct prt_reporter *r, const struct prt_delegation *d, struct msp_wall now);
/**
 * Where a NOTIFY has said, about its type; else to `offer` (allowed; NULL: nowhere), about `type`.
 * @return whether a report went out
 */
bool prt_report(struct prt_reporter *r, const struct prt_delegation *d, const struct msp_name *offer, uint16_t type,
		enum msp_ede_own ede, struct msp_wall now);
/** Pure. MSP_ENAME: longer than a name may be: no report. @source RFC 9567 6.1.1, PROTOCOL G.3 */
MSP_CHECKED enum msp_err prt_report_name(const struct msp_name *child, uint16_t type, uint16_t code,
					 const struct msp_name *agent, struct msp_name *out);
/** The agent is at or below a name server of the delegation. */
bool prt_report_is_allowed(const struct prt_delegation *d, const struct msp_name *agent);

#endif
