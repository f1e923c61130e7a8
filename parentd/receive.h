/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Requests from anybody: UPDATE, KeyState inquiries, NOTIFY(CDS, CSYNC), and questions about what is published here.
 * Cheap checks come first, on the loop: source budget, shape, zone, name by labels, whether there is such a child at
 * all, time. Only then a worker looks for the key and verifies, within a budget for each name and for all; then the
 * books decide and store; then a worker signs the answer.
 *
 * Budgets: what is not authenticated costs its source prefix a token of limits.requests-per-s; what is over it is not
 * answered. A source address that has been proven, by TCP or by a good DNS cookie (RFC 7873), has a budget of the same
 * size for itself instead: others in its prefix, or somebody who forges its address over UDP, cannot use that up. The
 * same goes for the verifications of one child's name: those asked for from proven addresses are counted apart.
 * A request that was verified costs nothing.
 * @source PROTOCOL B.2, B.4, B.5, C.3, C.5, G.3, G.5, G.7
 */
#ifndef PRT_RECEIVE_H
#define PRT_RECEIVE_H

#include "shell.h"

struct prt_receiver;
MSP_CHECKED enum msp_err prt_receiver_open(struct prt_app *app, struct prt_receiver **out);
/** After a reload: budgets. */
void prt_receiver_renew(struct prt_receiver *r);
/**
 * Requests under way are dropped; no worker reads the books any more when this returns. NULL allowed. What the books
 * have in line at this moment stays theirs: *r is not cleared then, and the call is repeated after prt_books_close.
 */
void prt_receiver_close(struct prt_receiver **r);
/** msp_request_fn: arg is the app. */
void prt_receive(void *app, struct msp_req *req);
/** Requests under way. */
size_t prt_receiver_load(const struct prt_receiver *r);

/** A NOTIFY(SOA) for a parent zone (RFC 1996) from its primary is handed to the importer: backend.h. */

#endif
