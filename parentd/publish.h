/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * What children have to find at the parent: DSYNC, and at the target addresses, SVCB and KEY. Made as records, put into
 * the parent zone by UPDATE, or served here as hidden primary of _dsync.<parent>.
 * @source RFC 9859 2, PROTOCOL A.3, G.1, G.7
 */
#ifndef PRT_PUBLISH_H
#define PRT_PUBLISH_H

#include "records.h"
#include "shell.h"

struct prt_publisher;
/** Both begin: what was published before is found in the books, by a worker. */
MSP_CHECKED enum msp_err prt_publisher_open(struct prt_app *app, struct prt_publisher **out);
void prt_publisher_renew(struct prt_publisher *p);
/** May wait for the store. */
void prt_publisher_close(struct prt_publisher **p);
/** Of one parent; owned by the caller. */
MSP_CHECKED enum msp_err prt_publisher_records(struct prt_app *app, const struct prt_conf_parent *parent,
					       struct prt_records *out);
/** Whether a record with this owner is published in the way that the parent is configured for; NONE: by hand, all are.
 */
bool prt_publisher_reaches(const struct prt_conf_parent *parent, const struct msp_name *owner);
/**
 * A QUERY at or below _dsync of a parent with how = "primary": AXFR, IXFR (TSIG, downstreams only), or any question,
 * answered from the same records. The target's KEY, SVCB and addresses are among them when the target lies there.
 * @return false: not a question for here, *req untouched.
 */
bool prt_publisher_serve(struct prt_app *app, struct msp_req **req, const struct msp_msg *m);

#endif
