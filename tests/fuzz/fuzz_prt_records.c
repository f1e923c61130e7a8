/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be read of parentd's stored records is written and read again as the same. The first octet says which kind.
 */
#undef NDEBUG /* the properties are checked in every build */
#include <assert.h>
#include <string.h>

#include "audit.h"
#include "child.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void child(struct msp_span octets)
{
	static struct prt_child a, b;
	static const struct msp_wall past = { 0 }; /* nothing has run out */
	struct prt_keyset keys;
	struct msp_buf out;
	enum msp_err err;
	unsigned flags;

	if (prt_child_read(octets, &a) != MSP_OK)
		return;
	assert(prt_child_read_keys(octets, &keys, &flags) == MSP_OK && flags == a.flags);
	assert(memcmp(&keys, &a.keys, sizeof(keys)) == 0);
	msp_buf_init(&out, 1u << 20);
	err = prt_child_write(&a, past, &out);
	assert(err == MSP_OK || err == MSP_ELIMIT); /* records packed by others may have been packed better */
	if (err == MSP_OK) {
		assert(prt_child_read(msp_buf_span(&out), &b) == MSP_OK);
		assert(msp_name_same(&a.name, &b.name) && msp_name_same(&a.parent, &b.parent) && a.flags == b.flags);
		assert(prt_delegation_equal(&a.registered, &b.registered));
		assert(prt_delegation_equal(&a.published, &b.published));
		assert(memcmp(&a.keys, &b.keys, sizeof(a.keys)) == 0);
		assert(memcmp(a.seen, b.seen, a.seen_count * sizeof(a.seen[0])) == 0);
		assert(a.pending.wait == b.pending.wait && strcmp(a.note, b.note) == 0 && a.last_seq == b.last_seq);
		assert(prt_child_due(&a).s == prt_child_due(&b).s);
		prt_child_fini(&b);
	}
	msp_buf_fini(&out);
	prt_child_fini(&a);
}

static void audit(struct msp_span octets)
{
	uint8_t link[PRT_HASH_LEN] = { 0 };
	struct prt_audit a, b;
	struct msp_why why;
	struct msp_buf out;
	json_t *json = NULL;
	uint64_t seq = 0;
	enum msp_err err;

	(void)!prt_audit_follow(octets, link, &seq, &why);
	if (prt_audit_read(octets, &a) != MSP_OK)
		return;
	msp_buf_init(&out, 1u << 20);
	err = prt_audit_write(&a, &out);
	assert(err == MSP_OK || err == MSP_ELIMIT);
	if (err == MSP_OK) {
		assert(prt_audit_read(msp_buf_span(&out), &b) == MSP_OK);
		assert(a.seq == b.seq && a.at.s == b.at.s && a.verdict == b.verdict && strcmp(a.why, b.why) == 0);
		assert(msp_span_equal(msp_buf_span(&a.before), msp_buf_span(&b.before)));
		assert(msp_span_equal(msp_buf_span(&a.after), msp_buf_span(&b.after)));
		assert(memcmp(a.previous, b.previous, PRT_HASH_LEN) == 0);
		prt_audit_fini(&b);
	}
	if (prt_audit_json(&a, &json) == MSP_OK)
		json_decref(json);
	msp_buf_fini(&out);
	prt_audit_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	if ((data[0] & 1) == 0)
		child(msp_span(data + 1, len - 1));
	else
		audit(msp_span(data + 1, len - 1));
	return 0;
}
