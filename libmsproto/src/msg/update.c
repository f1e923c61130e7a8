/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/msg/update.h>

enum msp_err msp_update_check(const struct msp_msg *m, struct msp_why *why)
{
	if (m->count[MSP_SEC_ZONE] != 1)
		return msp_fail(why, MSP_EFORMAT, "UPDATE: %u records in the zone section", m->count[MSP_SEC_ZONE]);
	if (m->question.type != MSP_TYPE_SOA || m->question.cls != MSP_CLASS_IN)
		return msp_fail(why, MSP_EFORMAT, "UPDATE: zone section is %s class %u, not SOA IN",
				MSP_TYPE(m->question.type), m->question.cls);
	return MSP_OK;
}

static enum msp_err reject(struct msp_why *why, const struct msp_rr *rr, const char *section, const char *what)
{
	return msp_fail(why, MSP_EFORMAT, "%s %s class %u %s: %s", section, MSP_NAME(&rr->owner), rr->cls,
			MSP_TYPE(rr->type), what);
}

/** A type that names an RRset (RFC 2136 3.4.1.2, RFC 6895 3.1). */
static bool is_data_type(uint16_t type)
{
	return type != 0 && !msp_type_is_meta(type);
}

/** What msp_rr_read let pass for class NONE: no RDATA where the type wants some. */
static bool has_data(const struct msp_rr *rr)
{
	return rr->rdata.len != 0 || msp_rdata_check(rr->type, rr->rdata) == MSP_OK;
}

enum msp_err msp_prereq_classify(const struct msp_rr *rr, enum msp_prereq *out, struct msp_why *why)
{
	static const char section[] = "prerequisite";
	bool is_any_type = rr->type == MSP_TYPE_ANY;

	/* RFC 2136 3.2.4: TTL 0 always; RDATA only when the values of an RRset are compared */
	if (rr->ttl != 0)
		return reject(why, rr, section, "TTL is not 0");
	if (rr->cls != MSP_CLASS_IN && rr->cls != MSP_CLASS_ANY && rr->cls != MSP_CLASS_NONE)
		return reject(why, rr, section, "class is not that of the zone, ANY or NONE");
	if (!is_data_type(rr->type) && !(is_any_type && rr->cls != MSP_CLASS_IN))
		return reject(why, rr, section, "not a type of data");
	if (rr->cls == MSP_CLASS_IN) {
		*out = MSP_PREREQ_RRSET_EQUALS;
		return has_data(rr) ? MSP_OK : reject(why, rr, section, "no RDATA");
	}
	if (rr->rdata.len != 0)
		return reject(why, rr, section, "RDATA not expected");
	if (rr->cls == MSP_CLASS_ANY)
		*out = is_any_type ? MSP_PREREQ_NAME_IN_USE : MSP_PREREQ_RRSET_EXISTS;
	else
		*out = is_any_type ? MSP_PREREQ_NAME_UNUSED : MSP_PREREQ_RRSET_ABSENT;
	return MSP_OK;
}

enum msp_err msp_upd_classify(const struct msp_rr *rr, enum msp_upd *out, struct msp_why *why)
{
	static const char section[] = "update";
	bool is_any_type = rr->type == MSP_TYPE_ANY;

	if (rr->cls != MSP_CLASS_IN && rr->cls != MSP_CLASS_ANY && rr->cls != MSP_CLASS_NONE)
		return reject(why, rr, section, "class is not that of the zone, ANY or NONE");
	if (!is_data_type(rr->type) && !(is_any_type && rr->cls == MSP_CLASS_ANY))
		return reject(why, rr, section, "not a type of data");
	/* RFC 2136 3.4.1.2: deletions have TTL 0, those of whole RRsets no RDATA either */
	if (rr->cls != MSP_CLASS_IN && rr->ttl != 0)
		return reject(why, rr, section, "TTL of a deletion is not 0");
	if (rr->cls == MSP_CLASS_ANY) {
		*out = is_any_type ? MSP_UPD_DEL_NAME : MSP_UPD_DEL_RRSET;
		return rr->rdata.len == 0 ? MSP_OK : reject(why, rr, section, "RDATA not expected");
	}
	*out = rr->cls == MSP_CLASS_IN ? MSP_UPD_ADD : MSP_UPD_DEL_RR;
	return has_data(rr) ? MSP_OK : reject(why, rr, section, "no RDATA");
}

void msp_updw_init(struct msp_msgw *w, uint8_t *mem, size_t cap, uint16_t id, const struct msp_name *zone)
{
	msp_msgw_init(w, mem, cap, id, MSP_OPCODE_UPDATE, 0);
	msp_msgw_question(w, zone, MSP_TYPE_SOA, MSP_CLASS_IN);
}

void msp_updw_prereq(struct msp_msgw *w, enum msp_prereq kind, const struct msp_name *name, uint16_t type,
		     struct msp_span rdata)
{
	static const struct {
		enum msp_class cls;
		bool is_any_type, has_rdata;
	} forms[] = {
		/* RFC 2136 2.4 */
		[MSP_PREREQ_NAME_IN_USE] = { MSP_CLASS_ANY, true, false },
		[MSP_PREREQ_NAME_UNUSED] = { MSP_CLASS_NONE, true, false },
		[MSP_PREREQ_RRSET_EXISTS] = { MSP_CLASS_ANY, false, false },
		[MSP_PREREQ_RRSET_ABSENT] = { MSP_CLASS_NONE, false, false },
		[MSP_PREREQ_RRSET_EQUALS] = { MSP_CLASS_IN, false, true },
	};
	struct msp_rr rr = { .owner = *name, .type = type };

	rr.cls = (uint16_t)forms[kind].cls;
	if (forms[kind].is_any_type)
		rr.type = MSP_TYPE_ANY;
	if (forms[kind].has_rdata)
		rr.rdata = rdata;
	msp_msgw_rr(w, MSP_SEC_PREREQ, &rr);
}

static void add(struct msp_msgw *w, const struct msp_name *name, uint16_t type, enum msp_class cls, uint32_t ttl,
		struct msp_span rdata)
{
	struct msp_rr rr = { .owner = *name, .type = type, .cls = (uint16_t)cls, .ttl = ttl, .rdata = rdata };

	msp_msgw_rr(w, MSP_SEC_UPDATE, &rr);
}

void msp_updw_add(struct msp_msgw *w, const struct msp_name *name, uint16_t type, uint32_t ttl, struct msp_span rdata)
{
	add(w, name, type, MSP_CLASS_IN, ttl, rdata);
}

void msp_updw_del_rrset(struct msp_msgw *w, const struct msp_name *name, uint16_t type)
{
	add(w, name, type, MSP_CLASS_ANY, 0, msp_span(NULL, 0));
}

void msp_updw_del_name(struct msp_msgw *w, const struct msp_name *name)
{
	add(w, name, MSP_TYPE_ANY, MSP_CLASS_ANY, 0, msp_span(NULL, 0));
}

void msp_updw_del_rr(struct msp_msgw *w, const struct msp_name *name, uint16_t type, struct msp_span rdata)
{
	add(w, name, type, MSP_CLASS_NONE, 0, rdata);
}
