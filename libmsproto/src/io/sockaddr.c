/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/sockaddr.h"

#include <string.h>

#include <uv.h>

/* sin_port and sin6_port are in network order: written octet by octet, so that no byte swapping is needed here. */
static void put_port(in_port_t *to, uint16_t port)
{
	const uint8_t oct[2] = { (uint8_t)(port >> 8), (uint8_t)(port & 0xff) };

	memcpy(to, oct, sizeof(oct));
}

static uint16_t get_port(const in_port_t *from)
{
	uint8_t oct[2];

	memcpy(oct, from, sizeof(oct));
	return (uint16_t)(oct[0] << 8 | oct[1]);
}

socklen_t msp_sockaddr_set(union msp_sockaddr *out, const struct msp_addr *a)
{
	memset(out, 0, sizeof(*out));
	switch (a->family) {
	case MSP_FAMILY_V4:
		out->v4.sin_family = AF_INET;
		put_port(&out->v4.sin_port, a->port);
		memcpy(&out->v4.sin_addr, a->oct, 4);
		return sizeof(out->v4);
	case MSP_FAMILY_V6:
		out->v6.sin6_family = AF_INET6;
		put_port(&out->v6.sin6_port, a->port);
		memcpy(&out->v6.sin6_addr, a->oct, 16);
		return sizeof(out->v6);
	case MSP_FAMILY_NONE:
		break;
	}
	return 0;
}

void msp_sockaddr_get(const union msp_sockaddr *sa, struct msp_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (sa->sa.sa_family == AF_INET) {
		out->family = MSP_FAMILY_V4;
		memcpy(out->oct, &sa->v4.sin_addr, 4);
		out->port = get_port(&sa->v4.sin_port);
	} else if (sa->sa.sa_family == AF_INET6) {
		out->family = MSP_FAMILY_V6;
		memcpy(out->oct, &sa->v6.sin6_addr, 16);
		out->port = get_port(&sa->v6.sin6_port);
	}
}

int msp_sockaddr_family(const struct msp_addr *a)
{
	return a->family == MSP_FAMILY_V6 ? AF_INET6 : AF_INET;
}

bool msp_addr_is_any(const struct msp_addr *a)
{
	static const uint8_t zero[16];

	return a->family != MSP_FAMILY_NONE && memcmp(a->oct, zero, sizeof(zero)) == 0;
}

enum msp_err msp_err_from_uv(int status)
{
	switch (status) {
	case 0:
		return MSP_OK;
	case UV_EOF:
	case UV_ECONNRESET:
	case UV_EPIPE:
		return MSP_ECLOSED;
	case UV_ECANCELED:
		return MSP_ECANCEL;
	case UV_ENOMEM:
		return MSP_ENOMEM;
	case UV_ETIMEDOUT:
		return MSP_ETIMEOUT;
	default:
		return MSP_ENET;
	}
}
