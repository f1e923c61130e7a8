/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * combinerd: takes the zone owner's zones in, hands them on with the agent's apex RRsets, changes nothing else.
 *
 * A reload checks the new configuration, closes everything, and opens it anew from what is on disk once the last
 * transfer out has ended; instructions, serials and zones are durable, so nothing but milliseconds are lost. A bad file
 * changes nothing. What no check can foresee (an address that is taken) is tried again until it works.
 */
#include "shell.h"

#include <msproto/base/mem.h>
#include <msproto/kit/daemon.h>

#define ERRORS_MAX 65536
#define DRAIN_MS   2
#define AGAIN_MS   1000

struct daemon {
	struct msp_loop *loop;
	struct msp_log *log;
	char *conf_path;  /* owned */
	void *app;        /* struct cmb_app; NULL while a reload could not open it again */
	bool is_draining; /* stopped for a reload, waiting for its transfers to end or to be opened again */
	struct msp_timer *drain;
};

static void reopen(void *arg)
{
	struct daemon *d = arg;
	struct msp_why why = { "" };
	enum msp_err err;

	if (d->app != NULL && ((struct cmb_app *)d->app)->stream_count != 0) {
		msp_timer_start(d->drain, DRAIN_MS);
		return;
	}
	cmb_shell_free(&d->app);
	err = cmb_shell_start(d->loop, d->log, d->conf_path, &d->app, &why);
	d->is_draining = err != MSP_OK;
	if (err == MSP_OK)
		return;
	d->app = NULL;
	msp_log(d->log, MSP_LOG_ERROR, "reload-failed", MSP_F_STR("error", msp_err_text(err)),
		MSP_F_STR("why", why.text), MSP_F_STR("effect", "nothing is served, trying again"));
	msp_timer_start(d->drain, AGAIN_MS);
}

static enum msp_err reload(void *arg, struct msp_why *why)
{
	struct daemon *d = arg;
	struct msp_buf errors;
	enum msp_err err;

	if (d->is_draining)
		return MSP_OK; /* it will read the file as it is then */
	msp_buf_init(&errors, ERRORS_MAX);
	err = cmb_shell_check_keys(d->conf_path, &errors);
	if (err != MSP_OK)
		(void)msp_fail(why, err, "%.200s", msp_buf_text(&errors));
	msp_buf_fini(&errors);
	if (err != MSP_OK)
		return err;
	cmb_shell_stop(d->app);
	d->is_draining = true;
	msp_timer_start(d->drain, 0);
	return MSP_OK;
}

static void stop(void *arg)
{
	struct daemon *d = arg;

	msp_timer_close(&d->drain);
	if (d->app != NULL && !d->is_draining)
		cmb_shell_stop(d->app);
}

static void daemon_free(void **arg)
{
	struct daemon *d = *arg;

	if (d == NULL)
		return;
	cmb_shell_free(&d->app);
	msp_free(d->conf_path);
	msp_free(d);
	*arg = NULL;
}

static enum msp_err start(struct msp_loop *loop, struct msp_log *log, const char *conf_path, void **out,
			  struct msp_why *why)
{
	struct daemon *d = msp_alloc(1, sizeof(*d));
	void *v = d;
	enum msp_err err = d != NULL ? MSP_OK : MSP_ENOMEM;

	if (err != MSP_OK)
		return err;
	d->loop = loop;
	d->log = log;
	d->conf_path = msp_strdup(conf_path);
	err = d->conf_path != NULL ? msp_timer_new(loop, reopen, d, &d->drain) : MSP_ENOMEM;
	if (err == MSP_OK)
		err = cmb_shell_start(loop, log, conf_path, &d->app, why);
	if (err != MSP_OK) {
		d->app = NULL;
		msp_timer_close(&d->drain);
		daemon_free(&v);
		return err;
	}
	*out = d;
	return MSP_OK;
}

int main(int argc, char **argv)
{
	static const struct msp_daemon_ops ops = {
		.name = "combinerd",
		.check = cmb_shell_check,
		.start = start,
		.reload = reload,
		.stop = stop,
		.free = daemon_free,
	};

	return msp_daemon_main(argc, argv, &ops);
}
