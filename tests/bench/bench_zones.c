/* SPDX-License-Identifier: BSD-2-Clause */
/* A primary for many small zones, which notes who has been transferred; and a signer that acknowledges NOTIFY. */
#include "bench.h"

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/msg/notify.h>

#include <stdio.h>
#include <string.h>

#define TTL    3600
#define SERIAL 1000u

static struct {
	struct msp_name parent, ns[2], mail, hsync;
	uint32_t count;
	uint8_t *taken;  /* owned: for each zone, whether it was transferred */
	uint32_t *order; /* owned: the zones, as they were transferred first */
	uint32_t distinct;
	uint64_t transfers;
	int64_t last;
} zs;

/* z17.test. is 17. */
static bool zone_number(const struct msp_name *n, uint32_t *out)
{
	struct msp_name parent;
	uint64_t v;

	if (msp_name_labels(n) != 2 || n->oct[1] != 'z' || msp_name_parent(n, 1, &parent) != MSP_OK ||
	    !msp_name_equal(&parent, &zs.parent) ||
	    msp_u64_parse(msp_span(n->oct + 2, n->oct[0] - 1u), zs.count - 1, &v) != MSP_OK)
		return false;
	*out = (uint32_t)v;
	return true;
}

static void put(struct msp_msgw *w, const struct msp_name *owner, unsigned type, const void *rdata, size_t len)
{
	struct msp_rr rr = { *owner, (uint16_t)type, MSP_CLASS_IN, TTL, msp_span(rdata, len) };

	msp_msgw_rr(w, MSP_SEC_ANSWER, &rr);
}

static void put_soa(struct msp_msgw *w, const struct msp_name *zone)
{
	static const uint32_t rest[] = { SERIAL, 3600, 600, 1209600, 300 };
	uint8_t mem[2 * MSP_NAME_MAX + 20];
	struct msp_wr wr;

	msp_wr_init(&wr, mem, sizeof(mem));
	for (size_t i = 0; i < zs.ns[0].len; i++)
		msp_wr_u8(&wr, zs.ns[0].oct[i]);
	for (size_t i = 0; i < zs.mail.len; i++)
		msp_wr_u8(&wr, zs.mail.oct[i]);
	for (size_t i = 0; i < 5; i++)
		msp_wr_u32(&wr, rest[i]);
	put(w, zone, MSP_TYPE_SOA, mem, wr.pos);
}

static void put_zone(struct msp_msgw *w, const struct msp_name *zone, uint32_t number)
{
	uint8_t address[4] = { 192, 0, 2, (uint8_t)number }, mx[2 + MSP_NAME_MAX] = { 0, 10 };
	uint8_t hsync[3 + MSP_NAME_MAX] = { 1, 2, 1 }; /* PROTOCOL A.1: state ON, agent manages NS, sign */
	struct msp_name www;

	bench_must(msp_name_prepend("www", zone, &www), "name");
	memcpy(mx + 2, zs.mail.oct, zs.mail.len);
	memcpy(hsync + 3, zs.hsync.oct, zs.hsync.len);
	put_soa(w, zone);
	for (size_t i = 0; i < 2; i++)
		put(w, zone, MSP_TYPE_NS, zs.ns[i].oct, zs.ns[i].len);
	put(w, zone, MSP_TYPE_HSYNC_DEFAULT, hsync, 3u + zs.hsync.len);
	put(w, zone, MSP_TYPE_MX, mx, 2u + zs.mail.len);
	put(w, zone, MSP_TYPE_A, address, sizeof(address));
	put(w, &www, MSP_TYPE_A, address, sizeof(address));
	put_soa(w, zone);
}

static void note(uint32_t number)
{
	zs.transfers++;
	if (zs.taken[number])
		return;
	zs.taken[number] = 1;
	zs.order[zs.distinct++] = number;
	zs.last = bench_now_ns();
}

static size_t answer(struct bench_request *r, uint8_t *out, size_t cap)
{
	const struct msp_msg *m = &r->m;
	struct msp_msgw w;
	struct msp_span msg;
	uint32_t number;
	bool is_transfer = m->question.type == MSP_TYPE_AXFR || m->question.type == MSP_TYPE_IXFR;

	if (m->opcode != MSP_OPCODE_QUERY || !zone_number(&m->question.name, &number))
		return 0;
	msp_msgw_respond(&w, out, cap, m, 0, MSP_FLAG_AA);
	if (is_transfer && r->is_tcp)
		put_zone(&w, &m->question.name, number);
	else if (is_transfer || m->question.type == MSP_TYPE_SOA)
		put_soa(&w, &m->question.name);
	bench_must(msp_msgw_finish(&w, &msg), "answer");
	if (is_transfer && r->is_tcp)
		note(number);
	return msg.len;
}

static void command(const char *word, const char *arg, int udp)
{
	uint64_t n = bench_number(arg, UINT32_MAX);

	(void)udp;
	if (strcmp(word, "reset") == 0) {
		memset(zs.taken, 0, zs.count);
		zs.distinct = 0;
		zs.transfers = 0;
		zs.last = 0;
	}
	if (strcmp(word, "last") == 0) {
		for (uint64_t i = 0; i < n && i < zs.distinct; i++)
			printf("%u ", (unsigned)zs.order[zs.distinct - 1 - i]);
		puts("");
		return;
	}
	printf("%u %llu %lld\n", (unsigned)zs.distinct, (unsigned long long)zs.transfers, (long long)zs.last);
}

int bench_zones(uint64_t port, uint64_t count, const struct msp_tsig_key *key)
{
	const struct bench_service service = { key, answer, NULL, command };

	zs.count = (uint32_t)count;
	zs.taken = msp_alloc(count, sizeof(*zs.taken));
	zs.order = msp_alloc(count, sizeof(*zs.order));
	if (count == 0 || zs.taken == NULL || zs.order == NULL)
		bench_die("memory");
	zs.parent = bench_name("test.");
	zs.ns[0] = bench_name("ns1.owner.test.");
	zs.ns[1] = bench_name("ns2.owner.test.");
	zs.mail = bench_name("host.owner.test.");
	zs.hsync = bench_name("msa.provider-a.test.");
	return bench_serve(port, &service);
}

/* --- sink -------------------------------------------------------------------------------------------------------- */

static bool sink_is_quiet;

static size_t acknowledge(struct bench_request *r, uint8_t *out, size_t cap)
{
	static struct msp_rr_scratch scratch;
	int64_t at = bench_now_ns();
	uint32_t serial = 0;
	struct msp_msgw w;
	struct msp_span msg;
	bool has_hint;

	if (r->m.opcode != MSP_OPCODE_NOTIFY || msp_notify_check(&r->m, &scratch, &has_hint, &serial, NULL) != MSP_OK)
		return 0;
	if (!sink_is_quiet) {
		printf("%lld %u\n", (long long)at, (unsigned)(has_hint ? serial : 0));
		fflush(stdout);
	}
	msp_msgw_respond(&w, out, cap, &r->m, 0, MSP_FLAG_AA);
	bench_must(msp_msgw_finish(&w, &msg), "answer");
	return msg.len;
}

int bench_sink(uint64_t port, const struct msp_tsig_key *key, bool is_quiet)
{
	const struct bench_service service = { key, acknowledge, NULL, NULL };

	sink_is_quiet = is_quiet;
	return bench_serve(port, &service);
}
