/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * TLS for DNS over streams: what we show, and whom we believe, made from files once and shared by connections. TLS 1.3
 * only, ALPN "dot". The only user of OpenSSL's TLS; nothing else of this interface knows OpenSSL.
 * @source RFC 9103 (zone transfers over TLS), RFC 7858, RFC 8310 (strict profile), RFC 7671 (TLSA), PROTOCOL C.8
 */
#ifndef MSPROTO_IO_TLS_H
#define MSPROTO_IO_TLS_H

#include <msproto/wire/rrset.h>

#define MSP_TLS_PIN_LEN  32 /* SHA-256 of a SubjectPublicKeyInfo */
#define MSP_TLS_PINS_MAX 16
#define MSP_TLS_PORT     853

struct msp_tls; /* opaque, counted */

/** Everything borrowed during the call. */
struct msp_tls_params {
	bool is_server;
	/** PEM files, both or none. A server needs them; a client shows them when it is asked (mutual TLS). The key
	 * file must be 0600 or stricter. */
	const char *certificate, *private_key;
	/**
	 * Whom we believe: a peer must satisfy at least one of the means that are given.
	 * Client: at least one is required (strict; MSP_ECONF without). Server: without any no certificate is asked
	 * for, with any a client that shows none, or a wrong one, is cut off in the handshake.
	 */
	const char *ca; /* PEM file; a client then also checks that the certificate is for auth_name */
	const uint8_t (*pin)[MSP_TLS_PIN_LEN]; /* of the end certificate */
	size_t pin_count;
	const char *auth_name; /* host name; required with ca on a client, and with TLSA; also sent as SNI. NULL = none
				*/
	bool use_tlsa;         /* client: msp_tls_set_tlsa brings them; until then every connection fails */
};
/** @return MSP_OK, MSP_ECONF or MSP_EIO with the file and the reason, MSP_ENOMEM */
MSP_CHECKED enum msp_err msp_tls_new(const struct msp_tls_params *p, struct msp_tls **out, struct msp_why *why);
struct msp_tls *msp_tls_ref(struct msp_tls *tls);
/** NULL allowed. Connections hold references of their own. */
void msp_tls_unref(struct msp_tls **tls);
/**
 * Client: the DNSSEC-validated TLSA RRset of the server (RFC 7671; usages 2 and 3; copied) for connections to come;
 * NULL takes it away again. What was there before is gone in any case.
 * @return MSP_OK, MSP_EVALUE (no record that can be used: nobody is believed by TLSA then), MSP_ENOMEM, MSP_ESTATE (a
 * context without use_tlsa)
 */
MSP_CHECKED enum msp_err msp_tls_set_tlsa(struct msp_tls *tls, const struct msp_rrset *tlsa, struct msp_why *why);

/** Who is at the other end of a connection, after a good handshake. */
struct msp_tls_peer {
	bool has_certificate, is_ca_valid; /* is_ca_valid: chains up to `ca` */
	uint8_t pin[MSP_TLS_PIN_LEN];      /* of its certificate; zero without */
};

/** A pin as text: standard base64 of 32 octets (as RFC 7858 and kdig write it). MSP_EVALUE. */
MSP_CHECKED enum msp_err msp_tls_pin_from_text(const char *text, uint8_t pin[MSP_TLS_PIN_LEN]);
/** The pin of the first certificate in a PEM file. */
MSP_CHECKED enum msp_err msp_tls_pin_of_file(const char *path, uint8_t pin[MSP_TLS_PIN_LEN], struct msp_why *why);

#endif
