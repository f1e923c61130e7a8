/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Which names cannot be a child, without asking the store: a Bloom filter with a secret key, so that nobody can choose
 * names that collide. Any thread may ask while one adds. Nothing is ever taken out; it grows by being built anew. Pure.
 * @source Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters (2007): blocked
 */
#ifndef PRT_FILTER_H
#define PRT_FILTER_H

#include <msproto/base/err.h>
#include <msproto/base/span.h>

#define PRT_FILTER_KEY 16 /* octets, random */

struct prt_filter;
/** @param capacity names for which fewer than 1 in 500 others seem to be there; 2 octets of memory each
 *  @return MSP_OK, MSP_ENOMEM, MSP_ELIMIT (over 2^32 names) */
MSP_CHECKED enum msp_err prt_filter_new(size_t capacity, const uint8_t key[PRT_FILTER_KEY], struct prt_filter **out);
/** NULL allowed. Nobody may be asking. */
void prt_filter_free(struct prt_filter **f);
/** One thread at a time, or several: nothing is lost. */
void prt_filter_add(struct prt_filter *f, struct msp_span name);
/** False: certainly never added, by whatever happened before this call. */
bool prt_filter_has(const struct prt_filter *f, struct msp_span name);
size_t prt_filter_capacity(const struct prt_filter *f);

/** SipHash-2-4. @source Aumasson, Bernstein: SipHash: a fast short-input PRF (2012) */
uint64_t prt_siphash(const uint8_t key[PRT_FILTER_KEY], struct msp_span octets);

#endif
