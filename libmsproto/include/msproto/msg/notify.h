/* SPDX-License-Identifier: BSD-2-Clause */
/** @file NOTIFY and generalized NOTIFY. @source RFC 1996, RFC 9859 4, PROTOCOL G.3 */
#ifndef MSPROTO_MSG_NOTIFY_H
#define MSPROTO_MSG_NOTIFY_H

#include <msproto/msg/msg.h>

/** Build a NOTIFY request without OPT (most compatible form, SIGNERS 4.5). `soa` (may be NULL): hint for the answer
 * section. */
void msp_notifyw_init(struct msp_msgw *w, uint8_t *mem, size_t cap, uint16_t id, const struct msp_name *zone,
		      uint16_t type, const struct msp_rr *soa);
/** Request shape: opcode NOTIFY, QR=0, one question of class IN. *serial_hint is set when a SOA for the zone is in the
 * answer. */
MSP_CHECKED enum msp_err msp_notify_check(const struct msp_msg *m, struct msp_rr_scratch *scratch, bool *has_hint,
					  uint32_t *serial_hint, struct msp_why *why);

#endif
