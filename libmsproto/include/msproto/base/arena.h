/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Bump allocator for the lifetime of one message, with a hard cap. */
#ifndef MSPROTO_BASE_ARENA_H
#define MSPROTO_BASE_ARENA_H

#include <msproto/base/err.h>
#include <msproto/base/span.h>

struct msp_arena {
	struct msp_arena_block *head; /* owned */
	size_t used, cap;             /* octets handed out, octets allowed */
};

void msp_arena_init(struct msp_arena *a, size_t cap);
/** Zeroed, aligned for any type. NULL when the cap or memory is exhausted. */
void *msp_arena_alloc(struct msp_arena *a, size_t count, size_t size) __attribute__((warn_unused_result));
/** Copy of the octets with the arena's lifetime; ptr is NULL on failure. */
struct msp_span msp_arena_dup(struct msp_arena *a, struct msp_span s);
/** Free everything, keep the cap. */
void msp_arena_reset(struct msp_arena *a);
void msp_arena_fini(struct msp_arena *a);

#endif
