/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Becoming somebody with fewer rights. */
#ifndef KIT_PRIVILEGE_H
#define KIT_PRIVILEGE_H

#include <msproto/base/err.h>

/** root only: take the user's ids and groups, keep CAP_NET_BIND_SERVICE. Before any thread exists. */
MSP_CHECKED enum msp_err privilege_become(const char *user, struct msp_why *why);

#endif
