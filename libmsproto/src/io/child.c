/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/loop_priv.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <msproto/base/mem.h>

#define ARGS_MAX 256
/* A program may leave a background process that holds its output open; its own end is what counts. */
#define AFTER_EXIT_MS 500

enum { PIPE_IN, PIPE_OUT, PIPE_ERR, PIPE__N };

struct child_pipe {
	uv_pipe_t uv;
	bool is_open;
};

struct msp_child {
	struct msp_loop *loop;
	uv_process_t proc;
	struct child_pipe pipe[PIPE__N];
	struct msp_buf text[PIPE__N]; /* what was written to it, what it wrote */
	size_t output_max;
	bool keeps_tail;
	uv_write_t write;
	msp_child_want_fn *want;
	struct msp_timer *timer; /* owned */
	struct msp_task start_failed, first_want;
	msp_child_fn *cb;
	void *arg; /* borrowed until the callback */
	enum msp_err err;
	int exit_status;
	bool has_exited, is_over;
	unsigned handles; /* not closed yet */
};

/* Handles that are not closed yet, and the first `want` while it waits in the loop. */
static void unhold(struct msp_child *c)
{
	if (--c->handles > 0)
		return;
	for (int i = 0; i < PIPE__N; i++)
		msp_buf_fini(&c->text[i]);
	msp_free(c);
}

static void on_closed(uv_handle_t *h)
{
	unhold(h->data);
}

static void close_pipe(struct msp_child *c, int i)
{
	if (!c->pipe[i].is_open)
		return;
	c->pipe[i].is_open = false;
	uv_close((uv_handle_t *)&c->pipe[i].uv, on_closed);
}

/* What is handed out of what it wrote: with keeps_tail there may be up to twice as much in the buffer. */
static struct msp_span output(const struct msp_child *c, int i)
{
	struct msp_span all = msp_buf_span(&c->text[i]);

	return all.len <= c->output_max ? all : msp_span(all.ptr + all.len - c->output_max, c->output_max);
}

static void finish(struct msp_child *c)
{
	struct msp_child_result result = { .err = c->err, .exit_status = c->exit_status };

	assert(!c->is_over);
	c->is_over = true;
	result.out = output(c, PIPE_OUT);
	result.errout = output(c, PIPE_ERR);
	for (int i = 0; i < PIPE__N; i++)
		close_pipe(c, i);
	msp_timer_close(&c->timer);
	c->cb(c->arg, &result);
	uv_close((uv_handle_t *)&c->proc, on_closed);
}

static void kill_it(struct msp_child *c, enum msp_err why)
{
	if (c->err == MSP_OK)
		c->err = why;
	/* It leads its own process group, so what it started goes too. */
	if (!c->has_exited && c->proc.pid > 0)
		kill(-c->proc.pid, SIGKILL);
}

static void on_time(void *arg)
{
	struct msp_child *c = arg;

	if (c->has_exited)
		finish(c);
	else
		kill_it(c, MSP_ETIMEOUT);
}

static void look_whether_over(struct msp_child *c)
{
	if (c->is_over || !c->has_exited)
		return;
	if (c->err != MSP_OK || (!c->pipe[PIPE_OUT].is_open && !c->pipe[PIPE_ERR].is_open))
		finish(c);
}

static void on_exit_status(uv_process_t *proc, int64_t status, int sig)
{
	struct msp_child *c = proc->data;

	c->has_exited = true;
	c->exit_status = sig != 0 ? -1 : (int)status;
	msp_timer_start(c->timer, AFTER_EXIT_MS);
	look_whether_over(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct msp_child *c = h->data;

	(void)suggested;
	*buf = uv_buf_init((char *)c->loop->octets, sizeof(c->loop->octets));
}

/* Old octets go when the buffer, which is twice as large as what is kept and one read, is full: few moves. */
static void make_room(const struct msp_child *c, struct msp_buf *text, size_t len)
{
	if (text->cap - text->len < len && text->len > c->output_max)
		msp_buf_consume(text, text->len - c->output_max);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct msp_child *c = stream->data;
	int i = stream == (uv_stream_t *)&c->pipe[PIPE_OUT].uv ? PIPE_OUT : PIPE_ERR;
	size_t room, len = n > 0 ? (size_t)n : 0;

	if (n < 0) {
		close_pipe(c, i);
		look_whether_over(c);
		return;
	}
	if (c->keeps_tail)
		make_room(c, &c->text[i], len);
	room = c->text[i].cap - c->text[i].len;
	msp_buf_add(&c->text[i], buf->base, len < room ? len : room);
	if (c->text[i].err != MSP_OK)
		kill_it(c, c->text[i].err);
	else if (len > room)
		kill_it(c, MSP_ELIMIT);
	if (c->err != MSP_OK) {
		close_pipe(c, i);
		look_whether_over(c);
	}
}

static void on_input_written(uv_write_t *req, int status)
{
	struct msp_child *c = req->data;

	/* A program need not read all of its input. */
	if (status == 0 && c->want != NULL && c->pipe[PIPE_IN].is_open && !c->has_exited)
		c->want(c->arg, c);
	else
		close_pipe(c, PIPE_IN);
}

static void write_input(struct msp_child *c, struct msp_span octets)
{
	uv_buf_t in = uv_buf_init(NULL, (unsigned)octets.len);

	/* libuv only reads what it writes out, but its buffers have no const. */
	memcpy(&in.base, &octets.ptr, sizeof(in.base));
	c->write.data = c;
	if (in.len == 0 || uv_write(&c->write, (uv_stream_t *)&c->pipe[PIPE_IN].uv, &in, 1, on_input_written) != 0)
		close_pipe(c, PIPE_IN);
}

void msp_child_feed(struct msp_child *c, struct msp_span octets)
{
	assert(octets.len <= INT32_MAX);
	if (c->pipe[PIPE_IN].is_open) /* it may have ended since it was asked for */
		write_input(c, octets);
}

static void on_first_want(void *arg)
{
	struct msp_child *c = arg;

	if (c->pipe[PIPE_IN].is_open)
		c->want(c->arg, c);
	unhold(c);
}

static void on_start_failed(void *arg)
{
	struct msp_child *c = arg;

	if (c->err == MSP_OK)
		c->err = MSP_EIO;
	c->exit_status = -1;
	finish(c);
}

static int spawn(struct msp_child *c, const char *const *argv)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C";
	char *env[] = { path, lang, NULL };
	char *args[ARGS_MAX + 1] = { NULL };
	uv_stdio_container_t io[PIPE__N];
	uv_process_options_t opt = { .exit_cb = on_exit_status, .file = argv[0], .args = args, .env = env };

	/* libuv takes char **, and does not write to it. */
	for (size_t i = 0; argv[i] != NULL; i++)
		memcpy(&args[i], &argv[i], sizeof(args[i]));
	for (int i = 0; i < PIPE__N; i++) {
		io[i].flags = UV_CREATE_PIPE | (i == PIPE_IN ? UV_READABLE_PIPE : UV_WRITABLE_PIPE);
		io[i].data.stream = (uv_stream_t *)&c->pipe[i].uv;
	}
	opt.stdio = io;
	opt.stdio_count = PIPE__N;
	opt.flags = UV_PROCESS_DETACHED; /* a process group of its own */
	return uv_spawn(&c->loop->uv, &c->proc, &opt);
}

static void feed_and_listen(struct msp_child *c)
{
	if (c->want != NULL) {
		c->handles++;
		msp_loop_post(c->loop, &c->first_want, on_first_want, c);
	} else {
		write_input(c, msp_buf_span(&c->text[PIPE_IN]));
	}
	if (uv_read_start((uv_stream_t *)&c->pipe[PIPE_OUT].uv, on_alloc, on_output) != 0 ||
	    uv_read_start((uv_stream_t *)&c->pipe[PIPE_ERR].uv, on_alloc, on_output) != 0)
		kill_it(c, MSP_EIO);
}

enum msp_err msp_child_start(struct msp_loop *loop, const struct msp_child_params *p, msp_child_fn *cb, void *arg,
			     struct msp_child **handle)
{
	struct msp_child *c;
	size_t count = 0, room = p->keeps_tail ? 2 * p->output_max + MSP_LOOP_OCTETS : p->output_max;
	enum msp_err err;

	while (p->argv[count] != NULL && count <= ARGS_MAX)
		count++;
	if (count == 0 || count > ARGS_MAX || p->argv[0][0] != '/' || p->input.len > INT32_MAX)
		return MSP_EVALUE;
	c = msp_alloc(1, sizeof(*c));
	if (c == NULL)
		return MSP_ENOMEM;
	c->loop = loop;
	c->cb = cb;
	c->arg = arg;
	c->want = p->want;
	c->output_max = p->output_max;
	c->keeps_tail = p->keeps_tail;
	msp_buf_init(&c->text[PIPE_IN], p->input.len);
	msp_buf_init(&c->text[PIPE_OUT], room);
	msp_buf_init(&c->text[PIPE_ERR], room);
	msp_buf_add_span(&c->text[PIPE_IN], p->input);
	err = c->text[PIPE_IN].err;
	if (err == MSP_OK)
		err = msp_timer_new(loop, on_time, c, &c->timer);
	if (err != MSP_OK) {
		msp_buf_fini(&c->text[PIPE_IN]);
		msp_free(c);
		return err;
	}
	for (int i = 0; i < PIPE__N; i++) {
		uv_pipe_init(&loop->uv, &c->pipe[i].uv, 0);
		c->pipe[i].uv.data = c;
		c->pipe[i].is_open = true;
	}
	c->handles = PIPE__N + 1;
	c->proc.data = c;
	if (spawn(c, p->argv) == 0) {
		msp_timer_start(c->timer, p->timeout_ms);
		feed_and_listen(c);
	} else {
		c->has_exited = true; /* nothing to kill */
		msp_loop_post(loop, &c->start_failed, on_start_failed, c);
	}
	if (handle != NULL)
		*handle = c;
	return MSP_OK;
}

enum msp_err msp_child_run(struct msp_loop *loop, const char *const *argv, struct msp_span input, size_t output_max,
			   uint64_t timeout_ms, msp_child_fn *cb, void *arg, struct msp_child **handle)
{
	const struct msp_child_params p = {
		.argv = argv, .input = input, .output_max = output_max, .timeout_ms = timeout_ms
	};

	return msp_child_start(loop, &p, cb, arg, handle);
}

void msp_child_cancel(struct msp_child *child)
{
	if (child->is_over)
		return; /* called from inside its callback */
	child->err = MSP_ECANCEL;
	if (child->start_failed.queued)
		return;
	if (child->has_exited)
		msp_timer_start(child->timer, 0);
	else
		kill_it(child, MSP_ECANCEL);
}
