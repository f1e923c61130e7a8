/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the files of the publisher share. */
#ifndef PRT_PUBLISH_PRIV_H
#define PRT_PUBLISH_PRIV_H

#include "publish.h"

struct msp_xchg;
struct prt_work;

/** NOTIFY to one who transfers the zone: sent again, with a fresh signature, until it answers or tries are used up. */
struct prt_publish_down {
	struct prt_publish_job *job; /* borrowed */
	struct prt_conf_remote remote;
	struct msp_xchg *xchg;
	struct msp_timer *timer;
	unsigned tries;
	struct msp_tsig_ctx ctx;
};

/** What comes next for the records that are in the parent zone by UPDATE. */
enum prt_publish_step {
	PRT_PUBLISH_RESTS,
	PRT_PUBLISH_REMEMBERS, /* in the books, before it is sent: so that it can be taken back one day */
	PRT_PUBLISH_SENDS,
	PRT_PUBLISH_FORGETS /* what has been taken out */
};

/** What is published for one parent. */
struct prt_publish_job {
	struct prt_publish_set *set;          /* borrowed */
	const struct prt_conf_parent *parent; /* of the set's settings */
	struct prt_records records;           /* all */
	/* UPDATE, also when there is only something to take out */
	struct prt_records wanted; /* those that belong into the parent zone */
	struct prt_records stale;  /* those that were put there before, and are not wanted any more */
	enum prt_publish_step step;
	size_t sent;     /* RRsets of `wanted`, then of `stale`, in what has been sent in this round */
	bool is_at_work; /* `wanted`, `stale`, `err` are the worker's */
	enum msp_err err;
	struct msp_timer *timer;
	struct msp_xchg *xchg;
	struct msp_tsig_ctx ctx;
	uint64_t pause_ms;
	/* PRIMARY */
	struct msp_name apex; /* _dsync below the parent */
	uint32_t serial;
	struct msp_rrset *soa, *ns;    /* owned; soa NULL: no zone is served */
	struct prt_publish_down *down; /* owned */
	size_t down_count;
};

/** All parents, by one configuration. */
struct prt_publish_set {
	struct prt_publisher *publisher; /* borrowed */
	struct prt_settings *settings;   /* held */
	struct prt_publish_job *job;     /* owned, one for each parent */
	size_t count;
};

struct prt_publisher {
	struct prt_app *app;
	struct prt_publish_set *now;  /* what is done; NULL: nothing yet */
	struct prt_publish_set *next; /* takes its place as soon as the books have told the serials */
	struct prt_work *work;        /* with `next`, or with jobs of `now`: one at a time */
	bool is_stale;                /* there are other settings since */
	struct msp_timer *again;      /* something could not be made ready */
	/* working memory, never held across calls */
	uint8_t message[MSP_MSG_MAX];
	struct msp_rr_scratch scratch;
};

/** Whatever is to be done next by a worker, unless one is at work. */
void prt_publish_pump(struct prt_publisher *p);

/* --- publish_update.c --- */
MSP_CHECKED enum msp_err prt_publish_update_init(struct prt_publish_job *j);
MSP_CHECKED enum msp_err prt_publish_update_start(struct prt_publish_job *j);
void prt_publish_update_fini(struct prt_publish_job *j);
/** Jobs that remember or forget go to a worker. */
void prt_publish_update_pump(struct prt_publisher *p);

#endif
