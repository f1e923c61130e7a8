/* SPDX-License-Identifier: BSD-2-Clause */
#include "signer.h"

#include <msproto/base/mem.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STEP_TIMEOUT_MS 30000
#define STEP_OUTPUT_MAX 65536

struct adapter {
	const char *name;
	msa_plan_fn *plan; /* NULL: cannot be commanded */
	bool needs_knot, needs_pdns;
};
static const struct adapter adapters[MSA_ADAPTER__N] = {
	[MSA_ADAPTER_OBSERVE] = { "observe", NULL, false, false },
	[MSA_ADAPTER_KNOT] = { "knot", msa_signer_plan_knot, true, false },
	[MSA_ADAPTER_PDNS] = { "pdns", msa_signer_plan_pdns, false, true },
};

enum msp_err msa_signer_check(enum msa_adapter adapter, const struct msa_signer_tools *t, struct msp_why *why)
{
	const struct adapter *a = &adapters[adapter];

	if (a->needs_knot && (t->keymgr == NULL || t->knotc == NULL || t->knot_conf == NULL))
		return msp_fail(why, MSP_ECONF, "adapter knot needs keymgr, knotc and knot-conf");
	if (a->needs_pdns && (t->pdnsutil == NULL || t->pdns_control == NULL || t->pdns_config_dir == NULL))
		return msp_fail(why, MSP_ECONF, "adapter pdns needs pdnsutil, pdns-control and pdns-config-dir");
	return MSP_OK;
}

enum msp_err msa_signer_plan_make(enum msa_adapter adapter, const struct msa_signer_tools *tools,
				  const struct msp_name *zone, enum msa_signer_verb verb, const struct msp_rrset *keys,
				  bool cdnskey, struct msa_signer_plan *out)
{
	out->count = 0;
	if (adapters[adapter].plan == NULL)
		return MSP_ENOTIMP;
	return adapters[adapter].plan(tools, zone, verb, keys, cdnskey, out);
}

struct msa_signer_step *msa_signer_step_add(struct msa_signer_plan *plan, const char *program, ...)
{
	struct msa_signer_step *s;
	const char *arg = program;
	va_list ap;

	if (plan->count == MSA_STEPS_MAX)
		return NULL;
	s = &plan->step[plan->count++];
	s->count = 0;
	va_start(ap, program);
	for (; arg != NULL && s->count < MSA_STEP_ARGS; arg = va_arg(ap, const char *))
		if (snprintf(s->arg[s->count++], MSA_STEP_TEXT, "%s", arg) >= MSA_STEP_TEXT)
			break;
	va_end(ap);
	if (arg == NULL)
		return s;
	plan->count--; /* half a command, or a cut path, is another command */
	return NULL;
}

struct msp_name_text msa_signer_zone_text(const struct msp_name *zone)
{
	struct msp_name_text text = msp_name_text(zone);
	size_t len = strlen(text.s);

	if (text.s[0] != '-' || len + 4 > sizeof(text.s))
		return text;
	memmove(text.s + 4, text.s + 1, len); /* the final zero too */
	memcpy(text.s, "\\045", 4);
	return text;
}

struct msa_signer_job {
	struct msp_loop *loop; /* borrowed */
	struct msa_signer_plan plan;
	size_t next;
	struct msp_child *child;  /* running step; borrowed from the loop until its callback */
	msa_signer_done_fn *done; /* NULL once cancelled */
	void *arg;
};

static void step_done(void *arg, const struct msp_child_result *result);

static enum msp_err start_step(struct msa_signer_job *job)
{
	const struct msa_signer_step *s = &job->plan.step[job->next];
	const char *argv[MSA_STEP_ARGS + 1] = { NULL };

	for (size_t i = 0; i < s->count; i++)
		argv[i] = s->arg[i];
	return msp_child_run(job->loop, argv, msp_span(NULL, 0), STEP_OUTPUT_MAX, STEP_TIMEOUT_MS, step_done, job,
			     &job->child);
}

static void finish(struct msa_signer_job *job, enum msp_err err, const char *why)
{
	if (job->done != NULL)
		job->done(job->arg, err, why);
	msp_free(job);
}

static void step_done(void *arg, const struct msp_child_result *result)
{
	struct msa_signer_job *job = arg;
	const struct msa_signer_step *s = &job->plan.step[job->next];
	struct msp_span words = result->errout.len > 0 ? result->errout : result->out;
	char why[400];
	enum msp_err err;

	job->child = NULL;
	if (result->err != MSP_OK || result->exit_status != 0) {
		snprintf(why, sizeof(why), "%.80s: %s, exit status %d: %.*s", s->arg[0], msp_err_text(result->err),
			 result->exit_status, (int)(words.len < 200 ? words.len : 200),
			 words.len > 0 ? (const char *)words.ptr : "");
		finish(job, result->err != MSP_OK ? result->err : MSP_ERCODE, why);
		return;
	}
	if (++job->next == job->plan.count || job->done == NULL) {
		finish(job, MSP_OK, "");
		return;
	}
	err = start_step(job);
	if (err != MSP_OK)
		finish(job, err, "could not start the next command");
}

enum msp_err msa_signer_run(struct msp_loop *loop, const struct msa_signer_plan *plan, msa_signer_done_fn *done,
			    void *arg, struct msa_signer_job **out)
{
	struct msa_signer_job *job;
	enum msp_err err;

	if (plan->count == 0)
		return MSP_ENOTIMP;
	job = msp_alloc(1, sizeof(*job));
	if (job == NULL)
		return MSP_ENOMEM;
	job->loop = loop;
	job->plan = *plan;
	job->done = done;
	job->arg = arg;
	err = start_step(job);
	if (err != MSP_OK) {
		msp_free(job);
		return err;
	}
	*out = job;
	return MSP_OK;
}

void msa_signer_cancel(struct msa_signer_job **job)
{
	if (*job == NULL)
		return;
	(*job)->done = NULL; /* freed by the child's callback */
	msp_child_cancel((*job)->child);
	*job = NULL;
}
