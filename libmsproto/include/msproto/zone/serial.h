/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Serial number arithmetic. @source RFC 1982, PROTOCOL E.6 */
#ifndef MSPROTO_ZONE_SERIAL_H
#define MSPROTO_ZONE_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

/** a is ahead of b. False for equal, and for the undefined distance 2^31. */
bool msp_serial_gt(uint32_t a, uint32_t b);
/** s + 1, leaving out 0. */
uint32_t msp_serial_next(uint32_t s);

#endif
