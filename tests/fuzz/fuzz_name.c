/* SPDX-License-Identifier: BSD-2-Clause */
/* The first octet is where a name begins in the message that follows; whatever is read survives text and the writer. */
#include <msproto/wire/name.h>
#include <msproto/wire/wr.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void want(bool claim)
{
	if (!claim)
		abort();
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct msp_name n, back, plain;
	struct msp_name_key key, other;
	uint8_t mem[600];
	struct msp_wr wr;
	struct msp_rd rd;
	char text[1100];

	if (len == 0)
		return 0;
	if (len - 1 < sizeof(text)) { /* the octets as text, too */
		memcpy(text, data + 1, len - 1);
		text[len - 1] = '\0';
		if (msp_name_from_text(text, &n) == MSP_OK) {
			want(msp_name_from_text(MSP_NAME(&n), &back) == MSP_OK && msp_name_same(&n, &back));
			want(msp_name_from_wire(msp_name_span(&n), &back) == MSP_OK && msp_name_same(&n, &back));
		}
	}
	msp_rd_init(&rd, msp_span(data + 1, len - 1));
	(void)msp_rd_take(&rd, data[0]);
	msp_name_read(&rd, MSP_NAME_COMP, &n);
	if (rd.err != MSP_OK)
		return 0;
	want(rd.pos <= rd.end && msp_name_labels(&n) <= MSP_NAME_LABELS_MAX);
	want(msp_name_from_wire(msp_name_span(&n), &back) == MSP_OK && msp_name_same(&n, &back));
	want(msp_name_from_text(MSP_NAME(&n), &back) == MSP_OK && msp_name_same(&n, &back));

	msp_wr_init(&wr, mem, sizeof(mem));
	msp_wr_octets(&wr, msp_span("............", 12));
	msp_wr_name_comp(&wr, &n);
	msp_wr_name_comp(&wr, &n);
	msp_rd_init(&rd, msp_wr_span(&wr));
	(void)msp_rd_take(&rd, 12);
	for (unsigned i = 0; i < 2; i++) {
		msp_name_read(&rd, MSP_NAME_COMP, &back);
		want(msp_name_same(&n, &back));
	}
	want(msp_rd_done(&rd) == MSP_OK);
	want(wr.pos == 12u + n.len + (n.len > 1 ? 2u : 1u));

	if (msp_name_parent(&n, 1, &plain) != MSP_OK)
		return 0;
	want(msp_name_is_under(&n, &plain) && msp_name_cmp(&plain, &n) < 0);
	key = msp_name_key(&n);
	other = msp_name_key(&plain);
	want(msp_span_cmp(msp_name_key_span(&other), msp_name_key_span(&key)) < 0);
	back = n;
	msp_name_lower(&back);
	want(msp_name_equal(&n, &back) && msp_name_cmp(&n, &back) == 0);
	back.oct[1] = (uint8_t)(back.oct[1] + 1); /* some neighbour */
	other = msp_name_key(&back);
	want(sign(msp_name_cmp(&n, &back)) == sign(msp_span_cmp(msp_name_key_span(&key), msp_name_key_span(&other))));
	return 0;
}
