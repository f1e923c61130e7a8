/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What every daemon does the same way: options, signals, readiness, privileges, reload.
 *   NAME -c FILE [-n] [-v] [-u USER] | NAME -V
 *     -n: check the configuration and exit (0 good, 1 bad)   -v: log debug events   -V: print the version
 *     -u: run as USER; of root's capabilities only CAP_NET_BIND_SERVICE is kept
 * Always in the foreground: the supervisor's business ends there. Exit status 0 good, 1 failure, 2 usage.
 */
#ifndef MSPROTO_KIT_DAEMON_H
#define MSPROTO_KIT_DAEMON_H

#include <msproto/io/loop.h>

#define MSP_VERSION "0.1.0"

struct msp_daemon_ops {
	const char *name; /* "msad" */
	/** Check the file only; problems go to errors, a line each. */
	enum msp_err (*check)(const char *conf_path, struct msp_buf *errors);
	/** Open everything. On failure the daemon exits with the reason. *app is handed to the others. */
	enum msp_err (*start)(struct msp_loop *loop, struct msp_log *log, const char *conf_path, void **app,
			      struct msp_why *why);
	/** SIGHUP: build the new configuration aside and swap it in only if it is good. May be NULL. */
	enum msp_err (*reload)(void *app, struct msp_why *why);
	/** SIGTERM, SIGINT: close everything; the loop ends when the handles are gone. */
	void (*stop)(void *app);
	void (*free)(void **app);
};
/** main() of a daemon: returns the exit status. Handles --resolver-worker first. Notifies systemd (NOTIFY_SOCKET) of
 * READY, RELOADING, STOPPING. */
int msp_daemon_main(int argc, char **argv, const struct msp_daemon_ops *ops);
/**
 * No new privileges, no core files, all descriptors that the hard limit allows; a process that is not root gives up
 * every capability but CAP_NET_BIND_SERVICE. Root stays root: without CAP_DAC_OVERRIDE it could not reach signers'
 * sockets, and who wants less uses -u. Called by msp_daemon_main before start, after -u.
 */
MSP_CHECKED enum msp_err msp_daemon_confine(struct msp_why *why);
/** Path of the running executable, for msp_resolver_conf.worker_path. */
MSP_CHECKED enum msp_err msp_daemon_self_path(char *out, size_t len);

#endif
