/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * combinerd's shell: everything with sockets, files and clocks around the pure zones of core.h. One thread, one loop.
 * shell.c start, stop, reload, housekeeping; settings.c an opened configuration; hosted.c a zone's life; version.c its
 * versions, commits.c puts them on disk; catalog.c catalog zones; upstream.c what the refresh machine asks for;
 * intake.c owner's records in; inspect.c verifier and ZONEMD; serve.c questions and instructions; acl.c who may;
 * xfrout.c transfers out; notify.c NOTIFY out; seen.c UPDATEs seen before; ctl.c msctl; metrics.c Prometheus.
 */
#ifndef CMB_SHELL_H
#define CMB_SHELL_H

#include "hosted.h"
#include "state.h"

#include <msproto/base/bucket.h>
#include <msproto/base/map.h>
#include <msproto/io/server.h>
#include <msproto/io/xchg.h>
#include <msproto/io/xfr.h>
#include <msproto/kit/control.h>

#define CMB_LISTEN_MAX 16

/** Counted since the start. name, help */
#define CMB_STAT_MAP(X)                                                                                                \
	X(notifies_in, "NOTIFYs taken from primaries")                                                                 \
	X(soa_queries, "SOA queries sent to primaries")                                                                \
	X(refresh_failures, "SOA queries and transfers from primaries that failed")                                    \
	X(axfr_in, "whole zones taken from primaries")                                                                 \
	X(ixfr_in, "incremental transfers taken from primaries")                                                       \
	X(ixfr_in_fallbacks, "incremental transfers that did not fit and were followed by a whole one")                \
	X(records_in, "records received")                                                                              \
	X(octets_in, "octets of transfers received")                                                                   \
	X(held_back, "versions held back by a guard for an operator")                                                  \
	X(refused_versions, "versions refused by a limit or the verifier")                                             \
	X(versions, "versions that were made visible")                                                                 \
	X(commits, "transactions of the zone store that made versions visible")                                        \
	X(updates, "UPDATEs carried out")                                                                              \
	X(refusals, "requests refused")                                                                                \
	X(queries, "SOA and apex queries answered")                                                                    \
	X(axfr_out, "whole zones sent")                                                                                \
	X(ixfr_out, "incremental transfers sent")                                                                      \
	X(transfers_out_failed, "transfers out that did not end well")                                                 \
	X(octets_out, "octets of transfers sent")                                                                      \
	X(notifies_out, "NOTIFYs sent")                                                                                \
	X(notifies_failed, "NOTIFYs given up")                                                                         \
	X(pages_damaged, "times that stored pages did not match their checksum")                                       \
	X(zones_loaded, "times that a zone at rest was loaded")
struct cmb_stats {
#define CMB_STAT_MEMBER(name, help) uint64_t name;
	CMB_STAT_MAP(CMB_STAT_MEMBER)
#undef CMB_STAT_MEMBER
};

struct msp_metrics;

struct cmb_app {
	struct msp_loop *loop; /* borrowed */
	struct msp_log *log;   /* borrowed */
	char *conf_path;       /* owned */
	struct cmb_settings *settings;
	const struct cmb_conf *conf; /* = cmb_settings_conf(settings); zones in it have been given up */
	struct msp_store *store;
	struct cmb_pages *pages;
	struct cmb_listener *listeners; /* listeners.c: servers by address */
	struct msp_control *control;
	struct msp_resolver *resolver; /* trust.c; NULL = no entry of tls needs one */
	struct cmb_tlsa *tlsa;
	struct msp_metrics *metrics; /* metrics.c; NULL = none */
	struct msp_map by_name;      /* owned struct cmb_hosted by name key */
	struct msp_map kept; /* owned struct cmb_state_zone by name key: what is kept of zones that are not here */
	bool kept_has_all; /* else there were too many of them: the state is asked for those that are not in the map */
	struct cmb_agenda agenda;
	struct msp_timer *agenda_timer;
	struct cmb_hosted *unconfirmed;          /* zones whose last_ok is not on disk yet */
	struct cmb_chores *chores;               /* shell.c: what is done a little at a time */
	uint64_t round;                          /* of reloads */
	struct cmb_hosted *hot_first, *hot_last; /* loaded zones, least lately used first */
	size_t hot_count;
	struct cmb_commits *commits;   /* commits.c: versions to be committed together */
	struct cmb_upstream *upstream; /* upstream.c: turns, connections, back-off of primaries */
	struct cmb_notifier *notifier; /* notify.c: NOTIFYs waiting for their turn */
	struct cmb_catalogs *catalogs; /* catalog.c */
	struct msp_timer *house;       /* sweeps */
	struct msp_rand rand;
	struct msp_bucket_table *log_budget; /* lines about what anybody may send, for each source prefix */
	struct msp_bucket_table *log_total;  /* ... and for all together: sources are easily forged */
	struct msp_map seen;                 /* UPDATEs seen */
	struct cmb_stream *streams;          /* transfers out under way */
	size_t stream_count;
	struct msp_wall started;
	bool is_running; /* the start is over: NOTIFYs may go out */
	struct cmb_stats stats;
	struct cmb_inspector *inspector; /* inspect.c: versions being looked at and in line; NULL = none */
	/* working memory of one request, never held across calls */
	struct msp_rr_scratch scratch;
	uint8_t out[MSP_MSG_MAX];
};

/* --- shell.c --- */
enum msp_err cmb_shell_check(const char *conf_path, struct msp_buf *errors);
enum msp_err cmb_shell_start(struct msp_loop *loop, struct msp_log *log, const char *conf_path, void **app,
			     struct msp_why *why);
/** Read the configuration anew; what stays the same is not disturbed, transfers under way go on. A bad file changes
 * nothing. */
enum msp_err cmb_shell_reload(void *app, struct msp_why *why);
void cmb_shell_stop(void *app);
void cmb_shell_free(void **app);
/** NULL: no zone of ours. */
struct cmb_hosted *cmb_shell_find(struct cmb_app *app, const struct msp_name *zone);
/** Add a zone to the running app (catalogs, reload). MSP_EEXIST; MSP_ELIMIT: zones-max. */
MSP_CHECKED enum msp_err cmb_shell_add(struct cmb_app *app, const struct msp_name *zone,
				       const struct cmb_profile *profile, struct cmb_hosted **out, struct msp_why *why);
/** Stop serving it and give its pages up; instructions and the serial's ceiling stay on disk (a zone removed by mistake
 * must not lose foreign keys) unless `reset`. */
void cmb_shell_remove(struct cmb_hosted **h, bool reset);
/** For msp_trust_tsig: arg is the app. */
const struct msp_tsig_key *cmb_app_find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg);

/** The agenda has changed: see to the timer. */
void cmb_shell_arm(struct cmb_app *app);
/** Pages have become garbage. */
void cmb_shell_sweep_soon(struct cmb_app *app);

/* --- commits.c --- */
MSP_CHECKED enum msp_err cmb_commits_open(struct cmb_app *app);
void cmb_commits_close(struct cmb_app *app);
/** Commit the versions that are ready, now. */
void cmb_commits_flush(struct cmb_app *app);

/* --- listeners.c --- */
/** What is new is opened before anything old is closed; a failure leaves everything as it was. */
MSP_CHECKED enum msp_err cmb_listeners_open(struct cmb_app *app, const struct cmb_settings *s, struct msp_why *why);
/** The app's settings are those now: close what they do not name, give the others their certificates and limits. */
void cmb_listeners_settle(struct cmb_app *app);
void cmb_listeners_close(struct cmb_app *app);

/* --- trust.c: TLSA records of primaries --- */
/** At the start and after a reload: opened when an entry of tls needs it, which is supplied from then on. */
MSP_CHECKED enum msp_err cmb_trust_open(struct cmb_app *app, struct msp_why *why);
/** Contexts that will not be used for new connections any more. */
void cmb_trust_leave(struct cmb_app *app, const struct cmb_settings *old);
/** A server was not believed: its TLSA records may have changed. `tls` may be NULL. */
void cmb_trust_doubt(struct cmb_app *app, const struct msp_tls *tls);
void cmb_trust_close(struct cmb_app *app);

/* --- catalog.c: RFC 9432, consumer --- */
MSP_CHECKED enum msp_err cmb_catalogs_open(struct cmb_app *app, struct msp_why *why);
/** After a reload: catalogs and templates may have changed. */
void cmb_catalogs_reload(struct cmb_app *app);
/** A version of a zone was made visible: if it is a catalog, its members are compared with what is there. */
void cmb_catalogs_changed(struct cmb_hosted *h);
void cmb_catalogs_close(struct cmb_app *app);

/* --- upstream.c --- */
MSP_CHECKED enum msp_err cmb_upstream_open(struct cmb_app *app);
void cmb_upstream_close(struct cmb_app *app);
/** To the refresh machine of a zone, and do what it asks for. Turns are limited by transfers-in-max and
 * transfers-in-per-primary-max; zones wait in line. */
void cmb_upstream_event(struct cmb_hosted *h, enum cmb_refresh_event ev);
/** What cmb_hosted_offer came to: MSP_OK, MSP_EREFUSED (a guard holds it, or the verifier refused it), or why it
 * failed. */
void cmb_upstream_taken(struct cmb_hosted *h, enum msp_err err, const struct msp_why *why);
/** Another configuration: a zone in line gets in line where it says. */
void cmb_upstream_renew(struct cmb_hosted *h);
/** Stop what is under way for the zone. */
void cmb_upstream_cancel(struct cmb_hosted *h);
/** Zones wait for their turn to transfer. */
bool cmb_upstream_has_line(const struct cmb_app *app);
/** For people: what the zone's refresh is doing, and with whom. */
const char *cmb_upstream_text(const struct cmb_hosted *h);

/* --- serve.c --- */
void cmb_serve(void *app, struct msp_req *req);

/* --- xfrout.c --- */
/** What a transfer needs to know of its request. */
struct cmb_xfr_request {
	uint16_t id, qtype, flags; /* flags: RD copied */
	struct msp_name qname;
	bool has_edns;
};
/** Whole zone. Takes *req and *tsig (key NULL: unsigned). @return MSP_OK, or why it could not begin (then nothing was
 * taken). */
MSP_CHECKED enum msp_err cmb_xfrout_axfr(struct cmb_hosted *h, struct msp_req **req, const struct cmb_xfr_request *q,
					 struct msp_tsig_ctx *tsig);
/** From the client's serial on; MSP_ENOTFOUND: the history does not go back that far, or would be longer than the zone.
 */
MSP_CHECKED enum msp_err cmb_xfrout_ixfr(struct cmb_hosted *h, struct msp_req **req, const struct cmb_xfr_request *q,
					 uint32_t serial, struct msp_tsig_ctx *tsig);
/** The records of an incremental answer, uncompressed, in order, at most max octets (MSP_ELIMIT). */
MSP_CHECKED enum msp_err cmb_xfrout_history(struct cmb_hosted *h, uint32_t serial, size_t max, struct msp_buf *out);
/** Give up snapshots of transfers that take too long. */
void cmb_xfrout_expire(struct cmb_app *app);

/* --- notify.c --- */
MSP_CHECKED enum msp_err cmb_notifier_open(struct cmb_app *app);
void cmb_notifier_close(struct cmb_app *app);
/** Tell all signers of the zone about the serial served. At most notifies-max are outstanding, the rest wait in line.
 */
void cmb_notify_all(struct cmb_hosted *h);
/** No more of them for this zone. */
void cmb_notify_cancel(struct cmb_hosted *h);
/** For people: one call for each signer that has not answered. */
typedef enum msp_err cmb_notify_fn(void *arg, const struct cmb_target *signer, uint32_t serial, unsigned tries,
				   const struct msp_why *last);
MSP_CHECKED enum msp_err cmb_notify_each(const struct cmb_hosted *h, cmb_notify_fn *fn, void *arg);

/* --- seen.c --- */
struct cmb_seen {
	struct msp_wall until;
	struct msp_addr peer;
	unsigned rcode;
};
#define CMB_SEEN_MAX    131072 /* keys of the map: two for each UPDATE */
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

/* --- ctl.c --- */
extern const struct msp_command cmb_commands[];

/* --- metrics.c --- */
/** Nothing is opened when no address is configured. */
MSP_CHECKED enum msp_err cmb_metrics_open(struct cmb_app *app, struct msp_why *why);
void cmb_metrics_close(struct cmb_app *app);

/** Sum over all listeners, those given up at a reload included where they are still known. Defined in shell.c. */
struct msp_server_stats cmb_shell_server_stats(const struct cmb_app *app);

/* --- upstream.c, too --- */
/** A NOTIFY that was allowed came from this address: CMB_REV_NOTIFY, and that primary is asked first (when it is one of
 * the zone's). */
void cmb_upstream_notify(struct cmb_hosted *h, const struct msp_addr *from);

#endif
