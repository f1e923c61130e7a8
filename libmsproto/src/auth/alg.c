/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/auth/key.h>

#include "auth/evp.h"

bool msp_alg_known(uint8_t alg)
{
	return msp_evp_alg(alg) != NULL;
}

/* "ALG0" .. "ALG255" as static text. */
#define ALG_TEN(t)                                                                                                     \
	"ALG" #t "0", "ALG" #t "1", "ALG" #t "2", "ALG" #t "3", "ALG" #t "4", "ALG" #t "5", "ALG" #t "6",              \
		"ALG" #t "7", "ALG" #t "8", "ALG" #t "9"

const char *msp_alg_name(uint8_t alg)
{
	static const char *const text[] = {
		ALG_TEN(),   ALG_TEN(1),  ALG_TEN(2),  ALG_TEN(3),  ALG_TEN(4),  ALG_TEN(5),  ALG_TEN(6),
		ALG_TEN(7),  ALG_TEN(8),  ALG_TEN(9),  ALG_TEN(10), ALG_TEN(11), ALG_TEN(12), ALG_TEN(13),
		ALG_TEN(14), ALG_TEN(15), ALG_TEN(16), ALG_TEN(17), ALG_TEN(18), ALG_TEN(19), ALG_TEN(20),
		ALG_TEN(21), ALG_TEN(22), ALG_TEN(23), ALG_TEN(24), ALG_TEN(25),
	};
	const struct msp_evp_alg *row = msp_evp_alg(alg);

	return row != NULL ? row->name : text[alg];
}

static bool same_text(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++) {
		char x = *a >= 'a' && *a <= 'z' ? (char)(*a - 'a' + 'A') : *a;

		if (x != *b)
			return false;
	}
	return *a == *b;
}

enum msp_err msp_alg_from_text(const char *text, uint8_t *out)
{
	unsigned value = 0;

	for (unsigned n = 1; n < 255; n++)
		if (msp_evp_alg((uint8_t)n) != NULL && same_text(text, msp_evp_alg((uint8_t)n)->name)) {
			*out = (uint8_t)n;
			return MSP_OK;
		}
	if (*text == '\0')
		return MSP_EVALUE;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return MSP_EVALUE;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > UINT8_MAX)
			return MSP_EVALUE;
	}
	*out = (uint8_t)value;
	return MSP_OK;
}
