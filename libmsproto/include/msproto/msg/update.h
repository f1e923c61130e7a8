/* SPDX-License-Identifier: BSD-2-Clause */
/** @file UPDATE messages: what each record asks for, and builders. @source RFC 2136 2.4, 2.5, 3.4.1, PROTOCOL E.2 */
#ifndef MSPROTO_MSG_UPDATE_H
#define MSPROTO_MSG_UPDATE_H

#include <msproto/msg/msg.h>

enum msp_prereq {
	MSP_PREREQ_NAME_IN_USE,  /* ANY ANY */
	MSP_PREREQ_NAME_UNUSED,  /* NONE ANY */
	MSP_PREREQ_RRSET_EXISTS, /* ANY type */
	MSP_PREREQ_RRSET_ABSENT, /* NONE type */
	MSP_PREREQ_RRSET_EQUALS  /* zone class, type, RDATA: one record of the wanted RRset */
};
enum msp_upd {
	MSP_UPD_ADD,       /* zone class */
	MSP_UPD_DEL_RRSET, /* ANY type */
	MSP_UPD_DEL_NAME,  /* ANY ANY */
	MSP_UPD_DEL_RR     /* NONE type RDATA */
};

/** Shape of the zone section: exactly one record, type SOA, class IN. @return MSP_OK or MSP_EFORMAT */
MSP_CHECKED enum msp_err msp_update_check(const struct msp_msg *m, struct msp_why *why);
/** Classify; TTL, RDLENGTH and type rules of RFC 2136 3.2.4 / 3.4.1.2 are checked. @return MSP_OK or MSP_EFORMAT */
MSP_CHECKED enum msp_err msp_prereq_classify(const struct msp_rr *rr, enum msp_prereq *out, struct msp_why *why);
MSP_CHECKED enum msp_err msp_upd_classify(const struct msp_rr *rr, enum msp_upd *out, struct msp_why *why);

/* Builders for the update section (and prerequisites, which must come first). */
void msp_updw_init(struct msp_msgw *w, uint8_t *mem, size_t cap, uint16_t id, const struct msp_name *zone);
void msp_updw_prereq(struct msp_msgw *w, enum msp_prereq kind, const struct msp_name *name, uint16_t type,
		     struct msp_span rdata);
void msp_updw_add(struct msp_msgw *w, const struct msp_name *name, uint16_t type, uint32_t ttl, struct msp_span rdata);
void msp_updw_del_rrset(struct msp_msgw *w, const struct msp_name *name, uint16_t type);
void msp_updw_del_name(struct msp_msgw *w, const struct msp_name *name);
void msp_updw_del_rr(struct msp_msgw *w, const struct msp_name *name, uint16_t type, struct msp_span rdata);

#endif
