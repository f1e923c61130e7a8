/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/arena.h>
#include <msproto/base/mem.h>

#include <stdalign.h>
#include <string.h>

#define BLOCK_MIN 4096 /* octets of data in an ordinary block */

struct msp_arena_block {
	struct msp_arena_block *next; /* owned */
	size_t used, size;            /* octets of data */
	alignas(max_align_t) uint8_t data[];
};

void msp_arena_init(struct msp_arena *a, size_t cap)
{
	*a = (struct msp_arena){ .cap = cap };
}

/* The block in front gets smaller pieces until it is full; what is left of it then is lost until the reset. */
static struct msp_arena_block *block_with_room(struct msp_arena *a, size_t len)
{
	struct msp_arena_block *b = a->head;
	size_t size = len > BLOCK_MIN ? len : BLOCK_MIN;

	if (b != NULL && len <= b->size - b->used)
		return b;
	b = msp_alloc(1, sizeof(*b) + size);
	if (b == NULL)
		return NULL;
	b->size = size;
	/* A big piece fills its block at once: keep it behind, so that the room in front is not lost. */
	if (len > BLOCK_MIN / 4 && a->head != NULL) {
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	return b;
}

void *msp_arena_alloc(struct msp_arena *a, size_t count, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct msp_arena_block *b;
	size_t len;
	void *out;

	if (__builtin_mul_overflow(count, size, &len) || len > PTRDIFF_MAX / 2 || len > a->cap - a->used)
		return NULL;
	len = (len + align - 1) / align * align; /* after the check: cannot wrap */
	if (len == 0)
		len = align; /* distinct pointers for empty objects */
	if (len > a->cap - a->used)
		return NULL;
	b = block_with_room(a, len);
	if (b == NULL)
		return NULL;
	out = b->data + b->used;
	b->used += len;
	a->used += len;
	return out;
}

struct msp_span msp_arena_dup(struct msp_arena *a, struct msp_span s)
{
	uint8_t *copy = msp_arena_alloc(a, s.len, 1);

	if (copy == NULL)
		return msp_span(NULL, 0);
	if (s.len > 0)
		memcpy(copy, s.ptr, s.len);
	return msp_span(copy, s.len);
}

void msp_arena_reset(struct msp_arena *a)
{
	while (a->head != NULL) {
		struct msp_arena_block *next = a->head->next;

		msp_free(a->head);
		a->head = next;
	}
	a->used = 0;
}

void msp_arena_fini(struct msp_arena *a)
{
	msp_arena_reset(a);
}
