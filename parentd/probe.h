/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Looks at the servers of a delegation: resolves the names of its name servers, asks every address directly over TCP
 * with DO=1, those of new servers over UDP too, and hands out what was seen (evidence.h), which others judge. No answer
 * is cached; of addresses that do not answer is remembered that they do not.
 * @source PROTOCOL G.4 "Probe all addresses of all NS", "UDP and TCP"
 */
#ifndef PRT_PROBE_H
#define PRT_PROBE_H

#include "evidence.h"

#include <msproto/io/loop.h>
#include <msproto/io/resolve.h>

struct prt_probe_conf {
	struct msp_addr source4,
		source6;        /* family NONE = any; both NONE and no IPv6 route: those addresses are unreachable */
	bool ipv4, ipv6;        /* families that are asked at all */
	uint16_t port;          /* of the servers: 53; tests use others */
	uint32_t timeout_ms;    /* for one address, default 5 000 */
	unsigned in_flight_max; /* probes; default 500; more wait in line */
	unsigned queue_max;     /* default 20 000: MSP_EBUSY beyond */
};
struct prt_prober;
/** resolver may be NULL: then only name servers with glue in the delegation can be asked. conf copied. */
MSP_CHECKED enum msp_err prt_prober_new(struct msp_loop *loop, struct msp_resolver *resolver,
					const struct prt_probe_conf *conf, struct prt_prober **out);
/** Outstanding callbacks are not called any more. To be called before the resolver is closed. NULL allowed. */
void prt_prober_free(struct prt_prober **p);
void prt_prober_set(struct prt_prober *p, const struct prt_probe_conf *conf);
/** Under way and in line. */
size_t prt_prober_load(const struct prt_prober *p);

/** Bits: 1 << enum prt_question; PRT_Q_HOSTS adds A and AAAA of name servers below the child (CSYNC). */
#define PRT_Q_HOSTS (1u << PRT_Q__N)
/** Not a question: addresses may be private or loopback ones. Without it those are never asked: whoever has a child
 * would have us connect to our own network. */
#define PRT_PROBE_PRIVATE (1u << (PRT_Q__N + 1))
/** Nor this: nobody waits for the outcome, so that addresses that did not take connections of late are left alone for a
 * while: they are there as if they had not answered (MSP_ETIMEOUT). */
#define PRT_PROBE_IDLE  (1u << (PRT_Q__N + 2))
#define PRT_PROBE_CHECK ((1u << PRT_Q_SOA) | (1u << PRT_Q_NS) | (1u << PRT_Q_DNSKEY))
#define PRT_PROBE_GLANCE                                                                                               \
	((1u << PRT_Q_CDS) | (1u << PRT_Q_CDNSKEY) | (1u << PRT_Q_CSYNC)) /* is there anything at all? */
#define PRT_PROBE_CDS   (PRT_PROBE_CHECK | (1u << PRT_Q_CDS) | (1u << PRT_Q_CDNSKEY) | (1u << PRT_Q_SOA_AGAIN))
#define PRT_PROBE_CSYNC (PRT_PROBE_CHECK | (1u << PRT_Q_CSYNC) | PRT_Q_HOSTS | (1u << PRT_Q_SOA_AGAIN))

/**
 * @param evidence complete: one server for each address of each name server; a name that has no address, or could not
 * be resolved, or has an address that is not asked (PRT_PROBE_PRIVATE), is there as one server with addr.family NONE
 * and err MSP_ENOTFOUND, MSP_ENET or MSP_EREFUSED in every answer. Taken over by the callback (prt_evidence_fini). With
 * more than PRT_SERVERS_MAX addresses: the first ones of each name.
 */
typedef void prt_probe_fn(void *arg, struct prt_evidence *evidence);
struct prt_probe;
/**
 * Look at the servers that `d` names: its NS RRset, with its glue for names below the child, and look-ups (addresses
 * need no signature, what is found there proves itself) for the others.
 * @param known NULL: nobody is asked over UDP. Else read before this returns: name servers that it does not have, and
 * addresses that it does not have as glue, are new, and asked for the SOA over UDP, twice at most (prt_server.udp)
 * @return MSP_OK: cb fires exactly once, later; MSP_EBUSY; MSP_ENOMEM; MSP_EVALUE: d has no NS
 */
MSP_CHECKED enum msp_err prt_probe_start(struct prt_prober *p, const struct prt_delegation *d,
					 const struct prt_delegation *known, unsigned questions, prt_probe_fn *cb,
					 void *arg, struct prt_probe **out);
void prt_probe_cancel(struct prt_probe **p);

#endif
