/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Domain names as values: uncompressed wire form, case kept. Compare is ASCII case-insensitive.
 * @source RFC 1035 3.1 and 5.1, RFC 4034 6.1 (canonical order), RFC 4343 (case), PROTOCOL A.0
 */
#ifndef MSPROTO_WIRE_NAME_H
#define MSPROTO_WIRE_NAME_H

#include <msproto/base/err.h>
#include <msproto/base/span.h>
#include <msproto/wire/rd.h>

#define MSP_NAME_MAX        255 /* octets, final zero included */
#define MSP_LABEL_MAX       63
#define MSP_NAME_LABELS_MAX 127 /* without the root */

struct msp_name {
	uint8_t len; /* 1..255; 0 only in an uninitialised value ("no name") */
	uint8_t oct[MSP_NAME_MAX];
};

static inline bool msp_name_is_set(const struct msp_name *n)
{
	return n->len != 0;
}
static inline struct msp_span msp_name_span(const struct msp_name *n)
{
	return msp_span(n->oct, n->len);
}

void msp_name_root(struct msp_name *out);
bool msp_name_is_root(const struct msp_name *n);

/** How a reader treats compression pointers. */
enum msp_name_comp { MSP_NAME_PLAIN, MSP_NAME_COMP };
/**
 * Read one name. Pointers go strictly backwards, hops are counted.
 * @param comp MSP_NAME_PLAIN: a pointer is an error (MSP_EFORMAT).
 * On failure the error sticks in rd and *out is the root.
 */
void msp_name_read(struct msp_rd *rd, enum msp_name_comp comp, struct msp_name *out);
/** A complete uncompressed name that fills `s` exactly. @return MSP_OK, MSP_ETRUNC, MSP_ETRAIL, MSP_EFORMAT or
 * MSP_ENAME. */
MSP_CHECKED enum msp_err msp_name_from_wire(struct msp_span s, struct msp_name *out);
/** Presentation form with \DDD and \X escapes, at most 1023 characters. A missing final dot is taken as there (names
 * are absolute). */
MSP_CHECKED enum msp_err msp_name_from_text(const char *text, struct msp_name *out);
/** As above, but a name without a final dot is relative to origin; "@" is the origin. NULL origin: relative is
 * MSP_ENAME. */
MSP_CHECKED enum msp_err msp_name_from_text_rel(struct msp_span text, const struct msp_name *origin,
						struct msp_name *out);

/** 255 octets escaped as \DDD at worst. Returned by value so that MSP_NAME(&n) works as a function argument. */
struct msp_name_text {
	char s[1024];
};
/** Presentation form with final dot, specials escaped. */
struct msp_name_text msp_name_text(const struct msp_name *n);
#define MSP_NAME(n) (msp_name_text(n).s)

bool msp_name_equal(const struct msp_name *a, const struct msp_name *b);
/** Same octets, case included. */
bool msp_name_same(const struct msp_name *a, const struct msp_name *b);
/** Canonical order (RFC 4034 6.1): <0, 0, >0. */
int msp_name_cmp(const struct msp_name *a, const struct msp_name *b);
/** Equal to, or below, `parent`; compares whole labels, never a textual suffix. */
bool msp_name_is_under(const struct msp_name *n, const struct msp_name *parent);
/** Labels without the root: "." has 0, "example." has 1. */
unsigned msp_name_labels(const struct msp_name *n);
/** Strip the first `count` labels. count > labels: MSP_ENAME. out may be n. */
MSP_CHECKED enum msp_err msp_name_parent(const struct msp_name *n, unsigned count, struct msp_name *out);
/** prefix's labels (its root dropped) in front of suffix. MSP_ENAME when over 255 octets. out may be either. */
MSP_CHECKED enum msp_err msp_name_concat(const struct msp_name *prefix, const struct msp_name *suffix,
					 struct msp_name *out);
/** Labels given as text, e.g. "_dns._tcp", in front of suffix. */
MSP_CHECKED enum msp_err msp_name_prepend(const char *labels, const struct msp_name *suffix, struct msp_name *out);
/** Lower-case in place (canonical form). */
void msp_name_lower(struct msp_name *n);
/** Key for msp_map: canonical form with labels reversed, so that map order is canonical order. Each label is stored
 * with its octets escaped so that octet order equals RFC 4034 6.1 order. At most MSP_NAME_KEY_MAX octets. */
#define MSP_NAME_KEY_MAX 511
struct msp_name_key {
	uint16_t len;
	uint8_t oct[MSP_NAME_KEY_MAX];
};
struct msp_name_key msp_name_key(const struct msp_name *n);
static inline struct msp_span msp_name_key_span(const struct msp_name_key *k)
{
	return msp_span(k->oct, k->len);
}

#endif
