/* SPDX-License-Identifier: BSD-2-Clause */
/* TLSA records for the TLS contexts of the settings: a resolver is started only when one of them needs it. */
#include "shell.h"

#include "tlsa.h"

#include <msproto/io/resolve.h>
#include <msproto/kit/daemon.h>

#define DNS_PORT 53
#define PATH_LEN 4096

static enum msp_err ask(void *arg, const struct msp_name *name, uint16_t type, msp_resolve_fn *cb, void *cb_arg)
{
	return msp_resolver_ask(arg, name, type, cb, cb_arg);
}

static enum msp_err open_resolver(struct cmb_app *app, struct msp_why *why)
{
	const struct cmb_conf_resolver *r = &app->conf->resolver;
	struct msp_resolver_conf c = { .trust_anchor_file = r->trust_anchor_file, .timeout_ms = r->timeout_s * 1000 };
	char self[PATH_LEN];
	enum msp_err err = msp_daemon_self_path(self, sizeof(self));

	c.worker_path = self;
	for (size_t i = 0; err == MSP_OK && i < r->root_servers.count; i++)
		err = msp_addr_parse(r->root_servers.item[i], DNS_PORT, &c.root_server[c.root_server_count++]);
	return err == MSP_OK ? msp_resolver_open(app->loop, &c, &app->resolver, why) : err;
}

static enum msp_err open_tlsa(struct cmb_app *app, struct msp_why *why)
{
	struct cmb_tlsa_params p = { .loop = app->loop, .ask = ask };
	enum msp_err err = open_resolver(app, why);

	if (err != MSP_OK)
		return err;
	p.ask_arg = app->resolver;
	return cmb_tlsa_open(&p, &app->tlsa);
}

struct adding {
	struct cmb_app *app;
	struct msp_why *why;
};

static enum msp_err add(void *arg, struct msp_tls *tls, const char *auth_name)
{
	struct adding *a = arg;
	enum msp_err err = a->app->tlsa == NULL ? open_tlsa(a->app, a->why) : MSP_OK;

	if (err == MSP_OK)
		err = cmb_tlsa_add(a->app->tlsa, tls, auth_name);
	if (err != MSP_OK && a->why->text[0] == '\0')
		(void)msp_fail(a->why, err, "TLSA of %.150s: %s", auth_name, msp_err_text(err));
	return err;
}

static enum msp_err leave(void *arg, struct msp_tls *tls, const char *auth_name)
{
	const struct cmb_app *app = arg;

	(void)auth_name;
	cmb_tlsa_remove(app->tlsa, tls);
	return MSP_OK;
}

enum msp_err cmb_trust_open(struct cmb_app *app, struct msp_why *why)
{
	struct adding a = { app, why };

	return cmb_settings_each_tlsa(app->settings, add, &a);
}

void cmb_trust_leave(struct cmb_app *app, const struct cmb_settings *old)
{
	if (app->tlsa != NULL && cmb_settings_each_tlsa(old, leave, app) != MSP_OK) {
		/* cannot be: leave() never fails */
	}
}

void cmb_trust_doubt(struct cmb_app *app, const struct msp_tls *tls)
{
	if (app->tlsa != NULL && tls != NULL)
		cmb_tlsa_doubt(app->tlsa, tls);
}

void cmb_trust_close(struct cmb_app *app)
{
	if (app->resolver != NULL)
		msp_resolver_close(&app->resolver);
	cmb_tlsa_close(&app->tlsa);
}
