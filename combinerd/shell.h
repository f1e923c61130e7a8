/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * combinerd's shell: everything with sockets, files and clocks around the pure zones of core.h. One thread, one loop.
 * shell.c start, stop, commits; upstream.c what the refresh machine asks for; intake.c owner's records in; serve.c
 * questions and instructions; xfrout.c transfers out; notify.c NOTIFY out; seen.c UPDATEs seen before; ctl.c msctl.
 */
#ifndef CMB_SHELL_H
#define CMB_SHELL_H

#include "conf.h"
#include "core.h"
#include "pages.h"
#include "state.h"

#include <msproto/base/bucket.h>
#include <msproto/base/map.h>
#include <msproto/io/server.h>
#include <msproto/io/xchg.h>
#include <msproto/io/xfr.h>
#include <msproto/kit/control.h>

#define CMB_LISTEN_MAX 16

struct cmb_app;
struct cmb_hosted;

/** NOTIFY to one signer. */
struct cmb_notify {
	struct cmb_hosted *hosted; /* borrowed: its owner */
	const struct cmb_conf_remote *to;
	struct msp_xchg *xchg;
	struct msp_timer *timer;
	struct msp_tsig_ctx tsig;
	unsigned tries; /* of the present serial */
	bool acked;
	uint32_t serial;
	struct msp_why last; /* of the last failure */
};

/** An incoming transfer's records on their way into pages. */
struct cmb_intake {
	struct cmb_build *build; /* owned */
	struct cmb_owner *owner; /* owned */
	struct msp_name apex;
	const struct msp_numbers *numbers; /* borrowed */
	bool ttl_differs;
	struct msp_why why;
};
MSP_CHECKED enum msp_err cmb_intake_open(struct cmb_intake *in, struct cmb_pages *pages, const struct msp_name *apex,
					 const struct msp_numbers *numbers);
extern const struct msp_xfrin_ops cmb_intake_ops;
/** The transfer is complete and verified: is it a zone? Seals the pages. */
MSP_CHECKED enum msp_err cmb_intake_finish(struct cmb_intake *in);
void cmb_intake_close(struct cmb_intake *in);

struct cmb_hosted {
	struct cmb_app *app; /* borrowed */
	const struct cmb_conf_zone *conf;
	struct cmb_zone zone;
	struct cmb_refresh refresh;
	struct cmb_refresh_limits limits;
	struct msp_timer *refresh_timer, *coalesce_timer;
	struct msp_xchg *ask; /* SOA query under way */
	struct msp_tsig_ctx ask_tsig;
	struct msp_xfr *fetch; /* transfer under way */
	struct cmb_intake intake;
	struct cmb_notify *notify; /* owned, one per signer */
	size_t notify_count;
	bool is_damaged, was_expired;
	struct msp_why last_error; /* of the last refresh that failed; empty after one that did not */
	struct msp_wall last_ok, last_error_at;
	struct msp_wall stored_ok; /* the last_ok that is on disk */
	uint32_t logged_notes;
	uint64_t transfers_in, transfers_out, updates, refusals;
};

struct cmb_app {
	struct msp_loop *loop; /* borrowed */
	struct msp_log *log;   /* borrowed */
	struct cmb_conf conf;
	struct msp_tsig_ring *ring;
	struct msp_store *store;
	struct cmb_pages *pages;
	struct msp_server *server[CMB_LISTEN_MAX];
	size_t server_count;
	struct msp_control *control;
	struct msp_map by_name;    /* struct cmb_hosted by name key */
	struct cmb_hosted *hosted; /* owned array */
	size_t hosted_count;
	struct msp_timer *house; /* sweeps, expiry */
	struct msp_rand rand;
	struct msp_bucket_table *log_budget; /* lines about refusals, for each source prefix */
	struct msp_map seen;                 /* UPDATEs seen */
	struct cmb_stream *streams;          /* transfers out under way */
	size_t stream_count;
	struct msp_wall started;
	/* working memory of one request, never held across calls */
	struct msp_rr_scratch scratch;
	uint8_t out[MSP_MSG_MAX];
};

/* shell.c */
enum msp_err cmb_shell_check(const char *conf_path, struct msp_buf *errors);
/** And the key files that it names: before a reload, which must not find out when everything is closed. */
enum msp_err cmb_shell_check_keys(const char *conf_path, struct msp_buf *errors);
enum msp_err cmb_shell_start(struct msp_loop *loop, struct msp_log *log, const char *conf_path, void **app,
			     struct msp_why *why);
void cmb_shell_stop(void *app);
void cmb_shell_free(void **app);
struct cmb_hosted *cmb_shell_find(struct cmb_app *app, const struct msp_name *zone);
/** Why the zone cannot be served now; NULL when it can. */
const char *cmb_hosted_trouble(const struct cmb_hosted *h);
/**
 * Owner data has come in and is sealed: plan, point at it, commit, serve, tell the signers.
 * Nothing is visible before all of it is on disk. Takes intake's owner on success.
 */
MSP_CHECKED enum msp_err cmb_hosted_take_owner(struct cmb_hosted *h, struct msp_why *why);
/** Accepted instructions: commit them, and at once or after the quiet time the version that holds them. Takes
 * v->result. */
MSP_CHECKED enum msp_err cmb_hosted_take_contrib(struct cmb_hosted *h, struct cmb_verdict *v, struct msp_span seen_id,
						 struct msp_wall seen_until, struct msp_why *why);
/** A page does not match its checksum: stop serving, fetch anew. */
void cmb_hosted_damaged(struct cmb_hosted *h);
/** The owner has confirmed the version held. */
void cmb_hosted_refreshed(struct cmb_hosted *h);
const struct msp_tsig_key *cmb_app_key(const struct cmb_app *app, const struct msp_name *name);
/** For msp_trust_tsig: arg is the app. */
const struct msp_tsig_key *cmb_app_find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg);

/* upstream.c */
void cmb_upstream_event(struct cmb_hosted *h, enum cmb_refresh_event ev);
void cmb_upstream_arm(struct cmb_hosted *h);
void cmb_upstream_close(struct cmb_hosted *h);

/* serve.c */
void cmb_serve(void *app, struct msp_req *req);

/* xfrout.c */
/** What a transfer needs to know of its request. */
struct cmb_xfr_request {
	uint16_t id, qtype, flags; /* flags: RD copied */
	struct msp_name qname;
	bool has_edns;
};
/** Whole zone. Takes *req and *tsig. @return MSP_OK, or why it could not begin (then nothing was taken). */
MSP_CHECKED enum msp_err cmb_xfrout_axfr(struct cmb_hosted *h, struct msp_req **req, const struct cmb_xfr_request *q,
					 struct msp_tsig_ctx *tsig);
/** History from journal entry `from` on. */
MSP_CHECKED enum msp_err cmb_xfrout_ixfr(struct cmb_hosted *h, struct msp_req **req, const struct cmb_xfr_request *q,
					 size_t from, struct msp_tsig_ctx *tsig);
/** The records of an incremental answer, uncompressed, in order. */
MSP_CHECKED enum msp_err cmb_xfrout_history(const struct cmb_zone *z, size_t from, struct msp_buf *out);
/** Give up snapshots of transfers that take too long. */
void cmb_xfrout_expire(struct cmb_app *app);

/* notify.c */
MSP_CHECKED enum msp_err cmb_notify_open(struct cmb_hosted *h);
void cmb_notify_all(struct cmb_hosted *h);
void cmb_notify_close(struct cmb_hosted *h);

/* seen.c */
struct cmb_seen {
	struct msp_wall until;
	struct msp_addr peer;
	unsigned rcode;
};
#define CMB_SEEN_MAX    65536
#define CMB_SEEN_ID_MAX (MSP_NAME_MAX + MSP_TSIG_MAC_MAX)
MSP_CHECKED enum msp_err cmb_seen_load(struct cmb_app *app);
/** Identity of a TSIG-signed message: key name and MAC; and until when its time is good. False when it has no usable
 * TSIG. */
bool cmb_seen_identity(struct cmb_app *app, const struct msp_msg *m, uint8_t id[CMB_SEEN_ID_MAX], size_t *len,
		       struct msp_wall *until);
const struct cmb_seen *cmb_seen_get(const struct cmb_app *app, struct msp_span id);
/** Remember. MSP_EBUSY: memory full, the UPDATE must not be carried out. */
MSP_CHECKED enum msp_err cmb_seen_put(struct cmb_app *app, struct msp_span id, struct msp_wall until,
				      const struct msp_addr *peer, unsigned rcode);
void cmb_seen_sweep(struct cmb_app *app);
void cmb_seen_fini(struct cmb_app *app);

/* ctl.c */
extern const struct msp_command cmb_commands[];

#endif
