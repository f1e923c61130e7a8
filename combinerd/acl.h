/* SPDX-License-Identifier: BSD-2-Clause */
/** @file Who may: access rules, pure. Each rule is one conjunction of address, transport and key; a list permits what
 * one of its rules permits. @source DESIGN 2 (ACLs), PROTOCOL E.7, RFC 9103 9.3 */
#ifndef CMB_ACL_H
#define CMB_ACL_H

#include "conf.h"

#include <msproto/io/tls.h>

/** What is known of a request. */
struct cmb_asker {
	const struct msp_addr *peer;
	enum cmb_conf_rule_transport transport; /* UDP, TCP or TLS */
	const struct msp_name *key;             /* of its verified TSIG; NULL = it has none */
	const struct msp_tls_peer *tls;         /* NULL without TLS */
};
bool cmb_acl_rule_matches(const struct cmb_conf_rule *rule, const struct cmb_asker *who);
/** allow-transfer, and the signers: by their keys from anywhere, or, unsigned, by their address. */
bool cmb_acl_may_transfer(const struct cmb_conf_settings *set, const struct cmb_asker *who);
/** allow-notify, and the primaries: by their keys, or, unsigned, by their address. */
bool cmb_acl_may_notify(const struct cmb_conf_settings *set, const struct cmb_asker *who);
/** The agent entry whose key signed; NULL = none. */
const struct cmb_conf_agent *cmb_acl_agent(const struct cmb_conf_settings *set, const struct cmb_asker *who);
/** What an agent's key may change: a bit for each enum cmb_slot. Whether the zone takes that type at all is another
 * question. */
uint32_t cmb_acl_scope(const struct cmb_conf_agent *agent);
const char *cmb_acl_transport_name(enum cmb_conf_rule_transport t);

#endif
