/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/span.h>

#include <string.h>

struct msp_span msp_span_str(const char *s)
{
	return msp_span(s, s == NULL ? 0 : strlen(s));
}

bool msp_span_equal(struct msp_span a, struct msp_span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

int msp_span_cmp(struct msp_span a, struct msp_span b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common); /* memcmp must not see NULL, even for 0 octets */

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}
