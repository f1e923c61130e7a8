/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * A session with a PostgreSQL server: the one place that knows libpq. Statements are prepared once, take their values
 * in binary, and are sent in a pipeline: prt_pg_add only hands one over, prt_pg_settle waits for all that were handed
 * over since. Every wait has an end: the server's statement_timeout, and this side's own for a server that is silent.
 * One thread at a time.
 *
 * Errors: MSP_ENET: the session is gone (prt_pg_revive); MSP_EBUSY: deadlock, serialization, lock or statement timeout:
 * nothing of the transaction happened, do it again; MSP_EREFUSED: a constraint or a trigger says no; MSP_ECORRUPT: the
 * tables are not ours; MSP_ECONF: no permission; MSP_EIO: disk full and the rest.
 */
#ifndef PRT_PG_H
#define PRT_PG_H

#include <msproto/base/buf.h>
#include <stdatomic.h>

#define PRT_PG_VALUES_MAX 8   /* of one statement */
#define PRT_PG_QUEUE_MAX  256 /* statements on their way; prt_pg_add waits for them beyond */

/** What a user of a session needs on the server. Static. */
struct prt_pg_plan {
	const char *name;             /* its row in the table msproto_schema */
	uint32_t version;             /* a higher one found there is refused */
	const char *const *create;    /* makes it, in one transaction; ends with NULL */
	const char *const *statement; /* prepared; called by their place; ends with NULL */
};

struct prt_pg;
/**
 * Connect and create what is missing.
 * @param path file (0600) with libpq's connection string or URI; several hosts: the one that takes writes is found
 * @param timeout_ms of one statement; 0 = 5 000
 * @param stop when it becomes true, waits end with MSP_ENET soon after; NULL = never. Borrowed for life
 */
MSP_CHECKED enum msp_err prt_pg_open(const struct prt_pg_plan *plan, const char *path, uint32_t timeout_ms,
				     const atomic_bool *stop, struct prt_pg **out, struct msp_why *why);
void prt_pg_close(struct prt_pg **p);
/**
 * Connect again when the session is gone; what it held (locks, an open transaction) is gone too. With MSP_OK the
 * transaction that was open then has ended on the server: it has happened by now or never will. MSP_EBUSY: not yet.
 */
MSP_CHECKED enum msp_err prt_pg_revive(struct prt_pg *p, struct msp_why *why);

/** READ COMMITTED: a statement sees what was committed before it began. Sent with the first statement. */
MSP_CHECKED enum msp_err prt_pg_begin(struct prt_pg *p);
/** Settles. MSP_OK: durable. MSP_ENET: nobody knows. All else: nothing has happened. Ends the transaction in any case.
 */
MSP_CHECKED enum msp_err prt_pg_commit(struct prt_pg *p);
void prt_pg_rollback(struct prt_pg *p);

/**
 * Hand over statement number `statement`. Values: octets of text and bytea as they are, bigint as 8 octets in network
 * order. Copied. In a transaction an error sticks until it ends.
 */
MSP_CHECKED enum msp_err prt_pg_add(struct prt_pg *p, unsigned statement, const struct msp_span *value, size_t count);
/** Wait for all. @return the first one's error that failed; those behind it were not carried out then */
MSP_CHECKED enum msp_err prt_pg_settle(struct prt_pg *p);
/** Rows of the last statement settled with MSP_OK. */
size_t prt_pg_rows(const struct prt_pg *p);
/** Binary, borrowed until the next prt_pg_add. ptr NULL: SQL's NULL, or there is no such cell. */
struct msp_span prt_pg_cell(const struct prt_pg *p, size_t row, size_t column);
/** The last error in the server's words, for people. "" = none. */
const char *prt_pg_error(const struct prt_pg *p);

#endif
