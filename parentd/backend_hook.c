/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An operator's program for each child: JSON on its standard input, its exit status is the answer. 0: it is so now (or
 * was already); 65 (EX_DATAERR): never in this form, the last line of standard error says why; anything else: again
 * later. The same change can come twice (a crash, an answer that was lost): programs take that as done.
 */
#include "backend.h"
#include "run.h"

#include <msproto/base/enc.h>
#include <msproto/base/json.h>
#include <msproto/base/mem.h>
#include <msproto/wire/text.h>

#define VERSION      1
#define EXIT_REFUSED 65 /* sysexits.h: EX_DATAERR */
#define JSON_MAX     (1u << 20)
#define LINE_MAX_OCT (256u << 10)

struct hook {
	struct prt_backend base;
	struct prt_app *app;
	struct prt_settings *settings; /* owned reference: conf is in there */
	const struct prt_conf_backend *conf;
	struct msp_name parent;
	prt_backend_done_fn *done;
	void *arg;
	struct prt_run *run;
	struct msp_timer *soon;
};

/* --- what it is told -----------------------------------------------------------------------------------------------
 */

struct lines {
	json_t *array;
	bool is_add;
	const struct msp_numbers *numbers;
};

static enum msp_err on_difference(void *arg, bool is_add, const struct msp_rr *rr)
{
	struct lines *l = arg;
	struct msp_buf text;
	enum msp_err err;

	if (is_add != l->is_add)
		return MSP_OK;
	msp_buf_init(&text, LINE_MAX_OCT);
	msp_rr_print(&text, l->numbers, rr);
	err = text.err == MSP_OK ? msp_json_append(l->array, json_string(msp_buf_text(&text))) : text.err;
	msp_buf_fini(&text);
	return err;
}

static enum msp_err set_difference(json_t *o, const char *key, const struct prt_backend_job *j, bool is_add,
				   const struct msp_numbers *numbers)
{
	struct lines l = { json_array(), is_add, numbers };
	enum msp_err err = l.array != NULL ? prt_delegation_diff(j->have, j->want, on_difference, &l) : MSP_ENOMEM;

	if (err == MSP_OK)
		return msp_json_set(o, key, l.array);
	json_decref(l.array);
	return err;
}

static enum msp_err set_records(json_t *o, const char *key, const struct prt_delegation *d)
{
	json_t *a = NULL;
	enum msp_err err = prt_delegation_json(d, &a);

	return err == MSP_OK ? msp_json_set(o, key, a) : err;
}

static enum msp_err ds_json(struct msp_span rdata, json_t **out)
{
	struct msp_ds ds;
	struct msp_buf hex;
	json_t *o = json_object();
	enum msp_err err = o != NULL ? msp_ds_parse(rdata, &ds) : MSP_ENOMEM;

	msp_buf_init(&hex, 2 * MSP_RDATA_MAX);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "keyTag", ds.tag);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "alg", ds.algorithm);
	if (err == MSP_OK)
		err = msp_json_set_int(o, "digestType", ds.digest_type);
	if (err == MSP_OK) {
		msp_hex_write(&hex, ds.digest);
		err = msp_json_set_str(o, "digest", msp_buf_text(&hex));
	}
	msp_buf_fini(&hex);
	if (err == MSP_OK)
		*out = o;
	else
		json_decref(o);
	return err;
}

/* What EPP's secDNS extension asks for (RFC 5910 4.1). */
static enum msp_err set_ds(json_t *o, const char *key, const struct prt_delegation *d)
{
	const struct msp_rrset *set = prt_delegation_ds(d);
	json_t *a = json_array();
	enum msp_err err = a != NULL ? msp_json_set(o, key, a) : MSP_ENOMEM;

	for (size_t i = 0; err == MSP_OK && set != NULL && i < set->count; i++) {
		json_t *ds = NULL;

		err = ds_json(set->rdata[i], &ds);
		if (err == MSP_OK)
			err = msp_json_append(a, ds);
	}
	return err;
}

static enum msp_err add_addresses(json_t *a, const struct msp_rrset *set)
{
	enum msp_err err = MSP_OK;

	for (size_t i = 0; err == MSP_OK && set != NULL && i < set->count; i++) {
		struct msp_addr addr;

		err = msp_addr_from_octets(set->rdata[i], 0, &addr);
		if (err == MSP_OK)
			err = msp_json_append(a, json_string(MSP_ADDR(&addr)));
	}
	return err;
}

static enum msp_err host_json(const struct prt_delegation *d, const struct msp_name *host, json_t **out)
{
	json_t *o = json_object(), *a = json_array();
	enum msp_err err = msp_json_set(o, "addresses", a); /* NULL is seen there */

	if (err == MSP_OK)
		err = msp_json_set_str(o, "name", MSP_NAME(host));
	if (err == MSP_OK)
		err = add_addresses(a, prt_delegation_get(d, host, MSP_TYPE_A));
	if (err == MSP_OK)
		err = add_addresses(a, prt_delegation_get(d, host, MSP_TYPE_AAAA));
	if (err == MSP_OK)
		*out = o;
	else
		json_decref(o);
	return err;
}

/* Host attributes (RFC 5731 1.1): names, and addresses where the parent has to know them. */
static enum msp_err set_ns(json_t *o, const char *key, const struct prt_delegation *d)
{
	const struct msp_rrset *set = prt_delegation_ns(d);
	json_t *a = json_array();
	enum msp_err err = a != NULL ? msp_json_set(o, key, a) : MSP_ENOMEM;

	for (size_t i = 0; err == MSP_OK && set != NULL && i < set->count; i++) {
		struct msp_name host;
		json_t *one = NULL;

		err = msp_rdata_name_parse(set->rdata[i], &host);
		if (err == MSP_OK)
			err = host_json(d, &host, &one);
		if (err == MSP_OK)
			err = msp_json_append(a, one);
	}
	return err;
}

static enum msp_err write_job(const struct hook *h, const struct prt_backend_job *j, struct msp_buf *out)
{
	const struct msp_numbers *numbers = &prt_settings_conf(h->settings)->numbers;
	json_t *o = json_object();
	enum msp_err err = o != NULL ? msp_json_set_int(o, "version", VERSION) : MSP_ENOMEM;

	if (err == MSP_OK)
		err = msp_json_set_str(o, "parent", MSP_NAME(&h->parent));
	if (err == MSP_OK)
		err = msp_json_set_str(o, "child", MSP_NAME(&j->want->child));
	if (err == MSP_OK)
		err = msp_json_set_int(o, "seq", (int64_t)j->seq);
	if (err == MSP_OK)
		err = set_records(o, "have", j->have);
	if (err == MSP_OK)
		err = set_records(o, "want", j->want);
	if (err == MSP_OK && j->maybe != NULL)
		err = set_records(o, "maybe", j->maybe);
	if (err == MSP_OK)
		err = set_difference(o, "add", j, true, numbers);
	if (err == MSP_OK)
		err = set_difference(o, "remove", j, false, numbers);
	if (err == MSP_OK)
		err = set_ds(o, "ds", j->want);
	if (err == MSP_OK)
		err = set_ds(o, "haveDs", j->have);
	if (err == MSP_OK)
		err = set_ns(o, "ns", j->want);
	if (err == MSP_OK)
		err = set_ns(o, "haveNs", j->have);
	if (err == MSP_OK)
		err = msp_json_write(o, out);
	if (err == MSP_OK)
		msp_buf_add_u8(out, '\n');
	json_decref(o);
	return err == MSP_OK ? out->err : err;
}

/* --- the driver ----------------------------------------------------------------------------------------------------
 */

static void finish(struct hook *h, enum msp_err err, const struct msp_why *why)
{
	prt_backend_done_fn *done = h->done;

	h->done = NULL;
	done(h->arg, err, why);
}

static void has_run(void *arg, enum msp_err err, int exit_status, const struct msp_why *why)
{
	if (exit_status == EXIT_REFUSED)
		err = MSP_EREFUSED;
	else if (err == MSP_EIO)
		err = MSP_ENET; /* there is no such program: no child is to blame */
	finish(arg, err, why);
}

static void on_soon(void *arg)
{
	finish(arg, MSP_OK, NULL);
}

static enum msp_err hook_open(struct prt_app *app, const struct prt_conf_parent *parent,
			      const struct prt_conf_backend *conf, struct prt_backend **out, struct msp_why *why)
{
	struct hook *h = msp_alloc(1, sizeof(*h));
	enum msp_err err = h != NULL ? msp_timer_new(app->loop, on_soon, h, &h->soon) : MSP_ENOMEM;

	if (err != MSP_OK) {
		msp_free(h);
		return msp_fail(why, err, "%s", msp_err_text(err));
	}
	h->base.driver = &prt_backend_hook;
	h->app = app;
	h->settings = prt_settings_ref(app->settings);
	h->conf = conf;
	h->parent = parent->zone;
	*out = &h->base;
	return MSP_OK;
}

static enum msp_err hook_apply(struct prt_backend *b, const struct prt_backend_job *jobs, size_t count,
			       prt_backend_done_fn *done, void *arg)
{
	struct hook *h = (struct hook *)b;
	struct msp_buf text;
	enum msp_err err;

	(void)count; /* 1: `batch` says so */
	h->done = done;
	h->arg = arg;
	if (jobs->maybe == NULL && prt_delegation_equal(jobs->have, jobs->want)) { /* nothing is left to do */
		msp_timer_start(h->soon, 0);
		return MSP_OK;
	}
	msp_buf_init(&text, JSON_MAX);
	err = write_job(h, jobs, &text);
	if (err == MSP_OK)
		err = prt_run_start(h->app->loop, &h->conf->command, msp_buf_span(&text), h->conf->timeout_s, has_run,
				    h, &h->run);
	msp_buf_fini(&text);
	return err;
}

static void hook_close(struct prt_backend **b)
{
	struct hook *h = (struct hook *)*b;

	if (h == NULL)
		return;
	*b = NULL;
	prt_run_leave(&h->run);
	msp_timer_close(&h->soon);
	prt_settings_unref(&h->settings);
	msp_free(h);
}

const struct prt_backend_driver prt_backend_hook = {
	.name = "hook", .batch = 1, .open = hook_open, .apply = hook_apply, .close = hook_close
};
