/* SPDX-License-Identifier: BSD-2-Clause */
/* msad: options, configuration, open, run. A reload closes the agent and opens it anew from its durable state, under a
 * configuration that was checked first; if the new one cannot be opened, the old one is. */
#include "conf.h"
#include "ctl.h"
#include "shell.h"

#include <msproto/base/mem.h>
#include <msproto/kit/control.h>
#include <msproto/kit/daemon.h>

#include <string.h>

#define ERRORS_MAX 65536

struct app {
	struct msp_loop *loop;
	struct msp_log *log;
	char *conf_path;       /* owned */
	struct msa_conf *conf; /* owned */
	struct msa_shell *shell;
	struct msp_control *control;
};

static enum msp_err check(const char *conf_path, struct msp_buf *errors)
{
	struct msa_conf conf;
	enum msp_err err = msa_conf_load(conf_path, &conf, errors);

	if (err == MSP_OK)
		msp_conf_fini(&msa_conf_schema, &conf);
	return err;
}

static void conf_free(struct msa_conf **conf)
{
	if (*conf != NULL)
		msp_conf_fini(&msa_conf_schema, *conf);
	msp_free(*conf);
	*conf = NULL;
}

static enum msp_err conf_new(const char *path, struct msa_conf **out, struct msp_why *why)
{
	struct msa_conf *conf = msp_alloc(1, sizeof(*conf));
	struct msp_buf errors;
	enum msp_err err = conf != NULL ? MSP_OK : MSP_ENOMEM;

	msp_buf_init(&errors, ERRORS_MAX);
	if (err == MSP_OK)
		err = msa_conf_load(path, conf, &errors);
	if (err == MSP_OK)
		*out = conf;
	else {
		(void)msp_fail(why, err, "%s", msp_buf_text(&errors));
		msp_free(conf);
	}
	msp_buf_fini(&errors);
	return err;
}

static void stop(void *arg)
{
	struct app *app = arg;

	msp_control_close(&app->control);
	msa_shell_close(&app->shell);
}

static void app_free(void **arg)
{
	struct app *app = *arg;

	if (app == NULL)
		return;
	conf_free(&app->conf);
	msp_free(app->conf_path);
	msp_free(app);
	*arg = NULL;
}

static enum msp_err start(struct msp_loop *loop, struct msp_log *log, const char *conf_path, void **out,
			  struct msp_why *why)
{
	struct app *app = msp_alloc(1, sizeof(*app));
	void *v = app;
	enum msp_err err = app != NULL ? MSP_OK : MSP_ENOMEM;

	if (err != MSP_OK)
		return err;
	app->loop = loop;
	app->log = log;
	app->conf_path = msp_strdup(conf_path);
	if (app->conf_path == NULL)
		err = MSP_ENOMEM;
	if (err == MSP_OK)
		err = conf_new(conf_path, &app->conf, why);
	if (err == MSP_OK) {
		log->level = (enum msp_log_level)app->conf->log_level;
		err = msa_shell_open(loop, log, app->conf, &app->shell, why);
	}
	if (err == MSP_OK)
		err = msp_control_open(loop, app->conf->control, msa_commands, &app->shell, &app->control, why);
	if (err != MSP_OK) {
		stop(app);
		app_free(&v);
		return err;
	}
	*out = app;
	return MSP_OK;
}

static enum msp_err reload(void *arg, struct msp_why *why)
{
	struct app *app = arg;
	struct msa_conf *fresh = NULL;
	struct msp_why again = { "" };
	enum msp_err err = conf_new(app->conf_path, &fresh, why);

	if (err != MSP_OK)
		return err;
	if (strcmp(fresh->control, app->conf->control) != 0)
		msp_log(app->log, MSP_LOG_WARNING, "reload", MSP_F_STR("ignored", "control: takes a restart"));
	msa_shell_close(&app->shell);
	err = msa_shell_open(app->loop, app->log, fresh, &app->shell, why);
	if (err == MSP_OK) {
		conf_free(&app->conf);
		app->conf = fresh;
		app->log->level = (enum msp_log_level)fresh->log_level;
		return MSP_OK;
	}
	conf_free(&fresh);
	if (msa_shell_open(app->loop, app->log, app->conf, &app->shell, &again) != MSP_OK) {
		msp_log(app->log, MSP_LOG_ERROR, "reload-failed", MSP_F_STR("why", again.text));
		msp_control_close(&app->control); /* a command would find no agent */
		msp_loop_stop(app->loop);         /* neither works: the supervisor starts us afresh */
	}
	return err;
}

int main(int argc, char **argv)
{
	static const struct msp_daemon_ops ops = {
		.name = "msad", .check = check, .start = start, .reload = reload, .stop = stop, .free = app_free
	};

	return msp_daemon_main(argc, argv, &ops);
}
