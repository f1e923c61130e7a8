/* SPDX-License-Identifier: BSD-2-Clause */
#include "audit.h"

#include "pack.h"

#include <msproto/auth/digest.h>
#include <msproto/base/enc.h>
#include <msproto/base/mem.h>
#include <msproto/wire/text.h>

#include <string.h>

#define VERSION 1

/* What else there is. */
#define HAS_TCP       0x01
#define HAS_MESSAGE   0x02
#define PACKED_BEFORE 0x04 /* records relative to the child; otherwise the octets as they are */
#define PACKED_AFTER  0x08
#define HAS_ALL       0x0f

static const char *const verdicts[PRT_VERDICT__N] = {
#define VERDICT_ROW(name, text) [PRT_VERDICT_##name] = text,
	PRT_VERDICT_MAP(VERDICT_ROW)
#undef VERDICT_ROW
};

const char *prt_verdict_name(enum prt_verdict v)
{
	return v < PRT_VERDICT__N ? verdicts[v] : "?";
}

void prt_audit_init(struct prt_audit *a)
{
	memset(a, 0, sizeof(*a));
	msp_buf_init(&a->before, PRT_AUDIT_OCTETS_MAX);
	msp_buf_init(&a->after, PRT_AUDIT_OCTETS_MAX);
}

void prt_audit_fini(struct prt_audit *a)
{
	msp_buf_fini(&a->before);
	msp_buf_fini(&a->after);
}

/* --- records as written: owner, type, class, TTL, length, RDATA --- */

static bool next_record(struct msp_rd *rd, struct msp_rr *rr)
{
	if (msp_rd_left(rd) == 0)
		return false;
	msp_name_read(rd, MSP_NAME_PLAIN, &rr->owner);
	rr->type = msp_rd_u16(rd);
	rr->cls = msp_rd_u16(rd);
	rr->ttl = msp_rd_u32(rd);
	rr->rdata = msp_rd_take(rd, msp_rd_u16(rd));
	return rd->err == MSP_OK;
}

static bool pack_records(const struct msp_name *child, struct msp_span octets, struct msp_buf *out)
{
	struct prt_packer p;
	struct msp_rd rd;
	struct msp_rr rr;

	prt_packer_init(&p, child, out);
	msp_rd_init(&rd, octets);
	while (next_record(&rd, &rr)) {
		if (rr.cls != MSP_CLASS_IN)
			return false;
		prt_packer_add(&p, &rr.owner, rr.type, rr.ttl, rr.rdata);
	}
	return rd.err == MSP_OK;
}

static void write_record(const struct msp_rr *rr, struct msp_buf *out)
{
	uint8_t head[10];
	struct msp_wr wr;

	msp_wr_init(&wr, head, sizeof(head));
	msp_wr_u16(&wr, rr->type);
	msp_wr_u16(&wr, rr->cls);
	msp_wr_u32(&wr, rr->ttl);
	msp_wr_u16(&wr, (uint16_t)rr->rdata.len);
	msp_buf_add_span(out, msp_name_span(&rr->owner));
	msp_buf_add_span(out, msp_wr_span(&wr));
	msp_buf_add_span(out, rr->rdata);
}

static enum msp_err unpack_records(const struct msp_name *child, struct msp_span octets, struct msp_buf *out)
{
	struct prt_unpacker u;
	struct msp_rr rr;

	prt_unpacker_init(&u, child, octets);
	while (prt_unpacker_next(&u, &rr))
		write_record(&rr, out);
	return u.rd.err != MSP_OK ? u.rd.err : out->err;
}

/* Half of what a record of the trail needs is the delegation. Octets that are no records are kept as they are. */
static enum msp_err choose_form(const struct prt_audit *a, const struct msp_buf *octets, struct msp_buf *packed,
				struct msp_span *out, bool *is_packed)
{
	msp_buf_init(packed, PRT_AUDIT_OCTETS_MAX);
	*out = msp_buf_span(octets);
	*is_packed = false;
	if (octets->err != MSP_OK)
		return octets->err;
	if (a->verdict == PRT_VERDICT_KEY || out->len == 0 || !msp_name_is_set(&a->child))
		return MSP_OK;
	*is_packed = pack_records(&a->child, *out, packed);
	if (packed->err == MSP_ENOMEM)
		return MSP_ENOMEM;
	*is_packed = *is_packed && packed->err == MSP_OK;
	if (*is_packed)
		*out = msp_buf_span(packed);
	return MSP_OK;
}

/* --- octets --- */

static bool is_zero(const uint8_t *oct, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (oct[i] != 0)
			return false;
	return true;
}

enum msp_err prt_audit_write(const struct prt_audit *a, struct msp_buf *out)
{
	bool has_message = !is_zero(a->message, sizeof(a->message)), packed_before = false, packed_after = false;
	struct msp_span before = { 0 }, after = { 0 };
	struct msp_buf packed[2];
	size_t start = out->len;
	enum msp_err err = choose_form(a, &a->before, &packed[0], &before, &packed_before), err2;

	err2 = choose_form(a, &a->after, &packed[1], &after, &packed_after);
	if (err == MSP_OK)
		err = err2;
	if (err != MSP_OK)
		goto out;
	msp_buf_add_u8(out, VERSION);
	prt_pack_number(out, a->seq);
	prt_pack_time(out, a->at);
	prt_pack_octets(out, msp_name_span(&a->parent));
	prt_pack_octets(out, msp_name_span(&a->child));
	msp_buf_add_u8(out, (uint8_t)a->verdict);
	msp_buf_add_u8(out, (uint8_t)a->source);
	msp_buf_add_u8(out, (uint8_t)((a->is_tcp ? HAS_TCP : 0) | (has_message ? HAS_MESSAGE : 0) |
				      (packed_before ? PACKED_BEFORE : 0) | (packed_after ? PACKED_AFTER : 0)));
	prt_pack_addr(out, &a->peer);
	prt_pack_number(out, a->key_tag);
	if (has_message)
		msp_buf_add(out, a->message, sizeof(a->message));
	prt_pack_text(out, a->who);
	prt_pack_text(out, a->rule);
	prt_pack_text(out, a->why);
	prt_pack_number(out, a->rcode);
	prt_pack_number(out, a->ede);
	prt_pack_octets(out, before);
	prt_pack_octets(out, after);
	msp_buf_add(out, a->previous, sizeof(a->previous));
	err = out->err;
	if (err == MSP_OK && out->len - start > PRT_AUDIT_OCTETS_MAX)
		err = MSP_ELIMIT;
out:
	msp_buf_fini(&packed[0]);
	msp_buf_fini(&packed[1]);
	return err;
}

static void read_name(struct msp_rd *rd, struct msp_name *out)
{
	struct msp_span s = prt_unpack_octets(rd);

	if (s.len > 0 && msp_name_from_wire(s, out) != MSP_OK)
		msp_rd_fail(rd, MSP_ENAME);
}

static void read_octets(struct msp_rd *rd, size_t len, uint8_t *out)
{
	struct msp_span s = msp_rd_take(rd, len);

	if (s.len == len)
		memcpy(out, s.ptr, len);
}

static enum msp_err read_records(struct msp_rd *rd, const struct msp_name *child, bool is_packed, struct msp_buf *out)
{
	struct msp_span s = prt_unpack_octets(rd);

	if (!is_packed) {
		msp_buf_add_span(out, s);
		return out->err;
	}
	return msp_name_is_set(child) ? unpack_records(child, s, out) : MSP_EVALUE;
}

static enum msp_err read_all(struct msp_rd *rd, struct prt_audit *a)
{
	uint8_t version = msp_rd_u8(rd), verdict, source, has;
	enum msp_err err;

	a->seq = prt_unpack_number(rd);
	a->at = prt_unpack_time(rd);
	read_name(rd, &a->parent);
	read_name(rd, &a->child);
	verdict = msp_rd_u8(rd);
	source = msp_rd_u8(rd);
	has = msp_rd_u8(rd);
	a->peer = prt_unpack_addr(rd);
	a->key_tag = (uint16_t)prt_unpack_up_to(rd, UINT16_MAX);
	if ((has & HAS_MESSAGE) != 0)
		read_octets(rd, sizeof(a->message), a->message);
	prt_unpack_text(rd, a->who, sizeof(a->who));
	prt_unpack_text(rd, a->rule, sizeof(a->rule));
	prt_unpack_text(rd, a->why, sizeof(a->why));
	a->rcode = (unsigned)prt_unpack_up_to(rd, UINT16_MAX);
	a->ede = (unsigned)prt_unpack_up_to(rd, UINT16_MAX);
	if (rd->err != MSP_OK || version != VERSION || verdict >= PRT_VERDICT__N ||
	    (source >= PRT_SRC__N && source != PRT_SRC_NONE) || (has & ~HAS_ALL) != 0)
		return MSP_EVALUE;
	a->verdict = (enum prt_verdict)verdict;
	a->source = (enum prt_source)source;
	a->is_tcp = (has & HAS_TCP) != 0;
	err = read_records(rd, &a->child, (has & PACKED_BEFORE) != 0, &a->before);
	if (err == MSP_OK)
		err = read_records(rd, &a->child, (has & PACKED_AFTER) != 0, &a->after);
	read_octets(rd, sizeof(a->previous), a->previous);
	return err != MSP_OK ? err : msp_rd_done(rd);
}

enum msp_err prt_audit_read(struct msp_span octets, struct prt_audit *a)
{
	struct msp_rd rd;
	enum msp_err err;

	prt_audit_init(a);
	msp_rd_init(&rd, octets);
	err = octets.len <= PRT_AUDIT_OCTETS_MAX ? read_all(&rd, a) : MSP_ELIMIT;
	if (err == MSP_OK)
		return MSP_OK;
	prt_audit_fini(a);
	return err == MSP_ENOMEM ? err : MSP_ECORRUPT;
}

/* --- the chain --- */

enum msp_err prt_audit_hash(struct msp_span octets, uint8_t hash[PRT_HASH_LEN])
{
	return msp_sha256(&octets, 1, hash);
}

enum msp_err prt_audit_follow(struct msp_span octets, uint8_t link[PRT_HASH_LEN], uint64_t *seq, struct msp_why *why)
{
	struct prt_audit a;
	enum msp_err err = prt_audit_read(octets, &a);

	if (err != MSP_OK)
		return msp_fail(why, err, "the record after number %llu cannot be read: %s", (unsigned long long)*seq,
				msp_err_text(err));
	if (a.seq != *seq + 1)
		err = msp_fail(why, MSP_ECORRUPT, "record %llu follows record %llu: some are missing",
			       (unsigned long long)a.seq, (unsigned long long)*seq);
	else if (memcmp(a.previous, link, PRT_HASH_LEN) != 0)
		err = msp_fail(why, MSP_ECORRUPT,
			       "record %llu was made after another record %llu than the one there is",
			       (unsigned long long)a.seq, (unsigned long long)*seq);
	if (err == MSP_OK)
		err = prt_audit_hash(octets, link);
	if (err == MSP_OK)
		*seq = a.seq;
	prt_audit_fini(&a);
	return err;
}

/* --- for people --- */

static enum msp_err put_record(json_t *list, const struct msp_rr *rr, struct msp_buf *text)
{
	msp_buf_reset(text);
	msp_rr_print(text, NULL, rr);
	return text->err == MSP_OK ? msp_json_append(list, json_string(msp_buf_text(text))) : text->err;
}

static enum msp_err records_json(struct msp_span octets, json_t **out)
{
	json_t *list = json_array();
	enum msp_err err = list != NULL ? MSP_OK : MSP_ENOMEM;
	struct msp_buf text;
	struct msp_rd rd;
	struct msp_rr rr;

	msp_buf_init(&text, 4 * PRT_AUDIT_OCTETS_MAX);
	msp_rd_init(&rd, octets);
	while (err == MSP_OK && next_record(&rd, &rr))
		err = put_record(list, &rr, &text);
	if (err == MSP_OK && rd.err != MSP_OK)
		err = MSP_ECORRUPT;
	msp_buf_fini(&text);
	if (err == MSP_OK)
		*out = list;
	else
		json_decref(list);
	return err;
}

enum msp_err prt_delegation_json(const struct prt_delegation *d, json_t **out)
{
	struct msp_buf octets;
	enum msp_err err;

	msp_buf_init(&octets, PRT_SETS_MAX * PRT_DS_MAX * (MSP_NAME_MAX + 1024u));
	err = prt_delegation_write(d, &octets);
	if (err == MSP_OK)
		err = records_json(msp_buf_span(&octets), out);
	msp_buf_fini(&octets);
	return err;
}

static enum msp_err keys_json(const struct msp_name *child, struct msp_span octets, json_t **out)
{
	json_t *list = json_array();
	enum msp_err err = list != NULL ? MSP_OK : MSP_ENOMEM;
	struct msp_buf text;
	struct msp_rd rd;

	msp_buf_init(&text, 4 * PRT_AUDIT_OCTETS_MAX);
	msp_rd_init(&rd, octets);
	while (err == MSP_OK && msp_rd_left(&rd) > 0) {
		struct msp_rr rr = { .owner = *child, .type = MSP_TYPE_KEY, .cls = MSP_CLASS_IN };

		rr.rdata = msp_rd_take(&rd, msp_rd_u16(&rd));
		err = rd.err == MSP_OK ? put_record(list, &rr, &text) : MSP_ECORRUPT;
	}
	msp_buf_fini(&text);
	if (err == MSP_OK)
		*out = list;
	else
		json_decref(list);
	return err;
}

static enum msp_err put_change(json_t *o, const char *name, const struct prt_audit *a, const struct msp_buf *octets)
{
	json_t *list = NULL;
	enum msp_err err = a->verdict == PRT_VERDICT_KEY ? keys_json(&a->child, msp_buf_span(octets), &list)
							 : records_json(msp_buf_span(octets), &list);

	return err == MSP_OK ? msp_json_set(o, name, list) : err;
}

static enum msp_err put_hash(json_t *o, const char *name, const uint8_t hash[PRT_HASH_LEN])
{
	struct msp_buf hex;
	enum msp_err err;

	msp_buf_init(&hex, 2 * PRT_HASH_LEN + 1);
	msp_hex_write(&hex, msp_span(hash, PRT_HASH_LEN));
	err = hex.err == MSP_OK ? msp_json_set_str(o, name, msp_buf_text(&hex)) : hex.err;
	msp_buf_fini(&hex);
	return err;
}

static enum msp_err put_name(json_t *o, const char *key, const struct msp_name *name)
{
	return msp_name_is_set(name) ? msp_json_set_str(o, key, MSP_NAME(name)) : msp_json_set(o, key, json_null());
}

/* Who asked, and how. */
static enum msp_err put_asker(json_t *o, const struct prt_audit *a)
{
	bool has_peer = a->peer.family != MSP_FAMILY_NONE, has_message = !is_zero(a->message, sizeof(a->message));
	enum msp_err err = a->source == PRT_SRC_NONE ? msp_json_set(o, "source", json_null())
						     : msp_json_set_str(o, "source", prt_source_name(a->source));

	if (err == MSP_OK)
		err = msp_json_set_str(o, "who", a->who);
	if (err == MSP_OK)
		err = has_peer ? msp_json_set_str(o, "peer", MSP_ADDR(&a->peer)) : msp_json_set(o, "peer", json_null());
	if (err == MSP_OK)
		err = has_peer ? msp_json_set_str(o, "transport", a->is_tcp ? "tcp" : "udp")
			       : msp_json_set(o, "transport", json_null());
	if (err == MSP_OK)
		err = msp_json_set_int(o, "key_tag", a->key_tag);
	if (err == MSP_OK)
		err = has_message ? put_hash(o, "message", a->message) : msp_json_set(o, "message", json_null());
	return err;
}

static enum msp_err put_all(json_t *o, const struct prt_audit *a)
{
	enum msp_err err = msp_json_set_int(o, "seq", (int64_t)a->seq);

	if (err == MSP_OK)
		err = msp_json_set_int(o, "at", a->at.s);
	if (err == MSP_OK)
		err = put_name(o, "parent", &a->parent);
	if (err == MSP_OK)
		err = put_name(o, "child", &a->child);
	if (err == MSP_OK)
		err = msp_json_set_str(o, "verdict", prt_verdict_name(a->verdict));
	if (err == MSP_OK)
		err = put_asker(o, a);
	if (err == MSP_OK)
		err = msp_json_set_str(o, "rule", a->rule);
	if (err == MSP_OK)
		err = msp_json_set_str(o, "why", a->why);
	if (err == MSP_OK)
		err = msp_json_set_str(o, "rcode", msp_rcode_name(a->rcode));
	if (err == MSP_OK)
		err = msp_json_set_int(o, "ede", (int64_t)a->ede);
	if (err == MSP_OK)
		err = put_change(o, "before", a, &a->before);
	if (err == MSP_OK)
		err = put_change(o, "after", a, &a->after);
	if (err == MSP_OK)
		err = put_hash(o, "previous", a->previous);
	return err;
}

enum msp_err prt_audit_json(const struct prt_audit *a, json_t **out)
{
	json_t *o = json_object();
	enum msp_err err = o != NULL ? put_all(o, a) : MSP_ENOMEM;

	if (err == MSP_OK)
		*out = o;
	else
		json_decref(o);
	return err;
}
