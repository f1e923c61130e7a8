/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * parentd's shell: everything with sockets, files, threads and clocks around the decisions of desk.h. One loop owns it;
 * the books' thread decides and stores, workers verify signatures. shell.c start, stop, reload; settings.c an opened
 * configuration; listeners.c sockets; receive*.c requests; books.c the store's thread; follow*.c what a decision asks
 * for: checks, scans, bootstrap; probe.c looks at servers; backend*.c changes the parent; import.c reads the parent
 * zone; publish*.c what children have to find; ctl*.c msctl; metrics.c Prometheus.
 */
#ifndef PRT_SHELL_H
#define PRT_SHELL_H

#include "books.h"
#include "probe.h"
#include "settings.h"

#include <msproto/base/bucket.h>
#include <msproto/base/rand.h>
#include <msproto/io/resolve.h>
#include <msproto/io/server.h>
#include <msproto/kit/control.h>

/** Counted since the start, on the loop. name, help */
#define PRT_STAT_MAP(X)                                                                                                \
	X(requests, "requests received")                                                                               \
	X(dropped, "requests dropped without an answer: over a budget, or nonsense")                                   \
	X(updates, "UPDATEs received")                                                                                 \
	X(updates_accepted, "UPDATEs granted")                                                                         \
	X(updates_refused, "UPDATEs refused")                                                                          \
	X(keystates, "KeyState inquiries answered with a state")                                                       \
	X(notifies, "NOTIFYs about CDS or CSYNC taken")                                                                \
	X(notifies_coalesced, "NOTIFYs that found a scan waiting already")                                             \
	X(unknown_keys, "requests signed by a key that nobody has")                                                    \
	X(verifications, "public-key verifications")                                                                   \
	X(bad_signatures, "public-key verifications that failed")                                                      \
	X(over_budget, "verifications not done for want of budget")                                                    \
	X(replays, "messages seen before")                                                                             \
	X(signatures, "answers signed")                                                                                \
	X(scans, "scans of a child's servers")                                                                         \
	X(scan_failures, "scans that came to nothing")                                                                 \
	X(checks, "checks of proposed delegations")                                                                    \
	X(looks, "looks for a key's bootstrap")                                                                        \
	X(reports, "error reports sent")                                                                               \
	X(changes, "delegations changed")                                                                              \
	X(published, "changes that a backend has carried out")                                                         \
	X(backend_failures, "attempts of a backend that failed")                                                       \
	X(imports, "parent zones read")
struct prt_stats {
#define PRT_STAT_MEMBER(name, help) uint64_t name;
	PRT_STAT_MAP(PRT_STAT_MEMBER)
#undef PRT_STAT_MEMBER
};

struct msp_metrics;

struct prt_app {
	struct msp_loop *loop; /* borrowed */
	struct msp_log *log;   /* borrowed */
	char *conf_path;       /* owned */
	struct prt_settings *settings;
	const struct prt_conf *conf; /* = prt_settings_conf(settings) */
	struct prt_books *books;
	struct msp_resolver *resolver;
	struct prt_prober *prober;
	struct prt_listeners *listeners; /* listeners.c */
	struct prt_receiver *receiver;   /* receive.h */
	struct prt_follow *follow;       /* follow.h */
	struct prt_backends *backends;   /* backend.h */
	struct prt_importer *importer;   /* import.c, in backend.h */
	struct prt_publisher *publisher; /* publish.h */
	struct msp_control *control;
	struct prt_ctl_line *ctl_line; /* ctl_line.c */
	struct msp_metrics *metrics;
	struct msp_rand rand;
	struct msp_bucket_table *log_budget; /* lines about what anybody may send, for each source prefix */
	struct msp_wall started;
	struct prt_stats stats;
};

/** Each decision goes through here once, when it is durable, whoever asked for it. */
static inline void prt_app_count(struct prt_app *app, const struct prt_outcome *out)
{
	for (size_t i = 0; i < out->entries; i++)
		app->stats.changes += out->entry[i].verdict == PRT_VERDICT_ACCEPTED;
}

/* --- shell.c --- */
enum msp_err prt_shell_check(const char *conf_path, struct msp_buf *errors);
enum msp_err prt_shell_start(struct msp_loop *loop, struct msp_log *log, const char *conf_path, void **app,
			     struct msp_why *why);
enum msp_err prt_shell_reload(void *app, struct msp_why *why);
void prt_shell_stop(void *app);
void prt_shell_free(void **app);

/* --- listeners.c --- */
MSP_CHECKED enum msp_err prt_listeners_open(struct prt_app *app, const struct prt_settings *s, struct msp_why *why);
/** The app's settings are those now: close what they do not name. */
void prt_listeners_settle(struct prt_app *app);
void prt_listeners_close(struct prt_app *app);
struct msp_server_stats prt_listeners_stats(const struct prt_app *app);

/* --- ctl.c --- */
extern const struct msp_command prt_commands[];
/* --- ctl_line.c --- */
MSP_CHECKED enum msp_err prt_ctl_open(struct prt_app *app);
/** The control socket is closed already; waits for the command that is under way, drops those in line. */
void prt_ctl_close(struct prt_app *app);

/* --- metrics.c --- */
MSP_CHECKED enum msp_err prt_metrics_open(struct prt_app *app, struct msp_why *why);
void prt_metrics_close(struct prt_app *app);

#endif
