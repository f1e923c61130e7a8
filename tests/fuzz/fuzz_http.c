/* SPDX-License-Identifier: BSD-2-Clause */
/* The head of an HTTP request: cut off as the server does it, then read. */
#include <stdint.h>
#include <stdlib.h>

#include "io/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msp_http_request req = { false, { NULL, 0 } };
	size_t end = msp_http_head_end(msp_span(data, size));
	unsigned status;

	if (end > size)
		abort();
	status = msp_http_parse(msp_span(data, end > 0 ? end : size), &req);
	if (status != 200)
		return 0;
	/* What is taken is an absolute path inside the octets, without anything that a log or a terminal would act on.
	 */
	if (req.path.len == 0 || req.path.ptr < data || req.path.ptr + req.path.len > data + size ||
	    req.path.ptr[0] != '/')
		abort();
	for (size_t i = 0; i < req.path.len; i++)
		if (req.path.ptr[i] <= 0x20 || req.path.ptr[i] >= 0x7f || req.path.ptr[i] == '?')
			abort();
	return 0;
}
