/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What one answer of a child's server says, for whom it cannot be trusted to say anything. Pure. */
#ifndef PRT_PROBE_READ_H
#define PRT_PROBE_READ_H

#include "evidence.h"

/**
 * @param raw matches the question (id, opcode, name, type); nothing else of it has been looked at
 * @param[out] out empty before. Records of exactly this name, type and class IN, with the RRSIGs that cover the type.
 * No set and MSP_OK: an authoritative denial. err otherwise, without records: MSP_EFORMAT (malformed, or there are
 * other records in the answer section, such as a CNAME), MSP_ETRUNC (TC), MSP_ERCODE, MSP_ENOTAUTH (neither records nor
 * AA), MSP_ELIMIT (too many), MSP_ENOMEM
 * @param[in,out] agent set by the first well-formed message that has an agent domain for error reports (option 18),
 * whatever else it says; unset before, or from an answer before. Servers send the option unasked. @source RFC 9567 5
 */
void prt_answer_read(struct msp_span raw, const struct msp_name *name, uint16_t type, struct msp_rr_scratch *scratch,
		     struct prt_answer *out, struct msp_name *agent);

#endif
