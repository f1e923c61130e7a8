/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/udp.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <msproto/base/mem.h>

#define PER_ROUND   64        /* datagrams read before the loop's other events get their turn */
#define RECV_BUFFER (1 << 20) /* octets asked of the kernel: a burst of NOTIFYs must not be lost */

struct msp_udp {
	uv_poll_t uv;
	struct msp_loop *loop;
	int fd;
	bool is_any; /* bound to the wildcard address: the local address comes with each datagram */
	struct msp_addr local;
	msp_udp_fn *cb;
	void *arg; /* borrowed until close */
};

union control {
	struct cmsghdr align;
	uint8_t room[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void set_int(int fd, int level, int name, int value)
{
	/* Every option set here is an improvement that the kernel may refuse. */
	if (setsockopt(fd, level, name, &value, sizeof(value)) != 0)
		return;
}

static int open_socket(const struct msp_addr *addr)
{
	int family = msp_sockaddr_family(addr);
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* A forged ICMP "too big" must not shrink what we send (fragmentation attacks on DNS). */
	if (family == AF_INET6) {
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
	} else {
		set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
	}
	return fd;
}

static enum msp_err learn_local(int fd, struct msp_addr *out)
{
	union msp_sockaddr sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, &sa.sa, &len) != 0)
		return MSP_ENET;
	msp_sockaddr_get(&sa, out);
	return MSP_OK;
}

/* The local address of a datagram that came to a wildcard socket. */
static void take_pktinfo(struct msghdr *mh, struct msp_addr *local)
{
	uint16_t port = local->port;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c != NULL; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*local = (struct msp_addr){ .family = MSP_FAMILY_V4, .port = port };
			memcpy(local->oct, &info.ipi_spec_dst, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*local = (struct msp_addr){ .family = MSP_FAMILY_V6, .port = port };
			memcpy(local->oct, &info.ipi6_addr, 16);
		}
	}
}

static void put_pktinfo(struct msghdr *mh, union control *control, const struct msp_addr *local)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	mh->msg_control = control;
	mh->msg_controllen = sizeof(*control);
	c = CMSG_FIRSTHDR(mh);
	if (local->family == MSP_FAMILY_V6) {
		struct in6_pktinfo info = { .ipi6_ifindex = 0 }; /* routing chooses the interface */

		memcpy(&info.ipi6_addr, local->oct, 16);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		mh->msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		struct in_pktinfo info = { .ipi_ifindex = 0 };

		memcpy(&info.ipi_spec_dst, local->oct, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		mh->msg_controllen = CMSG_SPACE(sizeof(info));
	}
}

/* False when there is nothing more to read for now. */
static bool read_one(struct msp_udp *u)
{
	struct msp_udp_path path = { .peer_len = 0, .local = u->local };
	union control control;
	struct iovec iov = { .iov_base = u->loop->octets, .iov_len = sizeof(u->loop->octets) };
	struct msghdr mh = { .msg_name = &path.peer,
			     .msg_namelen = sizeof(path.peer),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(u->fd, &mh, 0);

	if (n < 0) {
		if (errno == EINTR)
			return true;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			u->cb(u->arg, MSP_ENET, msp_span(NULL, 0), NULL);
		return false;
	}
	path.peer_len = mh.msg_namelen;
	if (u->is_any)
		take_pktinfo(&mh, &path.local);
	u->cb(u->arg, MSP_OK, msp_span(u->loop->octets, (size_t)n), &path);
	return true;
}

static void on_readable(uv_poll_t *h, int status, int events);

/*
 * A pending socket error (an ICMP message for a connected socket) reads as POLLERR, upon which libuv stops polling for
 * good: take the error off the socket, tell, go on.
 */
static void on_error(struct msp_udp *u)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0)
		if (uv_poll_start(&u->uv, UV_READABLE, on_readable) != 0)
			msp_log(u->loop->log, MSP_LOG_ERROR, "udp-socket-lost",
				MSP_F_STR("local", MSP_ADDR(&u->local)));
	u->cb(u->arg, MSP_ENET, msp_span(NULL, 0), NULL);
}

static void on_readable(uv_poll_t *h, int status, int events)
{
	struct msp_udp *u = h->data;

	(void)events;
	if (status < 0) {
		on_error(u);
		return;
	}
	/* The callback may close the socket; u itself lives until its close callback. */
	for (int i = 0; i < PER_ROUND && u->fd >= 0; i++)
		if (!read_one(u))
			break;
}

/* Owns fd from here on. */
static enum msp_err start(struct msp_loop *loop, int fd, bool is_any, msp_udp_fn *cb, void *arg, struct msp_udp **out)
{
	struct msp_udp *u = msp_alloc(1, sizeof(*u));
	enum msp_err err;

	if (u == NULL) {
		close(fd);
		return MSP_ENOMEM;
	}
	u->loop = loop;
	u->fd = fd;
	u->is_any = is_any;
	u->cb = cb;
	u->arg = arg;
	u->uv.data = u;
	err = learn_local(fd, &u->local);
	if (err == MSP_OK && uv_poll_init(&loop->uv, &u->uv, fd) != 0)
		err = MSP_ENET;
	if (err != MSP_OK) {
		close(fd);
		msp_free(u);
		return err;
	}
	if (uv_poll_start(&u->uv, UV_READABLE, on_readable) != 0) {
		msp_udp_close(&u);
		return MSP_ENET;
	}
	*out = u;
	return MSP_OK;
}

enum msp_err msp_udp_bind(struct msp_loop *loop, const struct msp_addr *addr, msp_udp_fn *cb, void *arg,
			  struct msp_udp **out, struct msp_why *why)
{
	union msp_sockaddr sa;
	socklen_t len = msp_sockaddr_set(&sa, addr);
	bool is_any = msp_addr_is_any(addr);
	int fd = open_socket(addr);

	if (fd < 0)
		return msp_fail(why, MSP_ENET, "UDP socket for %s: %s", MSP_ADDR(addr), strerror(errno));
	/* No SO_REUSEADDR: for UDP it would let a second process take our datagrams in silence. */
	if (bind(fd, &sa.sa, len) != 0) {
		int saved = errno;

		close(fd);
		return msp_fail(why, MSP_ENET, "UDP %s: %s", MSP_ADDR(addr), strerror(saved));
	}
	if (is_any && addr->family == MSP_FAMILY_V6)
		set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	else if (is_any)
		set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	set_int(fd, SOL_SOCKET, SO_RCVBUF, RECV_BUFFER);
	return start(loop, fd, is_any, cb, arg, out);
}

enum msp_err msp_udp_connect(struct msp_loop *loop, const struct msp_addr *server, const struct msp_addr *source,
			     msp_udp_fn *cb, void *arg, struct msp_udp **out)
{
	union msp_sockaddr sa;
	socklen_t len;
	int fd = open_socket(server);

	if (fd < 0)
		return MSP_ENET;
	len = msp_sockaddr_set(&sa, source);
	if (len != 0 && bind(fd, &sa.sa, len) != 0)
		goto fail;
	len = msp_sockaddr_set(&sa, server);
	if (len == 0 || connect(fd, &sa.sa, len) != 0)
		goto fail;
	return start(loop, fd, false, cb, arg, out);
fail:
	close(fd);
	return MSP_ENET;
}

enum msp_err msp_udp_open(struct msp_loop *loop, enum msp_family family, const struct msp_addr *source, msp_udp_fn *cb,
			  void *arg, struct msp_udp **out)
{
	const struct msp_addr any = { .family = family };
	union msp_sockaddr sa;
	socklen_t len = msp_sockaddr_set(&sa, source->family != MSP_FAMILY_NONE ? source : &any);
	int fd = open_socket(&any);

	if (fd < 0)
		return MSP_ENET;
	if (bind(fd, &sa.sa, len) != 0) {
		close(fd);
		return MSP_ENET;
	}
	set_int(fd, SOL_SOCKET, SO_RCVBUF, RECV_BUFFER);
	return start(loop, fd, false, cb, arg, out);
}

const struct msp_addr *msp_udp_local(const struct msp_udp *u)
{
	return &u->local;
}

static enum msp_err transmit(struct msp_udp *u, const struct msghdr *mh)
{
	ssize_t n;

	do {
		n = sendmsg(u->fd, mh, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS ? MSP_ENET : MSP_OK;
}

/* sendmsg does not write to what it is given, but POSIX left the const out. */
static struct iovec iov_of(struct msp_span octets)
{
	struct iovec iov = { .iov_len = octets.len };

	memcpy(&iov.iov_base, &octets.ptr, sizeof(iov.iov_base));
	return iov;
}

enum msp_err msp_udp_send(struct msp_udp *u, struct msp_span octets)
{
	struct iovec iov = iov_of(octets);
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	return transmit(u, &mh);
}

enum msp_err msp_udp_send_to(struct msp_udp *u, const struct msp_addr *to, struct msp_span octets)
{
	struct iovec iov = iov_of(octets);
	union msp_sockaddr sa;
	struct msghdr mh = { .msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1 };

	mh.msg_namelen = msp_sockaddr_set(&sa, to);
	return transmit(u, &mh);
}

enum msp_err msp_udp_reply(struct msp_udp *u, const struct msp_udp_path *path, struct msp_span octets)
{
	struct iovec iov = iov_of(octets);
	union msp_sockaddr peer = path->peer;
	union control control;
	struct msghdr mh = { .msg_name = &peer, .msg_namelen = path->peer_len, .msg_iov = &iov, .msg_iovlen = 1 };

	if (u->is_any)
		put_pktinfo(&mh, &control, &path->local);
	return transmit(u, &mh);
}

static void on_closed(uv_handle_t *h)
{
	msp_free(h->data);
}

void msp_udp_close(struct msp_udp **u)
{
	struct msp_udp *old = *u;

	if (old == NULL)
		return;
	*u = NULL;
	/* The handle first, then its descriptor; the memory when libuv is through. */
	uv_close((uv_handle_t *)&old->uv, on_closed);
	close(old->fd);
	old->fd = -1;
}
