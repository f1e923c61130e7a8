/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/tcp.h"

#include <string.h>

#define LEN_OCTETS 2
#define BODY_MAX   65535

void msp_tcp_frame_init(struct msp_tcp_frame *f)
{
	memset(f, 0, sizeof(*f));
	msp_buf_init(&f->body, BODY_MAX);
}

void msp_tcp_frame_fini(struct msp_tcp_frame *f)
{
	msp_buf_fini(&f->body);
}

static struct msp_span take(struct msp_span *in, size_t n)
{
	struct msp_span s = msp_span(in->ptr, n < in->len ? n : in->len);

	in->ptr += s.len;
	in->len -= s.len;
	return s;
}

enum msp_err msp_tcp_frame_next(struct msp_tcp_frame *f, struct msp_span *in, struct msp_span *message)
{
	struct msp_span part;
	size_t want;

	if (f->is_given) {
		msp_buf_reset(&f->body);
		f->is_given = false;
	}
	while (f->head_len < LEN_OCTETS && in->len > 0)
		f->head[f->head_len++] = *take(in, 1).ptr;
	if (f->head_len < LEN_OCTETS)
		return MSP_ETRUNC;
	want = (size_t)f->head[0] << 8 | f->head[1];
	if (f->body.len == 0 && in->len >= want) { /* the usual case: no copy */
		*message = take(in, want);
		f->head_len = 0;
		return MSP_OK;
	}
	/* Grows with what arrives, not with what was announced. */
	part = take(in, want - f->body.len);
	msp_buf_add_span(&f->body, part);
	if (f->body.err != MSP_OK)
		return f->body.err;
	if (f->body.len < want)
		return MSP_ETRUNC;
	*message = msp_buf_span(&f->body);
	f->is_given = true;
	f->head_len = 0;
	return MSP_OK;
}

bool msp_tcp_frame_is_partial(const struct msp_tcp_frame *f)
{
	return f->head_len > 0;
}
