/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What the servers of a child were seen to serve, and what follows: whether a proposed delegation would work at every
 * one of them, what their CDS, CDNSKEY and CSYNC ask for. Observations in, verdicts out; who looks is the shell's
 * business. Every server is judged by its own DNSKEY RRset: several signers of one zone differ in that. Pure.
 * @source RFC 7344 4, RFC 7477 3, RFC 8078 3, PROTOCOL G.4
 */
#ifndef PRT_EVIDENCE_H
#define PRT_EVIDENCE_H

#include "delegation.h"

#include <msproto/base/clock.h>
#include <msproto/msg/edns.h>

#define PRT_SERVERS_MAX (PRT_NS_MAX * 2 * 4) /* addresses looked at */

/** One answer of one server. No set with err MSP_OK: it says that there is none. */
struct prt_answer {
	bool is_asked, is_authoritative;
	enum msp_err err;             /* MSP_OK, MSP_ETIMEOUT, MSP_ENET, MSP_ERCODE, MSP_EFORMAT ... */
	struct msp_rrset *set, *sigs; /* owned; sigs: RRSIG RDATAs that cover it */
};
enum prt_question {
	PRT_Q_SOA,
	PRT_Q_NS,
	PRT_Q_DNSKEY,
	PRT_Q_CDS,
	PRT_Q_CDNSKEY,
	PRT_Q_CSYNC,
	PRT_Q_SOA_AGAIN, /* after all others: a zone that changed in between proves nothing (RFC 7477 3.1) */
	PRT_Q__N
};
/** Addresses that the child itself gives for a name server below it. */
struct prt_host {
	struct msp_name name;
	struct prt_answer a, aaaa;
};
/** One address of one name server, asked directly, over TCP, with DO=1 (RFC 3225). */
struct prt_server {
	struct msp_name host; /* name in the NS RRset */
	struct msp_addr addr;
	struct msp_name agent; /* where it wants errors reported (RFC 9567), as it says; unset: nowhere */
	struct prt_answer answer[PRT_Q__N];
	struct prt_answer udp; /* SOA once more, over UDP: asked of new servers only */
	struct prt_host at[PRT_NS_MAX];
	size_t hosts;
};
struct prt_evidence {
	struct msp_name child;
	struct prt_server *server; /* owned */
	size_t count;
};
MSP_CHECKED enum msp_err prt_evidence_new(const struct msp_name *child, size_t servers, struct prt_evidence *out);
void prt_evidence_fini(struct prt_evidence *e);

/** All findings are collected, so that a refusal says everything that would break. */
struct prt_finding {
	bool is_fatal;
	bool may_pass; /* fatal, but another look may find it gone: a server that is out of reach */
	enum msp_ede_own ede;
	const char *rule;   /* "G.4 check 5"; static */
	struct msp_why why; /* names the server */
};
/** A key that a proposed DS names and that signs a server's DNSKEY RRset. */
struct prt_proof {
	uint16_t tag;
	uint8_t algorithm;
};
#define PRT_FINDINGS_MAX 32
#define PRT_PROOFS_MAX   8
struct prt_findings {
	struct prt_finding item[PRT_FINDINGS_MAX]; /* the first ones */
	size_t count, fatal;                       /* of all */
	size_t passing;                            /* of the fatal ones, those that may pass */
	size_t asked, answered;                    /* addresses of the proposed delegation */
	struct prt_proof proof[PRT_PROOFS_MAX];    /* each once, the first one of each server */
	size_t proofs;
};

struct prt_check_rules {
	struct prt_shape_rules shape;
	bool strict_ns;       /* a server with another apex NS RRset than the proposed one is fatal, not a warning */
	unsigned min_servers; /* addresses that must answer, the rest may be out of reach; 0 = all */
	uint32_t ds_ttl;      /* of a DS RRset where there was none; 0 = 3600 */
};
/**
 * Would it work? The shape is right; each name server has an address that was asked; each that answers is
 * authoritative, over UDP too where that was asked; and with the proposed DS RRset its DNSKEY RRset validates. @source
 * G.4 check 5 and "checks on any proposed delegation"
 */
void prt_check_delegation(const struct prt_evidence *e, const struct prt_delegation *proposed,
			  const struct prt_check_rules *rules, struct msp_wall now, struct prt_findings *out);

/**
 * With min_servers some may be out of reach; but while DS go, each name server has to be seen: the one that is silent
 * may sign with the key of just that DS. Not for the deletion of all DS, after which nobody validates.
 */
void prt_check_unseen(const struct prt_evidence *e, const struct prt_delegation *present,
		      const struct prt_delegation *proposed, struct prt_findings *out);

enum prt_ask {
	PRT_ASK_NOTHING, /* nothing is asked for that is not there already */
	PRT_ASK_CHANGE,
	PRT_ASK_DELETE, /* CDS only: no DS any more */
	PRT_ASK_HUMAN,  /* CSYNC only: a change that the child does not want made at once */
	PRT_ASK_WAIT,   /* servers differ, or do not answer: look again later */
	PRT_ASK_REFUSED /* would break, or is not allowed to be asked */
};
/**
 * CDS and CDNSKEY at all servers. In a secure child (it has DS) they must be signed by keys that DS and DNSKEY know. In
 * one without DS this says only what the servers agree on: whether that may be believed is decided by RFC 9615
 * elsewhere.
 * @param inception newest of the signatures that were acted on last, 0 = never: data of which no server shows a newer
 * or equally new one is not (G.4 check 4). Signers of one zone sign each in their own time, so that they are not
 * compared with each other.
 * @param[out] out with CHANGE and DELETE: the delegation asked for; owned by the caller. *inception_now: to be
 * remembered.
 */
MSP_CHECKED enum msp_err prt_ask_cds(const struct prt_evidence *e, const struct prt_delegation *present,
				     const struct prt_check_rules *rules, uint32_t inception, struct msp_wall now,
				     enum prt_ask *ask, struct prt_delegation *out, uint32_t *inception_now,
				     struct prt_findings *why);
/** CSYNC at all servers, which must be secure. `out` as above, with CHANGE and HUMAN. The parent's TTLs stay. */
MSP_CHECKED enum msp_err prt_ask_csync(const struct prt_evidence *e, const struct prt_delegation *present,
				       const struct prt_check_rules *rules, struct msp_wall now, enum prt_ask *ask,
				       struct prt_delegation *out, struct prt_findings *why);

#endif
