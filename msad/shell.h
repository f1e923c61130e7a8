/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * The agent's shell: sockets, look-ups, transfers, store and commands around the core. It performs the core's actions
 * in their order and turns what comes back into events; it decides nothing.
 */
#ifndef MSAD_SHELL_H
#define MSAD_SHELL_H

#include "conf.h"

#include <msproto/io/loop.h>

struct msa_shell;
/** conf and log borrowed for its lifetime. */
MSP_CHECKED enum msp_err msa_shell_open(struct msp_loop *loop, const struct msp_log *log, const struct msa_conf *conf,
					struct msa_shell **out, struct msp_why *why);
/** Everything of it is closed when the loop has run once more. */
void msa_shell_close(struct msa_shell **shell);
const struct msa_core *msa_shell_core(const struct msa_shell *shell);
/** Numbers of the shell's own for `status`: a new reference, NULL when out of memory. */
json_t *msa_shell_status(const struct msa_shell *shell);
/** Fetch a zone from its signer now. @return MSP_OK or MSP_ENOTFOUND */
MSP_CHECKED enum msp_err msa_shell_refresh(struct msa_shell *shell, const struct msp_name *zone);

/** The parent: look at it now, or also replace our key there. @return MSP_OK, MSP_ENOTFOUND, MSP_ESTATE (off) */
MSP_CHECKED enum msp_err msa_shell_parent(struct msa_shell *shell, const struct msp_name *zone, bool is_roll);

#endif
