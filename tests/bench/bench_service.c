/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One loop, because a process or thread for each of 100,000 transfers would be the bottleneck; only what is long (a
 * large zone) goes to a child, which sends what it inherited while the loop goes on, and the connection comes back to
 * the loop when the child has ended.
 */
#include "bench.h"

#include <msproto/base/mem.h>
#include <msproto/msg/notify.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX 4096 /* octets; a larger request ends its connection */
#define FDS_MAX     65536
#define EVENTS      256
#define BURST       64 /* datagrams read before others are looked at */

struct conn {        /* the state of one descriptor */
	uint8_t *in; /* owned; NULL: not a connection */
	size_t have;
	int resumes; /* a pipe's end: the connection that goes on when the child at the other end has ended; 0 = none */
	bool is_busy;
};
static struct conn conns[FDS_MAX];
static struct msp_rr_scratch scratch;
static const struct bench_service *service;
static int loop, udp, listener;
static size_t children;

static void watch(int fd, uint32_t events, int op)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	if (epoll_ctl(loop, op, fd, &e) != 0)
		bench_die("epoll");
}

static void drop(int fd)
{
	if (children > 0)
		shutdown(fd, SHUT_RDWR); /* a child may have it open, too */
	close(fd);
	msp_free(conns[fd].in);
	memset(&conns[fd], 0, sizeof(conns[fd]));
}

static const struct msp_tsig_key *find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	(void)arg;
	return service->key != NULL && alg == MSP_TSIG_SHA256 && msp_name_equal(name, msp_tsig_key_name(service->key))
		       ? service->key
		       : NULL;
}

static bool read_request(struct msp_span octets, bool is_tcp, struct bench_request *r)
{
	enum msp_tsig_error error;

	memset(r, 0, sizeof(*r));
	r->is_tcp = is_tcp;
	if (msp_msg_parse(octets, &scratch, &r->m, NULL) != MSP_OK || (r->m.flags & MSP_FLAG_QR) != 0)
		return false; /* an answer to our NOTIFY, for one */
	return r->m.tsig_at == 0 ||
	       msp_tsig_verify_request(&r->m, find_key, NULL, msp_wall_now(), &r->tsig, &error) == MSP_OK;
}

size_t bench_sign(struct bench_request *r, uint8_t *msg, size_t len, size_t cap)
{
	if (r->tsig.key != NULL)
		bench_must(msp_tsig_sign_response(&r->tsig, msp_wall_now(), msg, &len, cap), "TSIG");
	return len;
}

void bench_notify(int fd, uint64_t port, const struct msp_name *zone, uint16_t id, const struct msp_tsig_key *key)
{
	struct sockaddr_in to = bench_loopback(port);
	struct msp_tsig_ctx ctx = { .key = NULL };
	uint8_t mem[1024];
	struct msp_msgw w;
	struct msp_span msg;
	size_t len;

	msp_notifyw_init(&w, mem, sizeof(mem), id, zone, MSP_TYPE_SOA, NULL);
	bench_must(msp_msgw_finish(&w, &msg), "NOTIFY");
	len = msg.len;
	if (key != NULL)
		bench_must(msp_tsig_sign_request(key, msp_wall_now(), mem, &len, sizeof(mem), &ctx), "TSIG");
	msp_tsig_ctx_fini(&ctx);
	if (sendto(fd, mem, len, 0, bench_sa(&to), sizeof(to)) < 0)
		bench_die("NOTIFY");
}

static void fork_stream(int fd, struct bench_request *r)
{
	pid_t me = getpid();
	int ends[2];

	if (pipe(ends) != 0 || ends[0] >= FDS_MAX)
		bench_die("pipe");
	switch (fork()) {
	case -1:
		bench_die("fork");
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		if (getppid() != me || !service->stream(fd, r))
			shutdown(fd, SHUT_RDWR);
		_exit(0);
	default:
		close(ends[1]);
	}
	children++;
	conns[fd].is_busy = true;
	watch(fd, 0, EPOLL_CTL_DEL);
	conns[ends[0]] = (struct conn){ .resumes = fd };
	watch(ends[0], EPOLLIN, EPOLL_CTL_ADD);
}

/* False: the connection ends. */
static bool answer_frame(int fd, struct msp_span octets)
{
	static uint8_t out[2 + BENCH_ANSWER_CAP];
	struct bench_request r;
	size_t len = 0;
	bool ok = false;

	if (read_request(octets, true, &r))
		len = service->answer(&r, out + 2, BENCH_ANSWER_CAP - MSP_TSIG_RR_MAX);
	if (len == BENCH_STREAM) {
		fork_stream(fd, &r);
		ok = true;
	} else if (len > 0) {
		len = bench_sign(&r, out + 2, len, BENCH_ANSWER_CAP);
		bench_put_u16(out, len);
		ok = bench_write_all(fd, out, 2 + len);
	}
	msp_tsig_ctx_fini(&r.tsig);
	return ok;
}

/* Answers whole requests while none keeps the connection busy. */
static void go_on(int fd)
{
	struct conn *c = &conns[fd];
	size_t at = 0;

	while (!c->is_busy && c->have - at >= 2 && c->have - at - 2 >= bench_u16(c->in + at)) {
		struct msp_span request = msp_span(c->in + at + 2, bench_u16(c->in + at));

		at += 2 + request.len;
		if (!answer_frame(fd, request)) {
			drop(fd);
			return;
		}
	}
	memmove(c->in, c->in + at, c->have - at);
	c->have -= at;
}

static void readable(int fd)
{
	struct conn *c = &conns[fd];
	ssize_t n = recv(fd, c->in + c->have, REQUEST_MAX - c->have, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(fd);
		return;
	}
	c->have += (size_t)n;
	go_on(fd);
	if (c->in != NULL && !c->is_busy && c->have == REQUEST_MAX)
		drop(fd);
}

static void child_ended(int pipe_end)
{
	int fd = conns[pipe_end].resumes;

	children--;
	close(pipe_end);
	memset(&conns[pipe_end], 0, sizeof(conns[pipe_end]));
	conns[fd].is_busy = false;
	watch(fd, EPOLLIN, EPOLL_CTL_ADD);
	go_on(fd);
}

static void accept_all(void)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (fd >= FDS_MAX || (conns[fd].in = msp_alloc(1, REQUEST_MAX)) == NULL) {
			close(fd);
			continue;
		}
		watch(fd, EPOLLIN, EPOLL_CTL_ADD);
	}
}

static void datagrams(void)
{
	static uint8_t in[REQUEST_MAX], out[BENCH_ANSWER_CAP];

	for (int i = 0; i < BURST; i++) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(udp, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
		struct bench_request r;
		size_t len = 0;

		if (n <= 0)
			return;
		if (read_request(msp_span(in, (size_t)n), false, &r))
			len = service->answer(&r, out, BENCH_ANSWER_CAP - MSP_TSIG_RR_MAX);
		if (len > 0 && len != BENCH_STREAM) {
			len = bench_sign(&r, out, len, BENCH_ANSWER_CAP);
			(void)sendto(udp, out, len, 0, bench_sa(&from), from_len);
		}
		msp_tsig_ctx_fini(&r.tsig);
	}
}

static void command(void)
{
	char line[128], *arg;

	if (fgets(line, sizeof(line), stdin) == NULL)
		exit(0);
	line[strcspn(line, "\n")] = '\0';
	arg = strchr(line, ' ');
	if (arg != NULL)
		*arg++ = '\0';
	if (service->command != NULL)
		service->command(line, arg != NULL ? arg : "0", udp);
	fflush(stdout);
}

int bench_serve(uint64_t port, const struct bench_service *s)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct epoll_event e[EVENTS];
	int one = 1;

	service = s;
	listener = bench_listen(port);
	setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* connections inherit it, and time limits */
	udp = bench_bind_udp(port);
	loop = epoll_create1(EPOLL_CLOEXEC);
	sigaction(SIGCHLD, &ignore, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setvbuf(stdin, NULL, _IONBF, 0);
	if (loop < 0 || fcntl(listener, F_SETFL, O_NONBLOCK) != 0)
		bench_die("loop");
	watch(0, EPOLLIN, EPOLL_CTL_ADD);
	watch(udp, EPOLLIN, EPOLL_CTL_ADD);
	watch(listener, EPOLLIN, EPOLL_CTL_ADD);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(loop, e, EVENTS, -1);

		if (n < 0 && errno != EINTR)
			bench_die("epoll");
		for (int i = 0; i < n; i++) {
			int fd = e[i].data.fd;

			if (fd == 0)
				command();
			else if (fd == udp)
				datagrams();
			else if (fd == listener)
				accept_all();
			else if (conns[fd].resumes != 0)
				child_ended(fd);
			else if (conns[fd].in != NULL && !conns[fd].is_busy)
				readable(fd);
		}
	}
}
