/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Network address and port as a plain value (no socket headers, so pure cores can hold one), and prefixes for
 * ACLs. */
#ifndef MSPROTO_BASE_ADDR_H
#define MSPROTO_BASE_ADDR_H

#include <msproto/base/err.h>
#include <msproto/base/span.h>

enum msp_family { MSP_FAMILY_NONE, MSP_FAMILY_V4, MSP_FAMILY_V6 };

struct msp_addr {
	enum msp_family family;
	uint8_t oct[16]; /* network order; 4 used for IPv4, the rest zero */
	uint16_t port;   /* host order; 0 = none */
};

/** Text for people: "192.0.2.1:53", "[2001:db8::1]:53"; without port when 0. */
struct msp_addr_text {
	char s[64];
};
struct msp_addr_text msp_addr_text(const struct msp_addr *a);
#define MSP_ADDR(a) (msp_addr_text(a).s)

/** Address without a port; the port given is stored. @return MSP_OK or MSP_EFORMAT. */
MSP_CHECKED enum msp_err msp_addr_parse(const char *text, uint16_t port, struct msp_addr *out);
/** Raw octets of an A (4) or AAAA (16) record, or an SVCB hint. */
MSP_CHECKED enum msp_err msp_addr_from_octets(struct msp_span oct, uint16_t port, struct msp_addr *out);
/** Same host (as msp_addr_same_host) and port. */
bool msp_addr_equal(const struct msp_addr *a, const struct msp_addr *b);
/** Same address, any port. An IPv4-mapped IPv6 address equals its IPv4 form. */
bool msp_addr_same_host(const struct msp_addr *a, const struct msp_addr *b);

struct msp_prefix {
	struct msp_addr addr;
	uint8_t bits;
};
/** "192.0.2.0/24", "2001:db8::/32", or a single address. Host bits must be zero.
 * A prefix of IPv4-mapped addresses becomes its IPv4 form; "::/0" has no IPv4 address in it, mapped or not. */
MSP_CHECKED enum msp_err msp_prefix_parse(const char *text, struct msp_prefix *out);
bool msp_prefix_has(const struct msp_prefix *p, const struct msp_addr *a);
/** The rate-limit bucket of a source: /24 or /56 (PROTOCOL C.3 step 6). Port cleared. */
struct msp_addr msp_addr_bucket(const struct msp_addr *a);

#endif
