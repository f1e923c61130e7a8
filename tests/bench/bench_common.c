/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench.h"

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>

#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Noreturn void bench_die(const char *what)
{
	fprintf(stderr, "bench_axfr: %s: %s\n", what, strerror(errno));
	exit(1);
}

void bench_must(enum msp_err err, const char *what)
{
	if (err == MSP_OK)
		return;
	fprintf(stderr, "bench_axfr: %s: %s\n", what, msp_err_text(err));
	exit(1);
}

uint64_t bench_number(const char *text, uint64_t max)
{
	uint64_t n = 0;

	bench_must(msp_u64_parse(msp_span_str(text), max, &n), text);
	return n;
}

struct msp_name bench_name(const char *text)
{
	struct msp_name n;

	bench_must(msp_name_from_text(text, &n), text);
	return n;
}

struct msp_tsig_key *bench_key(const char *name, const char *secret)
{
	struct msp_tsig_key *key = NULL;
	struct msp_buf octets;
	struct msp_name n;

	if (strcmp(name, "-") == 0)
		return NULL;
	n = bench_name(name);
	msp_buf_init(&octets, 256);
	bench_must(msp_b64_parse(msp_span_str(secret), &octets), "secret");
	bench_must(msp_tsig_key_new(&n, MSP_TSIG_SHA256, msp_buf_span(&octets), &key), "key");
	msp_buf_fini(&octets);
	return key;
}

static int64_t nanoseconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bench_now_ns(void)
{
	return nanoseconds(CLOCK_MONOTONIC);
}

int64_t bench_wall_ns(void)
{
	return nanoseconds(CLOCK_REALTIME);
}

unsigned bench_u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

void bench_put_u16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void bench_wait_for_start(void)
{
	char line[16];

	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		exit(1);
}

struct sockaddr_in bench_loopback(uint64_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	static const uint8_t address[4] = { 127, 0, 0, 1 };
	uint8_t octets[2];

	bench_put_u16(octets, port);
	memcpy(&a.sin_port, octets, sizeof(octets));
	memcpy(&a.sin_addr.s_addr, address, sizeof(address));
	return a;
}

/* As (struct sockaddr *) without casting const away. */
const struct sockaddr *bench_sa(const struct sockaddr_in *a)
{
	return (const struct sockaddr *)a;
}

void bench_set_limits(int fd)
{
	struct timeval t = { .tv_sec = BENCH_SILENCE_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static int socket_of(int type)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		bench_die("socket");
	bench_set_limits(fd);
	return fd;
}

int bench_connect(uint64_t port)
{
	struct sockaddr_in a = bench_loopback(port);
	int fd = socket_of(SOCK_STREAM), one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, bench_sa(&a), sizeof(a)) != 0)
		bench_die("connect");
	return fd;
}

int bench_connect_udp(uint64_t port)
{
	struct sockaddr_in a = bench_loopback(port);
	int fd = socket_of(SOCK_DGRAM);

	if (connect(fd, bench_sa(&a), sizeof(a)) != 0)
		bench_die("connect");
	return fd;
}

int bench_listen(uint64_t port)
{
	struct sockaddr_in a = bench_loopback(port);
	int fd = socket_of(SOCK_STREAM), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, bench_sa(&a), sizeof(a)) != 0 || listen(fd, 4096) != 0)
		bench_die("listen");
	return fd;
}

int bench_bind_udp(uint64_t port)
{
	struct sockaddr_in a = bench_loopback(port);
	int fd = socket_of(SOCK_DGRAM), room = 4 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (bind(fd, bench_sa(&a), sizeof(a)) != 0)
		bench_die("UDP");
	return fd;
}

bool bench_write_all(int fd, const uint8_t *at, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool bench_read_all(int fd, uint8_t *at, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

void *bench_grow(void *old, size_t count, size_t size)
{
	void *p = msp_realloc(old, count, size);

	if (p == NULL)
		bench_die("memory");
	return p;
}

size_t bench_query(uint8_t *out, size_t cap, uint16_t id, const struct msp_name *zone, uint16_t type,
		   const struct msp_tsig_key *key)
{
	struct msp_tsig_ctx ctx = { .key = NULL };
	struct msp_msgw w;
	struct msp_span msg;
	size_t len;

	msp_msgw_init(&w, out, cap, id, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, zone, type, MSP_CLASS_IN);
	bench_must(msp_msgw_finish(&w, &msg), "request");
	len = msg.len;
	if (key != NULL)
		bench_must(msp_tsig_sign_request(key, msp_wall_now(), out, &len, cap, &ctx), "TSIG");
	msp_tsig_ctx_fini(&ctx);
	return len;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(a, b);
}

size_t bench_key_files(const char *dir, char path[BENCH_FILES_MAX][BENCH_FILE_LEN])
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	if (d == NULL)
		bench_die(dir);
	while (n < BENCH_FILES_MAX && (e = readdir(d)) != NULL) {
		const char *dot = strrchr(e->d_name, '.');
		int len = snprintf(path[n], BENCH_FILE_LEN, "%s/%s", dir, e->d_name);

		n += dot != NULL && strcmp(dot, ".private") == 0 && len > 0 && len < BENCH_FILE_LEN;
	}
	closedir(d);
	qsort(path, n, BENCH_FILE_LEN, compare_paths);
	return n;
}
