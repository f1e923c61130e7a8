/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * UPDATE messages from lines of text: "yx NAME TYPE", "nx NAME TYPE", "eq RR", "add RR", "del NAME TYPE", "delrr RR";
 * TYPE ANY = the name. A record is "owner TTL TYPE rdata".
 */
#ifndef TEST_UPDATE_TEXT_H
#define TEST_UPDATE_TEXT_H

#include "support.h"

#include <msproto/msg/update.h>
#include <msproto/wire/text.h>

static inline void t_update_line(struct msp_msgw *w, const char *line, size_t len)
{
	char verb[8], name[300], type[32], text[2048];
	struct msp_buf rdata;
	struct msp_why why = { "" };
	uint16_t number = MSP_TYPE_ANY;
	struct msp_rr rr = { 0 };

	snprintf(text, sizeof(text), "%.*s", (int)len, line);
	msp_buf_init(&rdata, MSP_RDATA_MAX);
	assert_int_equal(sscanf(text, "%7s %299s %31s", verb, name, type), 3);
	if (strcmp(verb, "add") == 0 || strcmp(verb, "eq") == 0 || strcmp(verb, "delrr") == 0) {
		if (msp_rr_scan(msp_span_str(text + strlen(verb) + 1), NULL, NULL, 0, &rdata, &rr, &why) != MSP_OK)
			fail_msg("%s: %s", text, why.text);
	} else if (strcmp(type, "ANY") != 0) {
		T_OK(msp_type_from_text(msp_span_str(type), NULL, &number));
	}
	if (rr.owner.len == 0)
		rr.owner = t_name(name);
	if (strcmp(verb, "yx") == 0)
		msp_updw_prereq(w, number == MSP_TYPE_ANY ? MSP_PREREQ_NAME_IN_USE : MSP_PREREQ_RRSET_EXISTS, &rr.owner,
				number, rr.rdata);
	else if (strcmp(verb, "nx") == 0)
		msp_updw_prereq(w, number == MSP_TYPE_ANY ? MSP_PREREQ_NAME_UNUSED : MSP_PREREQ_RRSET_ABSENT, &rr.owner,
				number, rr.rdata);
	else if (strcmp(verb, "eq") == 0)
		msp_updw_prereq(w, MSP_PREREQ_RRSET_EQUALS, &rr.owner, rr.type, rr.rdata);
	else if (strcmp(verb, "add") == 0)
		msp_updw_add(w, &rr.owner, rr.type, rr.ttl, rr.rdata);
	else if (strcmp(verb, "delrr") == 0)
		msp_updw_del_rr(w, &rr.owner, rr.type, rr.rdata);
	else if (number == MSP_TYPE_ANY)
		msp_updw_del_name(w, &rr.owner);
	else
		msp_updw_del_rrset(w, &rr.owner, number);
	msp_buf_fini(&rdata);
}

/** The lines as a message for `zone`, in mem; parsed into *m, which borrows mem. */
static inline void t_update(const char *zone, const char *lines, uint8_t *mem, size_t cap,
			    struct msp_rr_scratch *scratch, struct msp_msg *m)
{
	struct msp_name name = t_name(zone);
	struct msp_msgw w;
	struct msp_span raw;

	msp_updw_init(&w, mem, cap, 1, &name);
	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n");

		t_update_line(&w, lines, len);
		lines += len + (lines[len] == '\n');
	}
	T_OK(msp_msgw_finish(&w, &raw));
	T_OK(msp_msg_parse(raw, scratch, m, NULL));
}

#endif
