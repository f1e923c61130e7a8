/* SPDX-License-Identifier: BSD-2-Clause */
#include "acl.h"

#include <string.h>

#define PIN_TEXT_LEN 44 /* base64 of 32 octets, one sign of padding */

/* The settings hold pins as text. */
static void pin_text(const uint8_t pin[MSP_TLS_PIN_LEN], char out[PIN_TEXT_LEN + 1])
{
	static const char sign[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	unsigned have = 0;
	size_t at = 0;

	for (size_t i = 0; i < MSP_TLS_PIN_LEN; i++) {
		bits = bits << 8 | pin[i];
		for (have += 8; have >= 6; have -= 6)
			out[at++] = sign[bits >> (have - 6) & 63];
	}
	out[at++] = sign[bits << (6 - have) & 63];
	out[at++] = '=';
	out[at] = '\0';
}

static bool is_pinned(const struct msp_conf_strs *pins, const struct msp_tls_peer *tls)
{
	char text[PIN_TEXT_LEN + 1];

	if (tls == NULL || !tls->has_certificate)
		return false;
	pin_text(tls->pin, text);
	for (size_t i = 0; i < pins->count; i++)
		if (strcmp(pins->item[i], text) == 0)
			return true;
	return false;
}

static bool is_key(const struct msp_name *key, const struct msp_name *wanted)
{
	return key != NULL && msp_name_is_set(wanted) && msp_name_equal(key, wanted);
}

bool cmb_acl_rule_matches(const struct cmb_conf_rule *rule, const struct cmb_asker *who)
{
	bool has_cert = rule->cert_ca || rule->cert_pins.count > 0, has_key = msp_name_is_set(&rule->tsig_key);

	if (!has_cert && !has_key && !rule->is_unsigned)
		return false; /* it says nothing about who it is: not even meant to */
	if (rule->address.addr.family != MSP_FAMILY_NONE && !msp_prefix_has(&rule->address, who->peer))
		return false;
	if (rule->transport != CMB_RULE_ANY && rule->transport != (int)who->transport)
		return false;
	if (rule->cert_pins.count > 0 && !is_pinned(&rule->cert_pins, who->tls))
		return false;
	if (rule->cert_ca && (who->tls == NULL || !who->tls->has_certificate || !who->tls->is_ca_valid))
		return false;
	if (has_key && !is_key(who->key, &rule->tsig_key))
		return false;
	return !rule->is_unsigned || who->key == NULL;
}

static bool list_permits(const struct msp_conf_list *l, const struct cmb_asker *who)
{
	for (size_t i = 0; i < l->count; i++)
		if (cmb_acl_rule_matches(cmb_conf_rule_at(l, i), who))
			return true;
	return false;
}

/* The key in use and the one of a rollover are good alike. */
static bool has_key_of(const struct cmb_conf_remote *r, const struct cmb_asker *who)
{
	return is_key(who->key, &r->tsig_key) || is_key(who->key, &r->tsig_key_next);
}

bool cmb_acl_may_transfer(const struct cmb_conf_settings *set, const struct cmb_asker *who)
{
	for (size_t i = 0; i < set->signers.count; i++) {
		const struct cmb_conf_remote *r = cmb_conf_remote_at(&set->signers, i);

		if (has_key_of(r, who))
			return true;
		if (r->is_unsigned && who->key == NULL && msp_addr_same_host(&r->addr, who->peer))
			return true;
	}
	return list_permits(&set->allow_transfer, who);
}

bool cmb_acl_may_notify(const struct cmb_conf_settings *set, const struct cmb_asker *who)
{
	/* A NOTIFY only makes us ask the primary: many name servers send it without TSIG, and its address will do. */
	for (size_t i = 0; i < set->primaries.count; i++) {
		const struct cmb_conf_remote *r = cmb_conf_remote_at(&set->primaries, i);

		if (has_key_of(r, who))
			return true;
		if (who->key == NULL && msp_addr_same_host(&r->addr, who->peer))
			return true;
	}
	return list_permits(&set->allow_notify, who);
}

const struct cmb_conf_agent *cmb_acl_agent(const struct cmb_conf_settings *set, const struct cmb_asker *who)
{
	for (size_t i = 0; i < set->agents.count; i++)
		if (is_key(who->key, &cmb_conf_agent_at(&set->agents, i)->tsig_key))
			return cmb_conf_agent_at(&set->agents, i);
	return NULL;
}

uint32_t cmb_acl_scope(const struct cmb_conf_agent *agent)
{
	uint32_t scope = 0;

	for (size_t i = 0; i < agent->types.count; i++) {
		enum cmb_slot slot;
		uint16_t type;

		if (msp_type_from_text(msp_span_str(agent->types.item[i]), NULL, &type) == MSP_OK &&
		    cmb_slot_of(type, &slot))
			scope |= UINT32_C(1) << slot;
	}
	return agent->types.count > 0 ? scope : UINT32_MAX;
}

const char *cmb_acl_transport_name(enum cmb_conf_rule_transport t)
{
	static const char *const names[] = {
		[CMB_RULE_ANY] = "any", [CMB_RULE_UDP] = "udp", [CMB_RULE_TCP] = "tcp", [CMB_RULE_TLS] = "tls"
	};

	return names[t];
}
