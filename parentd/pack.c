/* SPDX-License-Identifier: BSD-2-Clause */
#include "pack.h"

#include <string.h>

/* --- numbers, octets, texts --- */

void prt_pack_number(struct msp_buf *out, uint64_t v)
{
	uint8_t oct[10];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		oct[n++] = (uint8_t)(v | 0x80);
	oct[n++] = (uint8_t)v;
	msp_buf_add(out, oct, n);
}

uint64_t prt_unpack_number(struct msp_rd *rd)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t c = msp_rd_u8(rd);

		v |= (uint64_t)(c & 0x7f) << shift;
		if ((c & 0x80) != 0)
			continue;
		if ((c == 0 && shift > 0) || (shift == 63 && c > 1)) /* each number has one form */
			break;
		return v;
	}
	msp_rd_fail(rd, MSP_EFORMAT);
	return 0;
}

uint64_t prt_unpack_up_to(struct msp_rd *rd, uint64_t max)
{
	uint64_t v = prt_unpack_number(rd);

	if (v <= max)
		return v;
	msp_rd_fail(rd, MSP_EVALUE);
	return 0;
}

void prt_pack_time(struct msp_buf *out, struct msp_wall t)
{
	prt_pack_number(out, (uint64_t)t.s);
}

struct msp_wall prt_unpack_time(struct msp_rd *rd)
{
	return (struct msp_wall){ (int64_t)prt_unpack_up_to(rd, PRT_TIME_MAX) };
}

void prt_pack_octets(struct msp_buf *out, struct msp_span octets)
{
	prt_pack_number(out, octets.len);
	msp_buf_add_span(out, octets);
}

struct msp_span prt_unpack_octets(struct msp_rd *rd)
{
	return msp_rd_take(rd, (size_t)prt_unpack_up_to(rd, UINT32_MAX));
}

void prt_pack_text(struct msp_buf *out, const char *text)
{
	prt_pack_octets(out, msp_span_str(text));
}

void prt_unpack_text(struct msp_rd *rd, char *out, size_t size)
{
	struct msp_span s = prt_unpack_octets(rd);

	if (s.len >= size || (s.len > 0 && memchr(s.ptr, 0, s.len) != NULL)) {
		msp_rd_fail(rd, MSP_EVALUE);
		s.len = 0;
	}
	if (s.len > 0)
		memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
}

void prt_pack_addr(struct msp_buf *out, const struct msp_addr *a)
{
	msp_buf_add_u8(out, (uint8_t)a->family);
	if (a->family == MSP_FAMILY_NONE)
		return;
	msp_buf_add(out, a->oct, a->family == MSP_FAMILY_V4 ? 4 : 16);
	prt_pack_number(out, a->port);
}

struct msp_addr prt_unpack_addr(struct msp_rd *rd)
{
	uint8_t family = msp_rd_u8(rd);
	struct msp_addr a = { .family = MSP_FAMILY_NONE };
	struct msp_span oct;

	if (family == MSP_FAMILY_NONE)
		return a;
	if (family > MSP_FAMILY_V6) {
		msp_rd_fail(rd, MSP_EVALUE);
		return a;
	}
	oct = msp_rd_take(rd, family == MSP_FAMILY_V4 ? 4 : 16);
	a.port = (uint16_t)prt_unpack_up_to(rd, UINT16_MAX);
	if (rd->err != MSP_OK)
		return a;
	memcpy(a.oct, oct.ptr, oct.len);
	a.family = (enum msp_family)family;
	return a;
}

/* --- records --------------------------------------------------------------------------------------------------------
 * One octet says what follows: owner, TTL, RDATA.
 */

#define TYPE_BITS  0x07
#define SAME_OWNER 0x08 /* as the record before */
#define OWNER_REL  0x10 /* labels in front of the child's name */
#define SAME_TTL   0x20
#define NAME_REL   0x40 /* RDATA of NS: labels in front of the child's name */

enum { TYPE_OTHER, TYPE_A, TYPE_AAAA, TYPE_NS, TYPE_DS, TYPE__N };
static const struct {
	uint16_t type;
	uint8_t len; /* of RDATA, 0 = it varies */
} types[TYPE__N] = {
	[TYPE_A] = { MSP_TYPE_A, 4 },
	[TYPE_AAAA] = { MSP_TYPE_AAAA, 16 },
	[TYPE_NS] = { MSP_TYPE_NS, 0 },
	[TYPE_DS] = { MSP_TYPE_DS, 0 },
};

/* Octets of the labels in front of `suffix`; false when n does not end in the very same octets. */
static bool labels_before(struct msp_span n, const struct msp_name *suffix, size_t *len)
{
	size_t at = 0;

	while (n.len - at > suffix->len)
		at += n.ptr[at] + (size_t)1;
	*len = at;
	return n.len - at == suffix->len && memcmp(n.ptr + at, suffix->oct, suffix->len) == 0;
}

static void pack_name(struct prt_packer *p, struct msp_span name, bool is_relative)
{
	size_t len = 0;

	if (is_relative)
		(void)labels_before(name, p->child, &len);
	msp_buf_add(p->out, name.ptr, is_relative ? len : name.len);
	if (is_relative)
		msp_buf_add_u8(p->out, 0);
}

static uint8_t form_of(uint16_t type, struct msp_span rdata)
{
	uint8_t i = TYPE__N - 1;
	struct msp_name name;

	while (i > 0 && types[i].type != type)
		i--;
	if ((types[i].len != 0 && types[i].len != rdata.len) ||
	    (i == TYPE_NS && msp_name_from_wire(rdata, &name) != MSP_OK))
		return TYPE_OTHER; /* not what it should be: octets as they are */
	return i;
}

void prt_packer_init(struct prt_packer *p, const struct msp_name *child, struct msp_buf *out)
{
	p->out = out;
	p->child = child;
	p->owner.len = 0;
	p->ttl = 0;
}

void prt_packer_add(struct prt_packer *p, const struct msp_name *owner, uint16_t type, uint32_t ttl,
		    struct msp_span rdata)
{
	uint8_t form = form_of(type, rdata), head = form;
	bool is_same = msp_name_same(&p->owner, owner), is_first = !msp_name_is_set(&p->owner);
	size_t len;

	if (is_same)
		head |= SAME_OWNER;
	else if (labels_before(msp_name_span(owner), p->child, &len))
		head |= OWNER_REL;
	if (!is_first && ttl == p->ttl)
		head |= SAME_TTL;
	if (form == TYPE_NS && labels_before(rdata, p->child, &len))
		head |= NAME_REL;
	msp_buf_add_u8(p->out, head);
	if (form == TYPE_OTHER)
		prt_pack_number(p->out, type);
	if (!is_same)
		pack_name(p, msp_name_span(owner), (head & OWNER_REL) != 0);
	if ((head & SAME_TTL) == 0)
		prt_pack_number(p->out, ttl);
	if (form == TYPE_NS)
		pack_name(p, rdata, (head & NAME_REL) != 0);
	else if (types[form].len != 0)
		msp_buf_add_span(p->out, rdata);
	else
		prt_pack_octets(p->out, rdata);
	if (!is_same) {
		p->owner.len = owner->len;
		memcpy(p->owner.oct, owner->oct, owner->len);
	}
	p->ttl = ttl;
}

void prt_unpacker_init(struct prt_unpacker *u, const struct msp_name *child, struct msp_span octets)
{
	msp_rd_init(&u->rd, octets);
	u->child = child;
	u->owner.len = 0;
	u->ttl = 0;
}

static void unpack_name(struct prt_unpacker *u, bool is_relative, struct msp_name *out)
{
	msp_name_read(&u->rd, MSP_NAME_PLAIN, out);
	if (is_relative && msp_name_concat(out, u->child, out) != MSP_OK)
		msp_rd_fail(&u->rd, MSP_ENAME);
}

bool prt_unpacker_next(struct prt_unpacker *u, struct msp_rr *rr)
{
	uint8_t head, form;
	bool is_first = !msp_name_is_set(&u->owner);

	if (msp_rd_left(&u->rd) == 0)
		return false;
	head = msp_rd_u8(&u->rd);
	form = head & TYPE_BITS;
	if (form >= TYPE__N || (head & 0x80) != 0 || (is_first && (head & (SAME_OWNER | SAME_TTL)) != 0)) {
		msp_rd_fail(&u->rd, MSP_EFORMAT);
		return false;
	}
	rr->cls = MSP_CLASS_IN;
	rr->type = form == TYPE_OTHER ? (uint16_t)prt_unpack_up_to(&u->rd, UINT16_MAX) : types[form].type;
	if ((head & SAME_OWNER) == 0)
		unpack_name(u, (head & OWNER_REL) != 0, &u->owner);
	if ((head & SAME_TTL) == 0)
		u->ttl = (uint32_t)prt_unpack_up_to(&u->rd, UINT32_MAX);
	rr->owner = u->owner;
	rr->ttl = u->ttl;
	if (form == TYPE_NS) {
		unpack_name(u, (head & NAME_REL) != 0, &u->name);
		rr->rdata = msp_name_span(&u->name);
	} else {
		rr->rdata = types[form].len != 0 ? msp_rd_take(&u->rd, types[form].len) : prt_unpack_octets(&u->rd);
	}
	return u->rd.err == MSP_OK;
}
