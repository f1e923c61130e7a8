/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include <msproto/msg/msopt.h>

#define TLV_COUNT (sizeof(((struct msp_msopt *)NULL)->has) / sizeof(bool))
_Static_assert(TLV_COUNT == MSP_TLV_CAPS + 1, "has[] is indexed by enum msp_tlv");

/* Sizes of values (PROTOCOL B.3, table of TLVs) */
#define DIGEST_LEN      32
#define PROCESS_FIXED   12 /* type, flags, zero, process id; a name follows */
#define PSTATE_LEN      8  /* state, status, seconds left */
#define KEYINFO_ENTRY   5  /* algorithm, tag, role, state */
#define PARENT_VIEW_LEN 72 /* time, two digests */

static void read_octets(struct msp_rd *rd, uint8_t *out, size_t len)
{
	struct msp_span s = msp_rd_take(rd, len);

	if (s.len == len)
		memcpy(out, s.ptr, len);
}

/** The whole value, which must have one of the sizes that entries of `unit` octets make. */
static struct msp_span read_units(struct msp_rd *rd, size_t unit, bool is_repeated)
{
	size_t len = msp_rd_left(rd);

	if (is_repeated ? len % unit != 0 : len != unit)
		msp_rd_fail(rd, MSP_EFORMAT);
	return msp_rd_rest(rd);
}

static struct msp_span read_process(struct msp_rd *rd)
{
	struct msp_span all = msp_span(rd->base + rd->pos, msp_rd_left(rd));
	struct msp_name subject;

	(void)msp_rd_take(rd, PROCESS_FIXED);
	msp_name_read(rd, MSP_NAME_PLAIN, &subject);
	return all;
}

static void read_timing(struct msp_rd *rd, struct msp_timing *t)
{
	t->dnskey_ttl = msp_rd_u32(rd);
	t->max_zone_ttl = msp_rd_u32(rd);
	t->ns_ttl = msp_rd_u32(rd);
	t->publication = msp_rd_u32(rd);
	t->resign = msp_rd_u32(rd);
	t->validity = msp_rd_u32(rd);
}

/** One value; `rd` is cut to it. What is left over is found by the caller. */
static void read_value(struct msp_rd *rd, enum msp_tlv type, struct msp_msopt *m)
{
	switch (type) {
	case MSP_TLV_IDENTITY:
		msp_name_read(rd, MSP_NAME_PLAIN, &m->identity);
		return;
	case MSP_TLV_PEER_IDENTITY:
		msp_name_read(rd, MSP_NAME_PLAIN, &m->peer_identity);
		return;
	case MSP_TLV_INTERVAL:
		m->interval_s = msp_rd_u32(rd);
		return;
	case MSP_TLV_INSTANCE:
		m->epoch = msp_rd_u64(rd);
		m->sequence = msp_rd_u64(rd);
		return;
	case MSP_TLV_GROUP:
		read_octets(rd, m->group, sizeof(m->group));
		return;
	case MSP_TLV_OWNER_SERIAL:
		m->owner_serial = msp_rd_u32(rd);
		return;
	case MSP_TLV_DATA_VERSION:
		m->data_version = msp_rd_u64(rd);
		return;
	case MSP_TLV_DATA_DIGEST:
		read_octets(rd, m->data_digest, sizeof(m->data_digest));
		return;
	case MSP_TLV_PROCESS:
		m->process = read_process(rd);
		return;
	case MSP_TLV_PSTATE:
		m->pstate = read_units(rd, PSTATE_LEN, false);
		return;
	case MSP_TLV_TERM:
		m->term = msp_rd_u64(rd);
		return;
	case MSP_TLV_LEADER:
		msp_name_read(rd, MSP_NAME_PLAIN, &m->leader);
		return;
	case MSP_TLV_RESULT:
		m->result_code = msp_rd_u16(rd);
		m->result_text = msp_rd_rest(rd);
		return;
	case MSP_TLV_KEYINFO:
		m->keyinfo = read_units(rd, KEYINFO_ENTRY, true);
		return;
	case MSP_TLV_TIMING:
		read_timing(rd, &m->timing);
		return;
	case MSP_TLV_PARENT_VIEW:
		m->parent_view = read_units(rd, PARENT_VIEW_LEN, false);
		return;
	case MSP_TLV_CAPS:
		m->caps = msp_rd_u32(rd);
		return;
	}
}

static enum msp_err read_tlv(struct msp_rd *rd, struct msp_msopt *m)
{
	uint16_t type = msp_rd_u16(rd);
	struct msp_rd value = msp_rd_sub(rd, msp_rd_u16(rd));
	unsigned known = type & ~(unsigned)MSP_TLV_CRITICAL;
	enum msp_err err;

	if (rd->err != MSP_OK)
		return rd->err;
	if (known == 0 || known >= TLV_COUNT)
		return (type & MSP_TLV_CRITICAL) != 0 ? MSP_ENOTIMP : MSP_OK;
	if (m->has[known])
		return MSP_EFORMAT;
	m->has[known] = true;
	read_value(&value, (enum msp_tlv)known, m);
	err = msp_rd_done(&value);
	/* A value that is cut short or no name is a wrong value, not an option that ends early. */
	return err == MSP_OK || err == MSP_ETRAIL ? err : MSP_EFORMAT;
}

enum msp_err msp_msopt_parse(struct msp_span data, struct msp_msopt *out)
{
	struct msp_msopt m = { 0 };
	enum msp_err err;
	struct msp_rd rd;

	msp_rd_init(&rd, data);
	m.operation = msp_rd_u8(&rd);
	m.transports = msp_rd_u8(&rd);
	m.syncs = msp_rd_u8(&rd);
	err = rd.err;
	if (err == MSP_OK) /* so that an error answer can repeat the operation */
		*out = m;
	if (err == MSP_OK && m.operation == 0)
		err = MSP_EVALUE;
	if (err == MSP_OK && msp_rd_left(&rd) > 0)
		(void)msp_rd_u8(&rd); /* reserved; absent in the draft's figure */
	while (err == MSP_OK && msp_rd_left(&rd) > 0)
		err = read_tlv(&rd, &m);
	if (err == MSP_OK)
		*out = m;
	return err;
}

static void write_timing(struct msp_wr *wr, const struct msp_timing *t)
{
	msp_wr_u32(wr, t->dnskey_ttl);
	msp_wr_u32(wr, t->max_zone_ttl);
	msp_wr_u32(wr, t->ns_ttl);
	msp_wr_u32(wr, t->publication);
	msp_wr_u32(wr, t->resign);
	msp_wr_u32(wr, t->validity);
}

static void write_value(struct msp_wr *wr, enum msp_tlv type, const struct msp_msopt *m)
{
	switch (type) {
	case MSP_TLV_IDENTITY:
		msp_wr_octets(wr, msp_name_span(&m->identity));
		return;
	case MSP_TLV_PEER_IDENTITY:
		msp_wr_octets(wr, msp_name_span(&m->peer_identity));
		return;
	case MSP_TLV_INTERVAL:
		msp_wr_u32(wr, m->interval_s);
		return;
	case MSP_TLV_INSTANCE:
		msp_wr_u64(wr, m->epoch);
		msp_wr_u64(wr, m->sequence);
		return;
	case MSP_TLV_GROUP:
		msp_wr_octets(wr, msp_span(m->group, DIGEST_LEN));
		return;
	case MSP_TLV_OWNER_SERIAL:
		msp_wr_u32(wr, m->owner_serial);
		return;
	case MSP_TLV_DATA_VERSION:
		msp_wr_u64(wr, m->data_version);
		return;
	case MSP_TLV_DATA_DIGEST:
		msp_wr_octets(wr, msp_span(m->data_digest, DIGEST_LEN));
		return;
	case MSP_TLV_PROCESS:
		msp_wr_octets(wr, m->process);
		return;
	case MSP_TLV_PSTATE:
		msp_wr_octets(wr, m->pstate);
		return;
	case MSP_TLV_TERM:
		msp_wr_u64(wr, m->term);
		return;
	case MSP_TLV_LEADER:
		msp_wr_octets(wr, msp_name_span(&m->leader));
		return;
	case MSP_TLV_RESULT:
		msp_wr_u16(wr, m->result_code);
		msp_wr_octets(wr, m->result_text);
		return;
	case MSP_TLV_KEYINFO:
		msp_wr_octets(wr, m->keyinfo);
		return;
	case MSP_TLV_TIMING:
		write_timing(wr, &m->timing);
		return;
	case MSP_TLV_PARENT_VIEW:
		msp_wr_octets(wr, m->parent_view);
		return;
	case MSP_TLV_CAPS:
		msp_wr_u32(wr, m->caps);
		return;
	}
}

void msp_optw_msopt(struct msp_optw *o, const struct msp_numbers *n, const struct msp_msopt *ms)
{
	struct msp_wr *wr = &o->w->wr;
	size_t len_at;

	msp_wr_u16(wr, n->opt_multisigner);
	len_at = wr->pos;
	msp_wr_u16(wr, 0);
	msp_wr_u8(wr, ms->operation);
	msp_wr_u8(wr, ms->transports);
	msp_wr_u8(wr, ms->syncs);
	msp_wr_u8(wr, 0);
	for (unsigned t = 1; t < TLV_COUNT; t++) {
		size_t value_at;

		if (!ms->has[t])
			continue;
		msp_wr_u16(wr, (uint16_t)t);
		value_at = wr->pos + 2;
		msp_wr_u16(wr, 0);
		write_value(wr, (enum msp_tlv)t, ms);
		if (wr->err == MSP_OK)
			msp_wr_patch_u16(wr, value_at - 2, (uint16_t)(wr->pos - value_at));
	}
	if (wr->err == MSP_OK && ms->operation == 0) /* forbidden on the wire */
		wr->err = MSP_EVALUE;
	if (wr->err == MSP_OK)
		msp_wr_patch_u16(wr, len_at, (uint16_t)(wr->pos - len_at - 2));
}

#define TEN(p)                                                                                                         \
	"OP" p "0", "OP" p "1", "OP" p "2", "OP" p "3", "OP" p "4", "OP" p "5", "OP" p "6", "OP" p "7", "OP" p "8",    \
		"OP" p "9"
static const char *const op_numbers[260] = {
	TEN(""),   TEN("1"),  TEN("2"),  TEN("3"),  TEN("4"),  TEN("5"),  TEN("6"),  TEN("7"),  TEN("8"),
	TEN("9"),  TEN("10"), TEN("11"), TEN("12"), TEN("13"), TEN("14"), TEN("15"), TEN("16"), TEN("17"),
	TEN("18"), TEN("19"), TEN("20"), TEN("21"), TEN("22"), TEN("23"), TEN("24"), TEN("25"),
};
#undef TEN

const char *msp_op_name(const struct msp_numbers *n, uint8_t op)
{
	const struct {
		uint8_t op;
		const char *name;
	} names[] = {
		{ MSP_OP_HELLO, "HELLO" },  { MSP_OP_HEARTBEAT, "HEARTBEAT" },
		{ n->op_data, "DATA" },     { n->op_state, "STATE" },
		{ n->op_proc, "PROC" },     { n->op_elect, "ELECT" },
		{ n->op_ping, "PING" },     { n->op_bye, "BYE" },
		{ n->op_keyreq, "KEYREQ" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].op == op)
			return names[i].name;
	return op_numbers[op];
}
