/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/enc.h>
#include <msproto/wire/text.h>

struct msp_name t_name(const char *text)
{
	struct msp_name n = { 0 };

	T_OK(msp_name_from_text(text, &n));
	return n;
}

void t_hex(const char *hex, struct msp_buf *out)
{
	struct msp_buf digits;

	msp_buf_init(&digits, 1 << 20);
	msp_buf_init(out, 1 << 20);
	for (; *hex != '\0'; hex++)
		if (strchr(" \t\r\n", *hex) == NULL)
			msp_buf_add_u8(&digits, (uint8_t)*hex);
	T_OK(msp_hex_parse(msp_buf_span(&digits), out));
	msp_buf_fini(&digits);
}

void t_hex_file(const char *path, struct msp_buf *out)
{
	char full[1024], line[4096];
	struct msp_buf digits;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", TEST_DATA, path);
	f = fopen(full, "r");
	if (f == NULL)
		fail_msg("cannot open %s", full);
	msp_buf_init(&digits, 1 << 20);
	while (fgets(line, sizeof(line), f) != NULL)
		if (line[0] != '#')
			msp_buf_add_str(&digits, line);
	fclose(f);
	t_hex(msp_buf_text(&digits), out);
	msp_buf_fini(&digits);
}

struct msp_rrset *t_rrset(const char *lines)
{
	struct msp_rrset *set = NULL;
	struct msp_buf rdata;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n");
		struct msp_why why = { "" };
		struct msp_rr rr;

		if (msp_rr_scan(msp_span(lines, len), NULL, NULL, 3600, &rdata, &rr, &why) != MSP_OK)
			fail_msg("%.*s: %s", (int)len, lines, why.text);
		if (set == NULL)
			T_OK(msp_rrset_new(&rr.owner, rr.type, rr.ttl, &set));
		T_OK(msp_rrset_add(set, rr.rdata));
		lines += len + (lines[len] == '\n');
	}
	msp_buf_fini(&rdata);
	return set;
}
