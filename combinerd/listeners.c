/* SPDX-License-Identifier: BSD-2-Clause */
/* Servers by address: a reload opens and closes what differs. */
#include "shell.h"

#include <msproto/base/mem.h>

#define WATERMARK (128u << 10)

struct cmb_listener {
	struct cmb_listener *next;
	struct msp_addr addr; /* as configured */
	int transport;
	struct msp_server *server;
	bool is_wanted, is_new;
};

static struct msp_server_limits limits_of(const struct cmb_conf *conf)
{
	struct msp_server_limits limits = msp_server_limits_default;

	limits.tcp_connections = (size_t)conf->tcp_connections_max;
	limits.tcp_per_client = (size_t)conf->tcp_per_client_max;
	limits.stall_ms = conf->stall_s * 1000;
	limits.write_watermark = WATERMARK; /* a transfer's share of one loop round: others' questions wait behind it */
	return limits;
}

static struct cmb_listener *listener_at(struct cmb_app *app, const struct msp_addr *addr, int transport)
{
	for (struct cmb_listener *l = app->listeners; l != NULL; l = l->next)
		if (l->transport == transport && msp_addr_equal(&l->addr, addr))
			return l;
	return NULL;
}

static enum msp_err open_listener(struct cmb_app *app, const struct msp_addr *addr, int transport, struct msp_tls *tls,
				  const struct msp_server_limits *limits, struct msp_why *why)
{
	struct cmb_listener *l = msp_alloc(1, sizeof(*l));
	enum msp_err err;

	if (l == NULL)
		return MSP_ENOMEM;
	*l = (struct cmb_listener){ .addr = *addr, .transport = transport, .is_wanted = true, .is_new = true };
	if (transport == MSP_TRANSPORT_TLS)
		err = msp_server_open_tls(app->loop, addr, limits, tls, cmb_serve, app, &l->server, why);
	else
		err = msp_server_open(app->loop, addr, limits, cmb_serve, app, &l->server, why);
	if (err != MSP_OK) {
		msp_free(l);
		return err;
	}
	l->next = app->listeners;
	app->listeners = l;
	return MSP_OK;
}

static void close_listeners(struct cmb_app *app, bool (*which)(const struct cmb_listener *l))
{
	struct cmb_listener **at = &app->listeners;

	while (*at != NULL) {
		struct cmb_listener *l = *at;

		if (!which(l)) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		msp_server_close(&l->server);
		msp_free(l);
	}
}

static bool is_any(const struct cmb_listener *l)
{
	(void)l;
	return true;
}

static bool is_unwanted(const struct cmb_listener *l)
{
	return !l->is_wanted;
}

static bool is_new(const struct cmb_listener *l)
{
	return l->is_new;
}

enum msp_err cmb_listeners_open(struct cmb_app *app, const struct cmb_settings *s, struct msp_why *why)
{
	const struct cmb_conf *conf = cmb_settings_conf(s);
	struct msp_server_limits limits = limits_of(conf);
	enum msp_err err = MSP_OK;

	for (struct cmb_listener *l = app->listeners; l != NULL; l = l->next)
		l->is_wanted = l->is_new = false;
	for (size_t i = 0; err == MSP_OK && i < conf->listen.count; i++) {
		const struct msp_conf_listen *c = (const struct msp_conf_listen *)conf->listen.item + i;
		struct msp_addr addr = msp_conf_listen_addr(c);
		struct cmb_listener *l = listener_at(app, &addr, c->transport);

		if (l != NULL)
			l->is_wanted = true;
		else
			err = open_listener(app, &addr, c->transport, cmb_settings_server_tls(s, c->tls), &limits, why);
	}
	if (err != MSP_OK)
		close_listeners(app, is_new);
	return err;
}

void cmb_listeners_settle(struct cmb_app *app)
{
	struct msp_server_limits limits = limits_of(app->conf);

	close_listeners(app, is_unwanted);
	for (size_t i = 0; i < app->conf->listen.count; i++) {
		const struct msp_conf_listen *c = (const struct msp_conf_listen *)app->conf->listen.item + i;
		struct msp_addr addr = msp_conf_listen_addr(c);
		struct cmb_listener *l = listener_at(app, &addr, c->transport);

		if (l == NULL || l->is_new)
			continue;
		msp_server_set_limits(l->server, &limits);
		if (c->transport == MSP_TRANSPORT_TLS)
			msp_server_set_tls(l->server, cmb_settings_server_tls(app->settings, c->tls));
	}
}

void cmb_listeners_close(struct cmb_app *app)
{
	close_listeners(app, is_any);
}

struct msp_server_stats cmb_shell_server_stats(const struct cmb_app *app)
{
	struct msp_server_stats sum = { 0 };

	for (const struct cmb_listener *l = app->listeners; l != NULL; l = l->next) {
		struct msp_server_stats s = msp_server_stats(l->server);

		sum.udp_in += s.udp_in;
		sum.udp_short += s.udp_short;
		sum.tcp_accepted += s.tcp_accepted;
		sum.tcp_refused += s.tcp_refused;
		sum.tcp_in += s.tcp_in;
		sum.tcp_framing_errors += s.tcp_framing_errors;
		sum.replies += s.replies;
		sum.udp_overrun += s.udp_overrun;
		sum.tls_failed += s.tls_failed;
		sum.queued_max = s.queued_max > sum.queued_max ? s.queued_max : sum.queued_max;
	}
	return sum;
}
