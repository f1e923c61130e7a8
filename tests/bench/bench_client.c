/* SPDX-License-Identifier: BSD-2-Clause */
/* Who asks, and the bare write loop to compare with. */
#include "bench.h"

#include <msproto/base/mem.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (4u << 20)
#define MANY_READ (256u << 10)
#define DRAINS    16    /* connections at one time for small zones */
#define WINDOW    64    /* questions of a sweep without answer */
#define ROUNDS    5     /* a sweep asks again for what was lost */
#define PATIENCE  200   /* milliseconds without an answer: lost */
#define PINGS_MAX 60000 /* fewer than there are message IDs */
#define LINGER_NS 1000000000

static struct msp_name zone_name(uint64_t number)
{
	char text[40];

	snprintf(text, sizeof(text), "z%llu.test.", (unsigned long long)number);
	return bench_name(text);
}

/* With the length in front. */
static size_t axfr_request(uint8_t *out, size_t cap, const struct msp_name *zone, const struct msp_tsig_key *key)
{
	size_t len = bench_query(out + 2, cap - 2, 0x4242, zone, MSP_TYPE_AXFR, key);

	bench_put_u16(out, len);
	return 2 + len;
}

struct count {
	uint64_t octets, messages, records;
	unsigned rcode;
	bool is_bad;
};

/* Whole frames are counted; what remains of the last one is moved to the front. */
static size_t count_frames(uint8_t *mem, size_t len, struct count *c)
{
	size_t at = 0;

	while (len - at >= 2 && len - at - 2 >= bench_u16(mem + at) && !c->is_bad && c->rcode == 0) {
		unsigned size = bench_u16(mem + at);
		const uint8_t *m = mem + at + 2;

		at += 2 + size;
		c->is_bad = size < MSP_HEADER_LEN;
		if (c->is_bad)
			break;
		c->messages++;
		c->records += bench_u16(m + 6);
		c->rcode = m[3] & 0x0fu;
	}
	memmove(mem, mem + at, len - at);
	return len - at;
}

int bench_fetch(uint64_t port, const struct msp_name *zone, uint64_t records, const struct msp_tsig_key *key,
		const char *keep)
{
	uint8_t request[1024], *mem = msp_alloc(1, READ_SIZE);
	FILE *file = keep != NULL ? fopen(keep, "wb") : NULL;
	size_t held = 0, len = axfr_request(request, sizeof(request), zone, key);
	struct count c = { 0 };
	int64_t began;
	int fd;

	if (mem == NULL || (keep != NULL && file == NULL))
		bench_die("memory or file");
	memset(mem, 1, READ_SIZE); /* no page faults within the measured time */
	bench_wait_for_start();
	began = bench_now_ns();
	fd = bench_connect(port);
	if (!bench_write_all(fd, request, len))
		bench_die("send");
	while (c.records < records && c.rcode == 0 && !c.is_bad) {
		ssize_t n = recv(fd, mem + held, READ_SIZE - held, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			bench_die(n == 0 ? "closed early" : "receive");
		if (file != NULL && fwrite(mem + held, 1, (size_t)n, file) != (size_t)n)
			bench_die("write");
		c.octets += (size_t)n;
		held = count_frames(mem, held + (size_t)n, &c);
	}
	printf("%lld %llu %llu %llu %u\n", (long long)(bench_now_ns() - began), (unsigned long long)c.octets,
	       (unsigned long long)c.messages, (unsigned long long)c.records, c.rcode);
	fflush(stdout);
	if (file != NULL && fclose(file) != 0)
		bench_die("write");
	close(fd);
	msp_free(mem);
	return 0;
}

/* --- many at once ------------------------------------------------------------------------------------------------ */

struct stream {
	uint8_t *mem; /* owned */
	size_t held;
	struct count c;
};

/* One read; true when the stream is over, well or not. */
static bool advance(int fd, struct stream *s, uint64_t records, int64_t began, int64_t *took)
{
	ssize_t n = recv(fd, s->mem + s->held, MANY_READ - s->held, MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n > 0)
		s->held = count_frames(s->mem, s->held + (size_t)n, &s->c);
	if (s->c.records >= records)
		*took = bench_now_ns() - began;
	return n <= 0 || s->c.records >= records || s->c.rcode != 0 || s->c.is_bad;
}

int bench_many(uint64_t port, const struct msp_name *zone, uint64_t records, size_t count,
	       const struct msp_tsig_key *key)
{
	struct pollfd *fds = msp_alloc(count, sizeof(*fds));
	struct stream *s = msp_alloc(count, sizeof(*s));
	int64_t began, took = 0;
	size_t left = count;

	if (fds == NULL || s == NULL)
		bench_die("memory");
	for (size_t i = 0; i < count; i++) {
		s[i].mem = msp_alloc(1, MANY_READ);
		if (s[i].mem == NULL)
			bench_die("memory");
		memset(s[i].mem, 1, MANY_READ);
	}
	bench_wait_for_start();
	for (size_t i = 0; i < count; i++)
		fds[i] = (struct pollfd){ bench_connect(port), POLLIN, 0 };
	began = bench_now_ns();
	for (size_t i = 0; i < count; i++) {
		uint8_t request[1024];
		size_t len = axfr_request(request, sizeof(request), zone, key);

		if (!bench_write_all(fds[i].fd, request, len))
			bench_die("send");
	}
	while (left > 0) {
		if (poll(fds, count, BENCH_SILENCE_S * 1000) <= 0)
			bench_die("silence");
		for (size_t i = 0; i < count; i++) {
			took = 0;
			if (fds[i].fd < 0 || fds[i].revents == 0 || !advance(fds[i].fd, &s[i], records, began, &took))
				continue;
			printf("%lld ", (long long)took);
			close(fds[i].fd);
			fds[i].fd = -1; /* poll leaves it out */
			left--;
		}
	}
	puts("");
	fflush(stdout);
	for (size_t i = 0; i < count; i++)
		msp_free(s[i].mem);
	msp_free(s);
	msp_free(fds);
	return 0;
}

/* --- every small zone once --------------------------------------------------------------------------------------- */

/* Begins the transfer of the next zone, if there is one. */
static void begin_zone(uint64_t port, const struct msp_tsig_key *key, uint64_t *next, uint64_t count, struct pollfd *p,
		       struct stream *s)
{
	uint8_t request[1024];
	struct msp_name zone;
	size_t len;

	p->fd = -1; /* poll leaves it out */
	if (*next == count)
		return;
	zone = zone_name((*next)++);
	*p = (struct pollfd){ bench_connect(port), POLLIN, 0 };
	s->held = 0;
	s->c = (struct count){ 0 };
	len = axfr_request(request, sizeof(request), &zone, key);
	if (!bench_write_all(p->fd, request, len))
		bench_die("send");
}

int bench_drain(uint64_t port, uint64_t count, const struct msp_tsig_key *key)
{
	struct pollfd fds[DRAINS];
	struct stream s[DRAINS];
	uint64_t next = 0, left = count;
	int64_t began, took;

	memset(s, 0, sizeof(s));
	for (size_t i = 0; i < DRAINS; i++) {
		s[i].mem = msp_alloc(1, MANY_READ);
		if (s[i].mem == NULL)
			bench_die("memory");
	}
	bench_wait_for_start();
	began = bench_now_ns();
	for (size_t i = 0; i < DRAINS; i++)
		begin_zone(port, key, &next, count, &fds[i], &s[i]);
	while (left > 0) {
		if (poll(fds, DRAINS, BENCH_SILENCE_S * 1000) <= 0)
			bench_die("silence");
		for (size_t i = 0; i < DRAINS; i++) {
			if (fds[i].fd < 0 || fds[i].revents == 0 || !advance(fds[i].fd, &s[i], 1, began, &took))
				continue;
			if (s[i].c.rcode != 0 || s[i].c.records == 0)
				bench_die("no zone");
			close(fds[i].fd);
			left--;
			begin_zone(port, key, &next, count, &fds[i], &s[i]);
		}
	}
	printf("%lld\n", (long long)(bench_now_ns() - began));
	fflush(stdout);
	for (size_t i = 0; i < DRAINS; i++)
		msp_free(s[i].mem);
	return 0;
}

/* --- questions --------------------------------------------------------------------------------------------------- */

/* A datagram, and when the kernel had it: the client's own delay is not the server's. -1: none there. */
static ssize_t receive_stamped(int fd, uint8_t *mem, size_t cap, int64_t *at)
{
	union {
		struct cmsghdr align;
		uint8_t mem[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct iovec part = { mem, cap };
	struct msghdr h = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(fd, &h, MSG_DONTWAIT);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&h) : NULL;
	struct timespec t;

	*at = bench_wall_ns();
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		*at = t.tv_sec * 1000000000 + t.tv_nsec;
	}
	return n;
}

struct pings {
	int64_t *sent; /* owned; by message ID, 0 = answered */
	int64_t *took; /* owned */
	size_t asked, answered;
};

static void hear(int fd, struct pings *p)
{
	uint8_t in[4096];
	int64_t at;

	while (receive_stamped(fd, in, sizeof(in), &at) >= MSP_HEADER_LEN) {
		unsigned id = bench_u16(in);

		if (id >= p->asked || p->sent[id] == 0 || (in[3] & 0x0fu) != 0 || bench_u16(in + 6) == 0)
			continue; /* refused: no answer */
		p->took[p->answered++] = at - p->sent[id];
		p->sent[id] = 0;
	}
}

int bench_ping(uint64_t port, const struct msp_name *zone, uint64_t per_second, const struct msp_tsig_key *key)
{
	struct pings p = { msp_alloc(PINGS_MAX, sizeof(int64_t)), msp_alloc(PINGS_MAX, sizeof(int64_t)), 0, 0 };
	int fd = bench_connect_udp(port), on = 1;
	struct pollfd fds[2] = { { fd, POLLIN, 0 }, { 0, POLLIN, 0 } };
	int64_t gap = 1000000000 / (int64_t)(per_second > 0 ? per_second : 1), next, end = INT64_MAX, now;

	if (p.sent == NULL || p.took == NULL)
		bench_die("memory");
	setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	bench_wait_for_start();
	for (next = now = bench_now_ns(); now < end && (end == INT64_MAX || p.answered < p.asked);
	     now = bench_now_ns()) {
		uint8_t out[1024];

		if (now >= next && end == INT64_MAX && p.asked < PINGS_MAX) {
			size_t len = bench_query(out, sizeof(out), (uint16_t)p.asked, zone, MSP_TYPE_SOA, key);

			p.sent[p.asked++] = bench_wall_ns();
			(void)send(fd, out, len, 0);
			next += gap;
			continue;
		}
		(void)poll(fds, end == INT64_MAX ? 2 : 1, next > now ? (int)((next - now) / 1000000) + 1 : 1);
		hear(fd, &p);
		if (end == INT64_MAX && (fds[1].revents != 0 || p.asked == PINGS_MAX))
			end = bench_now_ns() + LINGER_NS;
	}
	printf("%zu", p.asked);
	for (size_t i = 0; i < p.answered; i++)
		printf(" %lld", (long long)p.took[i]);
	puts("");
	fflush(stdout);
	msp_free(p.sent);
	msp_free(p.took);
	close(fd);
	return 0;
}

struct sweep {
	uint64_t first, count, answered;
	uint8_t *is_served;    /* owned */
	uint64_t asked[65536]; /* the zone by message ID */
	uint16_t id;
	unsigned pending;
};

static void take_answers(int fd, struct sweep *s)
{
	struct pollfd wait = { fd, POLLIN, 0 };
	uint8_t in[4096];
	ssize_t n;

	if (poll(&wait, 1, PATIENCE) <= 0) {
		s->pending = 0;
		return;
	}
	while ((n = recv(fd, in, sizeof(in), MSG_DONTWAIT)) >= MSP_HEADER_LEN) {
		uint64_t i = s->asked[bench_u16(in)];

		s->pending -= s->pending > 0;
		if ((in[3] & 0x0fu) == 0 && bench_u16(in + 6) > 0 && !s->is_served[i]) {
			s->is_served[i] = 1;
			s->answered++;
		}
	}
}

int bench_sweep(uint64_t port, uint64_t first, uint64_t count, const struct msp_tsig_key *key)
{
	static struct sweep s;
	int fd = bench_connect_udp(port);

	s.first = first;
	s.count = count;
	s.is_served = msp_alloc(count, 1);
	if (s.is_served == NULL)
		bench_die("memory");
	bench_wait_for_start();
	for (int round = 0; round < ROUNDS && s.answered < count; round++) {
		for (uint64_t i = 0; i < count; i++) {
			struct msp_name zone;
			uint8_t out[1024];

			if (s.is_served[i])
				continue;
			zone = zone_name(first + i);
			s.asked[++s.id] = i;
			(void)send(fd, out, bench_query(out, sizeof(out), s.id, &zone, MSP_TYPE_SOA, key), 0);
			s.pending++;
			while (s.pending >= WINDOW)
				take_answers(fd, &s);
		}
		while (s.pending > 0)
			take_answers(fd, &s);
	}
	printf("%llu\n", (unsigned long long)s.answered);
	fflush(stdout);
	msp_free(s.is_served);
	close(fd);
	return 0;
}

/* --- bare loop --------------------------------------------------------------------------------------------------- */

static bool replay_to(int fd, const uint8_t *mem, size_t len, size_t chunk)
{
	uint8_t request[2 + 1024];

	if (!bench_read_all(fd, request, 2) || bench_u16(request) > 1024 ||
	    !bench_read_all(fd, request + 2, bench_u16(request)))
		return false;
	for (size_t at = 0; at < len; at += chunk)
		if (!bench_write_all(fd, mem + at, len - at < chunk ? len - at : chunk))
			return false;
	return bench_read_all(fd, request, 1); /* until the client closes */
}

int bench_replay(uint64_t port, const char *path, size_t chunk)
{
	FILE *f = fopen(path, "rb");
	uint8_t *mem = NULL;
	long size;
	int listener;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) <= 0 || fseek(f, 0, SEEK_SET) != 0 ||
	    chunk == 0)
		bench_die(path);
	mem = msp_alloc((size_t)size, 1);
	if (mem == NULL || fread(mem, 1, (size_t)size, f) != (size_t)size)
		bench_die(path);
	fclose(f);
	listener = bench_listen(port);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue; /* the socket's time limit */
		bench_set_limits(fd);
		(void)replay_to(fd, mem, (size_t)size, chunk);
		close(fd);
	}
}
