/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * RCODEs as they go on the wire. They sit in base because the error table has an RCODE column.
 * @source RFC 1035 4.1.1, RFC 2136 2.2, RFC 6891 6.1.3 (values above 15 need EDNS), PROTOCOL B.5
 */
#ifndef MSPROTO_BASE_RCODE_H
#define MSPROTO_BASE_RCODE_H

enum msp_rcode {
	MSP_RCODE_NOERROR = 0,
	MSP_RCODE_FORMERR = 1,
	MSP_RCODE_SERVFAIL = 2,
	MSP_RCODE_NXDOMAIN = 3,
	MSP_RCODE_NOTIMP = 4,
	MSP_RCODE_REFUSED = 5,
	MSP_RCODE_YXDOMAIN = 6,
	MSP_RCODE_YXRRSET = 7,
	MSP_RCODE_NXRRSET = 8,
	MSP_RCODE_NOTAUTH = 9,
	MSP_RCODE_NOTZONE = 10,
	MSP_RCODE_BADVERS = 16,
	MSP_RCODE_BADKEY = 17,
	MSP_RCODE_BADTIME = 18,
	MSP_RCODE_BADCOOKIE = 23
};

/** Mnemonic such as "REFUSED", or "RCODE77" style text for an unassigned value. Static storage, never NULL. */
const char *msp_rcode_name(unsigned rcode);

#endif
