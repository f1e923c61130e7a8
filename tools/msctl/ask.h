/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * One question over DNS and its answer, run to the end on a loop of its own; what every answer says besides its
 * records.
 */
#ifndef MSCTL_ASK_H
#define MSCTL_ASK_H

#include "ctl.h"

#include <msproto/auth/key.h>
#include <msproto/base/addr.h>
#include <msproto/msg/edns.h>

enum ctl_asked { CTL_SYSTEM_RESOLVER, CTL_NAMED_SERVER };

struct ctl_ask {
	const struct ctl_opts *o;
	struct msp_addr server;
	struct msp_key *key;  /* owned; NULL = the question goes unsigned */
	struct msp_key *peer; /* owned; NULL = the answer's signature is not checked */
	struct msp_name name; /* from the command line */
	struct msp_msgw w;
	uint8_t query[MSP_MSG_MAX], reply[MSP_MSG_MAX];
	size_t query_len, reply_len;
	enum msp_err err;
	bool done;
	struct msp_msg msg; /* the parsed answer */
	struct msp_rr_scratch scratch;
	struct msp_why why;
};

/**
 * Everything the command line says, read and checked before anything is sent; problems have been told when it fails.
 * @param asked CTL_NAMED_SERVER: @ADDRESS must be there, and so must --key; CTL_SYSTEM_RESOLVER: @ADDRESS, or the first
 * name server of /etc/resolv.conf.
 */
enum ctl_exit ctl_ask_new(const struct ctl_opts *o, const struct ctl_command *cmd, const char *name,
			  enum ctl_asked asked, struct ctl_ask **out);
void ctl_ask_free(struct ctl_ask **a);
/** Begin a message in a->w: header, question, and the OPT record, which stays open. */
struct msp_optw ctl_ask_begin(struct ctl_ask *a, const struct msp_name *name, uint16_t type, enum msp_opcode opcode,
			      uint16_t flags);
/** Close, sign, send, wait, parse. */
MSP_CHECKED enum msp_err ctl_ask_send(struct ctl_ask *a, struct msp_optw *opt);
/** A look-up as a stub resolver does it: RD, AD, DO. */
MSP_CHECKED enum msp_err ctl_ask_lookup(struct ctl_ask *a, const struct msp_name *name, uint16_t type);

/** "rcode" and, if there are any, "errors" (RFC 8914). */
MSP_CHECKED enum msp_err ctl_ask_outcome(const struct ctl_ask *a, json_t *o);
/** "signer" and "signature". *believable: signed, and not found false (without --peer-key nobody looks). */
MSP_CHECKED enum msp_err ctl_ask_signature(const struct ctl_ask *a, json_t *o, bool *believable);
/** The KeyState option of the answer; *good: a child would believe it. @source PROTOCOL B.2 */
MSP_CHECKED enum msp_err ctl_add_keystate(const struct ctl_ask *a, bool is_signed, json_t *out, bool *good);
/** The common end of the query commands: print what there is, or the failure. Takes a and o. */
enum ctl_exit ctl_conclude(struct ctl_ask *a, const struct ctl_command *cmd, enum msp_err err, json_t *o, bool is_good);
/** A string member made of octets from the network. */
MSP_CHECKED enum msp_err ctl_set_text(json_t *o, const char *key, struct msp_span text);

#endif
