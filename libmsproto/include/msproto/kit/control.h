/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The control socket: a Unix stream socket (0660), one JSON object a line in each direction.
 * Request {"cmd":"peer list","args":{...}}; answer {"ok":true,"data":...} or
 * {"ok":false,"error":"EREFUSED","why":"..."}.
 */
#ifndef MSPROTO_KIT_CONTROL_H
#define MSPROTO_KIT_CONTROL_H

#include <msproto/base/json.h>
#include <msproto/io/loop.h>

#define MSP_CONTROL_LINE_MAX (16u << 20) /* answers; requests are limited to 64 KiB */

/** A command: fills *data (a new reference, may stay NULL) or fails with the reason. */
typedef enum msp_err msp_command_fn(void *arg, const json_t *args, json_t **data, struct msp_why *why);
struct msp_command {
	const char *name; /* "peer list"; NULL ends the table */
	msp_command_fn *fn;
	const char *args; /* for help: "ZONE" */
	const char *help;
};

struct msp_control;
/** Every control socket also answers "help" (the table) and "ping". A stale socket file is replaced. */
MSP_CHECKED enum msp_err msp_control_open(struct msp_loop *loop, const char *path, const struct msp_command *commands,
					  void *arg, struct msp_control **out, struct msp_why *why);
/** Legal inside a command; its answer is then lost, and so are those that were to come later. */
void msp_control_close(struct msp_control **c);

/**
 * Inside a command: it is answered later, by msp_control_answer; what the command returns does not count then. *out is
 * the caller's until it answers. MSP_ESTATE: not inside a command, or deferred already.
 */
struct msp_control_call;
MSP_CHECKED enum msp_err msp_control_defer(struct msp_control *c, struct msp_control_call **out);
/** On the loop, once for each, also after msp_control_close or when the client has gone. As a command's end: takes data
 * (may be NULL); `why` counts with an error. */
void msp_control_answer(struct msp_control_call **call, enum msp_err err, json_t *data, const struct msp_why *why);

/** The client's side, blocking (msctl): one command, its answer. @return MSP_OK, or the daemon's error with why, or
 * MSP_ENET. */
MSP_CHECKED enum msp_err msp_control_call(const char *path, const char *cmd, json_t *args, uint32_t timeout_ms,
					  json_t **data, struct msp_why *why);

#endif
