/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/kit/daemon.h>

#include <msproto/io/resolve.h>

#include "io/unixsock.h"
#include "kit/privilege.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_GOOD  0
#define EXIT_BAD   1
#define EXIT_USAGE 2
#define ERRORS_MAX (1u << 20)

struct options {
	const char *conf_path, *user;
	bool check, verbose, version;
};

struct daemon {
	const struct msp_daemon_ops *ops;
	struct msp_loop *loop;
	struct msp_log log;
	struct msp_log_gathered lines; /* while the loop runs */
	struct msp_signal *term, *intr, *hup;
	void *app;
	bool stopping;
};

/* systemd's readiness protocol, sd_notify(3). Without NOTIFY_SOCKET there is nobody to tell. */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (path && (path[0] == '/' || path[0] == '@'))
		(void)msp_usock_datagram(path, state);
}

static int usage(const char *name)
{
	(void)fprintf(stderr, "usage: %s -c FILE [-n] [-v] [-u USER]\n       %s -V\n", name, name);
	return EXIT_USAGE;
}

static bool parse_options(int argc, char **argv, struct options *o)
{
	int c;

	optind = 1;
	while ((c = getopt(argc, argv, "c:nvVu:")) != -1) {
		switch (c) {
		case 'c':
			o->conf_path = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'V':
			o->version = true;
			break;
		case 'u':
			o->user = optarg;
			break;
		default:
			return false;
		}
	}
	return optind == argc && (o->conf_path || o->version);
}

static int check(const struct msp_daemon_ops *ops, const char *conf_path)
{
	struct msp_buf errors;
	enum msp_err err;

	msp_buf_init(&errors, ERRORS_MAX);
	err = ops->check(conf_path, &errors);
	(void)fprintf(stderr, "%s%s", msp_buf_text(&errors),
		      errors.len > 0 || err == MSP_OK ? "" : "configuration is not usable\n");
	msp_buf_fini(&errors);
	return err == MSP_OK ? EXIT_GOOD : EXIT_BAD;
}

static void stop(void *arg)
{
	struct daemon *d = arg;

	if (d->stopping)
		return;
	d->stopping = true;
	msp_log(&d->log, MSP_LOG_NOTICE, "daemon-stop", MSP_F_STR("name", d->ops->name));
	notify("STOPPING=1");
	d->ops->stop(d->app);
	msp_signal_close(&d->term);
	msp_signal_close(&d->intr);
	msp_signal_close(&d->hup);
	msp_loop_stop(d->loop); /* msp_loop_free runs it until the last handle has closed */
}

static void reload(void *arg)
{
	struct daemon *d = arg;
	struct msp_why why = { "" };
	enum msp_err err;

	if (!d->ops->reload)
		return;
	notify("RELOADING=1");
	err = d->ops->reload(d->app, &why);
	if (err == MSP_OK)
		msp_log(&d->log, MSP_LOG_NOTICE, "daemon-reload", MSP_F_STR("name", d->ops->name));
	else /* STYLE: the old configuration stays in force */
		msp_log(&d->log, MSP_LOG_ERROR, "daemon-reload-failed", MSP_F_STR("error", msp_err_name(err)),
			MSP_F_STR("why", why.text));
	notify("READY=1");
}

static enum msp_err catch_signals(struct daemon *d)
{
	enum msp_err err = msp_signal_new(d->loop, SIGTERM, stop, d, &d->term);

	if (err == MSP_OK)
		err = msp_signal_new(d->loop, SIGINT, stop, d, &d->intr);
	if (err == MSP_OK) /* caught even without reload: its default action would end the daemon */
		err = msp_signal_new(d->loop, SIGHUP, reload, d, &d->hup);
	return err;
}

static enum msp_err start(struct daemon *d, const struct options *o, struct msp_why *why)
{
	enum msp_err err = o->user ? privilege_become(o->user, why) : MSP_OK;

	if (err == MSP_OK)
		err = msp_daemon_confine(why);
	if (err == MSP_OK)
		err = msp_loop_new(&d->log, &d->loop);
	if (err == MSP_OK)
		err = catch_signals(d);
	if (err == MSP_OK)
		err = d->ops->start(d->loop, &d->log, o->conf_path, &d->app, why);
	return err;
}

static int run(const struct msp_daemon_ops *ops, const struct options *o)
{
	struct daemon d = { .ops = ops };
	struct msp_why why = { "" };
	enum msp_err err;

	(void)umask(027);
	msp_log_init_stderr(&d.log, o->verbose ? MSP_LOG_DEBUG : MSP_LOG_INFO, false);
	err = start(&d, o, &why);
	if (err == MSP_OK) {
		msp_log(&d.log, MSP_LOG_NOTICE, "daemon-ready", MSP_F_STR("name", ops->name),
			MSP_F_STR("version", MSP_VERSION));
		notify("READY=1");
		msp_log_gather(&d.log, &d.lines);
		msp_loop_run(d.loop);
	} else {
		msp_log(&d.log, MSP_LOG_ERROR, "daemon-start-failed", MSP_F_STR("error", msp_err_name(err)),
			MSP_F_STR("why", why.text[0] ? why.text : msp_err_text(err)));
		if (d.app)
			ops->stop(d.app);
		msp_signal_close(&d.term);
		msp_signal_close(&d.intr);
		msp_signal_close(&d.hup);
	}
	msp_log_gather(&d.log, NULL);
	if (d.loop)
		msp_loop_free(&d.loop);
	if (d.app)
		ops->free(&d.app);
	return err == MSP_OK ? EXIT_GOOD : EXIT_BAD;
}

int msp_daemon_main(int argc, char **argv, const struct msp_daemon_ops *ops)
{
	struct options o = { NULL, NULL, false, false, false };

	if (argc > 1 && strcmp(argv[1], "--resolver-worker") == 0)
		return msp_resolver_worker(argc, argv);
	if (!parse_options(argc, argv, &o))
		return usage(ops->name);
	if (o.version)
		return printf("%s %s\n", ops->name, MSP_VERSION) > 0 ? EXIT_GOOD : EXIT_BAD;
	return o.check ? check(ops, o.conf_path) : run(ops, &o);
}

enum msp_err msp_daemon_self_path(char *out, size_t len)
{
	static const char gone[] = " (deleted)";
	ssize_t n = len ? readlink("/proc/self/exe", out, len) : -1;

	if (n < 0 || (size_t)n >= len)
		return MSP_EIO;
	out[n] = '\0';
	/* Replaced by an upgrade: the running image, not the new one, is what speaks our worker protocol. */
	if ((size_t)n >= sizeof(gone) && strcmp(out + (size_t)n - (sizeof(gone) - 1), gone) == 0)
		(void)snprintf(out, len, "/proc/self/exe");
	return MSP_OK;
}
