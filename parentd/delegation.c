/* SPDX-License-Identifier: BSD-2-Clause */
#include "delegation.h"

#include <msproto/zone/diff.h>

#include <string.h>

#define BIT(n) (UINT32_C(1) << (n))

const struct prt_shape_rules prt_shape_rules_default = {
	.ns_min = 2,
	.ns_max = PRT_NS_MAX,
	.ds_max = 8,
	.ds_digests = BIT(2) | BIT(4),
	.ds_algorithms = BIT(8) | BIT(10) | BIT(13) | BIT(14) | BIT(15) | BIT(16),
};

void prt_delegation_init(struct prt_delegation *d, const struct msp_name *parent, const struct msp_name *child)
{
	d->parent = *parent;
	d->child = *child;
	d->count = 0;
}

void prt_delegation_clear(struct prt_delegation *d)
{
	for (size_t i = 0; i < d->count; i++)
		msp_rrset_free(&d->set[i]);
	d->count = 0;
}

enum msp_err prt_delegation_dup(const struct prt_delegation *d, struct prt_delegation *out)
{
	enum msp_err err = MSP_OK;

	prt_delegation_init(out, &d->parent, &d->child);
	for (size_t i = 0; err == MSP_OK && i < d->count; i++) {
		err = msp_rrset_dup(d->set[i], &out->set[i]);
		out->count += err == MSP_OK;
	}
	if (err != MSP_OK)
		prt_delegation_clear(out);
	return err;
}

/* --- looking --------------------------------------------------------------------------------------------------------
 */

static bool is_address(uint16_t type)
{
	return type == MSP_TYPE_A || type == MSP_TYPE_AAAA;
}

bool prt_delegation_has_place(const struct msp_name *child, const struct msp_name *owner, uint16_t type)
{
	if (type == MSP_TYPE_NS || type == MSP_TYPE_DS)
		return msp_name_equal(owner, child);
	return is_address(type) && msp_name_is_under(owner, child);
}

static size_t find(const struct prt_delegation *d, const struct msp_name *owner, uint16_t type)
{
	size_t i = 0;

	while (i < d->count && (d->set[i]->type != type || !msp_name_equal(&d->set[i]->owner, owner)))
		i++;
	return i;
}

const struct msp_rrset *prt_delegation_get(const struct prt_delegation *d, const struct msp_name *owner, uint16_t type)
{
	size_t i = find(d, owner, type);

	return i < d->count ? d->set[i] : NULL;
}

const struct msp_rrset *prt_delegation_ns(const struct prt_delegation *d)
{
	return prt_delegation_get(d, &d->child, MSP_TYPE_NS);
}

const struct msp_rrset *prt_delegation_ds(const struct prt_delegation *d)
{
	return prt_delegation_get(d, &d->child, MSP_TYPE_DS);
}

static bool has_all(const struct prt_delegation *a, const struct prt_delegation *b)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct msp_rrset *s = prt_delegation_get(a, &b->set[i]->owner, b->set[i]->type);

		if (s == NULL || s->ttl != b->set[i]->ttl || !msp_rrset_equal(s, b->set[i]))
			return false;
	}
	return true;
}

bool prt_delegation_equal(const struct prt_delegation *a, const struct prt_delegation *b)
{
	return msp_name_equal(&a->child, &b->child) && a->count == b->count && has_all(a, b);
}

/* --- changing -------------------------------------------------------------------------------------------------------
 */

static size_t most(uint16_t type)
{
	if (type == MSP_TYPE_NS)
		return PRT_NS_MAX;
	return type == MSP_TYPE_DS ? PRT_DS_MAX : PRT_ADDR_MAX;
}

static void remove_at(struct prt_delegation *d, size_t i)
{
	msp_rrset_free(&d->set[i]);
	d->set[i] = d->set[--d->count];
}

enum msp_err prt_delegation_add(struct prt_delegation *d, const struct msp_rr *rr)
{
	size_t i = find(d, &rr->owner, rr->type);
	enum msp_err err;

	if (rr->cls != MSP_CLASS_IN || !prt_delegation_has_place(&d->child, &rr->owner, rr->type))
		return MSP_EVALUE;
	if (i == d->count) {
		if (i == PRT_SETS_MAX)
			return MSP_ELIMIT;
		err = msp_rrset_new(&rr->owner, rr->type, rr->ttl, &d->set[i]);
		if (err != MSP_OK)
			return err;
		d->count++;
	}
	if (d->set[i]->count == most(rr->type) && !msp_rrset_has(d->set[i], rr->rdata))
		return MSP_ELIMIT;
	d->set[i]->ttl = rr->ttl;
	err = msp_rrset_add(d->set[i], rr->rdata);
	if (d->set[i]->count == 0)
		remove_at(d, i);
	return err;
}

bool prt_delegation_del(struct prt_delegation *d, const struct msp_name *owner, uint16_t type, struct msp_span rdata)
{
	size_t i = find(d, owner, type);

	if (i == d->count || !msp_rrset_del(d->set[i], rdata))
		return false;
	if (d->set[i]->count == 0)
		remove_at(d, i);
	return true;
}

bool prt_delegation_del_set(struct prt_delegation *d, const struct msp_name *owner, uint16_t type)
{
	bool any = false;

	for (size_t i = 0; i < d->count;) {
		if ((type == MSP_TYPE_ANY || d->set[i]->type == type) && msp_name_equal(&d->set[i]->owner, owner)) {
			remove_at(d, i);
			any = true;
		} else {
			i++;
		}
	}
	return any;
}

enum msp_err prt_delegation_put(struct prt_delegation *d, const struct msp_name *owner, uint16_t type,
				const struct msp_rrset *set)
{
	struct msp_rrset *copy = NULL;
	size_t i = find(d, owner, type);
	enum msp_err err;

	if (set == NULL || set->count == 0) {
		(void)prt_delegation_del_set(d, owner, type);
		return MSP_OK;
	}
	if (!prt_delegation_has_place(&d->child, owner, type) || set->type != type ||
	    !msp_name_equal(&set->owner, owner))
		return MSP_EVALUE;
	if (set->count > most(type) || (i == d->count && i == PRT_SETS_MAX))
		return MSP_ELIMIT;
	err = msp_rrset_dup(set, &copy);
	if (err != MSP_OK)
		return err;
	if (i == d->count)
		d->count++;
	else
		msp_rrset_free(&d->set[i]);
	d->set[i] = copy;
	return MSP_OK;
}

static bool is_server(const struct prt_delegation *d, const struct msp_name *host)
{
	const struct msp_rrset *ns = prt_delegation_ns(d);
	struct msp_name name;

	for (size_t i = 0; ns != NULL && i < ns->count; i++)
		if (msp_rdata_name_parse(ns->rdata[i], &name) == MSP_OK && msp_name_equal(&name, host))
			return true;
	return false;
}

void prt_delegation_drop_idle_glue(struct prt_delegation *d)
{
	for (size_t i = 0; i < d->count;) {
		if (is_address(d->set[i]->type) && !is_server(d, &d->set[i]->owner))
			remove_at(d, i);
		else
			i++;
	}
}

/* --- elsewhere ------------------------------------------------------------------------------------------------------
 */

enum msp_err prt_delegation_write(const struct prt_delegation *d, struct msp_buf *out)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < d->count; i++)
		err = msp_rrset_write(d->set[i], out);
	return err == MSP_OK ? out->err : err;
}

enum msp_err prt_delegation_read(struct msp_span octets, struct prt_delegation *d)
{
	struct msp_rd rd;

	prt_delegation_clear(d);
	msp_rd_init(&rd, octets);
	while (msp_rd_left(&rd) > 0) {
		struct msp_rr rr = { .cls = MSP_CLASS_IN };
		enum msp_err err;

		/* the form of msp_rrset_write: plain names, so that nothing has to be decompressed */
		msp_name_read(&rd, MSP_NAME_PLAIN, &rr.owner);
		rr.type = msp_rd_u16(&rd);
		rr.cls = msp_rd_u16(&rd);
		rr.ttl = msp_rd_u32(&rd);
		rr.rdata = msp_rd_take(&rd, msp_rd_u16(&rd));
		err = rd.err != MSP_OK ? MSP_EFORMAT : msp_rdata_check(rr.type, rr.rdata);
		if (err == MSP_OK)
			err = prt_delegation_add(d, &rr);
		if (err != MSP_OK) {
			prt_delegation_clear(d);
			return err;
		}
	}
	return MSP_OK;
}

struct half {
	prt_record_fn *fn;
	void *arg;
	enum msp_change wanted;
};

static enum msp_err pass_half(void *arg, enum msp_change change, const struct msp_rr *rr)
{
	const struct half *h = arg;

	return change == h->wanted ? h->fn(h->arg, change == MSP_CHANGE_ADD, rr) : MSP_OK;
}

static enum msp_err diff_half(const struct prt_delegation *before, const struct prt_delegation *after, struct half *h)
{
	const struct prt_delegation *walk = h->wanted == MSP_CHANGE_DEL ? before : after;
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && i < walk->count; i++) {
		const struct msp_rrset *s = walk->set[i];

		err = msp_rrset_diff(prt_delegation_get(before, &s->owner, s->type),
				     prt_delegation_get(after, &s->owner, s->type), pass_half, h);
	}
	return err;
}

enum msp_err prt_delegation_diff(const struct prt_delegation *before, const struct prt_delegation *after,
				 prt_record_fn *fn, void *arg)
{
	struct half h = { fn, arg, MSP_CHANGE_DEL };
	enum msp_err err = diff_half(before, after, &h);

	h.wanted = MSP_CHANGE_ADD;
	return err == MSP_OK ? diff_half(before, after, &h) : err;
}

/* --- losses ---------------------------------------------------------------------------------------------------------
 */

static size_t kept(const struct msp_rrset *before, const struct msp_rrset *after)
{
	size_t n = 0;

	for (size_t i = 0; after != NULL && i < before->count; i++)
		n += msp_rrset_has(after, before->rdata[i]);
	return n;
}

unsigned prt_delegation_losses(const struct prt_delegation *before, const struct prt_delegation *after)
{
	unsigned losses = 0;

	for (size_t i = 0; i < before->count; i++) {
		const struct msp_rrset *b = before->set[i], *a = prt_delegation_get(after, &b->owner, b->type);
		size_t left = kept(b, a);

		if (left == b->count)
			continue;
		if (b->type == MSP_TYPE_NS)
			losses |= PRT_LOSS_SOME_NS | (left == 0 ? PRT_LOSS_ALL_NS : 0);
		else if (b->type == MSP_TYPE_DS)
			losses |= PRT_LOSS_SOME_DS | (a == NULL ? PRT_LOSS_LAST_DS : 0);
		else if (is_server(after, &b->owner))
			losses |= PRT_LOSS_GLUE;
	}
	return losses;
}

/* --- shape ----------------------------------------------------------------------------------------------------------
 */

/* RFC 6890, RFC 4291: addresses that no resolver on the Internet can ask; and those that mean no single host at all. */
static const struct {
	uint8_t len, bits, oct[16]; /* 4: IPv4, 16: IPv6 */
	bool is_private;            /* a lab may use it */
} unusable[] = {
	{ 4, 8, { 0 }, false },                          /* 0.0.0.0/8 */
	{ 4, 8, { 10 }, true },                          /* 10.0.0.0/8 */
	{ 4, 10, { 100, 64 }, true },                    /* 100.64.0.0/10 */
	{ 4, 8, { 127 }, true },                         /* 127.0.0.0/8 */
	{ 4, 16, { 169, 254 }, true },                   /* 169.254.0.0/16 */
	{ 4, 12, { 172, 16 }, true },                    /* 172.16.0.0/12 */
	{ 4, 24, { 192, 0, 2 }, true },                  /* 192.0.2.0/24 */
	{ 4, 16, { 192, 168 }, true },                   /* 192.168.0.0/16 */
	{ 4, 15, { 198, 18 }, true },                    /* 198.18.0.0/15 */
	{ 4, 24, { 198, 51, 100 }, true },               /* 198.51.100.0/24 */
	{ 4, 24, { 203, 0, 113 }, true },                /* 203.0.113.0/24 */
	{ 4, 3, { 224 }, false },                        /* 224.0.0.0/3 */
	{ 16, 96, { [10] = 0xff, [11] = 0xff }, false }, /* ::ffff:0:0/96 belongs into A, not AAAA */
	{ 16, 128, { 0 }, false },                       /* :: */
	{ 16, 128, { [15] = 1 }, true },                 /* ::1 */
	{ 16, 48, { 0, 0x64, 0xff, 0x9b, 0, 1 }, true }, /* 64:ff9b:1::/48 */
	{ 16, 64, { 1 }, false },                        /* 100::/64 */
	{ 16, 32, { 0x20, 1, 0x0d, 0xb8 }, true },       /* 2001:db8::/32 */
	{ 16, 7, { 0xfc }, true },                       /* fc00::/7 */
	{ 16, 10, { 0xfe, 0x80 }, false },               /* fe80::/10 */
	{ 16, 8, { 0xff }, false },                      /* ff00::/8 */
};

static bool begins_with(const uint8_t *oct, const uint8_t *prefix, unsigned bits)
{
	unsigned rest = bits % 8, mask = 0xff00u >> rest;

	return memcmp(oct, prefix, bits / 8) == 0 && (rest == 0 || ((oct[bits / 8] ^ prefix[bits / 8]) & mask) == 0);
}

bool prt_address_is_usable(struct msp_span oct, bool private_too)
{
	for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++)
		if (unusable[i].len == oct.len && !(private_too && unusable[i].is_private) &&
		    begins_with(oct.ptr, unusable[i].oct, unusable[i].bits))
			return false;
	return oct.len == 4 || oct.len == 16;
}

/* RFC 952, RFC 1123 2.1: letters, digits, hyphens within; more than the root. */
static bool is_host_name(const struct msp_name *n)
{
	for (size_t at = 0; n->oct[at] != 0; at += n->oct[at] + (size_t)1) {
		size_t len = n->oct[at];

		for (size_t i = 1; i <= len; i++) {
			uint8_t c = n->oct[at + i];
			bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

			if (!alnum && (c != '-' || i == 1 || i == len))
				return false;
		}
	}
	return !msp_name_is_root(n);
}

static enum msp_err check_server(const struct prt_delegation *d, const struct msp_name *host, struct msp_why *why)
{
	if (!is_host_name(host))
		return msp_fail(why, MSP_EVALUE, "NS %s is not a host name", MSP_NAME(host));
	if (msp_name_is_under(host, &d->child) && prt_delegation_get(d, host, MSP_TYPE_A) == NULL &&
	    prt_delegation_get(d, host, MSP_TYPE_AAAA) == NULL)
		return msp_fail(why, MSP_EVALUE, "NS %s is below %s and has no address", MSP_NAME(host),
				MSP_NAME(&d->child));
	return MSP_OK;
}

static enum msp_err check_ns(const struct prt_delegation *d, const struct prt_shape_rules *rules, struct msp_why *why)
{
	const struct msp_rrset *ns = prt_delegation_ns(d);
	size_t count = ns != NULL ? ns->count : 0;
	enum msp_err err = MSP_OK;

	if (count < rules->ns_min || count > rules->ns_max || count == 0)
		return msp_fail(why, MSP_EVALUE, "%zu NS; %u to %u are wanted", count, rules->ns_min, rules->ns_max);
	for (size_t i = 0; err == MSP_OK && i < count; i++) {
		struct msp_name host;

		err = msp_rdata_name_parse(ns->rdata[i], &host);
		if (err == MSP_OK)
			err = check_server(d, &host, why);
	}
	return err;
}

static enum msp_err check_glue(const struct prt_delegation *d, const struct msp_rrset *set,
			       const struct prt_shape_rules *rules, struct msp_why *why)
{
	if (!is_server(d, &set->owner))
		return msp_fail(why, MSP_EVALUE, "%s has an address, but is no NS", MSP_NAME(&set->owner));
	for (size_t i = 0; i < set->count; i++)
		if (!prt_address_is_usable(set->rdata[i], rules->private_addresses))
			return msp_fail(why, MSP_EVALUE, "address of %s leads nowhere", MSP_NAME(&set->owner));
	return MSP_OK;
}

/* RFC 4509, RFC 5933, RFC 6605: how long a digest is. 0: not a type we know. */
static size_t digest_len(uint8_t type)
{
	switch (type) {
	case 1:
		return 20;
	case 2:
	case 3:
		return 32;
	case 4:
		return 48;
	default:
		return 0;
	}
}

static bool has_bit(uint32_t set, uint8_t n)
{
	return n < 32 && (set & BIT(n)) != 0;
}

static enum msp_err check_ds(const struct msp_rrset *set, const struct prt_shape_rules *rules, struct msp_why *why)
{
	if (set->count > rules->ds_max)
		return msp_fail(why, MSP_EVALUE, "%zu DS; at most %u are taken", set->count, rules->ds_max);
	for (size_t i = 0; i < set->count; i++) {
		struct msp_ds ds;

		if (msp_ds_parse(set->rdata[i], &ds) != MSP_OK)
			return msp_fail(why, MSP_EVALUE, "malformed DS");
		if (!has_bit(rules->ds_digests, ds.digest_type) || ds.digest.len != digest_len(ds.digest_type))
			return msp_fail(why, MSP_EVALUE, "DS %u: digest type %u with %zu octets is not taken", ds.tag,
					ds.digest_type, ds.digest.len);
		if (!has_bit(rules->ds_algorithms, ds.algorithm))
			return msp_fail(why, MSP_EVALUE, "DS %u: algorithm %u is not taken", ds.tag, ds.algorithm);
	}
	return MSP_OK;
}

enum msp_err prt_delegation_check(const struct prt_delegation *d, const struct prt_shape_rules *rules,
				  struct msp_why *why)
{
	enum msp_err err = check_ns(d, rules, why);

	for (size_t i = 0; err == MSP_OK && i < d->count; i++) {
		if (is_address(d->set[i]->type))
			err = check_glue(d, d->set[i], rules, why);
		else if (d->set[i]->type == MSP_TYPE_DS)
			err = check_ds(d->set[i], rules, why);
	}
	return err;
}
