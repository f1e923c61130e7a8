/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/xfr_conn.h"

#include <msproto/base/mem.h>

/* Every connection knows its pool, and the pool all its connections: those under way must learn that it is gone. */
struct msp_xfr_pool {
	size_t max, idle_count;
	uint32_t idle_ms;
	struct msp_xfr_conn *first;
};

static struct msp_xfr_conn **place(struct msp_xfr_pool *pool, const struct msp_xfr_conn *c)
{
	struct msp_xfr_conn **at = &pool->first;

	while (*at != c)
		at = &(*at)->next;
	return at;
}

static void append(struct msp_xfr_pool *pool, struct msp_xfr_conn *c)
{
	*place(pool, NULL) = c;
	c->next = NULL;
}

static void conn_free(struct msp_xfr_conn **c)
{
	struct msp_xfr_conn *old = *c;

	*c = NULL;
	if (old->pool != NULL) {
		*place(old->pool, old) = old->next;
		old->pool->idle_count -= old->is_idle;
	}
	msp_tcp_close(&old->tcp);
	msp_timer_close(&old->step);
	msp_timer_close(&old->total);
	msp_tcp_frame_fini(&old->frame);
	msp_tls_unref(&old->tls);
	msp_free(old);
}

/* --- what the stream and the timers say --- */

static void on_connected(void *arg, enum msp_err err)
{
	struct msp_xfr_conn *c = arg;

	c->user->connected(c->arg, err);
}

static void on_read(void *arg, const struct msp_tcp_in *in)
{
	struct msp_xfr_conn *c = arg;

	if (c->is_idle) /* the end, or octets that nobody asked for: of no use any more */
		conn_free(&c);
	else
		c->user->read(c->arg, in);
}

static void on_time(void *arg)
{
	struct msp_xfr_conn *c = arg;

	if (c->is_idle)
		conn_free(&c);
	else
		c->user->timeout(c->arg);
}

/* --- taking and putting back --- */

static enum msp_err conn_new(struct msp_loop *loop, struct msp_xfr_pool *pool, const struct msp_addr *server,
			     const struct msp_addr *source, struct msp_tls *tls, const struct msp_xfr_conn_user *user,
			     void *arg, struct msp_xfr_conn **out)
{
	struct msp_xfr_conn *c = msp_alloc(1, sizeof(*c));
	enum msp_err err;

	*out = NULL;
	if (c == NULL)
		return MSP_ENOMEM;
	c->loop = loop;
	c->server = *server;
	c->source = *source;
	c->tls = tls != NULL ? msp_tls_ref(tls) : NULL;
	c->user = user;
	c->arg = arg;
	msp_tcp_frame_init(&c->frame);
	err = msp_timer_new(loop, on_time, c, &c->step);
	if (err == MSP_OK)
		err = msp_timer_new(loop, on_time, c, &c->total);
	if (err == MSP_OK)
		err = msp_tcp_connect_tls(loop, server, source, tls, on_connected, on_read, c, &c->tcp);
	if (err != MSP_OK) {
		conn_free(&c);
		return err;
	}
	c->pool = pool;
	if (pool != NULL)
		append(pool, c);
	*out = c;
	return MSP_OK;
}

static bool leads_to(const struct msp_xfr_conn *c, const struct msp_addr *server, const struct msp_addr *source,
		     const struct msp_tls *tls)
{
	return c->tls == tls && msp_addr_equal(&c->server, server) && c->source.family == source->family &&
	       msp_addr_equal(&c->source, source);
}

enum msp_err msp_xfr_conn_take(struct msp_loop *loop, struct msp_xfr_pool *pool, const struct msp_addr *server,
			       const struct msp_addr *source, struct msp_tls *tls, const struct msp_xfr_conn_user *user,
			       void *arg, struct msp_xfr_conn **out)
{
	struct msp_xfr_conn *c = pool != NULL ? pool->first : NULL;

	while (c != NULL && !(c->is_idle && leads_to(c, server, source, tls)))
		c = c->next;
	if (c == NULL)
		return conn_new(loop, pool, server, source, tls, user, arg, out);
	msp_timer_stop(c->step);
	c->is_idle = false;
	pool->idle_count--;
	c->is_reused = true;
	c->user = user;
	c->arg = arg;
	*out = c;
	return MSP_OK;
}

enum msp_err msp_xfr_conn_replace(struct msp_xfr_conn **c)
{
	struct msp_xfr_conn *old = *c;
	enum msp_err err = conn_new(old->loop, old->pool, &old->server, &old->source, old->tls, old->user, old->arg, c);

	conn_free(&old);
	return err;
}

static void drop_longest_idle(struct msp_xfr_pool *pool)
{
	struct msp_xfr_conn *c = pool->first;

	while (!c->is_idle)
		c = c->next;
	conn_free(&c);
}

void msp_xfr_conn_put(struct msp_xfr_conn **c, bool is_clean)
{
	struct msp_xfr_conn *old = *c;
	struct msp_xfr_pool *pool;

	if (old == NULL)
		return;
	pool = old->pool;
	if (!is_clean || pool == NULL || pool->max == 0 || msp_tcp_frame_is_partial(&old->frame)) {
		conn_free(c);
		return;
	}
	*c = NULL;
	*place(pool, old) = old->next;
	append(pool, old);
	msp_timer_stop(old->total);
	msp_timer_start(old->step, pool->idle_ms);
	old->is_idle = true;
	if (++pool->idle_count > pool->max)
		drop_longest_idle(pool);
}

/* --- the pool --- */

enum msp_err msp_xfr_pool_new(struct msp_loop *loop, size_t max, uint32_t idle_ms, struct msp_xfr_pool **out)
{
	struct msp_xfr_pool *pool = msp_alloc(1, sizeof(*pool));

	*out = pool;
	if (pool == NULL)
		return MSP_ENOMEM;
	(void)loop; /* every connection brings its own timers */
	pool->max = max;
	pool->idle_ms = idle_ms;
	return MSP_OK;
}

void msp_xfr_pool_close(struct msp_xfr_pool **pool)
{
	struct msp_xfr_pool *old = *pool;
	struct msp_xfr_conn *c, *next;

	if (old == NULL)
		return;
	*pool = NULL;
	for (c = old->first; c != NULL; c = next) {
		next = c->next;
		if (c->is_idle)
			conn_free(&c);
		else
			c->pool = NULL;
	}
	msp_free(old);
}
