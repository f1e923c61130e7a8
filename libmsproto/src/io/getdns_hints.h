/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Root servers for getdns, without what it leaves behind: it writes them to a file /tmp/getdns-root-dns-servers-XXXXXX
 * that libunbound reads at the first look-up, and then forgets to remove it.
 */
#ifndef IO_GETDNS_HINTS_H
#define IO_GETDNS_HINTS_H

#include <getdns/getdns.h>
#include <getdns/getdns_extra.h>

struct getdns_hints {
	char path[64]; /* "" when it could not be told which file it is */
};

getdns_return_t getdns_hints_set(getdns_context *ctx, getdns_list *servers, struct getdns_hints *h);
/** Once the first look-up has started, and again at the end; harmless when it is gone. */
void getdns_hints_remove(struct getdns_hints *h);

#endif
