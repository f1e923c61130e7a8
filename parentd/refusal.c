/* SPDX-License-Identifier: BSD-2-Clause */
#include "refusal.h"

#include <stdarg.h>
#include <stdio.h>

MSP_PRINTF(4, 0)
static void fill(struct prt_refusal *no, unsigned rcode, const char *rule, const char *text, va_list ap)
{
	*no = (struct prt_refusal){ .rcode = rcode, .rule = rule };
	(void)vsnprintf(no->why.text, sizeof(no->why.text), text, ap);
}

bool prt_refuse(struct prt_refusal *no, unsigned rcode, const char *rule, const char *text, ...)
{
	va_list ap;

	va_start(ap, text);
	fill(no, rcode, rule, text, ap);
	va_end(ap);
	return false;
}

bool prt_refuse_own(struct prt_refusal *no, enum msp_ede_own ede, const char *rule, const char *text, ...)
{
	va_list ap;

	va_start(ap, text);
	fill(no, MSP_RCODE_REFUSED, rule, text, ap);
	va_end(ap);
	no->has_ede = true;
	no->ede = (uint16_t)ede;
	return false;
}

bool prt_refuse_std(struct prt_refusal *no, enum msp_ede_std ede, const char *rule, const char *text, ...)
{
	va_list ap;

	va_start(ap, text);
	fill(no, MSP_RCODE_REFUSED, rule, text, ap);
	va_end(ap);
	no->has_ede = no->is_standard = true;
	no->ede = (uint16_t)ede;
	return false;
}
