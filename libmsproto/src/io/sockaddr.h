/* SPDX-License-Identifier: BSD-2-Clause */
/** @file struct msp_addr to and from the kernel's socket addresses, and error codes of libuv to ours. */
#ifndef MSPROTO_SRC_IO_SOCKADDR_H
#define MSPROTO_SRC_IO_SOCKADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include <msproto/base/addr.h>

union msp_sockaddr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

/** @return the length to hand to bind or connect; 0 when the address has no family. */
socklen_t msp_sockaddr_set(union msp_sockaddr *out, const struct msp_addr *a);
/** Family NONE for anything but IPv4 and IPv6. */
void msp_sockaddr_get(const union msp_sockaddr *sa, struct msp_addr *out);
/** AF_INET or AF_INET6. */
int msp_sockaddr_family(const struct msp_addr *a);
/** 0.0.0.0 or ::. */
bool msp_addr_is_any(const struct msp_addr *a);
/** A libuv status (negative errno) as one of our errors. */
enum msp_err msp_err_from_uv(int status);

#endif
