/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/buf.h>
#include <msproto/base/mem.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SIZE_FIRST 64 /* octets of the first allocation */

void msp_buf_init(struct msp_buf *b, size_t cap)
{
	/* Half of the address space is no limit for anybody and keeps the sums below from wrapping. */
	*b = (struct msp_buf){ .cap = cap < SIZE_MAX / 4 ? cap : SIZE_MAX / 4 };
}

void msp_buf_fini(struct msp_buf *b)
{
	msp_free(b->ptr);
	*b = (struct msp_buf){ .cap = b->cap };
}

void msp_buf_reset(struct msp_buf *b)
{
	b->len = 0;
	b->err = MSP_OK;
}

uint8_t *msp_buf_reserve(struct msp_buf *b, size_t len)
{
	size_t need, size;
	uint8_t *ptr;

	if (b->err == MSP_OK && len > b->cap - b->len)
		b->err = MSP_ELIMIT;
	if (b->err != MSP_OK)
		return NULL;
	need = b->len + len + 1; /* one more for the zero of msp_buf_text */
	if (need > b->size) {
		size = b->size < SIZE_FIRST / 2 ? SIZE_FIRST : 2 * b->size;
		if (size > b->cap + 1)
			size = b->cap + 1;
		if (size < need)
			size = need;
		ptr = msp_realloc(b->ptr, size, 1);
		if (ptr == NULL) {
			b->err = MSP_ENOMEM;
			return NULL;
		}
		b->ptr = ptr;
		b->size = size;
	}
	return b->ptr + b->len;
}

void msp_buf_claim(struct msp_buf *b, size_t len)
{
	if (b->err != MSP_OK)
		return;
	assert(len == 0 || len < b->size - b->len);
	b->len += len;
}

void msp_buf_add(struct msp_buf *b, const void *ptr, size_t len)
{
	uint8_t *to = len == 0 ? NULL : msp_buf_reserve(b, len);

	if (to == NULL)
		return;
	memcpy(to, ptr, len);
	b->len += len;
}

void msp_buf_add_span(struct msp_buf *b, struct msp_span s)
{
	msp_buf_add(b, s.ptr, s.len);
}

void msp_buf_add_str(struct msp_buf *b, const char *s)
{
	msp_buf_add(b, s, strlen(s));
}

void msp_buf_add_u8(struct msp_buf *b, uint8_t v)
{
	msp_buf_add(b, &v, 1);
}

void msp_buf_printf(struct msp_buf *b, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0) { /* an encoding error, or text over INT_MAX: nothing that fits any buffer of ours */
		b->err = b->err == MSP_OK ? MSP_ELIMIT : b->err;
		return;
	}
	to = (char *)msp_buf_reserve(b, (size_t)len);
	if (to == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
}

void msp_buf_consume(struct msp_buf *b, size_t len)
{
	assert(len <= b->len);
	b->len -= len;
	if (b->len > 0 && len > 0)
		memmove(b->ptr, b->ptr + len, b->len);
}

struct msp_span msp_buf_span(const struct msp_buf *b)
{
	return msp_span(b->ptr, b->len);
}

const char *msp_buf_text(struct msp_buf *b)
{
	if (b->err != MSP_OK || b->ptr == NULL)
		return "";
	b->ptr[b->len] = '\0'; /* reserve keeps room for it */
	return (const char *)b->ptr;
}
