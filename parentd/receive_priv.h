/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Inside the receiver. A call is one message while it is looked at on the loop, on the stack; most end there. A request
 * is a call that goes on: with its own copy of the octets, to the workers, to the books, to the checks, to a worker
 * that signs. All state is the loop's; a worker and the books' thread have a request for themselves while they have it.
 */
#ifndef PRT_RECEIVE_PRIV_H
#define PRT_RECEIVE_PRIV_H

#include "cookie.h"
#include "filter.h"
#include "follow.h"
#include "receive.h"
#include "reply.h"

#include <pthread.h>

#define PRT_REQUESTS_MAX       4096
#define PRT_REQUEST_OCTETS_MAX (32u << 20) /* of all their messages */
#define PRT_REQUEST_ROOM       1232        /* for the message of one that is used again; longer ones are not kept */
#define PRT_SPARE_MAX          256         /* of those, kept */
#define PRT_CREW_MAX           4           /* batches at work */
#define PRT_CREW_BATCH         16          /* requests in one */
#define PRT_CANDIDATES_MAX     4           /* keys tried for one signature: PROTOCOL C.3 step 7 */

struct prt_keycache;
struct prt_request;
struct prt_receiver;

/** One message. */
struct prt_call {
	struct prt_receiver *r;
	struct msp_req *req; /* owned until it is answered; NULL: it has been */
	struct msp_msg m;    /* borrows the request's octets; in a request: its copy of them */
	struct msp_addr peer;
	bool is_tcp;
	bool is_proven; /* the source address is not forged */
	struct msp_mono now;
	struct msp_wall wall;
	struct msp_tsig_ctx tsig; /* owned; key set: verified */
	enum prt_inquiry inquiry;
	uint16_t key_id; /* of the inquiry */
	uint8_t cookie[PRT_COOKIE_LEN];
	size_t cookie_len;
	const struct msp_name *child; /* for the log; NULL = not known yet. Borrowed from the caller's frame */
};

typedef void prt_request_fn(struct prt_request *q);
/** Whose it is at the moment. */
enum prt_phase { PRT_PHASE_LOOP, PRT_PHASE_QUEUE, PRT_PHASE_CREW, PRT_PHASE_BOOKS, PRT_PHASE_CHECKS };
struct prt_request {
	struct prt_call call;
	enum prt_phase phase;
	struct prt_request *prev, *next; /* all */
	struct prt_request *behind;      /* in the crew's line, among those that wait for checks, or spare */
	prt_request_fn *work;            /* in a worker; NULL: verify */
	prt_request_fn *after;           /* on the loop */
	struct prt_settings *settings;
	const struct prt_conf_parent *parent; /* of settings; NULL: only to be answered */
	const struct prt_rules *rules;        /* of settings */
	struct msp_name child;
	/* Verification. */
	struct msp_sig0_claim claim;
	bool is_verifying;  /* counts in r->verifying */
	enum msp_err found; /* OK; ENOTFOUND no such child, ENOKEY, ESIG, EREFUSED (refusal says it), other trouble */
	unsigned tries;     /* public-key operations */
	size_t key_len;
	enum msp_keystate_state key_state;
	uint8_t message[PRT_HASH_LEN], digest[PRT_SEEN_DIGEST];
	/* Decision. */
	bool has_outcome;  /* initialised */
	bool has_wanted;   /* the change waits for checks, and this is its hash */
	bool is_accepted;  /* it was registered before it could be withdrawn */
	bool is_published; /* in the same transaction */
	uint8_t wanted[PRT_HASH_LEN];
	struct prt_watch *watch; /* owned */
	struct msp_mono deadline;
	/* Answer. */
	struct prt_refusal refusal;
	uint16_t flags;
	bool has_state;
	enum msp_keystate_state state;
	bool is_signed;
	size_t reply_len;
	/* From here on nothing is zeroed for a new request. */
	uint8_t key[PRT_KEY_RDATA_MAX]; /* that verified it */
	struct prt_outcome outcome;
	uint8_t reply[PRT_REPLY_MAX];
	size_t room;      /* octets there */
	uint8_t octets[]; /* the message */
};

/** What one worker takes with it. */
struct prt_crew_batch {
	struct prt_receiver *r;
	bool is_busy;
	size_t count;
	struct prt_request *request[PRT_CREW_BATCH];
	struct msp_buf raw; /* the worker's: a child's record */
};

struct prt_request_line {
	struct prt_request *first, *last;
};

struct prt_receiver {
	struct prt_app *app;      /* borrowed until closed */
	bool is_closed, is_freed; /* freed: as soon as no worker has a batch */
	/* Budgets, PROTOCOL C.3 step 6. Of source prefixes; of addresses that are proven; of all (family NONE). */
	struct msp_bucket_table *requests, *proven, *rescue, *failures, *failures_proven, *signing, *signing_all,
		*logging_all;
	struct msp_bucket_table *uploads; /* of keys that nobody has, by everybody together: each is stored */
	/* Of child names; of child names asked for from proven addresses; NOTIFYs of a child. */
	struct msp_bucket_table *names, *names_proven, *notices;
	uint8_t name_secret[PRT_FILTER_KEY];
	struct prt_cookie_jar jar;
	struct prt_request *held; /* owned */
	size_t request_count, request_octets, verifying;
	struct prt_request_line spare; /* owned */
	size_t spares;
	/* The crew. */
	struct prt_request_line line;
	struct prt_crew_batch batch[PRT_CREW_MAX];
	size_t crew; /* batches in use */
	struct prt_keycache *keys;
	pthread_mutex_t lock; /* of the two below */
	pthread_cond_t idle;
	unsigned working; /* workers that are in a batch */
	bool is_stopped;
	/* Answers that wait for checks, oldest first. */
	struct prt_request_line checks;
	struct msp_timer *timer;
	struct msp_rr_scratch scratch; /* the loop's */
};

/* --- receive.c --- */
/** It is being verified, or is not any more: counted, and the books hear of it. */
void prt_request_verifies(struct prt_request *q, bool does);
/** What was not authenticated costs its source a token. */
void prt_call_spend(struct prt_call *c);
/** Failed verifications: of the prefix, or of the address alone where it is proven; nobody can use up another's budget
 * with forged sources. @source PROTOCOL C.3 step 6 */
bool prt_call_may_fail(const struct prt_call *c);
void prt_call_failed(const struct prt_call *c);
/** A token of the table under this name's hash. */
bool prt_name_take(struct prt_receiver *r, struct msp_bucket_table *q, const struct msp_name *name,
		   struct msp_mono now);
/** Answer at once, TSIG-signed if the request was. The request ends. */
void prt_call_answer(struct prt_call *c, const struct prt_refusal *no, uint16_t flags);
/** Refuse what has not been verified: counted, logged, signed if it was signed and there is budget. */
void prt_call_refuse(struct prt_call *c, const struct prt_refusal *no);
/** As above with this KeyState, if the answer is signed. */
void prt_call_refuse_state(struct prt_call *c, const struct prt_refusal *no, enum msp_keystate_state state);
/** As above, of a name that has no child: a key of it is unknown (PROTOCOL B.2), if that was asked. */
void prt_call_refuse_unknown(struct prt_call *c, const struct prt_refusal *no);
/** The call goes on as a request: NULL when there are too many, or no memory. Takes what the call owns. */
struct prt_request *prt_request_new(struct prt_call *c);
void prt_request_end(struct prt_request *q);
/** Answer with q->refusal and what belongs to it. Verified requests are answered signed, others by the budget. */
void prt_request_answer(struct prt_request *q, bool is_verified);
/** As above, when it is a refusal: counted and logged. */
void prt_request_refuse(struct prt_request *q, bool is_verified);
void prt_request_line_add(struct prt_request_line *l, struct prt_request *q);
struct prt_request *prt_request_line_take(struct prt_request_line *l);
void prt_request_line_remove(struct prt_request_line *l, const struct prt_request *q);
/** Logged for its source, and within what all may fill. */
bool prt_call_may_log(const struct prt_call *c, enum msp_log_level level);
/** SERVFAIL in words. */
void prt_refuse_trouble(struct prt_refusal *no, enum msp_err err);

/* --- verify.c --- */
MSP_CHECKED enum msp_err prt_crew_open(struct prt_receiver *r);
/** No batch is in the books when this returns. */
void prt_crew_stop(struct prt_receiver *r);
void prt_crew_free(struct prt_receiver *r);
/** q->work in a worker, then q->after on the loop. */
void prt_crew_add(struct prt_receiver *r, struct prt_request *q);
/** Whether one operation with a key of this algorithm is rather done on the loop now. */
bool prt_is_cheap_here(const struct prt_receiver *r, uint8_t algorithm);
/** Requests that wait for a worker, when none could be had. */
void prt_crew_kick(struct prt_receiver *r);
/**
 * Steps 4 to 6 of PROTOCOL C.3 and the budgets, then verification in a worker, then `after` on the loop with q->found.
 * When it does not come to that the call has been answered.
 */
void prt_verify(struct prt_call *c, const struct msp_sig0_claim *claim, const struct prt_conf_parent *parent,
		const struct msp_name *child, prt_request_fn *after);
/** On the loop, first of all in `after`: counts; false when the signature is not good, and q->refusal says so. */
bool prt_verify_done(struct prt_request *q);
/** What KeyState says when q->found is neither OK nor ESIG. */
enum msp_keystate_state prt_verify_state(const struct prt_request *q);

/* --- the rest --- */
void prt_receive_update(struct prt_call *c);
/** Answers that have waited for the checks long enough. */
void prt_update_overdue(struct prt_receiver *r, struct msp_mono now);
void prt_receive_query(struct prt_call *c);
void prt_receive_notify(struct prt_call *c);
/** "not a delegation". */
void prt_refuse_no_child(struct prt_refusal *no, const struct msp_name *name);

#endif
