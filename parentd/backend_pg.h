/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Delegations as tables in PostgreSQL, for a parent whose zone is made from a database. The tables are fixed; names are
 * in lower case and absolute, records as in a zone file, without class:
 *
 *     msproto_delegation (parent, child, owner, type, ttl, rdata, version)
 *         one row for each record of a delegation. version: of the change that brought the row
 *     msproto_delegation_change (change, version, parent, child, action, owner, type, ttl, rdata, at)
 *         what was done to it, in order: action is 'delete' or 'add'. A consumer remembers the last `change` that it
 *         has read; rows that it has done with may be deleted
 *     msproto_delegation_child (parent, child, version, changed)
 *         the newest version of each child, also of one that has no rows any more. version: number of the newest audit
 *         record that the rows answer. What is older than a row here is not carried out, so that of two parentd the
 *         slow one does not undo the fast one's work
 *
 * All rows of one child change in one transaction. What was imported and never changed since is not shown: it is in the
 * parent zone already. Blocking; one thread at a time.
 */
#ifndef PRT_BACKEND_PG_H
#define PRT_BACKEND_PG_H

#include "delegation.h"

#include <stdatomic.h>

struct prt_tables;
/** Does not connect yet. path: file (0600) with libpq's connection string; copied. stop: ends waits early; borrowed. */
MSP_CHECKED enum msp_err prt_tables_new(const char *path, uint32_t timeout_ms, const atomic_bool *stop,
					struct prt_tables **out);
void prt_tables_free(struct prt_tables **t);
/**
 * Make the tables show `want`, and nothing else, for its child. Connects where that is needed. The same again changes
 * nothing.
 * @return MSP_OK; MSP_EREFUSED: a constraint or a trigger of the database does not take it; MSP_ESTALE: the tables are
 * newer than seq; else: try again
 */
MSP_CHECKED enum msp_err prt_tables_apply(struct prt_tables *t, const struct prt_delegation *want, uint64_t seq,
					  struct msp_why *why);

#endif
