/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both ends of the transfer benchmark, neither of which may be the bottleneck.
 *
 *   bench_axfr source PORT ZONE RECORDS KEY SECRET    a primary that generates the zone once and sends it from memory.
 *       stdin:  "bump PORT"    new serial, NOTIFY to 127.0.0.1 PORT   -> "SERIAL"
 *               "notify PORT"  NOTIFY again                           -> "SERIAL"
 *       It answers SOA, AXFR, and IXFR by the whole zone; signed when the request is signed.
 *   bench_axfr fetch PORT ZONE RECORDS [KEY SECRET]   one AXFR for a line on stdin: "OCTETS MESSAGES RECORDS RCODE"
 *       Reads headers only: frame length, RCODE, ANCOUNT. RECORDS: with the final SOA.
 *   bench_axfr loop OCTETS CHUNK                      a bare write loop over loopback TCP for a line on stdin: "OCTETS"
 *
 * Each says "ready" when it has prepared everything; whoever drives it takes the time from there. KEY is hmac-sha256,
 * SECRET base64.
 */
#include <msproto/auth/tsig.h>
#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/msg/notify.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_SIZE   (4u << 20)
#define WRITE_SIZE  (1u << 20)
#define PAGE_TARGET 16000
#define PAGE_ROOM   (PAGE_TARGET + 512)
#define RECORDS_MAX 20000000u
#define SILENCE_S   30 /* nobody waits longer for the other side */
#define HOSTS       5000
#define TTL         3600

static struct msp_rr_scratch scratch;
static struct msp_name zone;
static struct msp_tsig_key *key;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_axfr: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(enum msp_err err, const char *what)
{
	if (err == MSP_OK)
		return;
	fprintf(stderr, "bench_axfr: %s: %s\n", what, msp_err_text(err));
	exit(1);
}

static void wait_for_start(void)
{
	char line[16];

	puts("ready");
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		exit(1);
}

static uint64_t number(const char *text, uint64_t max)
{
	uint64_t n = 0;

	must(msp_u64_parse(msp_span_str(text), max, &n), text);
	return n;
}

static void load_key(const char *name, const char *secret)
{
	struct msp_buf octets;
	struct msp_name n;

	msp_buf_init(&octets, 256);
	must(msp_name_from_text(name, &n), "key name");
	must(msp_b64_parse(msp_span_str(secret), &octets), "secret");
	must(msp_tsig_key_new(&n, MSP_TSIG_SHA256, msp_buf_span(&octets), &key), "key");
	msp_buf_fini(&octets);
}

static struct sockaddr_in loopback(uint64_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	uint8_t octets[6];
	struct msp_wr w;

	msp_wr_init(&w, octets, sizeof(octets));
	msp_wr_u16(&w, (uint16_t)port);
	msp_wr_u32(&w, INADDR_LOOPBACK);
	memcpy(&a.sin_port, octets, 2);
	memcpy(&a.sin_addr.s_addr, octets + 2, 4);
	return a;
}

/* As (struct sockaddr *) without casting const away. */
static const struct sockaddr *sa(const struct sockaddr_in *a)
{
	return (const struct sockaddr *)a;
}

static void set_limits(int fd)
{
	struct timeval t = { .tv_sec = SILENCE_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static int connect_to(uint64_t port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		die("socket");
	set_limits(fd);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, sa(&a), sizeof(a)) != 0)
		die("connect");
	return fd;
}

static bool write_all(int fd, const uint8_t *at, size_t len)
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

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* --- fetch ------------------------------------------------------------------------------------------------------- */

static size_t make_request(uint8_t *out, size_t cap)
{
	struct msp_tsig_ctx ctx = { .key = NULL };
	struct msp_msgw w;
	struct msp_span msg;
	size_t len;

	msp_msgw_init(&w, out + 2, cap - 2, 0x4242, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &zone, MSP_TYPE_AXFR, MSP_CLASS_IN);
	must(msp_msgw_finish(&w, &msg), "request");
	len = msg.len;
	if (key != NULL)
		must(msp_tsig_sign_request(key, msp_wall_now(), out + 2, &len, cap - 2, &ctx), "TSIG");
	msp_tsig_ctx_fini(&ctx);
	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	return len + 2;
}

struct count {
	uint64_t octets, messages, records;
	unsigned rcode;
};

/* Whole frames are counted; what remains of the last one is moved to the front. */
static size_t count_frames(uint8_t *mem, size_t len, struct count *c)
{
	size_t at = 0;

	while (len - at >= 2 && len - at - 2 >= be16(mem + at)) {
		unsigned size = be16(mem + at);
		const uint8_t *m = mem + at + 2;

		if (size < MSP_HEADER_LEN) {
			fputs("bench_axfr: short message\n", stderr);
			exit(1);
		}
		c->messages++;
		c->records += be16(m + 6);
		c->rcode = m[3] & 0x0fu;
		at += 2 + size;
		if (c->rcode != 0)
			break;
	}
	memmove(mem, mem + at, len - at);
	return len - at;
}

static int fetch(uint64_t port, uint64_t records)
{
	uint8_t request[1024], *mem = msp_alloc(1, READ_SIZE);
	struct count c = { 0 };
	size_t held = 0, len = make_request(request, sizeof(request));
	int fd;

	if (mem == NULL)
		die("memory");
	memset(mem, 1, READ_SIZE); /* no page faults within the measured time */
	wait_for_start();
	fd = connect_to(port);
	if (!write_all(fd, request, len))
		die("send");
	while (c.records < records && c.rcode == 0) {
		ssize_t n = recv(fd, mem + held, READ_SIZE - held, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die(n == 0 ? "closed early" : "receive");
		c.octets += (size_t)n;
		held = count_frames(mem, held + (size_t)n, &c);
	}
	printf("%llu %llu %llu %u\n", (unsigned long long)c.octets, (unsigned long long)c.messages,
	       (unsigned long long)c.records, c.rcode);
	fflush(stdout);
	close(fd);
	msp_free(mem);
	return 0;
}

/* --- bare loop --------------------------------------------------------------------------------------------------- */

static int listen_on(uint64_t port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, sa(&a), sizeof(a)) != 0 || listen(fd, 64) != 0)
		die("listen");
	return fd;
}

static _Noreturn void loop_writer(int listener, uint64_t octets, size_t chunk)
{
	uint8_t *mem = msp_alloc(1, chunk);
	int fd = accept(listener, NULL, NULL);

	if (mem == NULL || fd < 0)
		_exit(1);
	memset(mem, 1, chunk);
	set_limits(fd);
	while (octets > 0) {
		size_t n = octets < chunk ? (size_t)octets : chunk;

		if (!write_all(fd, mem, n))
			_exit(1);
		octets -= n;
	}
	_exit(0);
}

static int loop(uint64_t octets, size_t chunk)
{
	int listener = listen_on(0), fd;
	uint8_t *mem = msp_alloc(1, READ_SIZE);
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	uint64_t got = 0;
	pid_t pid;

	if (mem == NULL || getsockname(listener, (struct sockaddr *)&a, &len) != 0)
		die("loop");
	memset(mem, 1, READ_SIZE);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		loop_writer(listener, octets, chunk);
	wait_for_start();
	fd = connect_to(be16((const uint8_t *)&a.sin_port));
	while (got < octets) {
		ssize_t n = recv(fd, mem, READ_SIZE, 0);

		if (n <= 0)
			die("loop: receive");
		got += (size_t)n;
	}
	printf("%llu\n", (unsigned long long)got);
	fflush(stdout);
	waitpid(pid, NULL, 0);
	msp_free(mem);
	return 0;
}

/* --- source: the zone -------------------------------------------------------------------------------------------- */

struct page {
	uint8_t *ptr; /* owned: a message */
	size_t len;
};
static struct {
	struct page *page; /* owned */
	size_t count, room;
	size_t first_soa, last_soa; /* where the serial stands in the first and in the last message */
	_Atomic uint32_t *serial;   /* shared with the children */
} source;

struct building {
	struct msp_msgw w;
	uint8_t mem[PAGE_ROOM];
	unsigned count;
	bool is_open;
};

static void close_page(struct building *b)
{
	struct msp_span msg;

	if (!b->is_open)
		return;
	must(msp_msgw_finish(&b->w, &msg), "page");
	if (source.count == source.room) {
		source.room = source.room * 2 + 64;
		source.page = msp_realloc(source.page, source.room, sizeof(*source.page));
		if (source.page == NULL)
			die("memory");
	}
	source.page[source.count].ptr = msp_memdup(msg.ptr, msg.len);
	if (source.page[source.count].ptr == NULL)
		die("memory");
	source.page[source.count++].len = msg.len;
	b->is_open = false;
}

static void open_page(struct building *b)
{
	msp_msgw_init(&b->w, b->mem, sizeof(b->mem), 0, MSP_OPCODE_QUERY, MSP_FLAG_QR | MSP_FLAG_AA);
	if (source.count == 0)
		msp_msgw_question(&b->w, &zone, MSP_TYPE_AXFR, MSP_CLASS_IN);
	b->is_open = true;
}

static void add(struct building *b, const struct msp_name *owner, unsigned type, struct msp_span rdata)
{
	struct msp_rr rr = { *owner, (uint16_t)type, MSP_CLASS_IN, TTL, rdata };

	if (!b->is_open)
		open_page(b);
	msp_msgw_rr(&b->w, MSP_SEC_ANSWER, &rr);
	must(b->w.wr.err, "record");
	if (b->w.wr.pos > PAGE_TARGET)
		close_page(b);
}

static void add_ns(struct building *b, const struct msp_name *owner, const char *text)
{
	struct msp_name host;

	must(msp_name_from_text(text, &host), text);
	add(b, owner, MSP_TYPE_NS, msp_name_span(&host));
}

static size_t soa_rdata(uint8_t *out, size_t cap, uint32_t serial)
{
	static const uint32_t rest[] = { 3600, 600, 1209600, 300 };
	struct msp_name n;
	struct msp_wr w;

	msp_wr_init(&w, out, cap);
	must(msp_name_from_text("ns.owner.test.", &n), "name");
	for (size_t i = 0; i < n.len; i++)
		msp_wr_u8(&w, n.oct[i]);
	must(msp_name_from_text("host.owner.test.", &n), "name");
	for (size_t i = 0; i < n.len; i++)
		msp_wr_u8(&w, n.oct[i]);
	msp_wr_u32(&w, serial);
	for (size_t i = 0; i < 4; i++)
		msp_wr_u32(&w, rest[i]);
	return w.pos;
}

static size_t add_soa(struct building *b)
{
	uint8_t mem[600];

	add(b, &zone, MSP_TYPE_SOA, msp_span(mem, soa_rdata(mem, sizeof(mem), 0)));
	return b->w.wr.pos - 20;
}

/* PROTOCOL A.1: state ON, agent manages NS, sign. */
static void add_hsync(struct building *b, const char *identity)
{
	uint8_t mem[3 + MSP_NAME_MAX] = { 1, 2, 1 };
	struct msp_name n;

	must(msp_name_from_text(identity, &n), identity);
	memcpy(mem + 3, n.oct, n.len);
	add(b, &zone, MSP_TYPE_HSYNC_DEFAULT, msp_span(mem, 3u + n.len));
}

/* Delegations of two NS each, every second one with a DS: 2.5 records a name. */
static void generate(uint64_t records)
{
	static struct building b;
	uint64_t made = 5;
	uint32_t x = 12345;

	source.first_soa = add_soa(&b);
	add_ns(&b, &zone, "ns1.owner.test.");
	add_ns(&b, &zone, "ns2.owner.test.");
	add_hsync(&b, "msa.provider-a.test.");
	add_hsync(&b, "msa.provider-b.test.");
	for (unsigned i = 0; made < records; i++) {
		struct msp_name owner;
		char text[80];
		uint8_t ds[36];

		x = x * 1664525u + 1013904223u;
		snprintf(text, sizeof(text), "d%07u-%04x", i, x >> 16);
		must(msp_name_prepend(text, &zone, &owner), text);
		for (unsigned k = 1; k <= 2 && made < records; k++, made++) {
			snprintf(text, sizeof(text), "ns%u.host%u.example.net.", k, (x >> 8) % HOSTS);
			add_ns(&b, &owner, text);
		}
		if (i % 2 == 1 || made == records)
			continue;
		for (size_t at = 0; at < sizeof(ds); at++) {
			x = x * 1664525u + 1013904223u;
			ds[at] = (uint8_t)(x >> 24);
		}
		ds[2] = 13;
		ds[3] = 2;
		add(&b, &owner, MSP_TYPE_DS, msp_span(ds, sizeof(ds)));
		made++;
	}
	close_page(&b);
	source.last_soa = add_soa(&b);
	close_page(&b);
}

/* --- source: answers --------------------------------------------------------------------------------------------- */

static const struct msp_tsig_key *find_key(void *arg, const struct msp_name *name, enum msp_tsig_alg alg)
{
	(void)arg;
	return alg == MSP_TSIG_SHA256 && msp_name_equal(name, msp_tsig_key_name(key)) ? key : NULL;
}

static size_t answer_soa(const struct msp_msg *m, struct msp_tsig_ctx *tsig, uint8_t *out, size_t cap)
{
	uint8_t mem[600];
	struct msp_rr rr = { zone, MSP_TYPE_SOA, MSP_CLASS_IN, TTL, { NULL, 0 } };
	struct msp_msgw w;
	struct msp_span msg;
	size_t len;

	rr.rdata = msp_span(mem, soa_rdata(mem, sizeof(mem), atomic_load(source.serial)));
	msp_msgw_respond(&w, out, cap - MSP_TSIG_RR_MAX, m, 0, MSP_FLAG_AA);
	if (m->question.type == MSP_TYPE_SOA)
		msp_msgw_rr(&w, MSP_SEC_ANSWER, &rr);
	must(msp_msgw_finish(&w, &msg), "SOA");
	len = msg.len;
	if (tsig->key != NULL)
		must(msp_tsig_sign_response(tsig, msp_wall_now(), out, &len, cap), "TSIG");
	return len;
}

static bool send_zone(int fd, const struct msp_msg *m, struct msp_tsig_ctx *tsig)
{
	static uint8_t mem[WRITE_SIZE + 2 + PAGE_ROOM + MSP_TSIG_RR_MAX];
	uint32_t serial = atomic_load(source.serial);
	size_t held = 0;

	for (size_t i = 0; i < source.count; i++) {
		const struct page *p = &source.page[i];
		uint8_t *out = mem + held + 2;
		size_t len = p->len;
		struct msp_wr w;

		memcpy(out, p->ptr, len);
		msp_wr_init(&w, out, len);
		msp_wr_u16(&w, m->id);
		if (i == 0 || i + 1 == source.count) {
			msp_wr_init(&w, out + (i == 0 ? source.first_soa : source.last_soa), 4);
			msp_wr_u32(&w, serial);
		}
		if (i == 0) /* an IXFR is answered by the whole zone; the type in the question is the request's */
			out[MSP_HEADER_LEN + zone.len + 1] = (uint8_t)m->question.type;
		if (tsig->key != NULL)
			must(msp_tsig_sign_response(tsig, msp_wall_now(), out, &len, PAGE_ROOM + MSP_TSIG_RR_MAX),
			     "TSIG");
		out[-2] = (uint8_t)(len >> 8);
		out[-1] = (uint8_t)len;
		held += 2 + len;
		if ((held >= WRITE_SIZE || i + 1 == source.count) && !write_all(fd, mem, held))
			return false;
		held = held >= WRITE_SIZE ? 0 : held;
	}
	return true;
}

static bool read_request(struct msp_span octets, struct msp_msg *m, struct msp_tsig_ctx *tsig)
{
	enum msp_tsig_error error;

	memset(tsig, 0, sizeof(*tsig));
	if (msp_msg_parse(octets, &scratch, m, NULL) != MSP_OK || (m->flags & MSP_FLAG_QR) != 0 ||
	    m->opcode != MSP_OPCODE_QUERY || !msp_name_equal(&m->question.name, &zone))
		return false;
	return m->tsig_at == 0 || msp_tsig_verify_request(m, find_key, NULL, msp_wall_now(), tsig, &error) == MSP_OK;
}

static bool read_all(int fd, uint8_t *at, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(fd, at, len, 0);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static _Noreturn void serve_connection(int fd, pid_t parent)
{
	static uint8_t in[2 + MSP_MSG_MAX], out[2 + 4096];
	bool ok = true;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	set_limits(fd);
	while (ok && read_all(fd, in, 2) && read_all(fd, in + 2, be16(in))) {
		struct msp_tsig_ctx tsig;
		struct msp_msg m;

		if (!read_request(msp_span(in + 2, be16(in)), &m, &tsig))
			break;
		if (m.question.type == MSP_TYPE_AXFR || m.question.type == MSP_TYPE_IXFR) {
			ok = send_zone(fd, &m, &tsig);
		} else {
			size_t len = answer_soa(&m, &tsig, out + 2, sizeof(out) - 2);

			out[0] = (uint8_t)(len >> 8);
			out[1] = (uint8_t)len;
			ok = write_all(fd, out, len + 2);
		}
		msp_tsig_ctx_fini(&tsig);
	}
	_exit(0);
}

static void serve_datagram(int udp)
{
	uint8_t in[4096], out[4096];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(udp, in, sizeof(in), 0, (struct sockaddr *)&from, &from_len);
	struct msp_tsig_ctx tsig;
	struct msp_msg m;

	if (n <= 0 || !read_request(msp_span(in, (size_t)n), &m, &tsig))
		return; /* an answer to our NOTIFY, for one */
	(void)sendto(udp, out, answer_soa(&m, &tsig, out, sizeof(out)), 0, sa(&from), from_len);
	msp_tsig_ctx_fini(&tsig);
}

static void send_notify(int udp, uint64_t port)
{
	struct sockaddr_in to = loopback(port);
	struct msp_tsig_ctx ctx = { .key = NULL };
	uint8_t mem[1024];
	struct msp_msgw w;
	struct msp_span msg;
	size_t len;

	msp_notifyw_init(&w, mem, sizeof(mem), (uint16_t)atomic_load(source.serial), &zone, MSP_TYPE_SOA, NULL);
	must(msp_msgw_finish(&w, &msg), "NOTIFY");
	len = msg.len;
	must(msp_tsig_sign_request(key, msp_wall_now(), mem, &len, sizeof(mem), &ctx), "TSIG");
	msp_tsig_ctx_fini(&ctx);
	if (sendto(udp, mem, len, 0, sa(&to), sizeof(to)) < 0)
		die("NOTIFY");
}

static void command(char *line, int udp)
{
	uint64_t port;
	char *arg = strchr(line, ' ');

	line[strcspn(line, "\n")] = '\0';
	if (arg == NULL)
		exit(2);
	*arg++ = '\0';
	port = number(arg, 65535);
	if (strcmp(line, "bump") == 0)
		atomic_fetch_add(source.serial, 1);
	send_notify(udp, port);
	printf("%u\n", (unsigned)atomic_load(source.serial));
	fflush(stdout);
}

static int serve(uint64_t port, uint64_t records)
{
	struct sockaddr_in a = loopback(port);
	int tcp = listen_on(port), udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd fds[3] = { { 0, POLLIN, 0 }, { udp, POLLIN, 0 }, { tcp, POLLIN, 0 } };
	pid_t me = getpid();
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	char line[64];

	if (udp < 0 || bind(udp, sa(&a), sizeof(a)) != 0)
		die("UDP");
	source.serial = mmap(NULL, sizeof(*source.serial), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (source.serial == MAP_FAILED)
		die("memory");
	atomic_store(source.serial, 1000);
	sigaction(SIGCHLD, &ignore, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setvbuf(stdin, NULL, _IONBF, 0);
	generate(records);
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(fds, 3, -1) < 0)
			die("poll");
		if (fds[0].revents != 0) {
			if (fgets(line, sizeof(line), stdin) == NULL)
				return 0;
			command(line, udp);
		}
		if (fds[1].revents != 0)
			serve_datagram(udp);
		if (fds[2].revents != 0) {
			int fd = accept4(tcp, NULL, NULL, SOCK_CLOEXEC);

			if (fd >= 0 && fork() == 0)
				serve_connection(fd, me);
			if (fd >= 0)
				close(fd);
		}
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 4 && strcmp(what, "loop") == 0)
		return loop(number(argv[2], UINT64_MAX), (size_t)number(argv[3], 1u << 30));
	if (argc >= 5)
		must(msp_name_from_text(argv[3], &zone), "zone");
	if (argc == 7)
		load_key(argv[5], argv[6]);
	if (argc == 7 && strcmp(what, "source") == 0)
		return serve(number(argv[2], 65535), number(argv[4], RECORDS_MAX));
	if ((argc == 5 || argc == 7) && strcmp(what, "fetch") == 0)
		return fetch(number(argv[2], 65535), number(argv[4], RECORDS_MAX + 1));
	fputs("usage: bench_axfr source|fetch|loop ... (see the head of bench_axfr.c)\n", stderr);
	return 2;
}
