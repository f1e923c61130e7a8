/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Signer adapters: a verb becomes a list of commands, run one after the other without a shell. Whether the signer
 * obeyed is never told by a command's exit status, only by the next transfer (DESIGN 9).
 * @source SIGNERS 4 and 5
 */
#ifndef MSAD_SIGNER_H
#define MSAD_SIGNER_H

#include "core.h"

#include <msproto/io/loop.h>

enum msa_adapter { MSA_ADAPTER_OBSERVE, MSA_ADAPTER_KNOT, MSA_ADAPTER_PDNS, MSA_ADAPTER__N };

struct msa_signer_tools { /* paths; owned by the configuration */
	char *keymgr, *knotc, *knot_conf;
	char *pdnsutil, *pdns_control, *pdns_config_dir;
};

#define MSA_STEP_ARGS 16
#define MSA_STEPS_MAX 24
#define MSA_STEP_TEXT 1100 /* one argument: a name as text fits */
/** One command of a job, ready to run. */
struct msa_signer_step {
	char arg[MSA_STEP_ARGS][MSA_STEP_TEXT];
	size_t count;
};
struct msa_signer_plan {
	struct msa_signer_step step[MSA_STEPS_MAX];
	size_t count;
};

/** Whether the adapter has the tools it needs. */
MSP_CHECKED enum msp_err msa_signer_check(enum msa_adapter adapter, const struct msa_signer_tools *tools,
					  struct msp_why *why);
/**
 * Pure: the commands for a verb. keys: the own KSKs meant (DNSKEY RDATA; may be NULL).
 * @return MSP_OK, MSP_ENOTIMP (observe), MSP_ELIMIT (too many keys)
 */
MSP_CHECKED enum msp_err msa_signer_plan_make(enum msa_adapter adapter, const struct msa_signer_tools *tools,
					      const struct msp_name *zone, enum msa_signer_verb verb,
					      const struct msp_rrset *keys, bool cdnskey, struct msa_signer_plan *out);
typedef enum msp_err msa_plan_fn(const struct msa_signer_tools *tools, const struct msp_name *zone,
				 enum msa_signer_verb verb, const struct msp_rrset *keys, bool cdnskey,
				 struct msa_signer_plan *out);
msa_plan_fn msa_signer_plan_knot, msa_signer_plan_pdns;
/** Append a command; returns its step, NULL when the plan is full or an argument does not fit. Arguments up to NULL;
 * each is copied. */
struct msa_signer_step *msa_signer_step_add(struct msa_signer_plan *plan, const char *program, ...);
/** A zone's name as an argument. A first '-' is written \045: zone names are the customers', and no command may take
 * one for an option. */
struct msp_name_text msa_signer_zone_text(const struct msp_name *zone);

typedef void msa_signer_done_fn(void *arg, enum msp_err err, const char *why);
struct msa_signer_job;
/** Run a plan; `done` fires once, from the loop. The plan is copied. */
MSP_CHECKED enum msp_err msa_signer_run(struct msp_loop *loop, const struct msa_signer_plan *plan,
					msa_signer_done_fn *done, void *arg, struct msa_signer_job **out);
/** No callback will come. */
void msa_signer_cancel(struct msa_signer_job **job);

#endif
