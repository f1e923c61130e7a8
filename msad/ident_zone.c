/* SPDX-License-Identifier: BSD-2-Clause */
#include "ident_zone.h"

#include <msproto/wire/rdata.h>

#include <stdio.h>
#include <string.h>

#define REFRESH_S 300
#define RETRY_S   60
#define EXPIRE_S  1209600

enum set_slot { SET_NS, SET_URI, SET_SVCB, SET_A, SET_AAAA, SET_KEY };

static enum msp_err add(struct msa_ident_zone *z, enum set_slot slot, const struct msp_name *owner, uint16_t type,
			uint32_t ttl, struct msp_span rdata)
{
	enum msp_err err = MSP_OK;

	if (z->set[slot] == NULL)
		err = msp_rrset_new(owner, type, ttl, &z->set[slot]);
	return err == MSP_OK ? msp_rrset_add(z->set[slot], rdata) : err;
}

static enum msp_err add_soa(const struct msa_ident_conf *c, uint32_t serial, struct msa_ident_zone *z)
{
	struct msp_soa soa = { .mname = c->mname,
			       .rname = c->rname,
			       .serial = serial,
			       .refresh_s = REFRESH_S,
			       .retry_s = RETRY_S,
			       .expire_s = EXPIRE_S,
			       .minimum_s = c->ttl_s };
	uint8_t mem[2 * MSP_NAME_MAX + 20];
	struct msp_wr wr;
	enum msp_err err;

	msp_wr_init(&wr, mem, sizeof(mem));
	msp_soa_write(&wr, &soa);
	err = wr.err;
	if (err == MSP_OK)
		err = msp_rrset_new(&c->apex, MSP_TYPE_SOA, c->ttl_s, &z->soa);
	return err == MSP_OK ? msp_rrset_add(z->soa, msp_wr_span(&wr)) : err;
}

/* _dns._tcp.IDENTITY URI 10 10 "dns://HOST:PORT/" */
static enum msp_err add_uri(const struct msa_ident_conf *c, struct msa_ident_zone *z)
{
	struct msp_name_text host = msp_name_text(&c->host);
	struct msp_uri uri = { .priority = 10, .weight = 10 };
	uint8_t mem[1200];
	char target[1100];
	struct msp_name owner;
	struct msp_wr wr;
	enum msp_err err = msp_name_prepend("_dns._tcp", &c->identity, &owner);

	if (err != MSP_OK)
		return err;
	host.s[strlen(host.s) - 1] = '\0'; /* URIs write host names without the final dot */
	snprintf(target, sizeof(target), "dns://%s:%u/", host.s, c->port);
	uri.target = msp_span_str(target);
	msp_wr_init(&wr, mem, sizeof(mem));
	msp_uri_write(&wr, &uri);
	return wr.err == MSP_OK ? add(z, SET_URI, &owner, MSP_TYPE_URI, c->ttl_s, msp_wr_span(&wr)) : wr.err;
}

static enum msp_err add_addresses(const struct msa_ident_conf *c, struct msa_ident_zone *z)
{
	uint8_t v4[64 * 4], v6[64 * 16], mem[2048];
	struct msp_svcb svcb = { .priority = 1 };
	struct msp_wr params, wr;
	size_t n4 = 0, n6 = 0;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < c->publish_count && i < 64; i++) {
		const struct msp_addr *a = &c->publish[i];

		if (a->family == MSP_FAMILY_V4) {
			memcpy(v4 + 4 * n4++, a->oct, 4);
			err = add(z, SET_A, &c->host, MSP_TYPE_A, c->ttl_s, msp_span(a->oct, 4));
		} else {
			memcpy(v6 + 16 * n6++, a->oct, 16);
			err = add(z, SET_AAAA, &c->host, MSP_TYPE_AAAA, c->ttl_s, msp_span(a->oct, 16));
		}
	}
	msp_wr_init(&params, mem, sizeof(mem));
	if (n4 > 0)
		msp_svcb_param_write(&params, MSP_SVCB_IPV4HINT, msp_span(v4, 4 * n4));
	if (n6 > 0)
		msp_svcb_param_write(&params, MSP_SVCB_IPV6HINT, msp_span(v6, 16 * n6));
	if (err != MSP_OK || params.err != MSP_OK)
		return err != MSP_OK ? err : params.err;
	svcb.params = msp_wr_span(&params);
	msp_name_root(&svcb.target); /* "." = the owner itself */
	uint8_t rdata[2048 + 3];

	msp_wr_init(&wr, rdata, sizeof(rdata));
	msp_svcb_write(&wr, &svcb);
	return wr.err == MSP_OK ? add(z, SET_SVCB, &c->host, MSP_TYPE_SVCB, c->ttl_s, msp_wr_span(&wr)) : wr.err;
}

enum msp_err msa_ident_build(const struct msa_ident_conf *c, uint32_t serial, struct msa_ident_zone *out)
{
	enum msp_err err;

	*out = (struct msa_ident_zone){ 0 };
	err = add_soa(c, serial, out);
	for (size_t i = 0; err == MSP_OK && i < c->ns_count; i++)
		err = add(out, SET_NS, &c->apex, MSP_TYPE_NS, c->ttl_s, msp_name_span(&c->ns[i]));
	if (err == MSP_OK)
		err = add_uri(c, out);
	if (err == MSP_OK)
		err = add_addresses(c, out);
	for (size_t i = 0; err == MSP_OK && i < c->key_count; i++)
		err = add(out, SET_KEY, &c->host, MSP_TYPE_KEY, c->ttl_s, c->keys[i]);
	if (err != MSP_OK)
		msa_ident_fini(out);
	return err;
}

void msa_ident_fini(struct msa_ident_zone *z)
{
	msp_rrset_free(&z->soa);
	for (size_t i = 0; i < MSA_IDENT_SETS; i++)
		msp_rrset_free(&z->set[i]);
}
