/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a private key file. What is accepted, printed and read again is the same. */
#include "../../libmsproto/src/auth/keyfile.h" /* internal: the program only reads it from files */

#include <msproto/auth/key.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Not assert: it must hold in optimised builds, too. */
#define CHECK(claim)                                                                                                   \
	do {                                                                                                           \
		if (!(claim))                                                                                          \
			abort();                                                                                       \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct msp_keyfile kf, again;
	struct msp_why why = { "" };
	struct msp_buf text;

	if (msp_keyfile_parse(msp_span(data, len), &kf, &why) != MSP_OK) {
		CHECK(kf.alg == 0 && why.text[0] != '\0'); /* nothing left behind, and a reason */
		return 0;
	}
	CHECK(msp_alg_known(kf.alg));
	msp_buf_init(&text, MSP_KEYFILE_MAX);
	if (msp_keyfile_print(&kf, &text) != MSP_OK || msp_keyfile_parse(msp_buf_span(&text), &again, &why) != MSP_OK ||
	    memcmp(&kf, &again, sizeof(kf)) != 0)
		abort();
	msp_buf_fini(&text);
	return 0;
}
