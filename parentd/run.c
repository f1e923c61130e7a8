/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include <msproto/base/mem.h>

#define OUTPUT_MAX 4096
#define TIMEOUT_S  30

struct prt_run {
	struct msp_child *child;
	struct prt_run **handle; /* NULL: left */
	prt_run_fn *done;
	void *arg;
	uint32_t timeout_s;
	char *program; /* owned */
};

static void run_free(struct prt_run *r)
{
	msp_free(r->program);
	msp_free(r);
}

/* The last line that is not empty, in printable ASCII. */
static void last_line(struct msp_span text, struct msp_buf *out)
{
	size_t end = text.len, begin;

	while (end > 0 && text.ptr[end - 1] <= ' ')
		end--;
	for (begin = end; begin > 0 && text.ptr[begin - 1] != '\n';)
		begin--;
	for (size_t at = begin; at < end; at++)
		if (text.ptr[at] >= ' ' && text.ptr[at] < 0x7f)
			msp_buf_add_u8(out, text.ptr[at]);
		else
			msp_buf_printf(out, "\\%03u", text.ptr[at]);
}

static enum msp_err judge(const struct prt_run *r, const struct msp_child_result *res, struct msp_why *why)
{
	struct msp_buf line;
	enum msp_err err = MSP_ERCODE;

	if (res->err == MSP_ETIMEOUT)
		return msp_fail(why, MSP_ETIMEOUT, "%.100s: not through in %lu s", r->program,
				(unsigned long)r->timeout_s);
	if (res->err != MSP_OK)
		return msp_fail(why, res->err, "%.100s: %s", r->program,
				res->err == MSP_EIO ? "cannot be run" : msp_err_text(res->err));
	if (res->exit_status == 0)
		return MSP_OK;
	msp_buf_init(&line, 4 * OUTPUT_MAX);
	last_line(res->errout, &line);
	if (line.len > 0)
		err = msp_fail(why, err, "%.180s (exit status %d)", msp_buf_text(&line), res->exit_status);
	else if (res->exit_status < 0)
		err = msp_fail(why, err, "%.100s: killed by a signal", r->program);
	else
		err = msp_fail(why, err, "%.100s: exit status %d", r->program, res->exit_status);
	msp_buf_fini(&line);
	return err;
}

static void on_end(void *arg, const struct msp_child_result *res)
{
	struct prt_run *r = arg;
	struct msp_why why = { "" };
	enum msp_err err;

	if (r->handle != NULL) {
		err = judge(r, res, &why);
		*r->handle = NULL;
		r->done(r->arg, err, res->err == MSP_OK ? res->exit_status : -1, &why);
	}
	run_free(r);
}

enum msp_err prt_run_start(struct msp_loop *loop, const struct msp_conf_strs *command, struct msp_span input,
			   uint32_t timeout_s, prt_run_fn *done, void *arg, struct prt_run **handle)
{
	struct prt_run *r = msp_alloc(1, sizeof(*r));
	const char **argv = msp_alloc(command->count + 1, sizeof(const char *));
	struct msp_child_params p = { .input = input, .output_max = OUTPUT_MAX, .keeps_tail = true };
	enum msp_err err = r != NULL && argv != NULL && command->count > 0 ? MSP_OK : MSP_ENOMEM;

	if (err != MSP_OK)
		goto out;
	for (size_t i = 0; i < command->count; i++)
		argv[i] = command->item[i];
	p.argv = argv;
	r->timeout_s = timeout_s > 0 ? timeout_s : TIMEOUT_S;
	p.timeout_ms = (uint64_t)r->timeout_s * 1000;
	r->handle = handle;
	r->done = done;
	r->arg = arg;
	r->program = msp_strdup(command->item[0]);
	err = r->program != NULL ? msp_child_start(loop, &p, on_end, r, &r->child) : MSP_ENOMEM;
out:
	msp_free(argv);
	if (err == MSP_OK) {
		*handle = r;
	} else if (r != NULL) {
		run_free(r);
	}
	return err;
}

void prt_run_leave(struct prt_run **handle)
{
	struct prt_run *r = *handle;

	if (r == NULL)
		return;
	r->handle = NULL;
	*handle = NULL;
	msp_child_cancel(r->child); /* on_end comes from the loop */
}
