/* SPDX-License-Identifier: BSD-2-Clause */
#include "shell.h"

#include "backend.h"
#include "follow.h"
#include "publish.h"
#include "receive.h"

#include <msproto/base/mem.h>
#include <msproto/kit/daemon.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define ERRORS_MAX  (64u << 10)
#define LOG_SOURCES 4096
#define LOG_PER_S   1
#define LOG_BURST   10
#define DNS_PORT    53

enum msp_err prt_shell_check(const char *conf_path, struct msp_buf *errors)
{
	struct prt_conf conf;
	enum msp_err err = prt_conf_load(conf_path, &conf, errors);

	if (err == MSP_OK) {
		prt_conf_advise(&conf, errors);
		msp_conf_fini(&prt_conf_schema, &conf);
	}
	return err;
}

static enum msp_err load_settings(const char *path, struct prt_settings **out, struct msp_why *why)
{
	struct msp_buf errors;
	enum msp_err err;

	msp_buf_init(&errors, ERRORS_MAX);
	err = prt_settings_load(path, out, &errors);
	if (err != MSP_OK)
		err = msp_fail(why, err, "%.*s", (int)strcspn(msp_buf_text(&errors), "\n"), msp_buf_text(&errors));
	msp_buf_fini(&errors);
	return err;
}

static void use_settings(struct prt_app *app, struct prt_settings *s)
{
	app->settings = s;
	app->conf = prt_settings_conf(s);
	app->log->level = (enum msp_log_level)app->conf->log_level;
}

/* --- start -------------------------------------------------------------------------------------------------------- */

static enum msp_err open_books(struct prt_app *app, struct msp_why *why)
{
	struct prt_store_where where = { .kind = (enum prt_store_kind)app->conf->store_kind,
					 .path = app->conf->store_path };
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/parentd.db", app->conf->state_dir);

	if (where.path == NULL) {
		if (n < 0 || (size_t)n >= sizeof(path))
			return msp_fail(why, MSP_ECONF, "state-dir is too long");
		where.path = path;
	}
	return prt_books_open(app->loop, &where, 0, &app->books, why);
}

static enum msp_err open_resolver(struct prt_app *app, struct msp_why *why)
{
	const struct prt_conf_resolver *r = &app->conf->resolver;
	struct msp_resolver_conf c = { .trust_anchor_file = r->trust_anchor_file, .timeout_ms = r->timeout_s * 1000 };
	char path[PATH_MAX];
	enum msp_err err = msp_daemon_self_path(path, sizeof(path));

	c.worker_path = path;
	for (; err == MSP_OK && c.root_server_count < r->root_servers.count; c.root_server_count++)
		err = msp_addr_parse(r->root_servers.item[c.root_server_count], DNS_PORT,
				     &c.root_server[c.root_server_count]);
	return err == MSP_OK ? msp_resolver_open(app->loop, &c, &app->resolver, why) : err;
}

static struct prt_probe_conf probe_conf(const struct prt_conf *c)
{
	/* Scans and checks of changes have their own limits, each this much: neither waits behind the other. */
	return (struct prt_probe_conf){ .source4 = c->probe_source4,
					.source6 = c->probe_source6,
					.ipv4 = c->probe_ipv4,
					.ipv6 = c->probe_ipv6,
					.port = (uint16_t)c->probe_port,
					.timeout_ms = c->probe_timeout_s * 1000,
					.in_flight_max = 2 * (unsigned)c->limits.scans_in_flight };
}

static enum msp_err open_parts(struct prt_app *app)
{
	struct prt_probe_conf probe = probe_conf(app->conf);
	enum msp_err err = prt_prober_new(app->loop, app->resolver, &probe, &app->prober);
	struct msp_why why = { "" };

	if (err == MSP_OK)
		err = prt_receiver_open(app, &app->receiver);
	if (err == MSP_OK)
		err = prt_follow_open(app, &app->follow);
	if (err == MSP_OK)
		err = prt_backends_open(app, &app->backends, &why);
	if (err == MSP_OK)
		err = prt_importer_open(app, &app->importer);
	return err == MSP_OK ? prt_publisher_open(app, &app->publisher) : err;
}

static enum msp_err open_outside(struct prt_app *app, struct msp_why *why)
{
	enum msp_err err = prt_listeners_open(app, app->settings, why);

	if (err == MSP_OK)
		err = prt_ctl_open(app);
	if (err == MSP_OK && app->conf->control != NULL)
		err = msp_control_open(app->loop, app->conf->control, prt_commands, app, &app->control, why);
	return err == MSP_OK ? prt_metrics_open(app, why) : err;
}

static enum msp_err start(struct prt_app *app, struct msp_why *why)
{
	struct prt_settings *settings = NULL;
	enum msp_err err = load_settings(app->conf_path, &settings, why);

	if (err != MSP_OK)
		return err;
	use_settings(app, settings);
	err = msp_bucket_new(LOG_SOURCES, LOG_PER_S, LOG_BURST, &app->log_budget);
	if (err == MSP_OK)
		err = open_books(app, why);
	if (err == MSP_OK)
		err = open_resolver(app, why);
	if (err == MSP_OK)
		err = open_parts(app);
	return err == MSP_OK ? open_outside(app, why) : err;
}

enum msp_err prt_shell_start(struct msp_loop *loop, struct msp_log *log, const char *conf_path, void **out,
			     struct msp_why *why)
{
	struct prt_app *app = msp_alloc(1, sizeof(*app));
	enum msp_err err;

	if (app == NULL)
		return MSP_ENOMEM;
	app->loop = loop;
	app->log = log;
	app->started = msp_wall_now();
	msp_rand_init_system(&app->rand);
	app->conf_path = msp_strdup(conf_path);
	err = app->conf_path != NULL ? start(app, why) : MSP_ENOMEM;
	if (err != MSP_OK) {
		if (why->text[0] == '\0')
			(void)msp_fail(why, err, "%s", msp_err_text(err));
		prt_shell_stop(app);
		prt_shell_free((void **)&app);
		return err;
	}
	*out = app;
	return MSP_OK;
}

/* --- reload ------------------------------------------------------------------------------------------------------- */

static bool text_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void say_needs_restart(struct prt_app *app, const struct prt_conf *old)
{
	const struct prt_conf *conf = app->conf;

	if (!text_same(old->state_dir, conf->state_dir) || !text_same(old->store_path, conf->store_path) ||
	    old->store_kind != conf->store_kind)
		msp_log(app->log, MSP_LOG_WARNING, "needs-restart", MSP_F_STR("setting", "store"));
	if (!text_same(old->resolver.trust_anchor_file, conf->resolver.trust_anchor_file) ||
	    old->resolver.root_servers.count != conf->resolver.root_servers.count ||
	    old->resolver.timeout_s != conf->resolver.timeout_s)
		msp_log(app->log, MSP_LOG_WARNING, "needs-restart", MSP_F_STR("setting", "resolver"));
}

static void reload_outside(struct prt_app *app, const struct prt_conf *old)
{
	const char *control = app->conf->control;
	bool same = text_same(control, old->control);
	struct msp_why why = { "" };

	prt_listeners_settle(app);
	if (!same && app->control != NULL)
		msp_control_close(&app->control);
	if (!same && control != NULL &&
	    msp_control_open(app->loop, control, prt_commands, app, &app->control, &why) != MSP_OK)
		msp_log(app->log, MSP_LOG_ERROR, "control-failed", MSP_F_STR("why", why.text));
	if (prt_metrics_open(app, &why) != MSP_OK)
		msp_log(app->log, MSP_LOG_ERROR, "metrics-failed", MSP_F_STR("why", why.text));
}

enum msp_err prt_shell_reload(void *arg, struct msp_why *why)
{
	struct prt_app *app = arg;
	struct prt_settings *old = app->settings, *settings = NULL;
	struct prt_probe_conf probe;
	enum msp_err err = load_settings(app->conf_path, &settings, why);

	if (err == MSP_OK)
		err = prt_listeners_open(app, settings, why);
	if (err != MSP_OK) {
		prt_settings_unref(&settings);
		return err;
	}
	use_settings(app, settings);
	say_needs_restart(app, prt_settings_conf(old));
	probe = probe_conf(app->conf);
	prt_prober_set(app->prober, &probe);
	prt_receiver_renew(app->receiver);
	prt_follow_renew(app->follow);
	prt_backends_renew(app->backends);
	prt_importer_renew(app->importer);
	prt_publisher_renew(app->publisher);
	reload_outside(app, prt_settings_conf(old));
	prt_settings_unref(&old); /* requests and jobs under way hold the one that they began with */
	return MSP_OK;
}

/* --- stop --------------------------------------------------------------------------------------------------------- */

void prt_shell_stop(void *arg)
{
	struct prt_app *app = arg;

	prt_listeners_close(app);
	if (app->control != NULL)
		msp_control_close(&app->control);
	prt_ctl_close(app);
	prt_metrics_close(app);
	prt_publisher_close(&app->publisher);
	prt_importer_close(&app->importer);
	prt_backends_close(&app->backends);
	prt_receiver_close(&app->receiver);
	prt_follow_close(&app->follow);
	prt_prober_free(&app->prober);
	if (app->resolver != NULL)
		msp_resolver_close(&app->resolver);
	prt_books_close(&app->books);
	prt_receiver_close(&app->receiver); /* again: what the books held has come back */
}

void prt_shell_free(void **arg)
{
	struct prt_app *app = *arg;

	if (app == NULL)
		return;
	msp_bucket_free(&app->log_budget);
	prt_settings_unref(&app->settings);
	msp_free(app->conf_path);
	msp_free(app);
	*arg = NULL;
}
