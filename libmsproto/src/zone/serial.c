/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/zone/serial.h>

bool msp_serial_gt(uint32_t a, uint32_t b)
{
	uint32_t ahead = a - b;

	/* RFC 1982 3.2; at a distance of exactly 2^31 neither is ahead */
	return ahead != 0 && ahead < UINT32_C(0x80000000);
}

uint32_t msp_serial_next(uint32_t s)
{
	return s + 1 != 0 ? s + 1 : 1; /* PROTOCOL E.6: 0 is skipped, some software takes it for "unset" */
}
