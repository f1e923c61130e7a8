/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What publish.c and publish_serve.c share. */
#ifndef PRT_PUBLISH_PRIV_H
#define PRT_PUBLISH_PRIV_H

#include "publish.h"

struct msp_xchg;

/** NOTIFY to one who transfers the zone: sent again, with a fresh signature, until it answers or tries are used up. */
struct prt_publish_down {
	struct prt_publish_job *job; /* borrowed */
	struct prt_conf_remote remote;
	struct msp_xchg *xchg;
	struct msp_timer *timer;
	unsigned tries;
	struct msp_tsig_ctx ctx;
};

/** What is published for one parent. */
struct prt_publish_job {
	struct prt_publisher *publisher;
	struct prt_app *app;
	const struct prt_conf_parent *parent; /* of the publisher's settings */
	struct prt_records records;
	/* UPDATE */
	struct msp_timer *timer;
	struct msp_xchg *xchg;
	struct msp_tsig_ctx ctx;
	uint64_t pause_ms;
	/* PRIMARY */
	struct msp_name apex; /* _dsync below the parent */
	uint32_t serial;
	struct msp_rrset *soa, *ns;    /* owned; NULL: no zone is served */
	struct prt_publish_down *down; /* owned */
	size_t down_count;
};

struct prt_publisher {
	struct prt_app *app;
	struct prt_settings *settings; /* held */
	struct prt_publish_job *job;   /* owned, one for each parent */
	size_t count;
	struct msp_timer *again; /* something could not be made ready */
	/* working memory, never held across calls */
	uint8_t message[MSP_MSG_MAX];
	struct msp_rr_scratch scratch;
};

#endif
