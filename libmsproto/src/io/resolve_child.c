/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/resolve_child.h"

#include <msproto/base/mem.h>

#include "io/loop_priv.h"

#include <signal.h>
#include <stdio.h>

#define LINGER_MS     3000 /* for a worker that was told to end */
#define WORKER_FD     3
#define ROOTS_MAX     16
#define ARGS_MAX      (8 + 2 * ROOTS_MAX)
#define ADDR_TEXT_MAX 64

struct resolve_child {
	struct msp_loop *loop;
	resolve_reply_fn *reply;
	resolve_lost_fn *lost;
	void *arg; /* borrowed while attached */
	bool attached, running;
	unsigned open_handles;
	uv_process_t process;
	uv_pipe_t pipe;
	uv_timer_t linger;
	struct msp_buf in;
};

static void handle_closed(uv_handle_t *h)
{
	struct resolve_child *c = h->data;

	if (--c->open_handles > 0)
		return;
	msp_buf_fini(&c->in);
	msp_free(c);
}

static void linger_over(uv_timer_t *t)
{
	struct resolve_child *c = t->data;

	if (c->running)
		(void)uv_process_kill(&c->process, SIGKILL);
}

void resolve_child_give_up(struct resolve_child **cp, bool kill)
{
	struct resolve_child *c = *cp;

	*cp = NULL;
	if (!c || !c->attached)
		return;
	c->attached = false;
	uv_close((uv_handle_t *)&c->pipe, handle_closed);
	if (c->running && kill)
		(void)uv_process_kill(&c->process, SIGKILL);
	else if (c->running)
		(void)uv_timer_start(&c->linger, linger_over, LINGER_MS, 0);
}

static void lose(struct resolve_child *c, const char *why)
{
	struct resolve_child *gone = c;

	resolve_child_give_up(&gone, true);
	c->lost(c->arg, why);
}

static void process_is_over(struct resolve_child *c)
{
	c->running = false;
	uv_close((uv_handle_t *)&c->process, handle_closed);
	uv_close((uv_handle_t *)&c->linger, handle_closed);
}

static void exited(uv_process_t *process, int64_t status, int signum)
{
	struct resolve_child *c = process->data;
	char why[64];

	process_is_over(c);
	if (!c->attached)
		return;
	if (signum)
		(void)snprintf(why, sizeof(why), "resolver worker died of signal %d", signum);
	else
		(void)snprintf(why, sizeof(why), "resolver worker exited with status %lld", (long long)status);
	lose(c, why);
}

/* ---- what it says ---- */

static void give_octets(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct resolve_child *c = h->data;

	(void)suggested;
	*buf = uv_buf_init((char *)c->loop->octets, MSP_LOOP_OCTETS);
}

static void got_octets(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct resolve_child *c = s->data;
	struct resolve_reply reply;
	struct msp_span payload;
	enum msp_err err;

	if (n == 0)
		return;
	if (n < 0) { /* its exit status would tell more, but it may as well live on without a pipe */
		lose(c, "resolver worker closed its pipe");
		return;
	}
	msp_buf_add(&c->in, buf->base, (size_t)n);
	err = c->in.err;
	while (c->attached && err == MSP_OK) {
		err = resolve_frame(msp_buf_span(&c->in), RESOLVE_REPLY_MAX, &payload);
		if (err == MSP_OK)
			err = resolve_reply_read(payload, &reply);
		else if (err == MSP_ETRUNC)
			return; /* the rest of the frame is to come */
		if (err != MSP_OK)
			break;
		msp_buf_consume(&c->in, RESOLVE_FRAME_HEAD + payload.len);
		c->reply(c->arg, &reply);
	}
	if (c->attached)
		lose(c, "resolver worker sent a malformed answer");
}

/* ---- what it is told ---- */

struct ask_write {
	uv_write_t write;
	struct msp_buf buf;
};

static void ask_written(uv_write_t *w, int status)
{
	struct ask_write *a = w->data;

	(void)status; /* a broken pipe shows on the reading side, too */
	msp_buf_fini(&a->buf);
	msp_free(a);
}

enum msp_err resolve_child_send(struct resolve_child *c, const struct resolve_ask *ask)
{
	struct ask_write *a = msp_alloc(1, sizeof(*a));
	enum msp_err err;
	uv_buf_t b;

	if (!a)
		return MSP_ENOMEM;
	a->write.data = a;
	msp_buf_init(&a->buf, RESOLVE_FRAME_HEAD + RESOLVE_ASK_MAX);
	err = resolve_ask_write(ask, &a->buf);
	if (err == MSP_OK) {
		b = uv_buf_init((char *)a->buf.ptr, (unsigned)a->buf.len);
		if (uv_write(&a->write, (uv_stream_t *)&c->pipe, &b, 1, ask_written) != 0)
			err = MSP_ENET;
	}
	if (err != MSP_OK) {
		msp_buf_fini(&a->buf);
		msp_free(a);
	}
	return err;
}

/* ---- starting ---- */

struct args {
	char timeout[16];
	char root[ROOTS_MAX][ADDR_TEXT_MAX];
	char *argv[ARGS_MAX + 1];
};

/* Text that uv_spawn takes as char * and only reads. */
static char *arg(const char *text)
{
	union {
		const char *in;
		char *out;
	} u = { text };

	return u.out;
}

static void make_args(const struct resolve_child_conf *conf, struct args *a)
{
	size_t n = 0;

	(void)snprintf(a->timeout, sizeof(a->timeout), "%u", conf->timeout_ms);
	a->argv[n++] = arg(conf->path);
	a->argv[n++] = arg("--resolver-worker");
	a->argv[n++] = arg("-t");
	a->argv[n++] = a->timeout;
	if (conf->anchor_file) {
		a->argv[n++] = arg("-a");
		a->argv[n++] = arg(conf->anchor_file);
	}
	for (size_t i = 0; i < conf->root_count && i < ROOTS_MAX; i++) {
		struct msp_addr host = conf->root[i];

		host.port = 0; /* the library always asks port 53 */
		(void)snprintf(a->root[i], sizeof(a->root[i]), "%s", MSP_ADDR(&host));
		a->argv[n++] = arg("-r");
		a->argv[n++] = a->root[i];
	}
	a->argv[n] = NULL;
}

static int spawn(struct resolve_child *c, const struct resolve_child_conf *conf)
{
	char *env[] = { arg("PATH=/usr/bin:/bin"), arg("LANG=C"), NULL };
	uv_stdio_container_t stdio[WORKER_FD + 1] = { { .flags = UV_IGNORE }, { .flags = UV_IGNORE } };
	uv_process_options_t options = { .exit_cb = exited, .file = conf->path };
	struct args args;

	make_args(conf, &args);
	stdio[2].flags = UV_INHERIT_FD; /* what it has to complain about belongs into our log */
	stdio[2].data.fd = 2;
	stdio[WORKER_FD].flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE;
	stdio[WORKER_FD].data.stream = (uv_stream_t *)&c->pipe;
	options.args = args.argv;
	options.env = env;
	options.cwd = "/";
	options.stdio = stdio;
	options.stdio_count = WORKER_FD + 1;
	return uv_spawn(&c->loop->uv, &c->process, &options);
}

enum msp_err resolve_child_start(struct msp_loop *loop, const struct resolve_child_conf *conf, resolve_reply_fn *reply,
				 resolve_lost_fn *lost, void *arg, struct resolve_child **out, struct msp_why *why)
{
	struct resolve_child *c = msp_alloc(1, sizeof(*c));
	int rc;

	*out = NULL;
	if (!c)
		return msp_fail(why, MSP_ENOMEM, "resolver worker: out of memory");
	*c = (struct resolve_child){ .loop = loop, .reply = reply, .lost = lost, .arg = arg, .attached = true };
	c->process.data = c->pipe.data = c->linger.data = c;
	msp_buf_init(&c->in, RESOLVE_FRAME_HEAD + RESOLVE_REPLY_MAX + MSP_LOOP_OCTETS);
	(void)uv_pipe_init(&loop->uv, &c->pipe, 0);
	(void)uv_timer_init(&loop->uv, &c->linger);
	c->open_handles = 3;
	rc = spawn(c, conf);
	c->running = rc == 0;
	if (!c->running)
		process_is_over(c); /* its handle is initialised in any case, but no exit will be told */
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&c->pipe, give_octets, got_octets);
	if (rc != 0) {
		resolve_child_give_up(&c, true);
		return msp_fail(why, MSP_EIO, "%s: %s", conf->path, uv_strerror(rc));
	}
	*out = c;
	return MSP_OK;
}
