/* SPDX-License-Identifier: BSD-2-Clause */
#include <assert.h>

#include <msproto/base/mem.h>

#include "zone/secure_make.h"

struct msp_secure_rrset {
	struct msp_rrset *set; /* owned, never NULL */
};

enum msp_err msp_secure_make(struct msp_rrset **steal, struct msp_secure_rrset **out)
{
	struct msp_secure_rrset *s;

	assert(*steal != NULL);
	s = msp_alloc(1, sizeof(*s));
	if (s == NULL)
		return MSP_ENOMEM;
	s->set = *steal;
	*steal = NULL;
	*out = s;
	return MSP_OK;
}

const struct msp_rrset *msp_secure_get(const struct msp_secure_rrset *s)
{
	return s->set;
}

void msp_secure_free(struct msp_secure_rrset **s)
{
	if (*s == NULL)
		return;
	msp_rrset_free(&(*s)->set);
	msp_free(*s);
	*s = NULL;
}

const char *msp_lookup_name(enum msp_lookup l)
{
	switch (l) {
	case MSP_LOOKUP_SECURE:
		return "secure";
	case MSP_LOOKUP_NODATA:
		return "nodata";
	case MSP_LOOKUP_INSECURE:
		return "insecure";
	case MSP_LOOKUP_BOGUS:
		return "bogus";
	case MSP_LOOKUP_INDETERMINATE:
		return "indeterminate";
	case MSP_LOOKUP_TIMEOUT:
		return "timeout";
	case MSP_LOOKUP_FAILED:
		return "failed";
	}
	return "?";
}
