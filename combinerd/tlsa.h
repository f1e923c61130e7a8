/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Keeps TLS contexts that believe by TLSA (io/tls.h: use_tlsa) supplied with the DNSSEC-validated RRset
 * `_853._tcp.AUTH-NAME`, and fresh. Until the first answer every connection of such a context fails.
 * @source RFC 7671, PROTOCOL D.2 (how long an answer holds)
 */
#ifndef CMB_TLSA_H
#define CMB_TLSA_H

#include <msproto/io/resolve.h>
#include <msproto/io/tls.h>

/** How to ask: as msp_resolver_ask, with a resolver behind `arg`. */
typedef enum msp_err cmb_tlsa_ask_fn(void *arg, const struct msp_name *name, uint16_t type, msp_resolve_fn *cb,
				     void *cb_arg);

struct cmb_tlsa_params {
	struct msp_loop *loop;
	cmb_tlsa_ask_fn *ask;
	void *ask_arg;                /* borrowed until close */
	struct msp_mono (*now)(void); /* NULL = msp_mono_now */
};
struct cmb_tlsa; /* opaque */
MSP_CHECKED enum msp_err cmb_tlsa_open(const struct cmb_tlsa_params *p, struct cmb_tlsa **out);
/** Nobody may still answer: close the resolver first. NULL allowed. */
void cmb_tlsa_close(struct cmb_tlsa **t);

/**
 * Supply this context from now on; a reference is taken. Contexts of one name share the look-ups, and one that comes
 * later (a reload) has what is known at once. @return MSP_OK, MSP_ENOMEM, MSP_ENAME, MSP_ELIMIT (too many names)
 */
#define CMB_TLSA_NAMES_MAX 1000
MSP_CHECKED enum msp_err cmb_tlsa_add(struct cmb_tlsa *t, struct msp_tls *tls, const char *auth_name);
/** It keeps what it has. Not there: nothing happens. */
void cmb_tlsa_remove(struct cmb_tlsa *t, struct msp_tls *tls);
/** A server was not believed (MSP_ENOKEY): look again, at most once a minute for each name. */
void cmb_tlsa_doubt(struct cmb_tlsa *t, const struct msp_tls *tls);

#endif
