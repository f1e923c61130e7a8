/* SPDX-License-Identifier: BSD-2-Clause */
#include <assert.h>
#include <string.h>

#include <msproto/base/mem.h>
#include <msproto/io/xchg.h>
#include <msproto/msg/msg.h>

#include "io/tcp.h"
#include "io/udp.h"

#define XCHG_MAX        4096 /* outstanding per loop */
#define UDP_MESSAGE_MAX 1232 /* PROTOCOL C.7: larger questions go by TCP */
#define TIMEOUTS        6
#define SLOTS           256 /* of the ids that are outstanding on a shared socket */

/** A socket in use by several exchanges; it is there while there are any. */
struct msp_xchg_shared {
	struct msp_loop *loop;
	struct msp_xchg_shared *next;
	enum msp_family family;
	struct msp_addr source;
	struct msp_udp *udp;
	size_t count;
	struct msp_xchg *slot[SLOTS]; /* by the low octet of the message's id */
};

struct msp_xchg {
	struct msp_loop *loop;
	struct msp_addr server, source;
	enum msp_transport transport;
	struct msp_tls *tls; /* shared; NULL = plain */
	uint32_t timeout_ms[TIMEOUTS];
	uint8_t *octets; /* owned: the message */
	struct msp_span message;
	struct msp_msg question; /* the message, parsed: what an answer is matched with */
	msp_xchg_fn *cb;
	void *arg; /* borrowed until the callback or cancel */
	bool is_signed;
	struct msp_udp *udp;            /* of its own, or */
	struct msp_xchg_shared *shared; /* together with others, */
	struct msp_xchg *prev, *next;   /* of which these have ids like ours */
	struct msp_tcp *tcp;
	struct msp_tcp_frame frame;
	struct msp_timer *timer; /* owned */
	bool by_tcp, is_over;
	unsigned attempt;
	enum msp_err last; /* what the end of the schedule means */
};

/* --- shared sockets --- */

static struct msp_xchg **slot_of(struct msp_xchg_shared *s, uint16_t id)
{
	return &s->slot[id % SLOTS];
}

static void on_shared_datagram(void *arg, enum msp_err err, struct msp_span octets, const struct msp_udp_path *path);

static enum msp_err shared_get(struct msp_xchg *x, struct msp_xchg_shared **out)
{
	struct msp_xchg_shared *s = x->loop->xchg_shared;
	enum msp_err err;

	while (s != NULL && !(s->family == x->server.family && s->source.family == x->source.family &&
			      msp_addr_equal(&s->source, &x->source)))
		s = s->next;
	*out = s;
	if (s != NULL)
		return MSP_OK;
	s = msp_alloc(1, sizeof(*s));
	if (s == NULL)
		return MSP_ENOMEM;
	s->loop = x->loop;
	s->family = x->server.family;
	s->source = x->source;
	err = msp_udp_open(x->loop, s->family, &s->source, on_shared_datagram, s, &s->udp);
	if (err != MSP_OK) {
		msp_free(s);
		return err;
	}
	s->next = x->loop->xchg_shared;
	x->loop->xchg_shared = s;
	*out = s;
	return MSP_OK;
}

static enum msp_err shared_join(struct msp_xchg *x)
{
	struct msp_xchg_shared *s;
	enum msp_err err = shared_get(x, &s);
	struct msp_xchg **slot;

	if (err != MSP_OK)
		return err;
	slot = slot_of(s, x->question.id);
	x->next = *slot;
	if (x->next != NULL)
		x->next->prev = x;
	*slot = x;
	x->shared = s;
	s->count++;
	return MSP_OK;
}

static void shared_leave(struct msp_xchg *x)
{
	struct msp_xchg_shared *s = x->shared, **at = &x->loop->xchg_shared;

	if (s == NULL)
		return;
	x->shared = NULL;
	*(x->prev != NULL ? &x->prev->next : slot_of(s, x->question.id)) = x->next;
	if (x->next != NULL)
		x->next->prev = x->prev;
	x->prev = x->next = NULL;
	if (--s->count > 0)
		return;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	msp_udp_close(&s->udp);
	msp_free(s);
}

/* --- the end --- */

/* Sockets and timer; the memory may be let go then. */
static void release(struct msp_xchg *x)
{
	shared_leave(x);
	msp_udp_close(&x->udp);
	msp_tcp_close(&x->tcp);
	msp_timer_close(&x->timer);
	x->loop->xchg_count--;
}

static void xchg_free(struct msp_xchg *x)
{
	msp_tcp_frame_fini(&x->frame);
	msp_tls_unref(&x->tls);
	msp_free(x->octets);
	msp_free(x);
}

static void finish(struct msp_xchg *x, enum msp_err err, struct msp_span answer)
{
	x->is_over = true;
	release(x);
	x->cb(x->arg, err, answer);
	xchg_free(x);
}

static bool is_answer(struct msp_xchg *x, struct msp_span octets, struct msp_msg *m)
{
	return msp_msg_parse(octets, &x->loop->scratch, m, NULL) == MSP_OK && msp_msg_answers(m, &x->question);
}

static uint64_t whole_time(const struct msp_xchg *x)
{
	uint64_t sum = 0;

	for (int i = 0; i < TIMEOUTS && x->timeout_ms[i] != 0; i++)
		sum += x->timeout_ms[i];
	return sum;
}

/* --- streams --- */

static void on_connected(void *arg, enum msp_err err)
{
	struct msp_xchg *x = arg;

	if (err == MSP_OK)
		err = msp_tcp_write_message(x->tcp, x->message, NULL, NULL);
	if (err != MSP_OK)
		finish(x, err, msp_span(NULL, 0));
	else
		msp_tcp_read(x->tcp, true);
}

static void on_octets(void *arg, const struct msp_tcp_in *in)
{
	struct msp_xchg *x = arg;
	struct msp_span octets = in->octets, message;
	struct msp_msg m;
	enum msp_err err = in->err;

	while (err == MSP_OK) {
		err = msp_tcp_frame_next(&x->frame, &octets, &message);
		if (err == MSP_OK && is_answer(x, message, &m)) {
			finish(x, MSP_OK, message);
			return;
		}
	}
	if (err != MSP_ETRUNC)
		finish(x, err, msp_span(NULL, 0));
}

static void begin_tcp(struct msp_xchg *x)
{
	x->by_tcp = true;
	shared_leave(x);
	msp_udp_close(&x->udp);
	x->last = msp_tcp_connect_tls(x->loop, &x->server, &x->source, x->tls, on_connected, on_octets, x, &x->tcp);
	if (x->last == MSP_OK) {
		x->last = MSP_ETIMEOUT;
		msp_timer_start(x->timer, whole_time(x));
	} else {
		msp_timer_start(x->timer, 0); /* failures too are told from the loop */
	}
}

/* --- UDP --- */

static void take_answer(struct msp_xchg *x, struct msp_span octets, const struct msp_msg *m)
{
	if ((m->flags & MSP_FLAG_TC) != 0 && x->transport == MSP_UDP_THEN_TCP)
		begin_tcp(x);
	else
		finish(x, MSP_OK, octets);
}

static void on_datagram(void *arg, enum msp_err err, struct msp_span octets, const struct msp_udp_path *path)
{
	struct msp_xchg *x = arg;
	struct msp_msg m;

	(void)path; /* the socket is connected: it hears the server only */
	if (err != MSP_OK) {
		/* An ICMP error, which anybody may have forged or a restart may have caused: keep to the schedule. */
		x->last = MSP_ENET;
		return;
	}
	/* What does not match may be a forgery racing the answer: it must not end the wait. */
	if (is_answer(x, octets, &m))
		take_answer(x, octets, &m);
}

static void on_shared_datagram(void *arg, enum msp_err err, struct msp_span octets, const struct msp_udp_path *path)
{
	struct msp_xchg_shared *s = arg;
	struct msp_addr peer;
	struct msp_msg m;
	struct msp_xchg *x;

	if (err != MSP_OK || msp_msg_parse(octets, &s->loop->scratch, &m, NULL) != MSP_OK)
		return;
	msp_sockaddr_get(&path->peer, &peer);
	x = *slot_of(s, m.id);
	while (x != NULL && !(msp_addr_equal(&peer, &x->server) && msp_msg_answers(&m, &x->question)))
		x = x->next;
	if (x != NULL)
		take_answer(x, octets, &m);
}

/* One socket for all transmissions: an answer to an earlier one is welcome too. */
static enum msp_err send_datagram(struct msp_xchg *x)
{
	enum msp_err err = MSP_OK;

	if (x->is_signed) {
		if (x->shared == NULL)
			err = shared_join(x);
		return err == MSP_OK ? msp_udp_send_to(x->shared->udp, &x->server, x->message) : err;
	}
	if (x->udp == NULL)
		err = msp_udp_connect(x->loop, &x->server, &x->source, on_datagram, x, &x->udp);
	return err == MSP_OK ? msp_udp_send(x->udp, x->message) : err;
}

static void transmit(struct msp_xchg *x)
{
	enum msp_err err = send_datagram(x);

	x->last = err == MSP_OK ? MSP_ETIMEOUT : MSP_ENET;
	msp_timer_start(x->timer, x->timeout_ms[x->attempt]);
}

static void on_timer(void *arg)
{
	struct msp_xchg *x = arg;

	x->attempt++;
	if (x->by_tcp || x->attempt == TIMEOUTS || x->timeout_ms[x->attempt] == 0)
		finish(x, x->last, msp_span(NULL, 0));
	else
		transmit(x);
}

enum msp_err msp_xchg_start(struct msp_loop *loop, const struct msp_xchg_params *p, msp_xchg_fn *cb, void *arg,
			    struct msp_xchg **out)
{
	static const uint32_t default_ms[TIMEOUTS] = { 5000, 10000, 20000 };
	struct msp_xchg *x;
	enum msp_err err = MSP_ENOMEM;

	if (loop->xchg_count >= XCHG_MAX)
		return MSP_EBUSY;
	if (p->server.family == MSP_FAMILY_NONE || p->message.len > MSP_MSG_MAX)
		return MSP_EVALUE;
	x = msp_alloc(1, sizeof(*x));
	if (x == NULL)
		return MSP_ENOMEM;
	x->loop = loop;
	x->server = p->server;
	x->source = p->source;
	x->is_signed = p->is_signed;
	x->transport = p->tls != NULL ? MSP_TCP_ONLY : p->transport;
	x->tls = msp_tls_ref(p->tls);
	memcpy(x->timeout_ms, p->timeout_ms[0] != 0 ? p->timeout_ms : default_ms, sizeof(x->timeout_ms));
	x->cb = cb;
	x->arg = arg;
	msp_tcp_frame_init(&x->frame);
	x->octets = msp_memdup(p->message.ptr, p->message.len);
	x->message = msp_span(x->octets, p->message.len);
	if (x->octets == NULL)
		goto out;
	err = msp_msg_parse(x->message, &loop->scratch, &x->question, NULL);
	if (err == MSP_OK)
		err = msp_timer_new(loop, on_timer, x, &x->timer);
	if (err != MSP_OK)
		goto out;
	loop->xchg_count++;
	if (x->transport == MSP_TCP_ONLY || (x->transport == MSP_UDP_THEN_TCP && p->message.len > UDP_MESSAGE_MAX))
		begin_tcp(x);
	else
		transmit(x);
	if (out != NULL)
		*out = x;
	return MSP_OK;
out:
	xchg_free(x);
	return err;
}

void msp_xchg_cancel(struct msp_xchg **x)
{
	struct msp_xchg *old = *x;

	*x = NULL;
	if (old == NULL || old->is_over) /* over: called from inside the callback, which frees it */
		return;
	release(old);
	xchg_free(old);
}
