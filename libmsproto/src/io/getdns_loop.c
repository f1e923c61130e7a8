/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/getdns_loop.h"

#include <msproto/base/mem.h>

#include <stdbool.h>

/* Stays allocated until libuv has closed both handles, however early getdns frees its own event. */
struct getdns_loop_event {
	struct getdns_loop_event *next, **link;
	getdns_eventloop_event *event; /* borrowed from getdns; NULL once cleared */
	uv_poll_t poll;
	uv_timer_t timer;
	bool has_poll, has_timer;
	unsigned open_handles;
};

static void handle_closed(uv_handle_t *h)
{
	struct getdns_loop_event *e = h->data;

	if (--e->open_handles == 0)
		msp_free(e);
}

static void drop(struct getdns_loop_event *e)
{
	*e->link = e->next;
	if (e->next)
		e->next->link = e->link;
	if (e->event)
		e->event->ev = NULL;
	e->event = NULL;
	e->open_handles = (unsigned)e->has_poll + (unsigned)e->has_timer;
	if (e->has_poll)
		uv_close((uv_handle_t *)&e->poll, handle_closed);
	if (e->has_timer)
		uv_close((uv_handle_t *)&e->timer, handle_closed);
}

static void on_poll(uv_poll_t *p, int status, int what)
{
	struct getdns_loop_event *e = p->data;

	if (status < 0) /* wake both sides: getdns meets the error in its own read or write */
		what = UV_READABLE | UV_WRITABLE;
	/* Each callback may clear the event; e itself lives until handle_closed. */
	if ((what & UV_READABLE) && e->event && e->event->read_cb)
		e->event->read_cb(e->event->userarg);
	if ((what & UV_WRITABLE) && e->event && e->event->write_cb)
		e->event->write_cb(e->event->userarg);
}

static void on_timer(uv_timer_t *t)
{
	struct getdns_loop_event *e = t->data;

	if (e->event && e->event->timeout_cb)
		e->event->timeout_cb(e->event->userarg);
}

static getdns_return_t schedule(getdns_eventloop *base, int fd, uint64_t timeout, getdns_eventloop_event *event)
{
	struct getdns_loop *l = (struct getdns_loop *)base;
	int want = (event->read_cb ? UV_READABLE : 0) | (event->write_cb ? UV_WRITABLE : 0);
	struct getdns_loop_event *e;

	if (!want && !event->timeout_cb)
		return GETDNS_RETURN_INVALID_PARAMETER;
	e = msp_alloc(1, sizeof(*e));
	if (!e)
		return GETDNS_RETURN_MEMORY_ERROR;
	e->poll.data = e->timer.data = e;
	if (want && uv_poll_init(l->uv, &e->poll, fd) != 0) { /* nothing registered yet: the handle was not added */
		msp_free(e);
		return GETDNS_RETURN_GENERIC_ERROR;
	}
	e->has_poll = want != 0;
	e->link = &l->events;
	e->next = l->events;
	if (e->next)
		e->next->link = &e->next;
	l->events = e;
	if (want &&
	    uv_poll_start(&e->poll, want, on_poll) != 0) { /* UV_EEXIST: somebody watches this descriptor already */
		drop(e);
		return GETDNS_RETURN_GENERIC_ERROR;
	}
	if (event->timeout_cb) {
		(void)uv_timer_init(l->uv, &e->timer);
		e->has_timer = true;
		(void)uv_timer_start(&e->timer, on_timer, timeout, 0);
	}
	e->event = event;
	event->ev = e;
	return GETDNS_RETURN_GOOD;
}

static getdns_return_t clear(getdns_eventloop *base, getdns_eventloop_event *event)
{
	(void)base;
	if (event->ev)
		drop(event->ev);
	event->ev = NULL;
	return GETDNS_RETURN_GOOD;
}

/* getdns_context_destroy calls this before libunbound's last calls to clear(): nothing may go yet. */
static void cleanup(getdns_eventloop *base)
{
	(void)base;
}

static void run(getdns_eventloop *base)
{
	(void)uv_run(((struct getdns_loop *)base)->uv, UV_RUN_DEFAULT);
}

static void run_once(getdns_eventloop *base, int blocking)
{
	(void)uv_run(((struct getdns_loop *)base)->uv, blocking ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

getdns_return_t getdns_loop_attach(struct getdns_loop *l, getdns_context *ctx, uv_loop_t *uv)
{
	static getdns_eventloop_vmt table = { cleanup, schedule, clear, run, run_once };

	l->base.vmt = &table;
	l->uv = uv;
	l->events = NULL;
	return getdns_context_set_eventloop(ctx, &l->base);
}

void getdns_loop_detach(struct getdns_loop *l)
{
	while (l->events) {
		l->events->event = NULL; /* freed with the context */
		drop(l->events);
	}
}
