/* SPDX-License-Identifier: BSD-2-Clause */
#include "members.h"

#include <msproto/base/mem.h>

#include <string.h>

#define DEPTH_MAX 3 /* property.unique.zones.CATALOG */

/** Labels in front of the catalog's name, the first one first. */
struct place {
	struct msp_span label[DEPTH_MAX];
	unsigned count;
	uint8_t oct[MSP_NAME_MAX];
};

static void drop_member(void *value)
{
	struct cmb_member *m = value;

	msp_free((void *)(uintptr_t)m->zone.ptr);
	msp_free((void *)(uintptr_t)m->coo.ptr);
	msp_free(m->groups);
	msp_free(m);
}

void cmb_members_init(struct cmb_members *m, const struct msp_name *catalog, size_t max)
{
	memset(m, 0, sizeof(*m));
	m->catalog = *catalog;
	msp_map_init(&m->by_label, max);
	msp_map_init(&m->by_zone, max);
}

void cmb_members_fini(struct cmb_members *m)
{
	msp_map_fini(&m->by_zone, NULL);
	msp_map_fini(&m->by_label, drop_member);
}

/* False: not below the catalog's apex, or too deep to be anything known. */
static bool find_place(const struct cmb_members *m, const struct msp_name *owner, struct place *out)
{
	struct msp_name lower = *owner;
	unsigned depth = msp_name_labels(owner);
	size_t at = 0;

	if (!msp_name_is_under(owner, &m->catalog))
		return false;
	depth -= msp_name_labels(&m->catalog);
	if (depth == 0 || depth > DEPTH_MAX)
		return false;
	msp_name_lower(&lower);
	memcpy(out->oct, lower.oct, lower.len);
	for (out->count = 0; out->count < depth; out->count++) {
		out->label[out->count] = msp_span(out->oct + at + 1, out->oct[at]);
		at += 1u + out->oct[at];
	}
	return true;
}

static bool is_label(struct msp_span label, const char *text)
{
	return msp_span_equal(label, msp_span_str(text));
}

/* FNV-1a: a label that is new must not look like the old one, by accident; nobody is kept out by it. */
static uint64_t id_of(struct msp_span label)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < label.len; i++)
		h = (h ^ label.ptr[i]) * 0x100000001b3u;
	return h;
}

static void broken(struct cmb_members *m, const char *what, const struct msp_name *at)
{
	if (m->broken.text[0] == '\0')
		(void)msp_fail(&m->broken, MSP_EFORMAT, "%s at %.180s", what, MSP_NAME(at));
}

static enum msp_err member_at(struct cmb_members *m, struct msp_span label, struct cmb_member **out)
{
	enum msp_err err;

	*out = msp_map_get(&m->by_label, label);
	if (*out != NULL)
		return MSP_OK;
	*out = msp_alloc(1, sizeof(**out));
	if (*out == NULL)
		return MSP_ENOMEM;
	(*out)->id = id_of(label);
	err = msp_map_put(&m->by_label, label, *out, NULL);
	if (err != MSP_OK)
		drop_member(*out);
	return err;
}

/* The name of a PTR record, where there must be but one. */
static enum msp_err take_name(struct cmb_members *m, const struct msp_rr *rr, struct msp_span *into)
{
	struct msp_name name;

	if (into->len > 0 || msp_name_from_wire(rr->rdata, &name) != MSP_OK) {
		broken(m, "more than one PTR record, or one without a name", &rr->owner);
		return MSP_OK;
	}
	into->ptr = msp_memdup(name.oct, name.len);
	into->len = into->ptr ? name.len : 0;
	return into->ptr ? MSP_OK : MSP_ENOMEM;
}

/* RFC 9432 4.4.2: several operators may have their values side by side. Only texts of one string are values. */
static enum msp_err take_group(struct cmb_member *member, struct msp_span txt)
{
	size_t len = txt.len > 0 ? txt.ptr[0] : 0;
	char *grown;

	if (len == 0 || len + 1 != txt.len || memchr(txt.ptr + 1, 0, len) != NULL ||
	    member->groups_len + len + 2 > CMB_MEMBER_GROUPS_MAX)
		return MSP_OK;
	grown = msp_realloc(member->groups, member->groups_len + len + 2, 1);
	if (grown == NULL)
		return MSP_ENOMEM;
	memcpy(grown + member->groups_len, txt.ptr + 1, len);
	member->groups = grown;
	member->groups_len += len + 1;
	grown[member->groups_len - 1] = grown[member->groups_len] = '\0';
	return MSP_OK;
}

static enum msp_err take_property(struct cmb_members *m, const struct place *p, const struct msp_rr *rr)
{
	bool is_group = rr->type == MSP_TYPE_TXT && is_label(p->label[0], "group");
	bool is_coo = rr->type == MSP_TYPE_PTR && is_label(p->label[0], "coo");
	struct cmb_member *member;
	enum msp_err err;

	if (!is_group && !is_coo)
		return MSP_OK;
	err = member_at(m, p->label[1], &member);
	if (err != MSP_OK)
		return err;
	return is_group ? take_group(member, rr->rdata) : take_name(m, rr, &member->coo);
}

enum msp_err cmb_members_add(struct cmb_members *m, const struct msp_rr *rr)
{
	struct cmb_member *member;
	struct place p;
	enum msp_err err;

	if (rr->cls != MSP_CLASS_IN || !find_place(m, &rr->owner, &p))
		return MSP_OK;
	if (p.count == 1 && rr->type == MSP_TYPE_TXT && is_label(p.label[0], "version")) {
		m->versions++;
		m->is_version_2 = msp_span_equal(rr->rdata, msp_span("\1"
								     "2",
								     2));
		return MSP_OK;
	}
	if (p.count == 2 && rr->type == MSP_TYPE_PTR && is_label(p.label[1], "zones")) {
		err = member_at(m, p.label[0], &member);
		return err == MSP_OK ? take_name(m, rr, &member->zone) : err;
	}
	return p.count == 3 && is_label(p.label[2], "zones") ? take_property(m, &p, rr) : MSP_OK;
}

static enum msp_err index_zone(struct cmb_members *m, struct cmb_member *member)
{
	struct msp_name name;
	struct msp_name_key k;
	void *old = NULL;
	enum msp_err err;

	if (member->zone.len == 0 || msp_name_from_wire(member->zone, &name) != MSP_OK)
		return MSP_OK; /* properties of no member */
	k = msp_name_key(&name);
	err = msp_map_put(&m->by_zone, msp_name_key_span(&k), member, &old);
	if (old != NULL)
		broken(m, "a member is listed twice", &name);
	return err;
}

enum msp_err cmb_members_finish(struct cmb_members *m, struct msp_why *why)
{
	struct msp_map_it it;
	enum msp_err err = MSP_OK;

	if (m->versions != 1 || !m->is_version_2)
		return msp_fail(why, MSP_EFORMAT, "%s",
				m->versions == 0  ? "no version"
				: m->versions > 1 ? "more than one version"
						  : "a version other than 2");
	for (bool more = msp_map_first(&m->by_label, msp_span(NULL, 0), &it); more && err == MSP_OK;
	     more = msp_map_next(&m->by_label, &it))
		err = index_zone(m, it.value);
	if (err == MSP_OK && m->broken.text[0] != '\0')
		return msp_fail(why, MSP_EFORMAT, "%s", m->broken.text);
	return err;
}

bool cmb_member_in_group(const struct cmb_member *m, const char *group)
{
	for (const char *at = m->groups; at != NULL && *at != '\0'; at += strlen(at) + 1)
		if (strcmp(at, group) == 0)
			return true;
	return false;
}
