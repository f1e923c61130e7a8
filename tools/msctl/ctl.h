/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * msctl's own parts. A command is a row in a table: words, arguments, help, function, columns. Exit codes: 0 done, 1
 * the other side refused or the answer is bad, 2 wrong usage, 3 nobody answered.
 */
#ifndef MSCTL_CTL_H
#define MSCTL_CTL_H

#include <msproto/base/json.h>
#include <msproto/wire/rr.h>

enum ctl_exit { CTL_OK = 0, CTL_REFUSED = 1, CTL_USAGE = 2, CTL_UNREACHABLE = 3 };

#define CTL_MSAD_SOCKET      MSP_RUNDIR "/msad/control.sock"
#define CTL_COMBINERD_SOCKET MSP_RUNDIR "/combinerd/control.sock"
#define CTL_PARENTD_SOCKET   MSP_RUNDIR "/parentd/control.sock"

struct ctl_opts {
	bool json;
	const char *socket;    /* --socket; NULL = the daemon's default */
	const char *server;    /* @ADDRESS of query */
	const char *key_file;  /* --key: SIG(0) private key file */
	const char *peer_key;  /* --peer-key: .key file of the answering side */
	const char *identity;  /* --identity: HSYNC identity to speak as */
	const char *algorithm; /* --algorithm */
	const char *dir;       /* --dir */
	uint16_t port;         /* --port, default 53 */
	uint32_t timeout_ms;
	bool tcp;
	struct msp_numbers numbers;
};

struct ctl_command {
	const char *words; /* "peer show" */
	const char *args;  /* "IDENTITY": one word per argument; [X] optional */
	const char *help;
	enum ctl_exit (*run)(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
	const char *socket;  /* local commands: default control socket */
	const char *columns; /* see ctl_out */
};

enum ctl_exit ctl_local(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_status(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_diff(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_combiner_list(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
/** cmd_parent.c: orders carry the operator's name and what files hold; long lists come in pieces. */
enum ctl_exit ctl_parent_order(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_parent_list(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_parent_audit(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_parent_records(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_parent_verify(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_query_update(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_query_hsync(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_query_dsync(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_query_keystate(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_query_hello(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_key_generate(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_key_show(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);
enum ctl_exit ctl_conf_check(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv);

/** {"zone": "example."} from a row's "ZONE" and the command line. NULL = out of memory. */
json_t *ctl_args(const char *names, int argc, char **argv);
/** One call of the daemon; what went wrong has been told. args borrowed; *data a new reference, may be NULL. */
enum ctl_exit ctl_call(const struct ctl_opts *o, const struct ctl_command *cmd, json_t *args, json_t **data);

/**
 * Print data (stolen; NULL prints nothing): JSON with --json, else tables and "name: value" lines. Octets that could
 * move a terminal's cursor come out escaped in both.
 * @param columns Which members of a table's rows are shown, in which order: "zone,state,error?;group:identity,role".
 * The part without a name is for a table at the top, "group:" for the one of that name. `?`: left out when empty in
 * every row. A table that is not named, or columns NULL: all that fit a cell. JSON always has everything.
 */
enum ctl_exit ctl_out(const struct ctl_opts *o, const char *columns, json_t *data);
/** "msctl: WHAT: why" on standard error; the exit code that fits the error. */
enum ctl_exit ctl_fail(const char *what, enum msp_err err, const struct msp_why *why);
/** "msctl: WHAT: reason" on standard error; CTL_USAGE. */
enum ctl_exit ctl_misuse(const char *what, const char *reason);
/** Octets from anywhere as printable ASCII, the rest as \DDD. */
void ctl_escape(struct msp_buf *out, struct msp_span text);

#endif
