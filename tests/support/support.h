/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What every unit test includes: cmocka in the order it needs, and builders. */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <msproto/base/buf.h>
#include <msproto/wire/name.h>
#include <msproto/wire/rrset.h>

/** A name from text; fails the test when it is not one. */
struct msp_name t_name(const char *text);
/** A file of hexadecimal lines with # comments, as in vectors/; path below TEST_DATA. Caller frees with msp_buf_fini.
 */
void t_hex_file(const char *path, struct msp_buf *out);
/** Octets from a hexadecimal string, white space allowed. */
void t_hex(const char *hex, struct msp_buf *out);
/** Text lines "owner TTL TYPE rdata" joined by newlines (same owner and type) to an RRset; fails the test otherwise. */
struct msp_rrset *t_rrset(const char *lines);

#define T_ERR(expr, want)                                                                                              \
	do {                                                                                                           \
		enum msp_err t_err_ = (expr);                                                                          \
		if (t_err_ != (want))                                                                                  \
			fail_msg("%s: got %s, wanted %s", #expr, msp_err_name(t_err_), msp_err_name((want)));          \
	} while (0)
#define T_OK(expr) T_ERR(expr, MSP_OK)

#endif
