/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What a catalog zone says, pure: its member zones and their properties. @source RFC 9432 4 */
#ifndef CMB_MEMBERS_H
#define CMB_MEMBERS_H

#include <msproto/base/map.h>
#include <msproto/wire/rr.h>

#define CMB_MEMBER_GROUPS_MAX 1024 /* octets of one member's group properties */

struct cmb_member {
	uint64_t id;          /* of the unique label: another one means another zone of the same name */
	struct msp_span zone; /* owned: its name, uncompressed; empty until the PTR record was seen */
	struct msp_span coo;  /* owned: where it may move to; empty = nowhere */
	char *groups;         /* owned: values, each with its zero, and a zero; NULL = none */
	size_t groups_len;
};
struct cmb_members {
	struct msp_name catalog;
	struct msp_map by_label; /* owned struct cmb_member by unique label, lower case */
	struct msp_map by_zone;  /* the same by name key, once finished */
	unsigned versions;
	bool is_version_2;
	struct msp_why broken; /* empty: nothing wrong so far */
};
/** @param max most members */
void cmb_members_init(struct cmb_members *m, const struct msp_name *catalog, size_t max);
void cmb_members_fini(struct cmb_members *m);
/** One record of the catalog zone, in any order. What is not understood is ignored. @return MSP_OK, MSP_ENOMEM,
 * MSP_ELIMIT (more members than max). */
MSP_CHECKED enum msp_err cmb_members_add(struct cmb_members *m, const struct msp_rr *rr);
/** That was all. MSP_EFORMAT: the catalog is broken and must not be processed; or MSP_ENOMEM. */
MSP_CHECKED enum msp_err cmb_members_finish(struct cmb_members *m, struct msp_why *why);
/** Whether one of the member's group properties is this. */
bool cmb_member_in_group(const struct cmb_member *m, const char *group);

#endif
