/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A farm of authoritative servers for the children of one parent, c0.<parent> to c<n-1>.<parent>: one process, any
 * number of loopback addresses, UDP and TCP.
 *
 *   bench_farm -p PARENT [-a FIRST-ADDRESS] [-n ADDRESSES] [-P PORT] [-c CHILDREN] [-k KEY.private] [-w WARM]
 *              [-m MUTE%] [-z NONE%] [-d DIFFER%] [-y CSYNC%]
 *
 * Every child has SOA, NS (ns1 and ns2 below it), DNSKEY, CDS, CDNSKEY, CSYNC at its apex, and an A record at each of
 * its name servers: child i is at addresses i and i + 1, counted round. All children have one key pair; what is signed
 * is each child's own, at the first question for it, or before the start for the first WARM of them.
 *
 * What a child has is told by its number modulo 100: of each hundred the first MUTE are never answered, the next NONE
 * have no CDS, CDNSKEY and CSYNC, the next DIFFER have a CDS with another digest type (SHA-384) than the rest
 * (SHA-256): a change that is in order. CSYNC% of the numbers modulo 100, counted from the end, have a CSYNC.
 *
 * Says one line of JSON when it is ready, with the RDATA of the DNSKEY. Ends when its standard input does; the line
 * "stats" there is answered with one of JSON.
 */
#include "bench.h"

#include "../support/rrsign.h"

#include <msproto/auth/dnssec.h>
#include <msproto/base/addr.h>
#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/msg/edns.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES_MAX 4096
#define TTL           300
#define SERIAL        2026
#define HOSTS         2
#define IN_ROOM       8192 /* questions of one connection that are answered with one write */
#define OUT_ROOM      (256u << 10)
#define ANSWER_MAX    2048
#define EVENTS        256

enum slot { SOA, NS, DNSKEY, CDS, CDNSKEY, CSYNC, HOST_1, HOST_2, SLOTS };
enum nature { MUTE, NONE, DIFFERS, SAME };

/* Signatures of one child, as RRSIG RDATA; NULL until somebody asks. */
struct signatures {
	uint8_t *rrsig[SLOTS]; /* owned */
	uint16_t len[SLOTS];
};

static struct {
	struct msp_name parent;
	struct msp_key *key;
	struct msp_addr address[ADDRESSES_MAX];
	size_t addresses;
	struct signatures **cache; /* owned, by the child's number */
	uint64_t children;
	unsigned mute, none, differ, csync;
	uint32_t inception, expiration;
	uint64_t questions, by_tcp, connections, signatures;
} farm = { .children = 2000000, .csync = 100, .addresses = 2 };

/* --- what a child has ------------------------------------------------------------------------------------------------
 */

struct child {
	uint32_t number;
	enum nature nature;
	bool has_csync;
	struct msp_name name; /* lower case */
};

struct set {
	struct msp_name owner;
	uint16_t type;
	size_t count;
	struct msp_span rdata[HOSTS];
	uint8_t mem[1200];
};

static enum nature nature_of(uint32_t number)
{
	unsigned n = number % 100;

	if (n < farm.mute)
		return MUTE;
	if (n < farm.mute + farm.none)
		return NONE;
	return n < farm.mute + farm.none + farm.differ ? DIFFERS : SAME;
}

static void child_of(uint32_t number, struct child *c)
{
	char label[16];

	c->number = number;
	c->nature = nature_of(number);
	c->has_csync = c->nature != NONE && number % 100 >= 100 - farm.csync;
	snprintf(label, sizeof(label), "c%u", (unsigned)number);
	bench_must(msp_name_prepend(label, &farm.parent, &c->name), label);
}

/* "c<number>" directly below the parent, or below that. *above: labels in front of the child's name. */
static bool find_child(const struct msp_name *name, struct child *c, unsigned *above)
{
	unsigned labels = msp_name_labels(name), own = msp_name_labels(&farm.parent) + 1;
	struct msp_name apex;
	uint64_t number = 0;

	if (labels < own || !msp_name_is_under(name, &farm.parent))
		return false;
	*above = labels - own;
	if (msp_name_parent(name, *above, &apex) != MSP_OK || apex.oct[0] < 2 || (apex.oct[1] | 0x20) != 'c' ||
	    msp_u64_parse(msp_span(apex.oct + 2, apex.oct[0] - 1u), farm.children - 1, &number) != MSP_OK)
		return false;
	child_of((uint32_t)number, c);
	return msp_name_equal(&apex, &c->name);
}

static struct msp_name host_of(const struct child *c, unsigned i)
{
	struct msp_name host;

	bench_must(msp_name_prepend(i == 0 ? "ns1" : "ns2", &c->name, &host), "host");
	return host;
}

static void add(struct set *s, struct msp_wr *wr, size_t from)
{
	bench_must(wr->err, "RDATA");
	s->rdata[s->count++] = msp_span(s->mem + from, wr->pos - from);
}

static void add_soa(const struct child *c, struct set *s, struct msp_wr *wr)
{
	struct msp_soa soa = {
		.serial = SERIAL, .refresh_s = 3600, .retry_s = 600, .expire_s = 86400, .minimum_s = TTL
	};

	soa.mname = host_of(c, 0);
	soa.rname = c->name;
	msp_soa_write(wr, &soa);
	add(s, wr, 0);
}

static void add_ns(const struct child *c, struct set *s, struct msp_wr *wr)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		struct msp_name host = host_of(c, i);
		size_t from = wr->pos;

		msp_wr_octets(wr, msp_name_span(&host));
		add(s, wr, from);
	}
}

static void add_cds(const struct child *c, struct set *s, struct msp_wr *wr)
{
	uint8_t type = c->nature == DIFFERS ? MSP_DIGEST_SHA384 : MSP_DIGEST_SHA256;
	uint8_t ds[MSP_DS_MAX];
	size_t len = sizeof(ds);

	bench_must(msp_ds_from_dnskey(&c->name, msp_key_rdata(farm.key), type, ds, &len), "CDS");
	msp_wr_octets(wr, msp_span(ds, len));
	add(s, wr, 0);
}

static void add_csync(struct set *s, struct msp_wr *wr)
{
	static const uint16_t types[] = { MSP_TYPE_A, MSP_TYPE_NS, MSP_TYPE_AAAA };
	uint8_t mem[64];
	struct msp_wr bits;

	msp_wr_init(&bits, mem, sizeof(mem));
	msp_bitmap_write(&bits, types, 3);
	msp_csync_write(wr, &(struct msp_csync){ SERIAL, MSP_CSYNC_IMMEDIATE, msp_wr_span(&bits) });
	add(s, wr, 0);
}

static const uint16_t type_of[SLOTS] = { MSP_TYPE_SOA,     MSP_TYPE_NS,    MSP_TYPE_DNSKEY, MSP_TYPE_CDS,
					 MSP_TYPE_CDNSKEY, MSP_TYPE_CSYNC, MSP_TYPE_A,      MSP_TYPE_A };

/* False: the child has none of it. */
static bool build(const struct child *c, enum slot slot, struct set *s)
{
	const struct msp_addr *a;
	struct msp_wr wr;

	s->owner = slot < HOST_1 ? c->name : host_of(c, slot - HOST_1);
	s->type = type_of[slot];
	s->count = 0;
	msp_wr_init(&wr, s->mem, sizeof(s->mem));
	if (c->nature == NONE && (slot == CDS || slot == CDNSKEY))
		return false;
	switch (slot) {
	case SOA:
		add_soa(c, s, &wr);
		break;
	case NS:
		add_ns(c, s, &wr);
		break;
	case DNSKEY:
	case CDNSKEY:
		msp_wr_octets(&wr, msp_key_rdata(farm.key));
		add(s, &wr, 0);
		break;
	case CDS:
		add_cds(c, s, &wr);
		break;
	case CSYNC:
		if (c->has_csync)
			add_csync(s, &wr);
		break;
	default:
		a = &farm.address[(c->number + (slot - HOST_1)) % farm.addresses];
		msp_wr_octets(&wr, msp_span(a->oct, 4));
		add(s, &wr, 0);
	}
	return s->count > 0;
}

/* --- signatures ------------------------------------------------------------------------------------------------------
 */

static void *zeroed(size_t count, size_t size)
{
	void *p = msp_alloc(count, size);

	if (p == NULL)
		bench_die("memory");
	return p;
}

static void sign(const struct child *c, const struct set *s, struct signatures *to, enum slot slot)
{
	struct msp_rrset *set = NULL;
	struct msp_buf rdata;

	bench_must(msp_rrset_new(&s->owner, s->type, TTL, &set), "RRset");
	for (size_t i = 0; i < s->count; i++)
		bench_must(msp_rrset_add(set, s->rdata[i]), "record");
	msp_buf_init(&rdata, 1024);
	bench_must(rrsign(set, farm.key, &c->name, farm.inception, farm.expiration, &rdata), "signature");
	to->rrsig[slot] = rdata.ptr;
	to->len[slot] = (uint16_t)rdata.len;
	msp_rrset_free(&set);
	farm.signatures++;
}

static struct msp_span signature(const struct child *c, const struct set *s, enum slot slot)
{
	struct signatures **of = &farm.cache[c->number];

	if (*of == NULL)
		*of = zeroed(1, sizeof(**of));
	if ((*of)->rrsig[slot] == NULL)
		sign(c, s, *of, slot);
	return msp_span((*of)->rrsig[slot], (*of)->len[slot]);
}

static void warm(uint64_t count)
{
	for (uint64_t i = 0; i < count && i < farm.children; i++) {
		struct child c;
		struct set s;

		child_of((uint32_t)i, &c);
		for (enum slot slot = 0; slot < SLOTS; slot++)
			if (c.nature != MUTE && build(&c, slot, &s))
				(void)signature(&c, &s, slot);
	}
}

/* --- answers ---------------------------------------------------------------------------------------------------------
 */

static void put_set(struct msp_msgw *w, enum msp_section section, const struct child *c, enum slot slot,
		    const struct set *s, bool dnssec_ok)
{
	for (size_t i = 0; i < s->count; i++)
		msp_msgw_rr(w, section, &(struct msp_rr){ s->owner, s->type, MSP_CLASS_IN, TTL, s->rdata[i] });
	if (dnssec_ok)
		msp_msgw_rr(w, section,
			    &(struct msp_rr){ s->owner, MSP_TYPE_RRSIG, MSP_CLASS_IN, TTL, signature(c, s, slot) });
}

static enum slot slot_of(const struct child *c, const struct msp_question *q, unsigned above)
{
	enum slot first = above == 0 ? SOA : HOST_1, end = above == 0 ? HOST_1 : SLOTS;
	struct msp_name host;

	for (enum slot slot = first; slot < end && above <= 1; slot++) {
		if (type_of[slot] != q->type)
			continue;
		if (above == 0)
			return slot;
		host = host_of(c, slot - HOST_1);
		if (msp_name_equal(&host, &q->name))
			return slot;
	}
	return SLOTS;
}

static bool exists(const struct child *c, const struct msp_name *name, unsigned above)
{
	struct msp_name host[HOSTS] = { host_of(c, 0), host_of(c, 1) };

	return above == 0 || (above == 1 && (msp_name_equal(name, &host[0]) || msp_name_equal(name, &host[1])));
}

static void put_child(struct msp_msgw *w, const struct msp_msg *m, const struct child *c, unsigned above)
{
	enum slot slot = slot_of(c, &m->question, above);
	struct set s;

	if (slot < SLOTS && build(c, slot, &s)) {
		put_set(w, MSP_SEC_ANSWER, c, slot, &s, m->edns.dnssec_ok);
		return;
	}
	if (!exists(c, &m->question.name, above))
		msp_msgw_rcode(w, MSP_RCODE_NXDOMAIN);
	(void)build(c, SOA, &s);
	put_set(w, MSP_SEC_AUTHORITY, c, SOA, &s, m->edns.dnssec_ok);
}

/* 0: no answer. */
static size_t answer(struct msp_span question, uint8_t *out, size_t cap)
{
	static struct msp_rr_scratch scratch;
	struct msp_msg m = { .id = 0 };
	enum msp_err err = msp_msg_parse(question, &scratch, &m, NULL);
	bool is_ours = false;
	struct msp_msgw w;
	struct msp_span octets;
	struct child c;
	unsigned above;

	if (question.len < MSP_HEADER_LEN || (m.flags & MSP_FLAG_QR) != 0)
		return 0;
	farm.questions++;
	if (err == MSP_OK && m.opcode == MSP_OPCODE_QUERY && m.question.cls == MSP_CLASS_IN)
		is_ours = find_child(&m.question.name, &c, &above);
	if (is_ours && c.nature == MUTE)
		return 0;
	msp_msgw_respond(&w, out, cap, &m, err != MSP_OK ? MSP_RCODE_FORMERR : (is_ours ? 0 : MSP_RCODE_REFUSED),
			 is_ours ? MSP_FLAG_AA : 0);
	if (is_ours)
		put_child(&w, &m, &c, above);
	if (m.edns.present) {
		struct msp_optw o = msp_optw_open(&w, MSP_EDNS_PAYLOAD, 0, m.edns.dnssec_ok);

		msp_optw_close(&o);
	}
	return msp_msgw_finish(&w, &octets) == MSP_OK ? octets.len : 0;
}

/* --- sockets ---------------------------------------------------------------------------------------------------------
 */

enum kind { LISTENER, DATAGRAMS, STREAM, STDIN };
struct end {
	enum kind kind;
	int fd;
	size_t in_len;
	uint8_t *rest; /* owned: what the socket did not take */
	size_t rest_at, rest_len;
	uint8_t in[]; /* STREAM only */
};

static int poll_fd;

static struct end *end_new(enum kind kind, int fd)
{
	struct end *e = bench_grow(NULL, 1, sizeof(*e) + (kind == STREAM ? IN_ROOM : 0));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = e };

	*e = (struct end){ .kind = kind, .fd = fd };
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &ev) == 0)
		return e;
	if (kind != STDIN) /* which may be a file */
		bench_die("epoll");
	return e;
}

static void end_free(struct end *e)
{
	close(e->fd);
	msp_free(e->rest);
	msp_free(e);
}

static void watch(struct end *e, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = e };

	epoll_ctl(poll_fd, EPOLL_CTL_MOD, e->fd, &ev);
}

/* False: the client has gone. */
static bool send_octets(struct end *e, const uint8_t *at, size_t len)
{
	ssize_t n = send(e->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	n = n < 0 ? 0 : n;
	if ((size_t)n == len)
		return true;
	e->rest = bench_grow(NULL, len - (size_t)n, 1);
	e->rest_at = 0;
	e->rest_len = len - (size_t)n;
	memcpy(e->rest, at + n, e->rest_len);
	watch(e, EPOLLOUT); /* no more questions until it is gone */
	return true;
}

static bool send_rest(struct end *e)
{
	ssize_t n = send(e->fd, e->rest + e->rest_at, e->rest_len - e->rest_at, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	e->rest_at += (size_t)n;
	if (e->rest_at < e->rest_len)
		return true;
	msp_free(e->rest);
	e->rest = NULL;
	watch(e, EPOLLIN);
	return true;
}

/* All whole questions that have come, with one write. */
static bool answer_stream(struct end *e)
{
	static uint8_t out[OUT_ROOM];
	size_t at = 0, len = 0;

	while (e->in_len - at >= 2 && len + ANSWER_MAX + 2 <= sizeof(out)) {
		size_t want = bench_u16(e->in + at), n;

		if (want > IN_ROOM - 2)
			return false;
		if (e->in_len - at - 2 < want)
			break;
		n = answer(msp_span(e->in + at + 2, want), out + len + 2, ANSWER_MAX);
		if (n > 0) {
			bench_put_u16(out + len, n);
			len += 2 + n;
			farm.by_tcp++;
		}
		at += 2 + want;
	}
	e->in_len -= at;
	if (at > 0 && e->in_len > 0)
		memmove(e->in, e->in + at, e->in_len);
	return len == 0 || send_octets(e, out, len);
}

static bool read_stream(struct end *e)
{
	ssize_t n = recv(e->fd, e->in + e->in_len, IN_ROOM - e->in_len, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	e->in_len += (size_t)n;
	return n > 0 && answer_stream(e);
}

static void accept_all(struct end *e)
{
	int fd, one = 1;

	while ((fd = accept4(e->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		farm.connections++;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		(void)end_new(STREAM, fd);
	}
}

static void answer_datagrams(struct end *e)
{
	uint8_t in[4096], out[ANSWER_MAX];
	struct sockaddr_in peer;
	ssize_t n;

	for (int i = 0; i < 64; i++) {
		socklen_t len = sizeof(peer);
		size_t answer_len;

		n = recvfrom(e->fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&peer, &len);
		if (n < 0)
			return;
		answer_len = answer(msp_span(in, (size_t)n), out, sizeof(out));
		if (answer_len > 0)
			sendto(e->fd, out, answer_len, MSG_DONTWAIT, bench_sa(&peer), len);
	}
}

static void obey(void)
{
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line));

	if (n <= 0)
		exit(0);
	printf("{\"questions\": %llu, \"by_tcp\": %llu, \"connections\": %llu, \"signatures\": %llu}\n",
	       (unsigned long long)farm.questions, (unsigned long long)farm.by_tcp,
	       (unsigned long long)farm.connections, (unsigned long long)farm.signatures);
	fflush(stdout);
}

static void serve(struct end *e, uint32_t events)
{
	switch (e->kind) {
	case LISTENER:
		accept_all(e);
		break;
	case DATAGRAMS:
		answer_datagrams(e);
		break;
	case STDIN:
		obey();
		break;
	case STREAM:
		if (!((events & EPOLLOUT) != 0 ? send_rest(e) : read_stream(e)))
			end_free(e);
	}
}

static int bound(int type, const struct msp_addr *a)
{
	struct sockaddr_in sa = bench_loopback(a->port);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, room = 4 << 20;

	memcpy(&sa.sin_addr.s_addr, a->oct, 4);
	setsockopt(fd, SOL_SOCKET, type == SOCK_STREAM ? SO_REUSEADDR : SO_RCVBUF, type == SOCK_STREAM ? &one : &room,
		   sizeof(int));
	if (fd < 0 || bind(fd, bench_sa(&sa), sizeof(sa)) != 0)
		bench_die(MSP_ADDR(a));
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	uint8_t octets[2];

	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		bench_die("port");
	memcpy(octets, &sa.sin_port, sizeof(octets));
	return (uint16_t)bench_u16(octets);
}

/* FIRST-ADDRESS and those that follow it; a port that is not given is the first one's on all of them. */
static void open_all(const char *first, uint64_t port)
{
	struct msp_addr a;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	bench_must(msp_addr_parse(first, (uint16_t)port, &a), first);
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < farm.addresses; i++) {
		int fd = bound(SOCK_STREAM, &a);

		if (listen(fd, 4096) != 0)
			bench_die("listen");
		a.port = port_of(fd);
		(void)end_new(LISTENER, fd);
		(void)end_new(DATAGRAMS, bound(SOCK_DGRAM, &a));
		farm.address[i] = a;
		for (int k = 3; k >= 0 && ++a.oct[k] == 0; k--)
			;
	}
	(void)end_new(STDIN, STDIN_FILENO);
}

/* --- the start -------------------------------------------------------------------------------------------------------
 */

static void introduce(void)
{
	struct msp_span dnskey = msp_key_rdata(farm.key);

	printf("{\"parent\": \"%s\", \"port\": %u, \"addresses\": [", MSP_NAME(&farm.parent), farm.address[0].port);
	for (size_t i = 0; i < farm.addresses; i++) {
		struct msp_addr a = farm.address[i];

		a.port = 0;
		printf("%s\"%s\"", i > 0 ? ", " : "", MSP_ADDR(&a));
	}
	printf("], \"children\": %llu, \"tag\": %u, \"algorithm\": %u, \"dnskey\": \"",
	       (unsigned long long)farm.children, msp_key_id(farm.key), msp_key_alg(farm.key));
	for (size_t i = 0; i < dnskey.len; i++)
		printf("%02x", dnskey.ptr[i]);
	puts("\"}");
	fflush(stdout);
}

static _Noreturn void usage(void)
{
	fputs("bench_farm -p PARENT [-a FIRST-ADDRESS] [-n ADDRESSES] [-P PORT] [-c CHILDREN] [-k KEY.private] [-w "
	      "WARM]\n"
	      "           [-m MUTE%] [-z NONE%] [-d DIFFER%] [-y CSYNC%]\n",
	      stderr);
	exit(2);
}

static void make_key(const char *path)
{
	struct msp_why why = { "" };

	if (path == NULL)
		bench_must(msp_key_generate(&farm.parent, MSP_ALG_ECDSAP256, MSP_DNSKEY_ZONE | MSP_DNSKEY_SEP,
					    &farm.key),
			   "key");
	else
		bench_must(msp_key_load(path, &farm.key, &why), path);
}

int main(int argc, char **argv)
{
	const char *first = "127.1.0.1", *key = NULL;
	uint64_t port = 0, warm_count = 0;
	struct epoll_event ev[EVENTS];
	int c;

	while ((c = getopt(argc, argv, "p:a:n:P:c:k:w:m:z:d:y:")) != -1) {
		if (c == 'p') {
			farm.parent = bench_name(optarg);
			msp_name_lower(&farm.parent);
		} else if (c == 'a') {
			first = optarg;
		} else if (c == 'n') {
			farm.addresses = bench_number(optarg, ADDRESSES_MAX);
		} else if (c == 'P') {
			port = bench_number(optarg, 65535);
		} else if (c == 'c') {
			farm.children = bench_number(optarg, 100000000);
		} else if (c == 'k') {
			key = optarg;
		} else if (c == 'w') {
			warm_count = bench_number(optarg, UINT32_MAX);
		} else if (c == 'm') {
			farm.mute = (unsigned)bench_number(optarg, 100);
		} else if (c == 'z') {
			farm.none = (unsigned)bench_number(optarg, 100);
		} else if (c == 'd') {
			farm.differ = (unsigned)bench_number(optarg, 100);
		} else if (c == 'y') {
			farm.csync = (unsigned)bench_number(optarg, 100);
		} else {
			usage();
		}
	}
	if (!msp_name_is_set(&farm.parent) || farm.addresses == 0 || farm.children == 0 || optind != argc)
		usage();
	farm.inception = (uint32_t)(msp_wall_now().s - 3600);
	farm.expiration = farm.inception + 30 * 86400;
	farm.cache = zeroed(farm.children, sizeof(struct signatures *));
	make_key(key);
	open_all(first, port);
	warm(warm_count);
	introduce();
	for (;;) {
		int n = epoll_wait(poll_fd, ev, EVENTS, -1);

		for (int i = 0; i < n; i++)
			serve(ev[i].data.ptr, ev[i].events);
	}
}
