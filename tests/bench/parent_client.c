/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children, and people who pretend to be some: UPDATEs and NOTIFYs at a receiver on 127.0.0.1, over UDP. Messages are
 * made before the clock starts. Prints one line of JSON.
 *
 *   keys DIR COUNT                                  COUNT P-256 key pairs
 *   update PORT PARENT FIRST CHILDREN ROUND MESSAGES OUTSTANDING KEYDIR|NAME:SECRET [ACKED|dnskey:HEX]
 *       each message puts another DS in place of what child c<n>.PARENT has, signed with the child's SIG(0) key (of
 *       those in KEYDIR, in turn) or with one TSIG key. ROUND: what the DS of the first turn through all children is
 *       made from, 1 more in each turn: a second run begins where the first has ended, for a DS that is there already
 *       is no change and costs a server next to nothing. ACKED: file for "c<n> digest" of what was granted last.
 *       dnskey:HEX: DS of this DNSKEY RDATA, with SHA-384 beside SHA-256 every other time, so that servers can be asked
 *   flood PORT PARENT unknown|forged|notify FIRST CHILDREN RATE SECONDS KEYDIR
 *       at RATE a second, whatever comes back: signed by keys that nobody has, by nobody with a name that exists,
 * NOTIFY
 */
#include "bench.h"

#include <msproto/auth/dnssec.h>
#include <msproto/auth/sig0.h>
#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/base/rand.h>
#include <msproto/msg/edns.h>
#include <msproto/msg/notify.h>
#include <msproto/msg/update.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KEYS_MAX    BENCH_FILES_MAX
#define MESSAGE_MAX 512
#define BATCH       32
#define RESEND_NS   INT64_C(2000000000)
#define GIVE_UP_NS  INT64_C(10000000000)
#define IDS         65536
#define SOURCES     64
#define SOCKET_BUF  (4 << 20)
#define DNSKEY_IS   "dnskey:"

struct message {
	uint16_t len;
	uint8_t octets[MESSAGE_MAX];
};

struct keys {
	struct msp_key *key[KEYS_MAX]; /* in the order of their files' names; owner is changed for each child */
	size_t count;
	struct msp_tsig_key *tsig;
	struct msp_buf dnskey; /* empty: DS are made up */
};

/* --- keys --------------------------------------------------------------------------------------------------------- */

static int make_keys(const char *dir, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		char name[64], path[4096];
		struct msp_why why = { "" };
		struct msp_name owner;
		struct msp_key *key = NULL;

		(void)snprintf(name, sizeof(name), "k%06llu.", (unsigned long long)i);
		owner = bench_name(name);
		bench_must(msp_key_generate(&owner, MSP_ALG_ECDSAP256, 0, &key), "key");
		bench_must(msp_key_save(key, dir, "KEY", path, sizeof(path), &why), why.text);
		msp_key_free(&key);
	}
	printf("{\"keys\": %llu}\n", (unsigned long long)count);
	return 0;
}

static void load_keys(const char *from, struct keys *k)
{
	static char path[BENCH_FILES_MAX][BENCH_FILE_LEN];
	const char *colon = strchr(from, ':');

	if (colon != NULL) {
		char name[256];

		(void)snprintf(name, sizeof(name), "%.*s", (int)(colon - from), from);
		k->tsig = bench_key(name, colon + 1);
		return;
	}
	for (size_t n = bench_key_files(from, path); k->count < n; k->count++) {
		struct msp_why why = { "" };

		bench_must(msp_key_load(path[k->count], &k->key[k->count], &why), why.text);
	}
	if (k->count == 0)
		bench_die(from);
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static struct msp_name child_name(uint64_t n, const struct msp_name *parent)
{
	char label[32];
	struct msp_name child;

	(void)snprintf(label, sizeof(label), "c%llu", (unsigned long long)n);
	bench_must(msp_name_prepend(label, parent, &child), label);
	return child;
}

/* The signer's name is the child's (PROTOCOL G.5 step 6), and the signature covers it. Key files have other owners: the
 * SIG(0) is made here from the octets that msp_sig0_tbs gives for it. */
static void sign_as(const struct msp_key *key, const struct msp_name *signer, struct message *m)
{
	struct msp_rrsig sig = { .covered = 0,
				 .algorithm = msp_key_alg(key),
				 .expiration = (uint32_t)(msp_wall_now().s + MSP_SIG0_BRACKET_S),
				 .inception = (uint32_t)(msp_wall_now().s - MSP_SIG0_BRACKET_S),
				 .tag = msp_key_id(key),
				 .signer = *signer };
	uint8_t rdata[MSP_SIG0_RR_MAX], tbs[MSP_SIG0_RR_MAX + MESSAGE_MAX], signature[MSP_SIGNATURE_MAX];
	size_t sig_len = sizeof(signature), at;
	struct msp_wr wr;

	msp_wr_init(&wr, rdata, sizeof(rdata));
	sig.signature = msp_span(NULL, 0);
	msp_rrsig_write(&wr, &sig);
	bench_must(wr.err, "sig");
	memcpy(tbs, rdata, wr.pos); /* RFC 2931 3.1: SIG RDATA without the signature, then the message */
	memcpy(tbs + wr.pos, m->octets, m->len);
	bench_must(msp_key_sign(key, msp_span(tbs, wr.pos + m->len), signature, &sig_len), "sign");
	at = wr.pos;
	msp_wr_init(&wr, m->octets + m->len, sizeof(m->octets) - m->len);
	msp_wr_u8(&wr, 0);
	msp_wr_u16(&wr, MSP_TYPE_SIG);
	msp_wr_u16(&wr, MSP_CLASS_ANY);
	msp_wr_u32(&wr, 0);
	msp_wr_u16(&wr, (uint16_t)(at + sig_len));
	msp_wr_octets(&wr, msp_span(rdata, at));
	msp_wr_octets(&wr, msp_span(signature, sig_len));
	bench_must(wr.err, "no room for the signature");
	m->len = (uint16_t)(m->len + wr.pos);
	bench_put_u16(m->octets + 10, bench_u16(m->octets + 10) + 1); /* ARCOUNT */
}

static void digest_for(uint64_t n, uint64_t round, uint8_t digest[32])
{
	for (size_t i = 0; i < 32; i++)
		digest[i] = (uint8_t)((n >> (8 * (i % 8))) ^ (round * 31 + i * 7) ^ (round >> 3));
	for (size_t i = 0; i < 4; i++)
		digest[i] = (uint8_t)(round >> (8 * i));
	for (size_t i = 0; i < 8; i++)
		digest[8 + i] = (uint8_t)(n >> (8 * i));
}

static void make_update(const struct keys *k, const struct msp_name *parent, uint64_t n, uint64_t round, uint16_t id,
			struct message *m)
{
	struct msp_name child = child_name(n, parent);
	uint8_t ds[MSP_DS_MAX] = { 0x30, 0x39, MSP_ALG_ECDSAP256, MSP_DIGEST_SHA256 };
	struct msp_msgw w;
	struct msp_span s;
	size_t len = 36;

	digest_for(n, round, ds + 4);
	msp_updw_init(&w, m->octets, sizeof(m->octets), id, parent);
	msp_updw_del_rrset(&w, &child, MSP_TYPE_DS);
	if (k->dnskey.len > 0 && round % 2 == 0) {
		bench_must(msp_ds_from_dnskey(&child, msp_buf_span(&k->dnskey), MSP_DIGEST_SHA384, ds, &len), "DS");
		msp_updw_add(&w, &child, MSP_TYPE_DS, 3600, msp_span(ds, len));
	}
	if (k->dnskey.len > 0)
		bench_must(msp_ds_from_dnskey(&child, msp_buf_span(&k->dnskey), MSP_DIGEST_SHA256, ds, &len), "DS");
	msp_updw_add(&w, &child, MSP_TYPE_DS, 3600, msp_span(ds, len));
	bench_must(msp_msgw_finish(&w, &s), "update");
	m->len = (uint16_t)s.len;
	if (k->tsig != NULL) {
		struct msp_tsig_ctx ctx = { 0 };

		len = m->len;
		bench_must(msp_tsig_sign_request(k->tsig, msp_wall_now(), m->octets, &len, sizeof(m->octets), &ctx),
			   "tsig");
		msp_tsig_ctx_fini(&ctx);
		m->len = (uint16_t)len;
	} else {
		sign_as(k->key[n % k->count], &child, m);
	}
}

/* --- closed loop: a new message for each answer ------------------------------------------------------------------- */

struct slot { /* by message id */
	uint64_t message;
	int64_t sent, first;
	bool busy;
};

struct load {
	const struct message *m;
	uint64_t count, next, done;
	size_t outstanding, window;
	struct slot *slot;
	int64_t *latency;
	uint64_t rcode[32], resent;
	int64_t last_answer;
	uint64_t first, children, round;
	int64_t *acked; /* round last granted, by child; -1 none */
	int fd;
};

static void send_one(struct load *l, uint64_t i, bool again)
{
	struct slot *s = &l->slot[bench_u16(l->m[i].octets)];

	s->message = i;
	s->sent = bench_now_ns();
	s->first = again ? s->first : s->sent;
	s->busy = true;
	while (send(l->fd, l->m[i].octets, l->m[i].len, 0) < 0 &&
	       (errno == EAGAIN || errno == ENOBUFS || errno == EINTR))
		(void)poll(&(struct pollfd){ .fd = l->fd, .events = POLLOUT }, 1, 10);
}

static void take_answer(struct load *l, const uint8_t *a, size_t len)
{
	struct slot *s;
	unsigned rcode;

	if (len < 12)
		return;
	s = &l->slot[bench_u16(a)];
	if (!s->busy)
		return;
	rcode = a[3] & 15u;
	l->last_answer = bench_now_ns();
	l->latency[l->done++] = l->last_answer - s->first;
	l->rcode[rcode]++;
	s->busy = false;
	l->outstanding--;
	if (rcode == 0 && l->acked != NULL)
		l->acked[s->message % l->children] = (int64_t)(l->round + s->message / l->children);
}

/* False: nobody has answered for long. */
static bool resend_late(struct load *l)
{
	int64_t now = bench_now_ns();

	for (size_t id = 0; id < IDS; id++) {
		if (!l->slot[id].busy || now - l->slot[id].sent < RESEND_NS)
			continue;
		l->resent++;
		send_one(l, l->slot[id].message, true);
	}
	return now - l->last_answer < GIVE_UP_NS;
}

static void run_load(struct load *l)
{
	static uint8_t mem[BATCH][1500];
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	int64_t checked;

	for (size_t i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ mem[i], sizeof(mem[i]) };
		msg[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	l->last_answer = checked = bench_now_ns();
	while (l->done < l->count) {
		int n;

		while (l->outstanding < l->window && l->next < l->count) {
			l->outstanding++;
			send_one(l, l->next++, false);
		}
		(void)poll(&(struct pollfd){ .fd = l->fd, .events = POLLIN }, 1, 200);
		n = recvmmsg(l->fd, msg, BATCH, MSG_DONTWAIT, NULL);
		if (n < 0 && errno == ECONNREFUSED)
			return; /* the receiver is gone */
		for (int i = 0; i < n; i++)
			take_answer(l, mem[i], msg[i].msg_len);
		if (bench_now_ns() - checked > RESEND_NS / 4) {
			checked = bench_now_ns();
			if (!resend_late(l))
				return;
		}
	}
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void write_acked(const struct load *l, const char *path)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		bench_die(path);
	for (uint64_t i = 0; i < l->children; i++) {
		uint8_t digest[32];

		if (l->acked[i] < 0)
			continue;
		digest_for(l->first + i, (uint64_t)l->acked[i], digest);
		fprintf(f, "c%llu ", (unsigned long long)(l->first + i));
		for (size_t k = 0; k < sizeof(digest); k++)
			fprintf(f, "%02x", digest[k]);
		fputc('\n', f);
	}
	fclose(f);
}

static void report_load(struct load *l, int64_t took, double cpu)
{
	const char *comma = "";

	qsort(l->latency, l->done, sizeof(*l->latency), compare);
	printf("{\"done\": %llu, \"seconds\": %.4f, \"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": "
	       "%.1f, "
	       "\"resent\": %llu, \"cpu_s\": %.4f, \"rcodes\": {",
	       (unsigned long long)l->done, (double)took / 1e9, took > 0 ? (double)l->done * 1e9 / (double)took : 0,
	       l->done ? (double)l->latency[l->done / 2] / 1e3 : 0,
	       l->done ? (double)l->latency[l->done * 99 / 100] / 1e3 : 0,
	       l->done ? (double)l->latency[l->done - 1] / 1e3 : 0, (unsigned long long)l->resent, cpu);
	for (unsigned i = 0; i < 16; i++) {
		if (l->rcode[i] == 0)
			continue;
		printf("%s\"%u\": %llu", comma, i, (unsigned long long)l->rcode[i]);
		comma = ", ";
	}
	printf("}}\n");
}

static int updates(int argc, char **argv)
{
	struct msp_name parent = bench_name(argv[1]);
	struct load l = { .first = bench_number(argv[2], UINT32_MAX),
			  .children = bench_number(argv[3], UINT32_MAX),
			  .round = bench_number(argv[4], 1000000),
			  .count = bench_number(argv[5], 50000000),
			  .window = bench_number(argv[6], 30000) };
	struct message *m = bench_grow(NULL, l.count, sizeof(*m));
	bool has_dnskey = argc > 8 && strncmp(argv[8], DNSKEY_IS, strlen(DNSKEY_IS)) == 0;
	struct keys k = { .count = 0 };
	int64_t began;
	double cpu;

	load_keys(argv[7], &k);
	msp_buf_init(&k.dnskey, MESSAGE_MAX);
	if (has_dnskey)
		bench_must(msp_hex_parse(msp_span_str(argv[8] + strlen(DNSKEY_IS)), &k.dnskey), argv[8]);
	for (uint64_t i = 0; i < l.count; i++)
		make_update(&k, &parent, l.first + i % l.children, l.round + i / l.children, (uint16_t)i, &m[i]);
	l.m = m;
	l.slot = bench_grow(NULL, IDS, sizeof(*l.slot));
	memset(l.slot, 0, IDS * sizeof(*l.slot));
	l.latency = bench_grow(NULL, l.count, sizeof(*l.latency));
	l.acked = argc > 8 && !has_dnskey ? bench_grow(NULL, l.children, sizeof(*l.acked)) : NULL;
	if (l.acked != NULL)
		memset(l.acked, 0xff, l.children * sizeof(*l.acked));
	l.fd = bench_connect_udp(bench_number(argv[0], 65535));
	bench_wait_for_start();
	cpu = cpu_seconds();
	began = bench_now_ns();
	run_load(&l);
	report_load(&l, l.last_answer - began, cpu_seconds() - cpu);
	if (l.acked != NULL)
		write_acked(&l, argv[8]);
	return 0;
}

/* --- open loop: at a rate, whatever comes back -------------------------------------------------------------------- */

enum flood { FLOOD_UNKNOWN, FLOOD_FORGED, FLOOD_NOTIFY };
#define PREPARED 4096

static void make_flood(enum flood kind, const struct keys *k, const struct msp_name *parent, uint64_t n, uint16_t id,
		       struct message *m)
{
	struct msp_name child = child_name(n, parent);
	struct msp_msgw w;
	struct msp_span s;

	if (kind == FLOOD_NOTIFY) {
		msp_notifyw_init(&w, m->octets, sizeof(m->octets), id, &child, MSP_TYPE_CDS, NULL);
		bench_must(msp_msgw_finish(&w, &s), "notify");
		m->len = (uint16_t)s.len;
		return;
	}
	if (kind == FLOOD_UNKNOWN) {
		char label[48];

		(void)snprintf(label, sizeof(label), "nobody%llu", (unsigned long long)n);
		bench_must(msp_name_prepend(label, parent, &child), label);
	}
	msp_updw_init(&w, m->octets, sizeof(m->octets), id, parent);
	msp_updw_del_rrset(&w, &child, MSP_TYPE_DS);
	bench_must(msp_msgw_finish(&w, &s), "update");
	m->len = (uint16_t)s.len;
	sign_as(k->key[n % k->count], &child, m);
	m->octets[m->len - 1] ^= 0x55; /* of a forged one everything is right but the signature */
}

/* Each from another /24, as a flood of forged sources would be. */
static int flood_socket(uint64_t port, unsigned i)
{
	struct sockaddr_in to = bench_loopback(port), from = { .sin_family = AF_INET };
	const uint8_t oct[4] = { 127, 100, (uint8_t)i, 1 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = SOCKET_BUF;

	memcpy(&from.sin_addr, oct, sizeof(oct));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(fd, bench_sa(&to), sizeof(to)) != 0)
		bench_die("flood socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

struct flood_run {
	int fd[SOURCES];
	uint64_t sent, answers, rcode[16];
};

static void drain(struct flood_run *r)
{
	static uint8_t mem[BATCH][1500];
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];

	for (size_t i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ mem[i], sizeof(mem[i]) };
		msg[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	for (size_t s = 0; s < SOURCES; s++) {
		int n = recvmmsg(r->fd[s], msg, BATCH, MSG_DONTWAIT, NULL);

		for (int i = 0; i < n; i++) {
			r->answers++;
			r->rcode[mem[i][3] & 15u]++;
		}
	}
}

static void send_batch(struct flood_run *r, const struct message *m, uint64_t count)
{
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	int n;

	for (size_t i = 0; i < count; i++) {
		const struct message *one = &m[(r->sent + i) % PREPARED];
		union {
			const uint8_t *in;
			uint8_t *out; /* sendmmsg does not write to it */
		} at = { .in = one->octets };

		iov[i] = (struct iovec){ at.out, one->len };
		msg[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	n = sendmmsg(r->fd[(r->sent / BATCH) % SOURCES], msg, (unsigned)count, 0);
	r->sent += n > 0 ? (uint64_t)n : 0;
}

static int flood(char **argv)
{
	static const char *const kinds[] = { "unknown", "forged", "notify" };
	struct msp_name parent = bench_name(argv[1]);
	uint64_t first = bench_number(argv[3], UINT32_MAX), children = bench_number(argv[4], UINT32_MAX);
	uint64_t rate = bench_number(argv[5], 10000000), seconds = bench_number(argv[6], 3600);
	struct message *m = bench_grow(NULL, PREPARED, sizeof(*m));
	struct flood_run r = { .sent = 0 };
	struct keys k = { .count = 0 };
	int64_t began, end, drained = 0;
	double cpu;
	unsigned kind = 0;

	while (kind < 2 && strcmp(kinds[kind], argv[2]) != 0)
		kind++;
	load_keys(argv[7], &k);
	for (uint64_t i = 0; i < PREPARED; i++)
		make_flood((enum flood)kind, &k, &parent, first + i % children, (uint16_t)i, &m[i]);
	for (unsigned i = 0; i < SOURCES; i++)
		r.fd[i] = flood_socket(bench_number(argv[0], 65535), i);
	bench_wait_for_start();
	cpu = cpu_seconds();
	began = bench_now_ns();
	end = began + (int64_t)seconds * 1000000000;
	for (int64_t now = began; now < end; now = bench_now_ns()) {
		uint64_t due = (uint64_t)((double)(now - began) / 1e9 * (double)rate);

		if (r.sent + BATCH <= due)
			send_batch(&r, m, BATCH);
		else
			(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ 0, 100000 }, NULL);
		if (now - drained > 5000000) {
			drained = now;
			drain(&r);
		}
	}
	for (int i = 0; i < 20; i++) {
		drain(&r);
		(void)poll(NULL, 0, 10);
	}
	printf("{\"sent\": %llu, \"answers\": %llu, \"seconds\": %llu, \"cpu_s\": %.4f, \"rcodes\": {\"0\": %llu, "
	       "\"5\": %llu, "
	       "\"9\": %llu, \"1\": %llu}}\n",
	       (unsigned long long)r.sent, (unsigned long long)r.answers, (unsigned long long)seconds,
	       cpu_seconds() - cpu, (unsigned long long)r.rcode[0], (unsigned long long)r.rcode[5],
	       (unsigned long long)r.rcode[9], (unsigned long long)r.rcode[1]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "keys") == 0)
		return make_keys(argv[2], bench_number(argv[3], KEYS_MAX));
	if ((argc == 10 || argc == 11) && strcmp(argv[1], "update") == 0)
		return updates(argc - 2, argv + 2);
	if (argc == 10 && strcmp(argv[1], "flood") == 0)
		return flood(argv + 2);
	fprintf(stderr, "usage: see the head of parent_client.c\n");
	return 2;
}
