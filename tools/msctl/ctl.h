/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * msctl's own parts. A command is a row in a table: words, arguments, help, function. Exit codes: 0 done, 1 the other side
 * refused or the answer is bad, 2 wrong usage, 3 nobody answered.
 */
#ifndef MSCTL_CTL_H
#define MSCTL_CTL_H

#include <msproto/base/json.h>
#include <msproto/wire/rr.h>

enum ctl_exit { CTL_OK = 0, CTL_REFUSED = 1, CTL_USAGE = 2, CTL_UNREACHABLE = 3 };

struct ctl_opts {
	bool json;
	const char *socket;    /* --socket; NULL = the daemon's default */
	const char *server;    /* @ADDRESS of query */
	const char *key_file;  /* --key: SIG(0) private key file */
	const char *peer_key;  /* --peer-key: .key file of the answering side */
	const char *identity;  /* --identity: HSYNC identity to speak as */
	const char *algorithm; /* --algorithm */
	const char *dir;       /* --dir */
	uint16_t port;	       /* --port, default 53 */
	uint32_t timeout_ms;
	bool tcp;
	struct msp_numbers numbers;
};

struct ctl_command {
	const char *words; /* "peer show" */
	const char *args;  /* "IDENTITY": one word per argument; [X] optional */
	const char *help;
	enum ctl_exit (*run)(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
	const char *socket; /* local commands: default control socket */
};

enum ctl_exit ctl_local(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_query_hsync(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_query_dsync(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_query_keystate(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_query_hello(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_key_generate(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_key_show(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_conf_check(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);

/** Print data (stolen; NULL prints nothing): JSON with --json, else tables and "name: value" lines. */
enum ctl_exit ctl_out(const struct ctl_opts *o, json_t *data);
/** "msctl: WHAT: why" on standard error; the exit code that fits the error. */
enum ctl_exit ctl_fail(const char *what, enum msp_err err, const struct msp_why *why);

#endif
