/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * How a key that a child has uploaded becomes trusted: which look-ups are due, and what follows from what they found. A
 * plain value, durable between the looks of a day. Looking is the shell's business. Pure.
 * @source PROTOCOL G.6 (methods and their rules), K (unsigned: 3 vantage points, 5 rounds, 24 h)
 */
#ifndef PRT_BOOTSTRAP_H
#define PRT_BOOTSTRAP_H

#include "keys.h"

#include <msproto/zone/secure.h>

/** Own figures of PROTOCOL G.6 and K; settings. */
struct prt_boot_rules {
	unsigned methods;  /* bit n = enum prt_method n is open */
	unsigned vantages; /* at which an unsigned child must look the same */
	unsigned rounds;   /* looks that agree, one after the other */
	uint32_t span_s;   /* from the first to the last of them, at least */
	uint32_t retry_s;  /* after a look that failed */
};
extern const struct prt_boot_rules prt_boot_rules_default;

/** Progress of one key. Zeroed: nothing has been looked at. */
struct prt_boot {
	enum prt_method method;      /* being tried */
	unsigned rounds;             /* that agreed, since `first` */
	struct msp_wall first, next; /* of the rounds; of the next look */
};
MSP_CHECKED enum msp_err prt_boot_write(const struct prt_boot *b, struct msp_buf *out);
MSP_CHECKED enum msp_err prt_boot_read(struct msp_span octets, struct prt_boot *b);

/** What is known of the child when a method is chosen. */
struct prt_boot_child {
	bool is_secure;    /* it has DS */
	size_t outside_ns; /* name servers outside the child */
};
/**
 * The method that the child's state and the settings leave: DNSSEC where there is a DS; then the signal names of its
 * name servers; then many looks; then an operator. A weaker one is never tried because a stronger one has failed.
 */
enum prt_method prt_boot_method(const struct prt_boot_rules *r, const struct prt_boot_child *c);

enum prt_boot_step {
	PRT_BOOT_WAIT, /* until b->next */
	PRT_BOOT_LOOK, /* now, by b->method */
	PRT_BOOT_HUMAN /* an operator must say so */
};
enum prt_boot_step prt_boot_begin(struct prt_boot *b, const struct prt_boot_rules *r, const struct prt_boot_child *c,
				  struct msp_wall now);
enum prt_boot_step prt_boot_due(const struct prt_boot *b, struct msp_wall now);

/** One look at one name: the apex of the child, or _sig0key.<child>._signal.<ns>. */
struct prt_boot_secure {
	enum msp_lookup verdict;
	const struct msp_rrset *keys; /* with MSP_LOOKUP_SECURE; KEY RRset */
	bool is_zone_unsigned;        /* at-ns: the name server's zone is insecure: it cannot speak */
};
/** One look at one address of an unsigned child from one vantage point. */
struct prt_boot_plain {
	unsigned vantage;
	enum msp_err err;
	const struct msp_rrset *keys; /* NULL: there is none */
};
/** Everything that one round saw. */
struct prt_boot_seen {
	struct prt_boot_secure apex;
	const struct prt_boot_secure *signal; /* one for each name server outside the child */
	size_t signals;
	const struct prt_boot_plain *plain; /* one for each address and vantage point */
	size_t plains;
};
enum prt_boot_outcome {
	PRT_BOOT_AGAIN,     /* another look at b->next */
	PRT_BOOT_VALIDATED, /* the method has shown that the key is the child's */
	PRT_BOOT_MISSED     /* it has shown that it is not, or not now: one attempt is gone (keys.h) */
};
/** What a round saw, of the key with this RDATA. The reason goes to why. */
enum prt_boot_outcome prt_boot_look(struct prt_boot *b, const struct prt_boot_rules *r, struct msp_span key,
				    const struct prt_boot_seen *seen, struct msp_wall now, struct msp_why *why);

#endif
