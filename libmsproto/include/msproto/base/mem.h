/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The only caller of malloc and free. Sizes travel as count and size and are multiplied with an overflow check.
 */
#ifndef MSPROTO_BASE_MEM_H
#define MSPROTO_BASE_MEM_H

#include <msproto/base/span.h>

/** Zeroed memory for count objects of size octets. NULL when out of memory, on overflow, or when a test injects it. */
void *msp_alloc(size_t count, size_t size) __attribute__((malloc, warn_unused_result));
/** Grow or shrink; what is added is not zeroed. NULL leaves `old` valid and owned by the caller. */
void *msp_realloc(void *old, size_t count, size_t size) __attribute__((warn_unused_result));
/** NULL allowed. */
void msp_free(void *ptr);
/** Copy of `len` octets plus a terminating zero; NULL when out of memory. */
void *msp_memdup(const void *ptr, size_t len) __attribute__((warn_unused_result));
char *msp_strdup(const char *s) __attribute__((warn_unused_result));

/** Overwrite a secret; not removed by the optimizer. */
void msp_wipe(void *ptr, size_t len);
/** Constant time in the octets; lengths are not secret. */
bool msp_secret_equal(struct msp_span a, struct msp_span b);

/** Tests only: the nth allocation from now on (1 = the next) and every later one fails; 0 turns it off. Thread-local.
 */
void msp_mem_fail_at(size_t nth);
/** Tests only: whether an injected failure has happened since msp_mem_fail_at. */
bool msp_mem_failed(void);

#endif
