/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What must not be lost and no owner can give again, in SQLite (kit/store.h): contributions and who set them when, how
 * far serials have been handed out, which zones an operator has frozen, and the UPDATEs that were accepted. A function
 * that writes does so inside the caller's transaction when there is one.
 */
#ifndef CMB_STATE_H
#define CMB_STATE_H

#include "core.h"

#include <msproto/kit/store.h>

MSP_CHECKED enum msp_err cmb_state_open(const char *path, struct msp_store **out, struct msp_why *why);

/** Contributions of a zone, with their number. */
MSP_CHECKED enum msp_err cmb_state_get_contrib(struct msp_store *s, const struct msp_name *zone,
					       struct cmb_contrib *out, struct msp_why *why);
/** Write what differs between two states of the contributions, and after->number. */
MSP_CHECKED enum msp_err cmb_state_put_contrib(struct msp_store *s, const struct msp_name *zone,
					       const struct cmb_contrib *before, const struct cmb_contrib *after);
/** Serials up to `ceiling` may be handed out from now on. */
MSP_CHECKED enum msp_err cmb_state_put_ceiling(struct msp_store *s, const struct msp_name *zone, uint32_t ceiling);
MSP_CHECKED enum msp_err cmb_state_put_frozen(struct msp_store *s, const struct msp_name *zone, bool is_frozen);

/** Everything that is kept of zones, in one pass at the start. */
struct cmb_state_zone {
	uint64_t instructions; /* number of its contributions; 0 = none */
	bool has_ceiling, is_frozen;
	uint32_t ceiling;
};
typedef enum msp_err cmb_state_zone_fn(void *arg, const struct msp_name *zone, const struct cmb_state_zone *z);
/** A zone may come several times, with different members set: merge them. */
MSP_CHECKED enum msp_err cmb_state_each_zone(struct msp_store *s, cmb_state_zone_fn *fn, void *arg);
/** As above for one zone. */
MSP_CHECKED enum msp_err cmb_state_get_zone(struct msp_store *s, const struct msp_name *zone,
					    struct cmb_state_zone *out);
/** Drop everything kept of a zone but its ceiling (an operator asked for it). */
MSP_CHECKED enum msp_err cmb_state_forget(struct msp_store *s, const struct msp_name *zone);

/** Who did what to a zone when. At most CMB_AUDIT_MAX entries of a zone are kept, the oldest go. */
#define CMB_AUDIT_MAX 1000
struct cmb_audit {
	uint64_t seq; /* of the zone, from 1; given by the store */
	struct msp_wall at;
	struct msp_name key, originator; /* len 0: an operator, over the control socket */
	char what[256];                  /* one line */
};
MSP_CHECKED enum msp_err cmb_state_put_audit(struct msp_store *s, const struct msp_name *zone,
					     const struct cmb_audit *a);
typedef enum msp_err cmb_audit_fn(void *arg, const struct cmb_audit *a);
/** Oldest first, from sequence number `from` on. */
MSP_CHECKED enum msp_err cmb_state_each_audit(struct msp_store *s, const struct msp_name *zone, uint64_t from,
					      cmb_audit_fn *fn, void *arg);

/** Accepted UPDATEs, by what identifies the message; kept until the time at which its TSIG is too old anyway. */
MSP_CHECKED enum msp_err cmb_state_put_seen(struct msp_store *s, struct msp_span id, struct msp_wall until);
MSP_CHECKED enum msp_err cmb_state_del_seen(struct msp_store *s, struct msp_span id);
typedef enum msp_err cmb_seen_fn(void *arg, struct msp_span id, struct msp_wall until);
MSP_CHECKED enum msp_err cmb_state_each_seen(struct msp_store *s, cmb_seen_fn *fn, void *arg);

#endif
