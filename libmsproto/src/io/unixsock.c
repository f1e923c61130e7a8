/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/unixsock.h"

#include <msproto/base/mem.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define BACKLOG    16
#define READ_CHUNK 4096

struct msp_usock_conn {
	struct msp_usock *server; /* borrowed: the server waits for its connections */
	struct msp_usock_conn *next, **link;
	uv_pipe_t pipe;
	uv_timer_t idle;
	unsigned handles;            /* not yet closed */
	bool closing;                /* no callback into the owner any more */
	bool writing;                /* an answer is on its way: reading rests */
	struct msp_usock_conn **ref; /* the owner's who answers later; NULL = nobody does */
	bool close_when_written;
	struct msp_buf in;  /* the line so far, and what follows it */
	struct msp_buf out; /* the answer being written; libuv holds its memory until then */
	uv_write_t write;
	char chunk[READ_CHUNK];
};

struct msp_usock {
	struct msp_usock_conf conf;
	msp_usock_line_fn *cb;
	void *arg;
	uv_pipe_t listener;
	uv_loop_t *uv;
	bool closing, listener_closed;
	struct msp_usock_conn *conns; /* owned */
	size_t conn_count;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

static void server_free_when_done(struct msp_usock *u)
{
	if (u->closing && u->listener_closed && !u->conns)
		msp_free(u);
}

/* ---- connections ---- */

static void conn_closed(uv_handle_t *h)
{
	struct msp_usock_conn *c = h->data;
	struct msp_usock *u = c->server;

	if (--c->handles > 0)
		return;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	u->conn_count--;
	msp_buf_fini(&c->in);
	msp_buf_fini(&c->out);
	msp_free(c);
	server_free_when_done(u);
}

/* Whoever answers later does so now, or has nobody to answer any more. */
static bool ref_clear(struct msp_usock_conn *c)
{
	bool was_set = c->ref != NULL;

	if (was_set)
		*c->ref = NULL;
	c->ref = NULL;
	return was_set;
}

static bool is_busy(const struct msp_usock_conn *c)
{
	return c->closing || c->writing || c->ref != NULL;
}

static void conn_close(struct msp_usock_conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	(void)ref_clear(c);
	uv_close((uv_handle_t *)&c->pipe, conn_closed);
	uv_close((uv_handle_t *)&c->idle, conn_closed);
}

static void idle_expired(uv_timer_t *t)
{
	conn_close(t->data);
}

static void idle_restart(struct msp_usock_conn *c)
{
	(void)uv_timer_start(&c->idle, idle_expired, c->server->conf.idle_ms, 0);
}

static void conn_serve(struct msp_usock_conn *c);
static void conn_read_start(struct msp_usock_conn *c);

static void written(uv_write_t *w, int status)
{
	struct msp_usock_conn *c = w->data;

	c->writing = false;
	if (c->closing)
		return;
	msp_buf_fini(&c->out); /* answers may be large: not kept */
	msp_buf_init(&c->out, c->server->conf.reply_max);
	if (status < 0 || c->close_when_written) {
		conn_close(c);
		return;
	}
	idle_restart(c);
	conn_serve(c);
	if (!is_busy(c))
		conn_read_start(c);
}

static enum msp_err reply(struct msp_usock_conn *c, struct msp_span line)
{
	uv_buf_t b;

	if (c->closing || c->writing)
		return MSP_ESTATE;
	msp_buf_add_span(&c->out, line);
	if (c->out.err != MSP_OK) {
		enum msp_err err = c->out.err;
		msp_buf_reset(&c->out);
		return err;
	}
	b = uv_buf_init((char *)c->out.ptr, (unsigned)c->out.len);
	c->write.data = c;
	if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &b, 1, written) != 0)
		return MSP_ENET;
	c->writing = true;
	(void)uv_read_stop(
		(uv_stream_t *)&c->pipe); /* one answer at a time: a peer that does not read gets no more work */
	return MSP_OK;
}

enum msp_err msp_usock_reply(struct msp_usock_conn *c, struct msp_span line)
{
	bool is_late = ref_clear(c);
	enum msp_err err = reply(c, line);

	if (err != MSP_OK && is_late)
		conn_close(c); /* nothing else would end the wait */
	return err;
}

void msp_usock_defer(struct msp_usock_conn *c, struct msp_usock_conn **ref)
{
	*ref = c->closing ? NULL : c;
	if (c->closing)
		return;
	c->ref = ref;
	(void)uv_read_stop((uv_stream_t *)&c->pipe);
}

void msp_usock_end(struct msp_usock_conn *c)
{
	conn_close(c);
}

static void last_words(struct msp_usock_conn *c, const char *text)
{
	c->close_when_written = true;
	if (c->writing)
		return;
	if (msp_usock_reply(c, msp_span_str(text)) != MSP_OK)
		conn_close(c);
}

/* Hand out the lines that are complete, as long as answers go out at once. */
static void conn_serve(struct msp_usock_conn *c)
{
	while (!is_busy(c)) {
		const uint8_t *nl = c->in.len ? memchr(c->in.ptr, '\n', c->in.len) : NULL;
		size_t len = nl ? (size_t)(nl - c->in.ptr) : c->in.len;

		if (len > c->server->conf.line_max) {
			last_words(c, c->server->conf.too_long);
			return;
		}
		if (!nl)
			return;
		c->server->cb(c->server->arg, c, msp_span(c->in.ptr, len));
		msp_buf_consume(&c->in, len + 1); /* c lives until its close callbacks, whatever cb did */
	}
}

static void give_chunk(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct msp_usock_conn *c = h->data;

	(void)suggested;
	*buf = uv_buf_init(c->chunk, sizeof(c->chunk));
}

static void got(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct msp_usock_conn *c = s->data;

	if (n < 0) {
		conn_close(c);
		return;
	}
	if (n == 0)
		return;
	msp_buf_add(&c->in, buf->base, (size_t)n);
	if (c->in.err != MSP_OK) {
		last_words(c, c->server->conf.too_long);
		return;
	}
	idle_restart(c);
	conn_serve(c);
}

static void conn_read_start(struct msp_usock_conn *c)
{
	if (uv_read_start((uv_stream_t *)&c->pipe, give_chunk, got) != 0)
		conn_close(c);
}

static void connection(uv_stream_t *listener, int status)
{
	struct msp_usock *u = listener->data;
	struct msp_usock_conn *c;

	if (status < 0)
		return;
	c = msp_alloc(1, sizeof(*c));
	if (!c)
		return; /* libuv then accepts no more; without memory for this there is none for an answer either */
	c->server = u;
	c->pipe.data = c->idle.data = c;
	msp_buf_init(&c->in, u->conf.line_max + 1 + READ_CHUNK);
	msp_buf_init(&c->out, u->conf.reply_max);
	(void)uv_pipe_init(u->uv, &c->pipe, 0);
	(void)uv_timer_init(u->uv, &c->idle);
	c->handles = 2;
	c->link = &u->conns;
	c->next = u->conns;
	if (c->next)
		c->next->link = &c->next;
	u->conns = c;
	u->conn_count++;
	if (uv_accept(listener, (uv_stream_t *)&c->pipe) != 0) {
		conn_close(c);
		return;
	}
	idle_restart(c);
	if (u->conn_count > u->conf.conn_max)
		last_words(c, u->conf.busy);
	else
		conn_read_start(c);
}

/* ---- the listening socket ---- */

static enum msp_err address_of(const char *path, struct sockaddr_un *sun)
{
	size_t len = strlen(path);

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (len == 0 || len >= sizeof(sun->sun_path))
		return MSP_ELIMIT;
	memcpy(sun->sun_path, path, len);
	return MSP_OK;
}

/* Whether the file may go: a socket without a listener, left behind by a process that was killed. */
static enum msp_err remove_stale(const struct sockaddr_un *sun, struct msp_why *why)
{
	struct stat st;
	int fd, rc;

	if (lstat(sun->sun_path, &st) != 0)
		return errno == ENOENT ? MSP_OK : msp_fail(why, MSP_EIO, "%s: %s", sun->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return msp_fail(why, MSP_EEXIST, "%s: is there and not a socket", sun->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return msp_fail(why, MSP_EIO, "socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ? 0 : errno;
	(void)close(fd);
	if (rc != ECONNREFUSED)
		return msp_fail(why, MSP_EEXIST, "%s: another process listens there", sun->sun_path);
	if (unlink(sun->sun_path) != 0)
		return msp_fail(why, MSP_EIO, "%s: %s", sun->sun_path, strerror(errno));
	return MSP_OK;
}

static enum msp_err bind_socket(const char *path, unsigned mode, int *fd, struct msp_why *why)
{
	struct sockaddr_un sun;
	enum msp_err err;

	if (address_of(path, &sun) != MSP_OK)
		return msp_fail(why, MSP_ECONF, "%s: empty or longer than a socket path may be", path);
	err = remove_stale(&sun, why);
	if (err != MSP_OK)
		return err;
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return msp_fail(why, MSP_EIO, "socket: %s", strerror(errno));
	/* Linux takes the mode of the unbound socket, less the umask, for the file: never open wider than meant. */
	if (fchmod(*fd, (mode_t)mode) != 0 || bind(*fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0) {
		err = msp_fail(why, MSP_EIO, "%s: %s", path, strerror(errno));
		(void)close(*fd);
		return err;
	}
	if (chmod(path, (mode_t)mode) != 0) {
		err = msp_fail(why, MSP_EIO, "%s: %s", path, strerror(errno));
		(void)close(*fd);
		(void)unlink(path);
	}
	return err;
}

static void listener_closed(uv_handle_t *h)
{
	struct msp_usock *u = h->data;

	u->listener_closed = true;
	server_free_when_done(u);
}

enum msp_err msp_usock_open(struct msp_loop *loop, const char *path, const struct msp_usock_conf *conf,
			    msp_usock_line_fn *cb, void *arg, struct msp_usock **out, struct msp_why *why)
{
	struct msp_usock *u = msp_alloc(1, sizeof(*u));
	enum msp_err err;
	int fd = -1, rc;

	*out = NULL;
	if (!u)
		return msp_fail(why, MSP_ENOMEM, "%s: out of memory", path);
	u->conf = *conf;
	u->cb = cb;
	u->arg = arg;
	u->uv = msp_loop_uv(loop);
	err = bind_socket(path, conf->mode, &fd, why);
	if (err != MSP_OK) {
		msp_free(u);
		return err;
	}
	memcpy(u->path, path, strlen(path) + 1); /* fits: bind_socket has checked it */
	u->listener.data = u;
	(void)uv_pipe_init(u->uv, &u->listener, 0);
	rc = uv_pipe_open(&u->listener, fd);
	if (rc != 0)
		(void)close(fd);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&u->listener, BACKLOG, connection);
	if (rc != 0) {
		err = msp_fail(why, MSP_EIO, "%s: %s", path, uv_strerror(rc));
		msp_usock_close(&u);
		return err;
	}
	*out = u;
	return MSP_OK;
}

void msp_usock_close(struct msp_usock **up)
{
	struct msp_usock *u = *up;

	if (!u)
		return;
	*up = NULL;
	u->closing = true;
	(void)unlink(u->path);
	for (struct msp_usock_conn *c = u->conns; c; c = c->next)
		conn_close(c);
	uv_close((uv_handle_t *)&u->listener, listener_closed);
}

/* ---- blocking client, datagram ---- */

/* Waits for `events` until the deadline. */
static enum msp_err wait_for(int fd, short events, struct msp_mono deadline)
{
	for (;;) {
		struct pollfd p = { fd, events, 0 };
		int64_t left = msp_mono_until_ms(msp_mono_now(), deadline);
		int n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);

		if (n > 0)
			return MSP_OK;
		if (n == 0)
			return MSP_ETIMEOUT;
		if (errno != EINTR)
			return MSP_ENET;
	}
}

static enum msp_err send_all(int fd, struct msp_span data, struct msp_mono deadline)
{
	while (data.len > 0) {
		ssize_t n = send(fd, data.ptr, data.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			enum msp_err err = wait_for(fd, POLLOUT, deadline);
			if (err != MSP_OK)
				return err;
			continue;
		}
		if (n < 0 && errno != EINTR)
			return errno == EPIPE ? MSP_OK
					      : MSP_ENET; /* closed early: what it had to say may still be read */
		if (n > 0)
			data = msp_span(data.ptr + n, data.len - (size_t)n);
	}
	return MSP_OK;
}

static enum msp_err recv_line(int fd, struct msp_buf *out, struct msp_mono deadline)
{
	uint8_t chunk[16384];

	for (;;) {
		enum msp_err err = wait_for(fd, POLLIN, deadline);
		const uint8_t *nl;
		ssize_t n;

		if (err != MSP_OK)
			return err;
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return MSP_ENET;
		nl = memchr(chunk, '\n', (size_t)n);
		msp_buf_add(out, chunk, nl ? (size_t)(nl - chunk) : (size_t)n);
		if (out->err != MSP_OK || nl)
			return out->err;
	}
}

enum msp_err msp_usock_call(const char *path, struct msp_span line, uint32_t timeout_ms, struct msp_buf *out,
			    struct msp_why *why)
{
	struct msp_mono deadline = msp_mono_add_ms(msp_mono_now(), timeout_ms);
	struct sockaddr_un sun;
	enum msp_err err;
	int fd;

	if (address_of(path, &sun) != MSP_OK)
		return msp_fail(why, MSP_ENET, "%s: not a socket path", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return msp_fail(why, MSP_ENET, "socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0) {
		err = msp_fail(why, MSP_ENET, "%s: %s", path, strerror(errno));
		goto out;
	}
	err = send_all(fd, line, deadline);
	if (err == MSP_OK)
		err = recv_line(fd, out, deadline);
	if (err != MSP_OK)
		(void)msp_fail(why, err, "%s: %s", path, msp_err_text(err));
out:
	(void)close(fd);
	return err;
}

enum msp_err msp_usock_datagram(const char *path, const char *text)
{
	struct sockaddr_un sun;
	socklen_t len;
	ssize_t n;
	int fd;

	if (address_of(path, &sun) != MSP_OK)
		return MSP_ECONF;
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (sun.sun_path[0] == '@')
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return MSP_ENET;
	n = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&sun, len);
	(void)close(fd);
	return n < 0 ? MSP_ENET : MSP_OK;
}
