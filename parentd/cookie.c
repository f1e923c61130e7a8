/* SPDX-License-Identifier: BSD-2-Clause */
#include "cookie.h"

#include "filter.h"

#include <msproto/base/mem.h>
#include <msproto/wire/wr.h>

#include <string.h>

#define CLIENT_LEN 8
#define SERVER_MIN 8
#define SERVER_MAX 32
#define VERSION    1
#define PAST_S     3600 /* RFC 9018 4.3 */
#define FUTURE_S   300

/* --- the jar --------------------------------------------------------------------------------------------------------
 */

void prt_cookie_init(struct prt_cookie_jar *jar, struct msp_rand *rand, struct msp_wall now)
{
	msp_rand_bytes(rand, jar->secret, sizeof(jar->secret));
	jar->rolled = now;
}

void prt_cookie_roll(struct prt_cookie_jar *jar, struct msp_rand *rand, struct msp_wall now)
{
	if (now.s - jar->rolled.s < PRT_COOKIE_ROLL_S && now.s >= jar->rolled.s)
		return;
	memcpy(jar->secret[1], jar->secret[0], PRT_COOKIE_SECRET);
	msp_rand_bytes(rand, jar->secret[0], PRT_COOKIE_SECRET);
	jar->rolled = now;
}

/* RFC 9018 4: version, reserved, time, hash. */
static void server_cookie(const uint8_t *secret, const uint8_t *client, uint32_t time, const struct msp_addr *peer,
			  uint8_t out[PRT_COOKIE_LEN - CLIENT_LEN])
{
	uint8_t mem[CLIENT_LEN + 8 + 16];
	struct msp_wr wr;
	uint64_t hash;

	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_octets(&wr, msp_span(client, CLIENT_LEN));
	msp_wr_u32(&wr, (uint32_t)VERSION << 24);
	msp_wr_u32(&wr, time);
	msp_wr_octets(&wr, msp_span(peer->oct, peer->family == MSP_FAMILY_V4 ? 4 : 16));
	hash = prt_siphash(secret, msp_wr_span(&wr));
	memcpy(out, mem + CLIENT_LEN, 8);
	for (size_t i = 0; i < 8; i++) /* the hash goes out as SipHash writes it: little-endian */
		out[8 + i] = (uint8_t)(hash >> (8 * i));
}

static bool is_good(const struct prt_cookie_jar *jar, struct msp_span data, const struct msp_addr *peer,
		    struct msp_wall now)
{
	uint8_t want[PRT_COOKIE_LEN - CLIENT_LEN];
	const uint8_t *server = data.ptr + CLIENT_LEN;
	uint32_t time;
	int32_t age;

	if (data.len != PRT_COOKIE_LEN || server[0] != VERSION)
		return false;
	time = (uint32_t)server[4] << 24 | (uint32_t)server[5] << 16 | (uint32_t)server[6] << 8 | server[7];
	age = (int32_t)((uint32_t)now.s - time); /* RFC 1982 */
	if (age > PAST_S || age < -FUTURE_S)
		return false;
	for (size_t i = 0; i < 2; i++) {
		server_cookie(jar->secret[i], data.ptr, time, peer, want);
		if (msp_secret_equal(msp_span(want, sizeof(want)), msp_span(server, sizeof(want))))
			return true;
	}
	return false;
}

enum prt_cookie prt_cookie_check(const struct prt_cookie_jar *jar, const struct msp_edns *e,
				 const struct msp_addr *peer, struct msp_wall now, uint8_t answer[PRT_COOKIE_LEN])
{
	struct msp_option o;

	if (!e->present || !msp_edns_find(e, MSP_OPT_COOKIE, &o))
		return PRT_COOKIE_NONE;
	if (o.data.len != CLIENT_LEN && (o.data.len < CLIENT_LEN + SERVER_MIN || o.data.len > CLIENT_LEN + SERVER_MAX))
		return PRT_COOKIE_MALFORMED;
	memcpy(answer, o.data.ptr, CLIENT_LEN);
	server_cookie(jar->secret[0], o.data.ptr, (uint32_t)now.s, peer, answer + CLIENT_LEN);
	return is_good(jar, o.data, peer, now) ? PRT_COOKIE_GOOD : PRT_COOKIE_CLIENT;
}
