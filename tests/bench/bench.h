/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the parts of the transfer bench's C side share: sources, clients, a sink for NOTIFY. See bench_axfr.c. */
#ifndef BENCH_H
#define BENCH_H

#include <msproto/auth/tsig.h>

#include <netinet/in.h>

#define BENCH_SILENCE_S 30 /* nobody waits longer for the other side */

/* --- bench_common.c: errors end the program, with a text that the report repeats ------------------------------- */

_Noreturn void bench_die(const char *what);
void bench_must(enum msp_err err, const char *what);
uint64_t bench_number(const char *text, uint64_t max);
struct msp_name bench_name(const char *text);
/** hmac-sha256, secret in base64; the name "-": NULL, no key. */
struct msp_tsig_key *bench_key(const char *name, const char *secret);
int64_t bench_now_ns(void);
/** As CLOCK_REALTIME, which the kernel stamps received datagrams with. */
int64_t bench_wall_ns(void);
unsigned bench_u16(const uint8_t *p);
void bench_put_u16(uint8_t *p, size_t v);
/** Says "ready", then waits for a line. */
void bench_wait_for_start(void);

struct sockaddr_in bench_loopback(uint64_t port);
const struct sockaddr *bench_sa(const struct sockaddr_in *a);
int bench_connect(uint64_t port);
int bench_connect_udp(uint64_t port);
int bench_listen(uint64_t port);
int bench_bind_udp(uint64_t port);
void bench_set_limits(int fd);
bool bench_write_all(int fd, const uint8_t *at, size_t len);
bool bench_read_all(int fd, uint8_t *at, size_t len);
/** Grows or ends the program. */
void *bench_grow(void *old, size_t count, size_t size);
/** A question, signed when there is a key; octets without the length that TCP wants. */
size_t bench_query(uint8_t *out, size_t cap, uint16_t id, const struct msp_name *zone, uint16_t type,
		   const struct msp_tsig_key *key);

#define BENCH_FILES_MAX 4096
#define BENCH_FILE_LEN  256
/** Paths of the .private files in a directory, sorted; at most BENCH_FILES_MAX. */
size_t bench_key_files(const char *dir, char path[BENCH_FILES_MAX][BENCH_FILE_LEN]);

/* --- bench_service.c: a server on one port, UDP and TCP, that is told what to do on stdin ----------------------- */

struct bench_request {
	struct msp_msg m;
	struct msp_tsig_ctx tsig;
	bool is_tcp;
};
#define BENCH_STREAM SIZE_MAX
struct bench_service {
	const struct msp_tsig_key *key;
	/** One message to out, not yet signed. 0: none, and the connection ends. BENCH_STREAM: by `stream`. */
	size_t (*answer)(struct bench_request *r, uint8_t *out, size_t cap);
	/** Many messages, in a process of its own, from memory as it is at this moment. NULL: never. */
	bool (*stream)(int fd, struct bench_request *r);
	/** A line from stdin. What it prints is flushed. */
	void (*command)(const char *word, const char *arg, int udp);
};
#define BENCH_ANSWER_CAP 65535
/** Never returns but when stdin ends. */
int bench_serve(uint64_t port, const struct bench_service *s);
/** Signs when the request was signed. */
size_t bench_sign(struct bench_request *r, uint8_t *msg, size_t len, size_t cap);
void bench_notify(int udp, uint64_t port, const struct msp_name *zone, uint16_t id, const struct msp_tsig_key *key);

/* --- the parts --------------------------------------------------------------------------------------------------- */

int bench_fetch(uint64_t port, const struct msp_name *zone, uint64_t records, const struct msp_tsig_key *key,
		const char *keep);
int bench_many(uint64_t port, const struct msp_name *zone, uint64_t records, size_t count,
	       const struct msp_tsig_key *key);
int bench_drain(uint64_t port, uint64_t count, const struct msp_tsig_key *key);
int bench_ping(uint64_t port, const struct msp_name *zone, uint64_t per_second, const struct msp_tsig_key *key);
int bench_sweep(uint64_t port, uint64_t first, uint64_t count, const struct msp_tsig_key *key);
int bench_replay(uint64_t port, const char *path, size_t chunk);
int bench_sink(uint64_t port, const struct msp_tsig_key *key, bool is_quiet);
int bench_source(uint64_t port, const struct msp_name *zone, uint64_t records, const struct msp_tsig_key *key);
int bench_zones(uint64_t port, uint64_t count, const struct msp_tsig_key *key);

#endif
