/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include <msproto/auth/dnssec.h>
#include <msproto/base/mem.h>
#include <msproto/msg/msopt.h>

#include "contribution.h"
#include "parent.h"
#include "zone/secure_make.h"

#define WALL_START 1900000000
#define DNSKEY_TTL 300
#define TRIES      4
static const int64_t retransmit_ms[TRIES] = { 5000, 10000, 20000, 20000 };

struct entry {
	struct msp_buf key, value;
};

/** One question and its answer, between a node and an address. */
struct exchange {
	size_t from, to;
	unsigned life;
	uint64_t id; /* of MSA_ACT_SEND */
	bool tcp, is_done;
	unsigned tries, refs;
	struct msp_buf octets;
	uint16_t port;
};

enum ev_kind { EV_REQUEST, EV_RESPONSE, EV_RETRY, EV_LOOKUP, EV_VIEW, EV_COMBINED, EV_SIGNER, EV_START };
struct sim_ev {
	int64_t at_ms;
	uint64_t order;
	enum ev_kind kind;
	size_t node;
	unsigned life;
	uint64_t id;
	struct exchange *x;
	struct msp_buf octets;
	struct msp_name name;
	uint16_t type;
	size_t zone;
	bool is_bad, is_open;
};

/* ---- event queue
 * ----------------------------------------------------------------------------------------------------- */

static bool before(const struct sim_ev *a, const struct sim_ev *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static struct sim_ev *push(struct sim *s, enum ev_kind kind, size_t node, int64_t in_ms)
{
	struct sim_ev *e = msp_alloc(1, sizeof(*e));
	size_t i;

	assert_non_null(e);
	e->kind = kind;
	e->node = node;
	e->life = s->node[node].life;
	e->at_ms = s->now_ms + in_ms;
	e->order = ++s->order;
	msp_buf_init(&e->octets, MSP_MSG_MAX);
	if (s->heap_count == s->heap_size) {
		s->heap_size = s->heap_size == 0 ? 1024 : s->heap_size * 2;
		s->heap = msp_realloc(s->heap, s->heap_size, sizeof(*s->heap));
		assert_non_null(s->heap);
	}
	for (i = s->heap_count++; i > 0 && before(e, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = e;
	return e;
}

static struct sim_ev *pop(struct sim *s)
{
	struct sim_ev *top = s->heap[0], *last = s->heap[--s->heap_count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= s->heap_count)
			break;
		if (child + 1 < s->heap_count && before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return top;
}

static void release(struct exchange *x)
{
	if (x == NULL || --x->refs > 0)
		return;
	msp_buf_fini(&x->octets);
	msp_free(x);
}

static void drop_event(struct sim_ev *e)
{
	release(e->x);
	msp_buf_fini(&e->octets);
	msp_free(e);
}

/* ---- helpers
 * --------------------------------------------------------------------------------------------------------- */

static bool chance(struct sim *s, unsigned per_cent)
{
	return msp_rand_below(&s->rand, 100) < per_cent;
}

static int64_t delay(struct sim *s)
{
	return 5 + (int64_t)msp_rand_below(&s->rand, 200) +
	       (chance(s, 2) ? (int64_t)msp_rand_below(&s->rand, 3000) : 0);
}

size_t sim_count(const struct msp_rrset *set)
{
	return set == NULL ? 0 : set->count;
}

/** A DNSKEY whose tag nobody has: collisions are a test of their own. */
static void new_dnskey(struct sim *s, const struct msp_name *zone, uint16_t flags, struct msp_rrset *into)
{
	for (;;) {
		struct msp_key *key = NULL;
		bool is_taken = false;

		T_OK(msp_key_generate(zone, MSP_ALG_ED25519, flags, &key));
		for (size_t i = 0; i < s->tag_count; i++)
			is_taken = is_taken || s->tags[i] == msp_key_id(key);
		if (!is_taken) {
			s->tags[s->tag_count++] = msp_key_id(key);
			T_OK(msp_rrset_add(into, msp_key_rdata(key)));
			msp_key_free(&key);
			return;
		}
		msp_key_free(&key);
	}
}

struct msp_rrset *sim_served(struct sim *s, size_t node, size_t zone)
{
	struct sim_zone *z = &s->node[node].zone[zone];
	struct msp_rrset *set = NULL;

	T_OK(msp_rrset_dup(z->own, &set));
	if (!z->drops_foreign)
		T_OK(msp_rrset_merge(set, z->put_dnskey));
	T_OK(msp_rrset_merge(set, z->orphans));
	return set;
}

static struct msp_rrset *served_cds(struct sim *s, size_t node, size_t zone)
{
	struct sim_zone *z = &s->node[node].zone[zone];
	struct msp_rrset *set = NULL, *own = NULL;

	T_OK(msp_rrset_new(&s->zone_name[zone], MSP_TYPE_CDS, DNSKEY_TTL, &set));
	if (!z->drops_foreign)
		T_OK(msp_rrset_merge(set, z->put_cds));
	T_OK(msa_cds_of(&s->zone_name[zone], z->own, DNSKEY_TTL, &own));
	if (z->cds_on)
		T_OK(msp_rrset_merge(set, own));
	msp_rrset_free(&own);
	if (set->count == 0)
		msp_rrset_free(&set);
	return set;
}

struct msa_zone *sim_zone_of(struct sim *s, size_t node, size_t zone)
{
	return s->node[node].core == NULL ? NULL : msa_core_find_zone(s->node[node].core, &s->zone_name[zone]);
}

struct msa_peer *sim_peer_of(struct sim *s, size_t node, size_t peer)
{
	return msa_core_find_peer(s->node[node].core, &s->node[peer].identity);
}

struct msa_member *sim_member_of(struct sim *s, size_t node, size_t peer, size_t zone)
{
	struct msa_zone *z = sim_zone_of(s, node, zone);

	for (size_t i = 0; z != NULL && i < z->member_count; i++)
		if (msp_name_equal(&z->member[i]->peer->identity, &s->node[peer].identity))
			return z->member[i];
	return NULL;
}

/* ---- invariants
 * ------------------------------------------------------------------------------------------------------ */

#define INVARIANT(cond, what)                                                                                          \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			fail_msg("invariant at %lld ms, node %zu, zone %zu: %s", (long long)s->now_ms, node, zone,     \
				 what);                                                                                \
	} while (0)

/** Keys that some other node's signer has as its own now. */
static bool is_somebodys(struct sim *s, size_t zone, struct msp_span key)
{
	for (size_t n = 0; n < s->nodes; n++)
		if (msp_rrset_has(s->node[n].zone[zone].own, key))
			return true;
	return false;
}

static void check_combine(struct sim *s, size_t node, size_t zone, const struct msp_rrset *dnskey,
			  const struct msp_rrset *cds)
{
	struct sim_zone *z = &s->node[node].zone[zone];
	struct msp_rrset *served = sim_served(s, node, zone);

	for (size_t i = 0; i < sim_count(dnskey); i++)
		INVARIANT(!msp_rrset_has(z->own, dnskey->rdata[i]), "contributes its own key");
	for (size_t i = 0; i < sim_count(z->put_dnskey); i++)
		INVARIANT(!is_somebodys(s, zone, z->put_dnskey->rdata[i]) ||
				  (dnskey != NULL && msp_rrset_has(dnskey, z->put_dnskey->rdata[i])),
			  "drops a foreign key that its owner still has");
	for (size_t i = 0; i < sim_count(cds); i++) {
		bool is_served = false;

		for (size_t k = 0; k < served->count; k++)
			is_served = is_served || msp_ds_matches(&s->zone_name[zone], cds->rdata[i], served->rdata[k]);
		INVARIANT(is_served || (z->put_cds != NULL && msp_rrset_has(z->put_cds, cds->rdata[i])),
			  "CDS for a key that is not served");
		INVARIANT(sim_zone_of(s, node, zone)->gate_open ||
				  (z->put_cds != NULL && msp_rrset_has(z->put_cds, cds->rdata[i])),
			  "CDS added while the gate is closed");
	}
	msp_rrset_free(&served);
}

static void check_gate(struct sim *s, size_t node)
{
	for (size_t zone = 0; zone < s->zones; zone++) {
		struct msa_zone *z = sim_zone_of(s, node, zone);
		struct sim_zone *sz = &s->node[node].zone[zone];

		if (z->gate_open && !sz->gate_was_open) {
			INVARIANT(z->group.signers >= 2, "gate open for a lone signer");
			for (size_t n = 0; n < s->nodes; n++) {
				const struct msa_group_row *row = msa_group_find(&z->group, &s->node[n].identity);

				/* A key made a moment ago may not have been heard of; what was heard of counts always.
				 */
				if (row != NULL && msa_row_signs(row) && !s->keys_changed)
					INVARIANT(msp_rrset_contains(z->dnskey, s->node[n].zone[zone].own),
						  "gate open while a signer's key is not served");
			}
		}
		for (size_t i = 0; z->gate_open && !sz->gate_was_open && i < z->member_count; i++)
			INVARIANT(z->member[i]->role != MSA_ROLE_PARTICIPANT || !z->member[i]->signs ||
					  (z->member[i]->held.dnskey != NULL &&
					   msp_rrset_contains(z->dnskey, z->member[i]->held.dnskey)),
				  "gate open while a key that was received is not served");
		sz->gate_was_open = z->gate_open;
	}
}

/* ---- store
 * ----------------------------------------------------------------------------------------------------------- */

static void drop_entry(void *value)
{
	struct entry *e = value;

	msp_buf_fini(&e->key);
	msp_buf_fini(&e->value);
	msp_free(e);
}

static void store(struct sim_node *n, struct msp_span key, struct msp_span value)
{
	struct entry *e = msp_alloc(1, sizeof(*e));
	void *old = NULL;

	assert_non_null(e);
	msp_buf_init(&e->key, 1 << 20);
	msp_buf_init(&e->value, 1 << 20);
	msp_buf_add_span(&e->key, key);
	msp_buf_add_span(&e->value, value);
	T_OK(msp_map_put(&n->saved, key, e, &old));
	if (old != NULL)
		drop_entry(old);
}

/* ---- shell
 * ----------------------------------------------------------------------------------------------------------- */

static bool reaches(const struct sim *s, size_t a, size_t b)
{
	const struct sim_node *x = &s->node[a], *y = &s->node[b];

	return !x->is_cut && !y->is_cut && x->group == y->group;
}

static size_t node_at(const struct sim *s, const struct msp_addr *a)
{
	for (size_t i = 0; i < s->nodes; i++)
		if (msp_addr_equal(&s->node[i].addr, a))
			return i;
	return s->nodes;
}

static void damage(struct sim *s, struct msp_buf *b)
{
	if (b->len > 0 && msp_rand_below(&s->rand, 1000) < s->damage)
		b->ptr[msp_rand_below(&s->rand, b->len)] ^= (uint8_t)(1u << msp_rand_below(&s->rand, 8));
}

static void transmit(struct sim *s, struct exchange *x)
{
	unsigned copies = chance(s, s->dup) && !x->tcp ? 2 : 1;

	s->messages++;
	for (unsigned i = 0; i < copies; i++) {
		struct sim_ev *e;

		if (x->to == s->nodes || !reaches(s, x->from, x->to) || chance(s, x->tcp ? s->loss / 4 : s->loss))
			continue;
		e = push(s, EV_REQUEST, x->to, delay(s));
		e->x = x;
		x->refs++;
		msp_buf_add_span(&e->octets, msp_buf_span(&x->octets));
		if (!x->tcp)
			damage(s, &e->octets);
	}
}

static void send(struct sim *s, size_t node, const struct msa_action *a)
{
	struct exchange *x = msp_alloc(1, sizeof(*x));
	struct sim_ev *e;
	struct msp_msg m;
	struct msp_option o;

	assert_non_null(x);
	x->from = node;
	x->to = node_at(s, &a->addr);
	x->life = s->node[node].life;
	x->id = a->id;
	x->tcp = a->tcp_only;
	x->refs = 1;
	x->port = (uint16_t)(10000 + s->order % 50000);
	msp_buf_init(&x->octets, MSP_MSG_MAX);
	msp_buf_add_span(&x->octets, a->octets);
	T_OK(msp_msg_parse(a->octets, s->scratch, &m, NULL));
	if (msp_edns_find(&m.edns, msp_numbers_default.opt_multisigner, &o))
		s->node[node].sent[o.data.ptr[0]]++;
	else
		s->node[node].sent[0]++;
	assert_true(a->tcp_only || a->octets.len <= MSP_EDNS_PAYLOAD);
	transmit(s, x);
	e = push(s, EV_RETRY, node, x->tcp ? 10000 : retransmit_ms[0]);
	e->x = x; /* takes the first reference */
}

static void reply(struct sim *s, size_t node, const struct msa_action *a)
{
	struct msp_span key = msp_span(&a->id, sizeof(a->id));
	struct exchange *x = msp_map_del(&s->requests, key);
	unsigned copies = chance(s, s->dup) ? 2 : 1;

	assert_non_null(x); /* each request is answered exactly once */
	for (unsigned i = 0; a->octets.len > 0 && i < copies; i++) {
		struct sim_ev *e;

		if (!reaches(s, node, x->from) || chance(s, x->tcp ? s->loss / 4 : s->loss))
			continue;
		e = push(s, EV_RESPONSE, x->from, delay(s));
		e->x = x;
		x->refs++;
		msp_buf_add_span(&e->octets, a->octets);
		if (!x->tcp)
			damage(s, &e->octets);
	}
	release(x);
}

static size_t zone_index(const struct sim *s, const struct msp_name *name)
{
	for (size_t i = 0; i < s->zones; i++)
		if (msp_name_equal(&s->zone_name[i], name))
			return i;
	fail_msg("no such zone");
	return 0;
}

/** The signer has a new version: the agent hears of it, or not. */
static void publish(struct sim *s, size_t node, size_t zone)
{
	struct sim_zone *z = &s->node[node].zone[zone];
	struct sim_ev *e;

	z->serial++;
	if (z->view_lost || chance(s, s->loss))
		return;
	e = push(s, EV_VIEW, node, 100 + (int64_t)msp_rand_below(&s->rand, 2500));
	e->zone = zone;
}

static void combine(struct sim *s, size_t node, const struct msa_action *a)
{
	size_t zone = zone_index(s, &a->name);
	struct sim_zone *z = &s->node[node].zone[zone];
	const struct msp_rrset *dnskey = NULL, *cds = NULL;
	struct sim_ev *e;
	bool is_failing = s->now_ms < s->node[node].combiner_fails_until_ms;

	if (a->combine[0].type == MSP_TYPE_KEY) {
		assert_int_equal(a->combine_count, 1);
		e = push(s, EV_COMBINED, node, 20 + delay(s));
		e->id = a->id;
		e->zone = zone;
		e->is_bad = is_failing || chance(s, s->loss / 4);
		if (is_failing)
			return;
		msp_rrset_free(&z->put_key);
		if (a->combine[0].set != NULL)
			T_OK(msp_rrset_dup(a->combine[0].set, &z->put_key));
		return;
	}
	assert_true(a->combine_count >= 2);
	for (size_t i = 0; i < a->combine_count; i++) {
		if (a->combine[i].type == MSP_TYPE_DNSKEY)
			dnskey = a->combine[i].set;
		if (a->combine[i].type == MSP_TYPE_CDS)
			cds = a->combine[i].set;
	}
	check_combine(s, node, zone, dnskey, cds);
	z->combines++;
	e = push(s, EV_COMBINED, node, 20 + delay(s));
	e->id = a->id;
	e->zone = zone;
	e->is_bad = is_failing || chance(s, s->loss / 4);
	if (is_failing)
		return;
	if (z->keeps_withdrawn && z->put_dnskey != NULL) { /* a signer that is late, or never lets go (SIGNERS 2.4) */
		if (z->orphans == NULL)
			T_OK(msp_rrset_new(&s->zone_name[zone], MSP_TYPE_DNSKEY, DNSKEY_TTL, &z->orphans));
		T_OK(msp_rrset_merge(z->orphans, z->put_dnskey));
	}
	/* A lost answer does not mean a lost instruction. */
	msp_rrset_free(&z->put_dnskey);
	msp_rrset_free(&z->put_cds);
	if (dnskey != NULL)
		T_OK(msp_rrset_dup(dnskey, &z->put_dnskey));
	if (cds != NULL)
		T_OK(msp_rrset_dup(cds, &z->put_cds));
	publish(s, node, zone);
}

/** What the agent takes for agreed: its signer serves the CDS of every provider whose keys are in the zone. */
static void check_agreement(struct sim *s, size_t node)
{
	struct msa_zone *z = sim_zone_of(s, node, 0);

	assert_true(z->gate_open && z->cds_seen);
	assert_int_equal(z->waiting[0], '\0');
	for (size_t i = 0; i < z->member_count; i++)
		if (z->member[i]->role == MSA_ROLE_PARTICIPANT && z->member[i]->signs)
			assert_true(sim_count(z->member[i]->held.cds) > 0 &&
				    msp_rrset_contains(z->cds, z->member[i]->held.cds));
}

static void perform(struct sim *s, size_t node, struct msa_actions *list, size_t count)
{
	struct sim_node *n = &s->node[node];
	struct sim_ev *e;

	for (size_t i = 0; i < count; i++) {
		struct msa_action *a = &list->item[i];

		switch (a->kind) {
		case MSA_ACT_REPLY:
			reply(s, node, a);
			break;
		case MSA_ACT_SEND:
			send(s, node, a);
			break;
		case MSA_ACT_LOOKUP:
		case MSA_ACT_LOOKUP_OPEN:
			e = push(s, EV_LOOKUP, node, delay(s));
			e->is_open = a->kind == MSA_ACT_LOOKUP_OPEN;
			/* S8: nobody turns to the parent before the providers' CDS agree. */
			if (e->is_open)
				check_agreement(s, node);
			e->id = a->id;
			e->name = a->name;
			e->type = a->type;
			e->is_bad = chance(s, s->loss / 4); /* resolvers retry by themselves */
			break;
		case MSA_ACT_FLUSH:
			break;
		case MSA_ACT_COMBINE:
			combine(s, node, a);
			break;
		case MSA_ACT_SIGNER:
			e = push(s, EV_SIGNER, node, 500);
			e->id = a->id;
			e->zone = zone_index(s, &a->name);
			e->is_bad = chance(s, s->loss);
			assert_int_equal(a->verb, MSA_SIGNER_CDS_ON);
			assert_true(sim_zone_of(s, node, e->zone)->gate_open); /* own CDS only through an open gate */
			assert_true(sim_count(a->signer_keys) > 0);
			break;
		case MSA_ACT_STORE:
			store(n, a->key, a->octets);
			break;
		case MSA_ACT_UNSTORE: {
			void *gone = msp_map_del(&n->saved, a->key);

			if (gone != NULL)
				drop_entry(gone);
			break;
		}
		case MSA_ACT_TRANSFER:
			e = push(s, EV_VIEW, node, 50 + delay(s));
			e->zone = zone_index(s, &a->name);
			break;
		case MSA_ACT_KEY:
			fail_msg("nobody finds the parent in this world");
			break;
		}
	}
}

static void step(struct sim *s, size_t node, const struct msa_event *ev)
{
	struct sim_node *n = &s->node[node];
	struct msa_actions list;
	enum msp_err err;

	msa_actions_init(&list);
	s->steps++;
	if (msp_rand_below(&s->rand, 1000) < s->oom)
		msp_mem_fail_at(1 + msp_rand_below(&s->rand, chance(s, 50) ? 8 : 80));
	err = msa_core_step(n->core, ev, (struct msp_mono){ s->now_ms + 1000 * (int64_t)node },
			    (struct msp_wall){ WALL_START + s->now_ms / 1000 + n->skew_s }, &list);
	s->ooms += msp_mem_failed();
	if (!msp_mem_failed())
		T_OK(err);
	else if (err != MSP_OK)
		T_ERR(err, MSP_ENOMEM);
	msp_mem_fail_at(0);
	check_gate(s, node);
	if (list.count > 0 && msp_rand_below(&s->rand, 10000) < s->crash) {
		/* kill -9 after any prefix of the list: what was stored so far is what the next life knows */
		perform(s, node, &list, msp_rand_below(&s->rand, list.count + 1));
		s->crashes++;
		sim_restart(s, node, (int64_t)msp_rand_below(&s->rand, 30000));
	} else {
		perform(s, node, &list, list.count);
	}
	msa_actions_fini(&list);
}

/** A zone as the node's signer serves it now. */
static void view(struct sim *s, size_t node, size_t zone)
{
	struct sim_zone *z = &s->node[node].zone[zone];
	struct msa_event ev = { .kind = MSA_EV_ZONE };
	struct msp_rrset *dnskey, *cds;

	if (!z->has_zone)
		return;
	dnskey = sim_served(s, node, zone);
	cds = served_cds(s, node, zone);
	ev.u.zone = (struct msa_zone_view){ .zone = s->zone_name[zone],
					    .serial = z->serial,
					    .hsync = s->hsync[zone],
					    .dnskey = dnskey,
					    .cds = cds,
					    .max_ttl_s = 3600,
					    .records = 10 };
	step(s, node, &ev);
	msp_rrset_free(&dnskey);
	msp_rrset_free(&cds);
}

/* ---- resolver
 * -------------------------------------------------------------------------------------------------------- */

static void add_uri(struct msp_rrset *set, const struct sim_node *n)
{
	uint8_t mem[600];
	struct msp_wr wr;
	char text[512];
	struct msp_uri uri = { .priority = 10, .weight = 1 };
	char host[300];

	snprintf(host, sizeof(host), "%.280s", MSP_NAME(&n->host));
	host[strlen(host) - 1] = '\0';
	snprintf(text, sizeof(text), "dns://%s:%u/", host, n->addr.port);
	uri.target = msp_span_str(text);
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_uri_write(&wr, &uri);
	T_OK(msp_rrset_add(set, msp_wr_span(&wr)));
}

static void add_svcb(struct msp_rrset *set, const struct sim_node *n)
{
	uint8_t mem[300], params[64];
	struct msp_wr wr, pw;
	struct msp_svcb svcb = { .priority = 1 };

	msp_wr_init(&pw, params, sizeof(params));
	msp_svcb_param_write(&pw, MSP_SVCB_IPV4HINT, msp_span(n->addr.oct, 4));
	svcb.params = msp_wr_span(&pw);
	msp_name_root(&svcb.target);
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_svcb_write(&wr, &svcb);
	T_OK(msp_rrset_add(set, msp_wr_span(&wr)));
}

/** Odd nodes publish SVCB, even ones only A. NULL = securely denied. */
static struct msp_rrset *resolve(struct sim *s, const struct msp_name *name, uint16_t type)
{
	struct msp_name uri_name;

	for (size_t i = 0; i < s->nodes; i++) {
		struct sim_node *n = &s->node[i];
		struct msp_rrset *set = NULL;

		if (n->is_hidden)
			continue;
		T_OK(msp_name_prepend("_dns._tcp", &n->identity, &uri_name));
		T_OK(msp_rrset_new(name, type, 3600, &set));
		if (type == MSP_TYPE_URI && msp_name_equal(name, &uri_name))
			add_uri(set, n);
		else if (type == MSP_TYPE_SVCB && i % 2 == 1 && msp_name_equal(name, &n->host))
			add_svcb(set, n);
		else if (type == MSP_TYPE_A && i % 2 == 0 && msp_name_equal(name, &n->host))
			T_OK(msp_rrset_add(set, msp_span(n->addr.oct, 4)));
		else if (type == MSP_TYPE_KEY && msp_name_equal(name, &n->host))
			T_OK(msp_rrset_add(set, msp_key_rdata(n->key)));
		if (set->count > 0)
			return set;
		msp_rrset_free(&set);
	}
	return NULL;
}

static void lookup(struct sim *s, const struct sim_ev *e)
{
	struct msa_event ev = { .kind = MSA_EV_LOOKUP };
	struct msp_rrset *set = e->is_bad ? NULL : resolve(s, &e->name, e->type);
	struct msp_secure_rrset *secure = NULL;

	if (e->is_open) { /* only what is about the parent, and that is out of reach */
		ev.kind = MSA_EV_LOOKUP_OPEN;
		ev.u.open.id = e->id;
		ev.u.open.verdict = MSP_LOOKUP_FAILED;
		ev.u.open.why = "sim";
		step(s, e->node, &ev);
		msp_rrset_free(&set);
		return;
	}
	ev.u.lookup.id = e->id;
	ev.u.lookup.verdict = e->is_bad ? MSP_LOOKUP_TIMEOUT : set == NULL ? MSP_LOOKUP_NODATA : MSP_LOOKUP_SECURE;
	ev.u.lookup.why = "sim";
	if (set != NULL)
		T_OK(msp_secure_make(&set, &secure));
	ev.u.lookup.secure = secure;
	step(s, e->node, &ev);
	msp_secure_free(&secure);
}

/* ---- events
 * ---------------------------------------------------------------------------------------------------------- */

static void request(struct sim *s, struct sim_ev *e)
{
	struct msa_event ev = { .kind = MSA_EV_REQUEST };

	ev.u.request.id = ++s->request_id;
	ev.u.request.peer = s->node[e->x->from].addr;
	ev.u.request.peer.port = e->x->port;
	ev.u.request.is_tcp = e->x->tcp;
	ev.u.request.octets = msp_buf_span(&e->octets);
	e->x->refs++;
	T_OK(msp_map_put(&s->requests, msp_span(&ev.u.request.id, sizeof(ev.u.request.id)), e->x, NULL));
	step(s, e->node, &ev);
}

static void answer(struct sim *s, struct exchange *x, enum msp_err err, struct msp_span octets)
{
	struct msa_event ev = { .kind = MSA_EV_ANSWER };

	if (x->is_done || s->node[x->from].life != x->life || !s->node[x->from].is_up)
		return;
	x->is_done = true;
	ev.u.answer.id = x->id;
	ev.u.answer.err = err;
	ev.u.answer.octets = octets;
	step(s, x->from, &ev);
}

static void retry(struct sim *s, struct sim_ev *e)
{
	struct exchange *x = e->x;
	struct sim_ev *next;

	if (x->is_done)
		return;
	if (x->tcp || ++x->tries == TRIES) {
		answer(s, x, x->tcp ? MSP_ENET : MSP_ETIMEOUT, msp_span(NULL, 0));
		return;
	}
	transmit(s, x);
	next = push(s, EV_RETRY, x->from, retransmit_ms[x->tries]);
	next->x = x;
	x->refs++;
}

static void response(struct sim *s, struct sim_ev *e)
{
	const uint8_t *q = e->x->octets.ptr;

	/* What the shell's xchg matches: the message's ID. Damage elsewhere is for the core to find. */
	if (e->octets.len < 12 || memcmp(q, e->octets.ptr, 2) != 0)
		return;
	answer(s, e->x, MSP_OK, msp_buf_span(&e->octets));
}

static void handle(struct sim *s, struct sim_ev *e)
{
	struct sim_node *n = &s->node[e->node];
	struct msa_event ev = { .kind = MSA_EV_TICK };

	if (e->kind == EV_START) {
		if (e->life == n->life && !n->is_up)
			sim_start(s, e->node);
		return;
	}
	if (!n->is_up || (e->life != n->life && e->kind != EV_REQUEST && e->kind != EV_VIEW))
		return;
	switch (e->kind) {
	case EV_REQUEST:
		request(s, e);
		break;
	case EV_RESPONSE:
		response(s, e);
		break;
	case EV_RETRY:
		retry(s, e);
		break;
	case EV_LOOKUP:
		lookup(s, e);
		break;
	case EV_VIEW:
		view(s, e->node, e->zone);
		break;
	case EV_COMBINED:
		ev.kind = MSA_EV_COMBINED;
		ev.u.combined.zone = s->zone_name[e->zone];
		ev.u.combined.id = e->id;
		ev.u.combined.err = e->is_bad ? MSP_ETIMEOUT : MSP_OK;
		ev.u.combined.why = "sim";
		step(s, e->node, &ev);
		break;
	case EV_SIGNER:
		n->zone[e->zone].signer_commands++;
		if (!e->is_bad) {
			n->zone[e->zone].cds_on = true;
			publish(s, e->node, e->zone);
		}
		ev.kind = MSA_EV_SIGNER;
		ev.u.signer.zone = s->zone_name[e->zone];
		ev.u.signer.id = e->id;
		ev.u.signer.err = e->is_bad ? MSP_EIO : MSP_OK;
		ev.u.signer.why = "sim";
		step(s, e->node, &ev);
		break;
	case EV_START:
		break;
	}
}

/** The node whose core has the earliest deadline. Monotonic clocks differ per node (see step). */
static size_t first_due(struct sim *s, int64_t *at)
{
	size_t best = s->nodes;

	*at = INT64_MAX;
	for (size_t i = 0; i < s->nodes; i++) {
		struct msp_mono d;

		if (!s->node[i].is_up)
			continue;
		d = msa_core_deadline(s->node[i].core);
		if (d.ms == INT64_MAX || d.ms - 1000 * (int64_t)i >= *at)
			continue;
		*at = d.ms - 1000 * (int64_t)i;
		best = i;
	}
	return best;
}

/** One event or deadline; false when nothing happens before `until`. */
static bool advance(struct sim *s, int64_t until)
{
	int64_t at;
	size_t node = first_due(s, &at);
	struct msa_event ev = { .kind = MSA_EV_TICK };

	if (s->heap_count > 0 && s->heap[0]->at_ms <= at) {
		struct sim_ev *e;

		if (s->heap[0]->at_ms > until)
			return false;
		e = pop(s);
		s->now_ms = e->at_ms > s->now_ms ? e->at_ms : s->now_ms;
		handle(s, e);
		drop_event(e);
		return true;
	}
	if (node == s->nodes || at > until)
		return false;
	s->now_ms = at > s->now_ms ? at : s->now_ms;
	step(s, node, &ev);
	return true;
}

void sim_run(struct sim *s, int64_t ms)
{
	int64_t until = s->now_ms + ms;

	while (advance(s, until))
		;
	s->now_ms = until;
}

bool sim_until(struct sim *s, bool (*pred)(struct sim *s), int64_t ms)
{
	int64_t until = s->now_ms + ms;

	while (!pred(s)) {
		int64_t next = s->now_ms + 1000;

		if (s->now_ms >= until)
			return false;
		while (advance(s, next))
			;
		s->now_ms = next;
	}
	return true;
}

/* ---- set-up
 * ---------------------------------------------------------------------------------------------------------- */

static void print_line(void *arg, enum msp_log_level level, const char *line)
{
	struct sim *s = arg;

	printf("%10.3f <%d> %s\n", (double)s->now_ms / 1000, (int)level, line);
}

struct sim *sim_new(size_t nodes, size_t zones, uint64_t seed)
{
	struct sim *s = msp_alloc(1, sizeof(*s));

	assert_non_null(s);
	assert_true(nodes <= SIM_NODES_MAX && zones <= SIM_ZONES_MAX);
	s->nodes = nodes;
	s->zones = zones;
	s->heartbeat_s = 60;
	s->scratch = msp_alloc(1, sizeof(*s->scratch));
	msp_rand_init_seed(&s->rand, seed);
	msp_log_init_null(&s->log);
	if (getenv("SIM_VERBOSE") != NULL)
		s->log = (struct msp_log){ .level = MSP_LOG_DEBUG, .sink = print_line, .arg = s };
	msp_map_init(&s->requests, 1u << 20);
	for (size_t z = 0; z < zones; z++) {
		char text[64];

		snprintf(text, sizeof(text), "zone%zu.example.", z);
		s->zone_name[z] = t_name(text);
	}
	for (size_t i = 0; i < nodes; i++) {
		struct sim_node *n = &s->node[i];
		char text[64];

		snprintf(text, sizeof(text), "msa.p%zu.test.", i);
		n->identity = t_name(text);
		snprintf(text, sizeof(text), "dns.msa.p%zu.test.", i);
		n->host = t_name(text);
		snprintf(text, sizeof(text), "10.%zu.%zu.1", i / 250, i % 250);
		T_OK(msp_addr_parse(text, 5399, &n->addr));
		T_OK(msp_key_generate(&n->host, MSP_ALG_ED25519, 0, &n->key));
		n->skew_s = (int64_t)msp_rand_below(&s->rand, 9) - 4;
		msp_map_init(&n->saved, 1u << 16);
		for (size_t z = 0; z < zones; z++) {
			T_OK(msp_rrset_new(&s->zone_name[z], MSP_TYPE_DNSKEY, DNSKEY_TTL, &n->zone[z].own));
			new_dnskey(s, &s->zone_name[z], 257, n->zone[z].own);
			new_dnskey(s, &s->zone_name[z], 256, n->zone[z].own);
			n->zone[z].serial = 1000 * (uint32_t)(i + 1);
		}
	}
	return s;
}

static void kill_node(struct sim *s, size_t node)
{
	msa_core_free(&s->node[node].core);
	s->node[node].is_up = false;
	s->node[node].life++;
}

static void drop_request(void *x)
{
	release(x);
}

void sim_free(struct sim **sp)
{
	struct sim *s = *sp;

	for (size_t i = 0; i < s->nodes; i++) {
		struct sim_node *n = &s->node[i];

		kill_node(s, i);
		msp_key_free(&n->key);
		msp_key_free(&n->old_key);
		msp_map_fini(&n->saved, drop_entry);
		for (size_t z = 0; z < s->zones; z++) {
			msp_rrset_free(&n->zone[z].own);
			msp_rrset_free(&n->zone[z].put_dnskey);
			msp_rrset_free(&n->zone[z].put_cds);
			msp_rrset_free(&n->zone[z].orphans);
			msp_rrset_free(&n->zone[z].put_key);
			msp_rrset_free(&n->zone[z].parent_key);
		}
	}
	while (s->heap_count > 0)
		drop_event(pop(s));
	msp_map_fini(&s->requests, drop_request);
	for (size_t z = 0; z < s->zones; z++)
		msp_rrset_free(&s->hsync[z]);
	msp_free(s->heap);
	msp_free(s->scratch);
	msp_free(s);
	*sp = NULL;
}

void sim_hsync(struct sim *s, size_t zone, size_t node, const char *fields)
{
	struct msp_rrset **set = &s->hsync[zone];
	struct msp_hsync h;

	if (*set == NULL)
		T_OK(msp_rrset_new(&s->zone_name[zone], MSP_TYPE_HSYNC_DEFAULT, 3600, set));
	for (size_t i = 0; i < (*set)->count; i++) {
		T_OK(msp_hsync_parse((*set)->rdata[i], false, &h));
		if (msp_name_equal(&h.identity, &s->node[node].identity)) {
			msp_rrset_del(*set, (*set)->rdata[i]);
			break;
		}
	}
	if (fields != NULL) {
		uint8_t mem[600];
		char text[600];
		struct msp_wr wr;

		snprintf(text, sizeof(text), "%s %.500s", fields, MSP_NAME(&s->node[node].identity));
		T_OK(msp_hsync_scan(msp_span_str(text), NULL, &h, NULL));
		msp_wr_init(&wr, mem, sizeof(mem));
		msp_hsync_write(&wr, &h);
		T_OK(msp_rrset_add(*set, msp_wr_span(&wr)));
	}
}

void sim_all_on(struct sim *s)
{
	for (size_t z = 0; z < s->zones; z++)
		for (size_t i = 0; i < s->nodes; i++)
			sim_hsync(s, z, i, "ON AGENT YES");
}

void sim_start(struct sim *s, size_t node)
{
	struct sim_node *n = &s->node[node];
	struct msa_zone_conf zones[SIM_ZONES_MAX];
	struct msa_core_conf conf = { .identity = n->identity,
				      .host = n->host,
				      .key = n->key,
				      .numbers = msp_numbers_default,
				      .zones = zones,
				      .zone_count = s->zones,
				      .heartbeat_s = s->heartbeat_s };
	struct msp_map_it it;

	memset(zones, 0, sizeof(zones));
	for (size_t z = 0; z < s->zones; z++) {
		zones[z].zone = s->zone_name[z];
		zones[z].signer_mode = MSA_SIGNER_COMMAND;
		zones[z].dnskey_ttl_s = DNSKEY_TTL;
		zones[z].ns_count = 1;
		zones[z].ns[0] = n->host;
		zones[z].parent_sync = s->has_parents ? MSA_PARENT_AUTO : MSA_PARENT_OFF;
		zones[z].publish_key = s->has_parents;
		n->zone[z].gate_was_open = false;
	}
	assert_null(n->core);
	msp_rand_init_seed(&n->rand, msp_rand_u64(&s->rand));
	T_OK(msa_core_new(&conf, (struct msp_wall){ WALL_START + s->now_ms / 1000 + n->skew_s }, &n->rand, &s->log,
			  &n->core));
	for (bool more = msp_map_first(&n->saved, msp_span(NULL, 0), &it); more; more = msp_map_next(&n->saved, &it)) {
		struct entry *e = it.value;

		T_OK(msa_core_restore(n->core, msp_buf_span(&e->key), msp_buf_span(&e->value)));
	}
	for (size_t z = 0; z < s->zones; z++) {
		struct msa_zone *zone = sim_zone_of(s, node, z);
		struct sim_ev *e = push(s, EV_VIEW, node, 100 + delay(s));

		n->zone[z].gate_was_open = zone->gate_open;
		e->zone = z;
		if (s->has_parents && zone->parent->pub == NULL)
			T_OK(msp_rrset_dup(n->zone[z].parent_key,
					   &zone->parent->pub)); /* as if stored by an earlier life */
	}
	n->is_up = true;
}

void sim_start_all(struct sim *s)
{
	for (size_t i = 0; i < s->nodes; i++)
		sim_start(s, i);
}

void sim_restart(struct sim *s, size_t node, int64_t pause_ms)
{
	struct sim_node *n = &s->node[node];

	if (n->is_up)
		kill_node(s, node);
	push(s, EV_START, node, pause_ms);
}

void sim_deliver_zone(struct sim *s, size_t node, size_t zone, int64_t delay_ms)
{
	struct sim_ev *e = push(s, EV_VIEW, node, delay_ms);

	e->zone = zone;
	s->node[node].zone[zone].has_zone = true;
	s->node[node].zone[zone].serial++;
}

void sim_deliver_all(struct sim *s)
{
	for (size_t i = 0; i < s->nodes; i++)
		for (size_t z = 0; z < s->zones; z++)
			sim_deliver_zone(s, i, z, 10 + (int64_t)msp_rand_below(&s->rand, 3000));
}

void sim_add_key(struct sim *s, size_t node, size_t zone, uint16_t flags)
{
	s->keys_changed = true;
	new_dnskey(s, &s->zone_name[zone], flags, s->node[node].zone[zone].own);
	sim_deliver_zone(s, node, zone, 100);
}

void sim_drop_key(struct sim *s, size_t node, size_t zone, size_t index)
{
	struct msp_rrset *own = s->node[node].zone[zone].own;

	assert_true(index < own->count);
	msp_rrset_del(own, own->rdata[index]);
	sim_deliver_zone(s, node, zone, 100);
}

void sim_rekey(struct sim *s, size_t node)
{
	struct sim_node *n = &s->node[node];

	msp_key_free(&n->old_key);
	n->old_key = n->key;
	n->key = NULL;
	T_OK(msp_key_generate(&n->host, MSP_ALG_ED25519, 0, &n->key));
	sim_restart(s, node, 1000);
}

static bool zone_done(struct sim *s, size_t node, size_t zone)
{
	struct msa_zone *z = sim_zone_of(s, node, zone);
	size_t others = 0;

	if (!s->node[node].is_up)
		return true;
	if (z == NULL || !z->gate_open || sim_count(z->cds) != s->nodes || sim_count(z->dnskey) != 2 * s->nodes ||
	    z->waiting[0] != '\0')
		return false;
	for (size_t i = 0; i < z->member_count; i++)
		others += z->member[i]->state == MSA_MEMBER_MEMBER;
	return others == s->nodes - 1;
}

bool sim_all_done(struct sim *s)
{
	for (size_t i = 0; i < s->nodes; i++)
		for (size_t z = 0; z < s->zones; z++)
			if (!zone_done(s, i, z))
				return false;
	return true;
}

void sim_explain(struct sim *s)
{
	for (size_t i = 0; i < s->nodes; i++)
		for (size_t z = 0; z < s->zones; z++) {
			struct msa_zone *zone = sim_zone_of(s, i, z);

			if (zone_done(s, i, z))
				continue;
			print_message(
				"node %zu zone %zu at %lld s: waits for \"%s\", gate %d (%s), dnskey %zu, cds %zu\n", i,
				z, (long long)s->now_ms / 1000, zone == NULL ? "?" : zone->waiting,
				zone != NULL && zone->gate_open, zone == NULL ? "?" : zone->gate_why,
				zone == NULL ? 0 : sim_count(zone->dnskey), zone == NULL ? 0 : sim_count(zone->cds));
		}
}
