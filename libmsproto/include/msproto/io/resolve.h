/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * DNSSEC-validated look-ups in a supervised child process around getdns (recursing mode). Hands out only secure
 * records; everything else comes back as a reason. A worker that dies is restarted with back-off; look-ups under way
 * fail with MSP_LOOKUP_FAILED.
 */
#ifndef MSPROTO_IO_RESOLVE_H
#define MSPROTO_IO_RESOLVE_H

#include <msproto/base/addr.h>
#include <msproto/io/loop.h>
#include <msproto/zone/secure.h>

struct msp_resolver_conf {
	const char *worker_path;         /* program to run as the worker: the daemon's own executable, called with
					    --resolver-worker */
	const char *trust_anchor_file;   /* DS or DNSKEY lines, presentation form; NULL = the packaged root anchor */
	struct msp_addr root_server[16]; /* root hints (port 53 always); count 0 = built-in */
	size_t root_server_count;
	uint32_t timeout_ms;  /* per look-up, default 10 000 */
	size_t in_flight_max; /* default 100 */
	size_t queue_max;     /* waiting look-ups, default 10 000: MSP_EBUSY beyond */
};

struct msp_resolver;
/** Starts the worker. Everything in conf is copied. */
MSP_CHECKED enum msp_err msp_resolver_open(struct msp_loop *loop, const struct msp_resolver_conf *conf,
					   struct msp_resolver **out, struct msp_why *why);
/** Outstanding callbacks are not called any more. */
void msp_resolver_close(struct msp_resolver **r);

/**
 * @param secure only with MSP_LOOKUP_SECURE: the RRset, yours now. NULL otherwise.
 * @param why for people: what failed, e.g. "bogus: no RRSIG ..." as far as the library tells.
 */
typedef void msp_resolve_fn(void *arg, enum msp_lookup verdict, struct msp_secure_rrset *secure, const char *why);
/** The callback fires exactly once. CNAMEs are followed; the RRset's owner is then the target. */
MSP_CHECKED enum msp_err msp_resolver_ask(struct msp_resolver *r, const struct msp_name *name, uint16_t type,
					  msp_resolve_fn *cb, void *arg);
/**
 * What DNS says, validated as far as that goes: for what may be believed without a signature (addresses of servers that
 * prove themselves in another way, DSYNC by RFC 9859 2.1). A type of its own: it never passes for a secure RRset.
 * Bogus, indeterminate and failed look-ups carry nothing.
 */
struct msp_open_answer {
	enum msp_lookup verdict;   /* SECURE, INSECURE: records, or a denial; else neither */
	bool is_negative;          /* with SECURE and INSECURE: name or type does not exist; never NODATA here */
	struct msp_rrset *set;     /* owned by the callback's caller; NULL when negative; owner: what CNAMEs led to */
	struct msp_name soa_owner; /* negative: owner of the SOA in the authority section; unset when there is none */
	const char *why;           /* for people */
};
/** `answer` and what it holds are borrowed during the call. */
typedef void msp_resolve_open_fn(void *arg, const struct msp_open_answer *answer);
MSP_CHECKED enum msp_err msp_resolver_ask_open(struct msp_resolver *r, const struct msp_name *name, uint16_t type,
					       msp_resolve_open_fn *cb, void *arg); /* as msp_resolver_ask */
/** No callback comes any more for look-ups that were asked with this arg. */
void msp_resolver_forget(struct msp_resolver *r, const void *arg);
/** Forget cached answers (restarts the worker when nothing is in flight, at the latest after its look-ups have ended).
 */
void msp_resolver_flush(struct msp_resolver *r);
/** Times the worker was restarted after dying. */
uint64_t msp_resolver_restarts(const struct msp_resolver *r);

/** The worker's main: speaks on descriptor 3 until it closes. A daemon calls it first thing when argv[1] is
 * "--resolver-worker". */
int msp_resolver_worker(int argc, char **argv);

#endif
