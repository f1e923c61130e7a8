/* SPDX-License-Identifier: BSD-2-Clause */
/* Servers by address: a reload opens what is new before it closes what is not wanted any more. */
#include "receive.h"

#include <msproto/base/mem.h>

struct listener {
	struct msp_addr addr; /* as configured */
	struct msp_server *server;
	bool is_wanted, is_new;
};
struct prt_listeners {
	struct listener at[2 * PRT_LISTEN_MAX]; /* old and new ones during a reload */
	size_t count;
};

static struct msp_server_limits limits_of(const struct prt_conf *conf)
{
	struct msp_server_limits limits = msp_server_limits_default;

	limits.tcp_connections = (size_t)conf->limits.tcp_connections;
	limits.tcp_per_client = (size_t)conf->limits.tcp_per_client;
	limits.outstanding_per_conn = (size_t)conf->limits.tcp_outstanding;
	return limits;
}

static void close_where(struct prt_listeners *ls, bool (*which)(const struct listener *l))
{
	size_t kept = 0;

	for (size_t i = 0; i < ls->count; i++) {
		if (which(&ls->at[i]))
			msp_server_close(&ls->at[i].server);
		else
			ls->at[kept++] = ls->at[i];
	}
	ls->count = kept;
}

static bool is_any(const struct listener *l)
{
	return l->server != NULL;
}

static bool is_unwanted(const struct listener *l)
{
	return !l->is_wanted;
}

static bool is_new(const struct listener *l)
{
	return l->is_new;
}

static struct listener *listener_at(struct prt_listeners *ls, const struct msp_addr *addr)
{
	for (size_t i = 0; i < ls->count; i++)
		if (msp_addr_equal(&ls->at[i].addr, addr))
			return &ls->at[i];
	return NULL;
}

static enum msp_err open_one(struct prt_app *app, const struct msp_addr *addr, const struct msp_server_limits *limits,
			     struct msp_why *why)
{
	struct prt_listeners *ls = app->listeners;
	struct listener *l = &ls->at[ls->count];
	enum msp_err err;

	*l = (struct listener){ .addr = *addr, .is_wanted = true, .is_new = true };
	err = msp_server_open(app->loop, addr, limits, prt_receive, app, &l->server, why);
	ls->count += err == MSP_OK;
	return err;
}

enum msp_err prt_listeners_open(struct prt_app *app, const struct prt_settings *s, struct msp_why *why)
{
	const struct prt_conf *conf = prt_settings_conf(s);
	const struct msp_conf_listen *c = conf->listen.item;
	struct msp_server_limits limits = limits_of(conf);
	enum msp_err err = MSP_OK;

	if (app->listeners == NULL)
		app->listeners = msp_alloc(1, sizeof(*app->listeners));
	if (app->listeners == NULL)
		return MSP_ENOMEM;
	for (size_t i = 0; i < app->listeners->count; i++)
		app->listeners->at[i].is_wanted = app->listeners->at[i].is_new = false;
	for (size_t i = 0; err == MSP_OK && i < conf->listen.count; i++) {
		struct msp_addr addr = msp_conf_listen_addr(&c[i]);
		struct listener *l = listener_at(app->listeners, &addr);

		if (l != NULL)
			l->is_wanted = true;
		else
			err = open_one(app, &addr, &limits, why);
	}
	if (err != MSP_OK)
		close_where(app->listeners, is_new);
	return err;
}

void prt_listeners_settle(struct prt_app *app)
{
	struct msp_server_limits limits = limits_of(app->conf);

	close_where(app->listeners, is_unwanted);
	for (size_t i = 0; i < app->listeners->count; i++)
		msp_server_set_limits(app->listeners->at[i].server, &limits);
}

void prt_listeners_close(struct prt_app *app)
{
	if (app->listeners != NULL)
		close_where(app->listeners, is_any);
	msp_free(app->listeners);
	app->listeners = NULL;
}

struct msp_server_stats prt_listeners_stats(const struct prt_app *app)
{
	struct msp_server_stats sum = { 0 };

	for (size_t i = 0; app->listeners != NULL && i < app->listeners->count; i++) {
		struct msp_server_stats s = msp_server_stats(app->listeners->at[i].server);

		sum.udp_in += s.udp_in;
		sum.udp_short += s.udp_short;
		sum.tcp_accepted += s.tcp_accepted;
		sum.tcp_refused += s.tcp_refused;
		sum.tcp_in += s.tcp_in;
		sum.tcp_framing_errors += s.tcp_framing_errors;
		sum.replies += s.replies;
		sum.udp_overrun += s.udp_overrun;
		sum.queued_max = s.queued_max > sum.queued_max ? s.queued_max : sum.queued_max;
	}
	return sum;
}
