/* SPDX-License-Identifier: BSD-2-Clause */
#include "probe.h"

#include "probe_dead.h"
#include "probe_read.h"

#include <msproto/base/mem.h>
#include <msproto/base/rand.h>
#include <msproto/io/batch.h>
#include <msproto/io/xchg.h>
#include <msproto/msg/edns.h>
#include <msproto/msg/msg.h>

#include <string.h>

#define TIMEOUT_MS     5000
#define IN_FLIGHT_MAX  500
#define QUEUE_MAX      20000
#define OCTETS_MAX     (64u << 10) /* of all answers of one address */
#define HOST_ADDRS_MAX (2 * PRT_ADDR_MAX)

/* A name server of the delegation. */
struct host {
	struct prt_probe *probe;
	struct msp_name name;
	bool needs_lookup, is_unresolved; /* a look-up did not say what addresses there are */
	bool is_refused;                  /* of its addresses one is where nobody is asked */
	bool is_new;                      /* asked over UDP too */
	size_t addrs;
};

struct target {
	uint8_t host;
	bool is_new;
	struct msp_addr addr;
};

/* One address being asked. */
struct look {
	struct prt_probe *probe;
	struct prt_server *server; /* in the evidence */
	struct msp_batch *batch;   /* NULL when it is over */
	struct msp_xchg *xchg;     /* as well: the question over UDP */
	struct msp_mono deadline;
};

struct prt_probe {
	struct prt_prober *prober;
	struct prt_probe *prev, *next; /* in the line, or among those under way */
	struct msp_name child;
	unsigned questions;
	prt_probe_fn *cb;
	void *arg; /* borrowed until the callback or cancel */
	bool is_running, is_over;
	size_t open;           /* look-ups, then batches and exchanges, that have not been answered */
	struct target *target; /* owned, in order of arrival */
	size_t targets, room;
	struct look *look; /* owned, one for each address */
	size_t looks;
	struct prt_evidence evidence;
	size_t hosts;
	struct host host[];
};

struct list {
	struct prt_probe *first, *last;
	size_t count;
};

struct prt_prober {
	struct msp_loop *loop;
	struct msp_resolver *resolver; /* borrowed; may be NULL */
	struct prt_probe_conf conf;
	/* Probes begin in the loop's next round, so that no callback comes from inside. */
	struct msp_timer *pump; /* owned */
	bool is_pumping, is_closed;
	unsigned calling; /* callbacks under way: the memory has to stay */
	size_t batches;
	struct list waiting, running;
	struct msp_rr_scratch scratch;
	struct msp_rand rand;
	struct prt_dead dead;
};

/* --- the list a probe is in --- */

static void append(struct list *l, struct prt_probe *p)
{
	p->prev = l->last;
	p->next = NULL;
	*(l->last != NULL ? &l->last->next : &l->first) = p;
	l->last = p;
	l->count++;
}

static void unlink_from(struct list *l, struct prt_probe *p)
{
	*(p->prev != NULL ? &p->prev->next : &l->first) = p->next;
	*(p->next != NULL ? &p->next->prev : &l->last) = p->prev;
	p->prev = p->next = NULL;
	l->count--;
}

static void pump_soon(struct prt_prober *r)
{
	if (r->is_pumping || r->is_closed || r->waiting.first == NULL)
		return;
	r->is_pumping = true;
	msp_timer_start(r->pump, 0);
}

static void leave(struct prt_probe *p)
{
	unlink_from(p->is_running ? &p->prober->running : &p->prober->waiting, p);
	pump_soon(p->prober);
}

/* --- the end --- */

static void release(struct prt_prober *r)
{
	if (r->is_closed && r->calling == 0)
		msp_free(r);
}

/* What it has asked is not waited for any more. */
static void stop(struct prt_probe *p)
{
	struct msp_resolver *resolver = p->prober->resolver;

	for (size_t i = 0; i < p->hosts; i++)
		if (resolver != NULL && p->is_running && p->host[i].needs_lookup && p->look == NULL)
			msp_resolver_forget(resolver, &p->host[i]);
	for (size_t i = 0; i < p->looks; i++) {
		p->prober->batches -= p->look[i].batch != NULL;
		msp_batch_cancel(&p->look[i].batch);
		msp_xchg_cancel(&p->look[i].xchg);
	}
}

static void probe_free(struct prt_probe *p)
{
	msp_free(p->target);
	msp_free(p->look);
	msp_free(p);
}

static void finish(struct prt_probe *p)
{
	struct prt_prober *r = p->prober;

	leave(p);
	p->is_over = true;
	r->calling++;
	p->cb(p->arg, &p->evidence);
	r->calling--;
	probe_free(p);
	release(r);
}

/* --- asking an address --- */

static void take_failure(enum msp_err err, struct prt_answer *out)
{
	out->is_asked = true;
	out->err = err;
}

static const uint16_t type_of[PRT_Q__N] = {
	[PRT_Q_SOA] = MSP_TYPE_SOA,       [PRT_Q_NS] = MSP_TYPE_NS,           [PRT_Q_DNSKEY] = MSP_TYPE_DNSKEY,
	[PRT_Q_CDS] = MSP_TYPE_CDS,       [PRT_Q_CDNSKEY] = MSP_TYPE_CDNSKEY, [PRT_Q_CSYNC] = MSP_TYPE_CSYNC,
	[PRT_Q_SOA_AGAIN] = MSP_TYPE_SOA,
};

/* One question of a batch and where its answer goes. */
struct slot {
	const struct msp_name *name;
	uint16_t type;
	bool is_after;
	struct prt_answer *answer;
};

static bool asks(const struct prt_probe *p, enum prt_question q)
{
	return (p->questions & 1u << q) != 0;
}

static size_t add_again(struct look *l, struct slot *slot, size_t n)
{
	if (asks(l->probe, PRT_Q_SOA_AGAIN))
		slot[n++] = (struct slot){ &l->probe->child, MSP_TYPE_SOA, true, &l->server->answer[PRT_Q_SOA_AGAIN] };
	return n;
}

/* With hosts to be asked for, the second look at the SOA comes after them. */
static size_t first_round(struct look *l, struct slot slot[MSP_BATCH_MAX])
{
	size_t n = 0;

	for (enum prt_question q = 0; q < PRT_Q_SOA_AGAIN; q++)
		if (asks(l->probe, q))
			slot[n++] = (struct slot){ &l->probe->child, type_of[q], false, &l->server->answer[q] };
	return (l->probe->questions & PRT_Q_HOSTS) != 0 ? n : add_again(l, slot, n);
}

static size_t second_round(struct look *l, struct slot slot[MSP_BATCH_MAX])
{
	struct prt_server *s = l->server;
	size_t n = 0;

	for (size_t i = 0; i < s->hosts; i++) {
		slot[n++] = (struct slot){ &s->at[i].name, MSP_TYPE_A, false, &s->at[i].a };
		slot[n++] = (struct slot){ &s->at[i].name, MSP_TYPE_AAAA, false, &s->at[i].aaaa };
	}
	return add_again(l, slot, n);
}

typedef size_t round_fn(struct look *l, struct slot slot[MSP_BATCH_MAX]);

static void fail_round(struct look *l, round_fn *round, enum msp_err err)
{
	struct slot slot[MSP_BATCH_MAX];
	size_t n = round(l, slot);

	for (size_t i = 0; i < n; i++)
		take_failure(err, slot[i].answer);
}

static const struct msp_addr *source_for(const struct prt_prober *r, const struct msp_addr *server)
{
	return server->family == MSP_FAMILY_V4 ? &r->conf.source4 : &r->conf.source6;
}

/* False: nothing was asked, the answers say why. */
static bool ask(struct look *l, round_fn *round, msp_batch_fn *cb)
{
	struct prt_prober *r = l->probe->prober;
	int64_t left_ms = msp_mono_until_ms(msp_mono_now(), l->deadline);
	struct msp_batch_question q[MSP_BATCH_MAX];
	struct slot slot[MSP_BATCH_MAX];
	size_t n = round(l, slot);
	struct msp_batch_params p = { .server = l->server->addr,
				      .source = *source_for(r, &l->server->addr),
				      .question = q,
				      .count = n,
				      .dnssec_ok = true,
				      .timeout_ms = left_ms > 0 ? (uint32_t)left_ms : 1,
				      .answer_octets_max = OCTETS_MAX };

	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		q[i] = (struct msp_batch_question){ *slot[i].name, slot[i].type, slot[i].is_after };
	if (msp_batch_start(r->loop, &p, cb, l, &l->batch) == MSP_OK) {
		r->batches++;
		return true;
	}
	fail_round(l, round, MSP_ENET); /* out of memory or sockets: nothing was seen of this server */
	return false;
}

static void take_round(struct look *l, round_fn *round, const struct msp_batch_answer *answer)
{
	struct slot slot[MSP_BATCH_MAX];
	size_t n = round(l, slot);

	l->batch = NULL;
	l->probe->prober->batches--;
	for (size_t i = 0; i < n; i++)
		if (answer[i].err == MSP_OK)
			prt_answer_read(answer[i].raw, slot[i].name, slot[i].type, &l->probe->prober->scratch,
					slot[i].answer, &l->server->agent);
		else
			take_failure(answer[i].err, slot[i].answer);
}

static void look_is_over(struct look *l)
{
	if (--l->probe->open == 0)
		finish(l->probe);
}

static void on_second_round(void *arg, const struct msp_batch_answer *answer, size_t count)
{
	struct look *l = arg;

	(void)count;
	take_round(l, second_round, answer);
	look_is_over(l);
}

/* The name servers below the child that this server itself names. */
static void find_hosts(struct prt_server *s, const struct msp_name *child)
{
	const struct msp_rrset *ns = s->answer[PRT_Q_NS].set;

	for (size_t i = 0; ns != NULL && i < ns->count && s->hosts < PRT_NS_MAX; i++) {
		struct msp_name *name = &s->at[s->hosts].name;

		if (msp_rdata_name_parse(ns->rdata[i], name) == MSP_OK && msp_name_is_under(name, child))
			s->hosts++;
		else
			name->len = 0;
	}
}

/* Who takes a connection and says nothing may do so for one child alone: that is no dead address. Nor is one that
 * refuses at once, which costs no time. */
static void note_life(struct look *l, const struct msp_batch_answer *answer)
{
	bool is_alive = answer->was_connected;

	if (is_alive || answer->err == MSP_ETIMEOUT)
		prt_dead_note(&l->probe->prober->dead, &l->server->addr, is_alive, msp_mono_now());
}

static void on_first_round(void *arg, const struct msp_batch_answer *answer, size_t count)
{
	struct look *l = arg;

	(void)count;
	note_life(l, answer);
	take_round(l, first_round, answer);
	if ((l->probe->questions & PRT_Q_HOSTS) != 0) {
		find_hosts(l->server, &l->probe->child);
		if (l->server->answer[PRT_Q_NS].err != MSP_OK)
			fail_round(l, second_round, l->server->answer[PRT_Q_NS].err);
		else if (ask(l, second_round, on_second_round))
			return;
	}
	look_is_over(l);
}

/* --- over UDP --- */

static void on_udp(void *arg, enum msp_err err, struct msp_span answer)
{
	struct look *l = arg;
	struct prt_server *s = l->server;

	l->xchg = NULL;
	if (err == MSP_OK)
		prt_answer_read(answer, &l->probe->child, MSP_TYPE_SOA, &l->probe->prober->scratch, &s->udp, &s->agent);
	else
		take_failure(err, &s->udp);
	look_is_over(l);
}

/* Once, and once more: together as long as over TCP. False: it was not asked, its answer says so. */
static bool ask_udp(struct look *l)
{
	struct prt_prober *r = l->probe->prober;
	uint32_t timeout_ms = r->conf.timeout_ms;
	struct msp_xchg_params p = { .server = l->server->addr,
				     .source = *source_for(r, &l->server->addr),
				     .transport = MSP_UDP_ONLY,
				     .timeout_ms = { timeout_ms / 3 + 1, timeout_ms - timeout_ms / 3 } };
	uint8_t mem[MSP_HEADER_LEN + MSP_NAME_MAX + 4 + 11]; /* a question and an OPT */
	enum msp_err err;
	struct msp_msgw w;
	struct msp_optw o;

	msp_msgw_init(&w, mem, sizeof(mem), msp_rand_u16(&r->rand), MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &l->probe->child, MSP_TYPE_SOA, MSP_CLASS_IN);
	o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, MSP_RCODE_NOERROR, false);
	msp_optw_close(&o);
	err = msp_msgw_finish(&w, &p.message);
	if (err == MSP_OK)
		err = msp_xchg_start(r->loop, &p, on_udp, l, &l->xchg);
	if (err != MSP_OK)
		take_failure(MSP_ENET, &l->server->udp); /* as in ask() */
	return err == MSP_OK;
}

/* --- the addresses --- */

/*
 * More of one name than a delegation may have are not looked at. Nor is one that lies in our own network, whoever says
 * so, a child or the zone that its name servers are in: nobody but us can ask there.
 */
static enum msp_err add_addresses(struct host *h, const struct msp_rrset *set)
{
	struct prt_probe *p = h->probe;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && set != NULL && i < set->count && h->addrs < HOST_ADDRS_MAX; i++) {
		if (!prt_address_is_usable(set->rdata[i], (p->questions & PRT_PROBE_PRIVATE) != 0)) {
			h->is_refused = true;
			continue;
		}
		if (p->targets == p->room) {
			size_t room = 2 * p->room + 4;
			struct target *more = msp_realloc(p->target, room, sizeof(*more));

			if (more == NULL)
				return MSP_ENOMEM;
			p->target = more;
			p->room = room;
		}
		p->target[p->targets].host = (uint8_t)(h - p->host);
		p->target[p->targets].is_new = h->is_new;
		err = msp_addr_from_octets(set->rdata[i], p->prober->conf.port, &p->target[p->targets].addr);
		p->targets += err == MSP_OK;
		h->addrs += err == MSP_OK;
	}
	return err;
}

/* A name about which not all is known stands there once more, without an address. */
static size_t entries(const struct host *h, size_t addrs_max)
{
	size_t addrs = h->addrs < addrs_max ? h->addrs : addrs_max;

	return addrs + (addrs == 0 || h->is_unresolved || h->is_refused);
}

static size_t entries_of_all(const struct prt_probe *p, size_t addrs_max)
{
	size_t sum = 0;

	for (size_t i = 0; i < p->hosts; i++)
		sum += entries(&p->host[i], addrs_max);
	return sum;
}

static void fill_host(struct prt_probe *p, size_t i, size_t addrs_max, struct prt_server **at)
{
	const struct host *h = &p->host[i];
	size_t taken = 0;

	for (size_t k = 0; k < p->targets && taken < addrs_max; k++) {
		if (p->target[k].host != i)
			continue;
		(*at)->host = h->name;
		(*at)->addr = p->target[k].addr;
		(*at)->udp.is_asked = p->target[k].is_new;
		(*at)++;
		taken++;
	}
	if (entries(h, addrs_max) > taken) {
		(*at)->host = h->name;
		(*at)++;
	}
}

static enum msp_err make_evidence(struct prt_probe *p)
{
	size_t addrs_max = HOST_ADDRS_MAX;
	struct prt_server *at;
	enum msp_err err;

	while (addrs_max > 0 && entries_of_all(p, addrs_max) > PRT_SERVERS_MAX)
		addrs_max--;
	err = prt_evidence_new(&p->child, entries_of_all(p, addrs_max), &p->evidence);
	if (err != MSP_OK)
		return err;
	p->look = msp_alloc(p->evidence.count, sizeof(*p->look));
	if (p->look == NULL) {
		prt_evidence_fini(&p->evidence);
		return MSP_ENOMEM;
	}
	at = p->evidence.server;
	for (size_t i = 0; i < p->hosts; i++)
		fill_host(p, i, addrs_max, &at);
	p->looks = p->evidence.count;
	return MSP_OK;
}

/* Why a name stands there without an address. */
static enum msp_err why_none(const struct prt_probe *p, const struct msp_name *name)
{
	const struct host *h = p->host;

	while (h < p->host + p->hosts && !msp_name_equal(&h->name, name))
		h++;
	if (h == p->host + p->hosts)
		return MSP_ENET;
	return h->is_refused ? MSP_EREFUSED : h->is_unresolved ? MSP_ENET : MSP_ENOTFOUND;
}

static bool is_left_alone(const struct look *l)
{
	return (l->probe->questions & PRT_PROBE_IDLE) != 0 &&
	       !prt_dead_may_ask(&l->probe->prober->dead, &l->server->addr, msp_mono_now());
}

/* False: nothing was asked. */
static bool begin_look(struct look *l)
{
	const struct prt_server *s = l->server;

	if (s->addr.family == MSP_FAMILY_NONE)
		fail_round(l, first_round, why_none(l->probe, &s->host));
	else if (is_left_alone(l))
		fail_round(l, first_round, MSP_ETIMEOUT);
	else if (ask(l, first_round, on_first_round))
		return true;
	if ((l->probe->questions & PRT_Q_HOSTS) != 0)
		fail_round(l, second_round, s->answer[PRT_Q_NS].err);
	return false;
}

/* All addresses are known: ask them. From the loop; p may be over when it returns. */
static void look(struct prt_probe *p)
{
	struct msp_mono deadline = msp_mono_add_ms(msp_mono_now(), p->prober->conf.timeout_ms);

	if (make_evidence(p) != MSP_OK) { /* without a server: nothing was seen */
		finish(p);
		return;
	}
	for (size_t i = 0; i < p->looks; i++) {
		struct look *l = &p->look[i];

		*l = (struct look){ .probe = p, .server = &p->evidence.server[i], .deadline = deadline };
		p->open += begin_look(l);
		if (l->server->udp.is_asked)
			p->open += ask_udp(l);
	}
	if (p->open == 0) /* nobody could be asked, and no answer has come before the loop's next round */
		finish(p);
}

static void on_addresses(void *arg, const struct msp_open_answer *a)
{
	struct host *h = arg;
	bool has_answer = a->verdict == MSP_LOOKUP_SECURE || a->verdict == MSP_LOOKUP_INSECURE;

	if (!has_answer || add_addresses(h, a->set) != MSP_OK)
		h->is_unresolved = true;
	if (--h->probe->open == 0)
		look(h->probe);
}

static void look_up(struct host *h, uint16_t type)
{
	struct msp_resolver *resolver = h->probe->prober->resolver;

	if (resolver != NULL && msp_resolver_ask_open(resolver, &h->name, type, on_addresses, h) == MSP_OK)
		h->probe->open++;
	else
		h->is_unresolved = true;
}

static void begin(struct prt_probe *p)
{
	const struct prt_probe_conf *conf = &p->prober->conf;

	for (size_t i = 0; i < p->hosts; i++) {
		if (p->host[i].needs_lookup && conf->ipv4)
			look_up(&p->host[i], MSP_TYPE_A);
		if (p->host[i].needs_lookup && conf->ipv6)
			look_up(&p->host[i], MSP_TYPE_AAAA);
	}
	if (p->open == 0)
		look(p);
}

static void on_pump(void *arg)
{
	struct prt_prober *r = arg;

	r->is_pumping = false;
	r->calling++;
	while (!r->is_closed && r->waiting.first != NULL && r->running.count < r->conf.in_flight_max &&
	       r->batches < MSP_BATCHES_MAX / 2) {
		struct prt_probe *p = r->waiting.first;

		unlink_from(&r->waiting, p);
		append(&r->running, p);
		p->is_running = true;
		begin(p);
	}
	r->calling--;
	release(r);
}

/* --- starting --- */

static bool has_ns(const struct prt_delegation *d, struct msp_span rdata)
{
	const struct msp_rrset *ns = prt_delegation_ns(d);

	return ns != NULL && msp_rrset_has(ns, rdata);
}

/* Glue of a name server that is there already may name another machine now. */
static bool has_glue(const struct prt_delegation *d, const struct msp_name *host, const struct msp_addr *a)
{
	bool is_v4 = a->family == MSP_FAMILY_V4;
	const struct msp_rrset *set = prt_delegation_get(d, host, is_v4 ? MSP_TYPE_A : MSP_TYPE_AAAA);

	return set != NULL && msp_rrset_has(set, msp_span(a->oct, is_v4 ? 4 : 16));
}

static enum msp_err add_host(struct prt_probe *p, const struct prt_delegation *d, const struct prt_delegation *known,
			     struct msp_span rdata)
{
	const struct prt_probe_conf *conf = &p->prober->conf;
	struct host *h = &p->host[p->hosts];
	enum msp_err err = msp_rdata_name_parse(rdata, &h->name);
	size_t first = p->targets;

	if (err != MSP_OK)
		return MSP_EVALUE;
	h->probe = p;
	p->hosts++;
	h->needs_lookup = !msp_name_is_under(&h->name, &d->child);
	h->is_new = known != NULL && !has_ns(known, rdata);
	if (conf->ipv4)
		err = add_addresses(h, prt_delegation_get(d, &h->name, MSP_TYPE_A));
	if (err == MSP_OK && conf->ipv6)
		err = add_addresses(h, prt_delegation_get(d, &h->name, MSP_TYPE_AAAA));
	for (size_t i = first; known != NULL && i < p->targets; i++)
		p->target[i].is_new |= !has_glue(known, &h->name, &p->target[i].addr);
	return err;
}

enum msp_err prt_probe_start(struct prt_prober *r, const struct prt_delegation *d, const struct prt_delegation *known,
			     unsigned questions, prt_probe_fn *cb, void *arg, struct prt_probe **out)
{
	const struct msp_rrset *ns = prt_delegation_ns(d);
	struct prt_probe *p;
	enum msp_err err = MSP_OK;

	if (ns == NULL || ns->count == 0 || ns->count > PRT_NS_MAX)
		return MSP_EVALUE;
	if (r->waiting.count >= r->conf.queue_max)
		return MSP_EBUSY;
	p = msp_alloc(1, sizeof(*p) + ns->count * sizeof(p->host[0]));
	if (p == NULL)
		return MSP_ENOMEM;
	p->prober = r;
	p->child = d->child;
	p->evidence.child = d->child;
	p->questions = questions | ((questions & PRT_Q_HOSTS) != 0 ? 1u << PRT_Q_NS : 0);
	p->cb = cb;
	p->arg = arg;
	for (size_t i = 0; err == MSP_OK && i < ns->count; i++)
		err = add_host(p, d, known, ns->rdata[i]);
	if (err != MSP_OK) {
		probe_free(p);
		return err;
	}
	append(&r->waiting, p);
	pump_soon(r);
	if (out != NULL)
		*out = p;
	return MSP_OK;
}

void prt_probe_cancel(struct prt_probe **p)
{
	struct prt_probe *old = *p;

	*p = NULL;
	if (old == NULL || old->is_over) /* over: called from inside the callback, after which it goes */
		return;
	stop(old);
	leave(old);
	prt_evidence_fini(&old->evidence);
	probe_free(old);
}

/* --- the prober --- */

void prt_prober_set(struct prt_prober *r, const struct prt_probe_conf *conf)
{
	r->conf = *conf;
	if (r->conf.timeout_ms == 0)
		r->conf.timeout_ms = TIMEOUT_MS;
	if (r->conf.in_flight_max == 0)
		r->conf.in_flight_max = IN_FLIGHT_MAX;
	if (r->conf.queue_max == 0)
		r->conf.queue_max = QUEUE_MAX;
	pump_soon(r);
}

enum msp_err prt_prober_new(struct msp_loop *loop, struct msp_resolver *resolver, const struct prt_probe_conf *conf,
			    struct prt_prober **out)
{
	struct prt_prober *r = msp_alloc(1, sizeof(*r));
	enum msp_err err;

	*out = NULL;
	if (r == NULL)
		return MSP_ENOMEM;
	r->loop = loop;
	r->resolver = resolver;
	msp_rand_init_system(&r->rand);
	prt_dead_init(&r->dead, msp_rand_u64(&r->rand));
	prt_prober_set(r, conf);
	err = msp_timer_new(loop, on_pump, r, &r->pump);
	if (err == MSP_OK)
		*out = r;
	else
		msp_free(r);
	return err;
}

void prt_prober_free(struct prt_prober **r)
{
	struct prt_prober *old = *r;

	if (old == NULL)
		return;
	*r = NULL;
	old->is_closed = true; /* first, so that nothing begins any more */
	while (old->running.first != NULL || old->waiting.first != NULL) {
		struct prt_probe *p = old->running.first != NULL ? old->running.first : old->waiting.first;

		prt_probe_cancel(&p);
	}
	msp_timer_close(&old->pump);
	release(old);
}

size_t prt_prober_load(const struct prt_prober *r)
{
	return r->waiting.count + r->running.count;
}
