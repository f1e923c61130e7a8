/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/msg/keystate.h>

#define TEXT_SENT_MAX 128 /* PROTOCOL B.2: cap on our own EXTRA-TEXT */

const char *msp_keystate_name(uint8_t state)
{
	switch (state) {
#define STATE_CASE(name, value, text)                                                                                  \
	case (value):                                                                                                  \
		return #name;
		MSP_KEYSTATE_MAP(STATE_CASE)
#undef STATE_CASE
	default:
		return "?";
	}
}

bool msp_keystate_assigned(uint8_t state)
{
	switch (state) {
#define STATE_CASE(name, value, text) case (value):
		MSP_KEYSTATE_MAP(STATE_CASE)
#undef STATE_CASE
		return true;
	default:
		return false;
	}
}

enum msp_err msp_keystate_parse(struct msp_span data, struct msp_keystate *out)
{
	struct msp_keystate ks = { 0 };
	struct msp_rd rd;

	msp_rd_init(&rd, data);
	ks.key_id = msp_rd_u16(&rd);
	ks.state = msp_rd_u8(&rd);
	ks.data = msp_rd_u8(&rd);
	ks.text = msp_rd_rest(&rd);
	if (rd.err != MSP_OK)
		return rd.err;
	*out = ks;
	if (!msp_keystate_assigned(ks.state))
		return MSP_EVALUE;
	return ks.text.len <= MSP_KEYSTATE_TEXT_MAX ? MSP_OK : MSP_ELIMIT;
}

/** Cut before the character that would cross the limit: UTF-8 continuation octets are 10xxxxxx. */
static struct msp_span cut_utf8(struct msp_span text, size_t max)
{
	if (text.len <= max)
		return text;
	while (max > 0 && (text.ptr[max] & 0xc0) == 0x80)
		max--;
	return msp_span(text.ptr, max);
}

void msp_optw_keystate(struct msp_optw *o, const struct msp_numbers *n, const struct msp_keystate *ks)
{
	struct msp_span text = cut_utf8(ks->text, TEXT_SENT_MAX);
	struct msp_wr *wr = &o->w->wr;

	msp_wr_u16(wr, n->opt_keystate);
	msp_wr_u16(wr, (uint16_t)(4 + text.len));
	msp_wr_u16(wr, ks->key_id);
	msp_wr_u8(wr, ks->state);
	msp_wr_u8(wr, ks->data);
	msp_wr_octets(wr, text);
}
