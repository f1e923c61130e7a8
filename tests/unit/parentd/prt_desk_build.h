/* SPDX-License-Identifier: BSD-2-Clause */
/** @file A desk with one child before it. After each event the child is stored and read again, as it is in the books.
 */
#ifndef TEST_PRT_DESK_BUILD_H
#define TEST_PRT_DESK_BUILD_H

#include "prt_build.h"

#include "desk.h"

#include <msproto/base/mem.h>

#define KEY_A    "0 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
#define KEY_B    "512 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs="
#define KEY_C    "0 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
#define KEY_TSIG "registrar" /* not a KEY: the UPDATE is signed with TSIG */

#define ADD_KEY(k) "add " C " 300 KEY " k "\n"
#define DEL_KEY(k) "delrr " C " 0 KEY " k "\n"
#define DEL_KEYS   "del " C " KEY\n"
#define DS_1       "1 13 2 " DIGEST_1
#define DS_2       "2 13 2 " DIGEST_2
#define SET_DS(ds) "del " C " DS\nadd " C " 300 DS " ds "\n"
#define NO_DS      "del " C " DS\n"
#define NS_3       "add " C " 300 NS ns3.other.test.\n"

struct desk {
	struct prt_rules r;
	struct prt_child c;
	struct prt_outcome o;
	struct msp_wall now;
	struct msp_addr peer;
	unsigned messages; /* signed so far; each has a digest of its own */
};

static struct msp_rr_scratch desk_scratch; /* 64 KiB: not on the stack */
static uint8_t desk_mem[65535];

/* RDATA of a key, in memory of the test's own. */
static inline struct msp_span desk_key(const char *text)
{
	static uint8_t pool[4][PRT_KEY_RDATA_MAX];
	static const char *const known[] = { KEY_A, KEY_B, KEY_C };
	char line[1024];
	struct msp_rrset *set;
	size_t len, i = 0;

	if (strcmp(text, KEY_TSIG) == 0)
		return msp_span(NULL, 0);
	while (i < 3 && strcmp(known[i], text) != 0)
		i++;
	snprintf(line, sizeof(line), C " 0 KEY %s", text);
	set = t_rrset(line);
	len = set->rdata[0].len;
	assert_true(len <= sizeof(pool[0]));
	memcpy(pool[i], set->rdata[0].ptr, len);
	msp_rrset_free(&set);
	return msp_span(pool[i], len);
}

static inline void desk_trust(struct desk *d, const char *key)
{
	struct prt_key *k = &d->c.keys.key[d->c.keys.count++];
	struct msp_span rdata = desk_key(key);

	memset(k, 0, sizeof(*k));
	memcpy(k->rdata, rdata.ptr, rdata.len);
	k->rdata_len = (uint16_t)rdata.len;
	k->state = PRT_KEY_TRUSTED;
	k->method = PRT_METHOD_APEX;
	k->since = d->now;
}

static inline struct prt_rules desk_rules(void)
{
	return (struct prt_rules){
		.policy = { .sources = 0x3f,
			    .touch = PRT_TOUCH_ALL,
			    .allow_delete = true,
			    .cooldown_s = 300,
			    .changes_per_day = 10,
			    .methods = 1u << PRT_METHOD_APEX | 1u << PRT_METHOD_NS },
		.keys = prt_key_rules_default,
		.boot = prt_boot_rules_default,
		.check = { .shape = prt_shape_rules_default, .strict_ns = true, .ds_ttl = 3600 },
		.confirm_s = 600,
		.scan_retry_s = { 300, 600, 1200, 2400 },
		.check_tries = 4,
		.dsboot = PRT_DSBOOT_RFC9615,
		.dsboot_delay_s = 3 * 86400,
	};
}

static inline struct desk desk_begin(void)
{
	struct desk d = { .r = desk_rules(), .now = { 1800000000 } };
	struct msp_name parent = t_name(P), child = t_name(C);

	prt_child_init(&d.c, &parent, &child);
	t_delegation(&d.c.registered, USUAL);
	t_delegation(&d.c.published, USUAL);
	desk_trust(&d, KEY_A);
	T_OK(msp_addr_parse("192.0.2.77", 4711, &d.peer));
	prt_outcome_init(&d.o);
	return d;
}

static inline void desk_end(struct desk *d)
{
	prt_outcome_fini(&d->o);
	prt_child_fini(&d->c);
}

static inline void desk_fresh(struct desk *d)
{
	prt_outcome_fini(&d->o);
	prt_outcome_init(&d->o);
}

/* What is stored is all there is. */
static inline void desk_restart(struct desk *d)
{
	struct msp_buf octets, again;
	struct prt_child c;

	msp_buf_init(&octets, 1 << 20);
	msp_buf_init(&again, 1 << 20);
	T_OK(prt_child_write(&d->c, d->now, &octets));
	T_OK(prt_child_read(msp_buf_span(&octets), &c));
	T_OK(prt_child_write(&c, d->now, &again));
	assert_true(msp_span_equal(msp_buf_span(&octets), msp_buf_span(&again)));
	msp_buf_fini(&octets);
	msp_buf_fini(&again);
	prt_child_fini(&d->c);
	d->c = c;
}

static inline struct prt_asker desk_asker(const struct desk *d, enum prt_source source, const char *who)
{
	struct prt_asker a = { .source = source, .peer = d->peer };

	snprintf(a.who, sizeof(a.who), "%s", who);
	return a;
}

/* The message with this number once more. */
static inline unsigned desk_send(struct desk *d, const char *lines, const char *key, unsigned number)
{
	bool is_tsig = strcmp(key, KEY_TSIG) == 0;
	struct prt_update_in in = {
		.scratch = &desk_scratch,
		.key = desk_key(key),
		.is_tsig = is_tsig,
		.has_keystate = true,
		.until = { d->now.s + 310 },
		.asker = desk_asker(d, is_tsig ? PRT_SRC_TSIG : PRT_SRC_UPDATE, key),
	};
	struct msp_msg m;

	memcpy(in.digest, &number, sizeof(number));
	in.asker.is_tcp = true;
	memset(in.asker.message, (int)number % 255 + 1, sizeof(in.asker.message));
	t_update(P, lines, desk_mem, sizeof(desk_mem), &desk_scratch, &m);
	in.msg = &m;
	desk_fresh(d);
	T_OK(prt_desk_update(&d->r, &d->c, &in, d->now, &d->o));
	desk_restart(d);
	return d->o.refusal.rcode;
}

static inline unsigned desk_update(struct desk *d, const char *lines, const char *key)
{
	return desk_send(d, lines, key, ++d->messages);
}

static inline void desk_tick(struct desk *d, int64_t later_s)
{
	d->now.s += later_s;
	desk_fresh(d);
	T_OK(prt_desk_tick(&d->r, &d->c, d->now, &d->o));
	desk_restart(d);
}

/* Who asked is on record: with the message of this number, over TCP, from the usual peer. */
static inline bool desk_is_by_message(const struct desk *d, const struct prt_audit *a, unsigned number)
{
	uint8_t message[PRT_HASH_LEN];

	memset(message, (int)number % 255 + 1, sizeof(message));
	return a != NULL && a->is_tcp && a->peer.family == d->peer.family && a->peer.port == d->peer.port &&
	       memcmp(a->peer.oct, d->peer.oct, sizeof(a->peer.oct)) == 0 &&
	       memcmp(a->message, message, sizeof(message)) == 0;
}

/* How the first entry of a verdict begins; NULL = none. */
static inline const struct prt_audit *desk_entry(const struct desk *d, enum prt_verdict v)
{
	for (size_t i = 0; i < d->o.entries; i++)
		if (d->o.entry[i].verdict == v)
			return &d->o.entry[i];
	return NULL;
}

static inline bool desk_is_own(const struct desk *d, enum msp_ede_own ede)
{
	return d->o.refusal.has_ede && !d->o.refusal.is_standard && d->o.refusal.ede == (uint16_t)ede;
}

static inline bool desk_is_std(const struct desk *d, enum msp_ede_std ede)
{
	return d->o.refusal.has_ede && d->o.refusal.is_standard && d->o.refusal.ede == (uint16_t)ede;
}

static inline enum prt_key_state desk_state(const struct desk *d, const char *key)
{
	for (size_t i = 0; i < d->c.keys.count; i++)
		if (msp_span_equal(prt_key_rdata(&d->c.keys.key[i]), desk_key(key)))
			return d->c.keys.key[i].state;
	return PRT_KEY_ABSENT;
}

#endif
