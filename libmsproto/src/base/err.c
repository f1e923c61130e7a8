/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/err.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct err_row {
	const char *name, *text;
	enum msp_retry retry;
	enum msp_rcode rcode;
};

static const struct err_row err_table[MSP_ERR__N] = {
#define ERR_ROW(name, text, retry, rcode) [MSP_##name] = { #name, text, MSP_RETRY_##retry, MSP_RCODE_##rcode },
	MSP_ERR_MAP(ERR_ROW)
#undef ERR_ROW
};

/* What an undefined code reads as: it can only come from a bug of ours, so the safest policy. */
static const struct err_row err_unknown = { "EUNKNOWN", "unknown error", MSP_RETRY_NEVER, MSP_RCODE_SERVFAIL };

static const struct err_row *err_row(enum msp_err err)
{
	return (unsigned)err < MSP_ERR__N ? &err_table[err] : &err_unknown;
}

const char *msp_err_name(enum msp_err err)
{
	return err_row(err)->name;
}

const char *msp_err_text(enum msp_err err)
{
	return err_row(err)->text;
}

enum msp_retry msp_err_retry(enum msp_err err)
{
	return err_row(err)->retry;
}

enum msp_rcode msp_err_rcode(enum msp_err err)
{
	return err_row(err)->rcode;
}

enum msp_err msp_fail(struct msp_why *why, enum msp_err err, const char *fmt, ...)
{
	va_list ap;

	if (why == NULL)
		return err;
	va_start(ap, fmt);
	if (vsnprintf(why->text, sizeof(why->text), fmt, ap) < 0)
		snprintf(why->text, sizeof(why->text), "%s", msp_err_text(err));
	va_end(ap);
	return err;
}

/* IANA "DNS RCODEs". 16 is BADVERS here (OPT, RFC 6891); TSIG prints its own BADSIG. */
static const char *const rcode_assigned[] = {
	[0] = "NOERROR",  [1] = "FORMERR",    [2] = "SERVFAIL", [3] = "NXDOMAIN",  [4] = "NOTIMP",
	[5] = "REFUSED",  [6] = "YXDOMAIN",   [7] = "YXRRSET",  [8] = "NXRRSET",   [9] = "NOTAUTH",
	[10] = "NOTZONE", [11] = "DSOTYPENI", [16] = "BADVERS", [17] = "BADKEY",   [18] = "BADTIME",
	[19] = "BADMODE", [20] = "BADNAME",   [21] = "BADALG",  [22] = "BADTRUNC", [23] = "BADCOOKIE",
};

/* An extended RCODE has 12 bits (RFC 6891 6.1.3): static storage for all of them is a table of 4096 short strings. */
/* clang-format off */
#define RCODE_10(p) \
	"RCODE" #p "0", "RCODE" #p "1", "RCODE" #p "2", "RCODE" #p "3", "RCODE" #p "4", \
	"RCODE" #p "5", "RCODE" #p "6", "RCODE" #p "7", "RCODE" #p "8", "RCODE" #p "9",
#define RCODE_100(p) \
	RCODE_10(p##0) RCODE_10(p##1) RCODE_10(p##2) RCODE_10(p##3) RCODE_10(p##4) \
	RCODE_10(p##5) RCODE_10(p##6) RCODE_10(p##7) RCODE_10(p##8) RCODE_10(p##9)
#define RCODE_1000(p) \
	RCODE_100(p##0) RCODE_100(p##1) RCODE_100(p##2) RCODE_100(p##3) RCODE_100(p##4) \
	RCODE_100(p##5) RCODE_100(p##6) RCODE_100(p##7) RCODE_100(p##8) RCODE_100(p##9)
static const char rcode_number[4096][10] = {
	RCODE_10()
	RCODE_10(1) RCODE_10(2) RCODE_10(3) RCODE_10(4) RCODE_10(5) RCODE_10(6) RCODE_10(7) RCODE_10(8) RCODE_10(9)
	RCODE_100(1) RCODE_100(2) RCODE_100(3) RCODE_100(4) RCODE_100(5) RCODE_100(6) RCODE_100(7) RCODE_100(8)
	RCODE_100(9)
	RCODE_1000(1) RCODE_1000(2) RCODE_1000(3)
	RCODE_10(400) RCODE_10(401) RCODE_10(402) RCODE_10(403) RCODE_10(404)
	RCODE_10(405) RCODE_10(406) RCODE_10(407) RCODE_10(408)
	"RCODE4090", "RCODE4091", "RCODE4092", "RCODE4093", "RCODE4094", "RCODE4095",
};
/* clang-format on */

const char *msp_rcode_name(unsigned rcode)
{
	if (rcode < sizeof(rcode_assigned) / sizeof(rcode_assigned[0]) && rcode_assigned[rcode] != NULL)
		return rcode_assigned[rcode];
	if (rcode < sizeof(rcode_number) / sizeof(rcode_number[0]))
		return rcode_number[rcode];
	return "RCODE?";
}
