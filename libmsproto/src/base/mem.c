/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/mem.h>

#include <stdlib.h>
#include <string.h>

/* The one mutable variable of the library: tests make allocations of their own thread fail. */
static _Thread_local struct {
	size_t countdown; /* 0 = off; 1 = fail now and from now on */
	bool happened;
} inject;

static bool injected(void)
{
	if (inject.countdown == 0)
		return false;
	if (inject.countdown > 1) {
		inject.countdown--;
		return false;
	}
	inject.happened = true;
	return true;
}

/* Octets for count * size; false when that is more than an object may have. Never 0, so that NULL always means failure.
 */
static bool total_size(size_t count, size_t size, size_t *out)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total) || total > PTRDIFF_MAX)
		return false;
	*out = total == 0 ? 1 : total;
	return true;
}

void *msp_alloc(size_t count, size_t size)
{
	size_t total;

	if (!total_size(count, size, &total) || injected())
		return NULL;
	return calloc(1, total);
}

void *msp_realloc(void *old, size_t count, size_t size)
{
	size_t total;

	if (!total_size(count, size, &total) || injected())
		return NULL;
	return realloc(old, total);
}

void msp_free(void *ptr)
{
	free(ptr);
}

void *msp_memdup(const void *ptr, size_t len)
{
	uint8_t *copy;

	if (len >= PTRDIFF_MAX)
		return NULL;
	copy = msp_alloc(len + 1, 1);
	if (copy != NULL && len > 0)
		memcpy(copy, ptr, len);
	return copy;
}

char *msp_strdup(const char *s)
{
	return msp_memdup(s, strlen(s));
}

void msp_wipe(void *ptr, size_t len)
{
	if (len > 0)
		explicit_bzero(ptr, len);
}

bool msp_secret_equal(struct msp_span a, struct msp_span b)
{
	unsigned differ = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		differ |= (unsigned)(a.ptr[i] ^ b.ptr[i]);
		/* Hides the running value from the optimizer, which could otherwise leave the loop at the first
		 * difference. */
		__asm__ volatile("" : "+r"(differ));
	}
	return differ == 0;
}

void msp_mem_fail_at(size_t nth)
{
	inject.countdown = nth;
	inject.happened = false;
}

bool msp_mem_failed(void)
{
	return inject.happened;
}
