/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/kit/metrics.h>

#include <msproto/base/mem.h>
#include <msproto/io/http.h>
#include <msproto/kit/daemon.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* --- writer ------------------------------------------------------------------------------------------------------- */

static void add_name(struct msp_buf *out, const struct msp_metric *m)
{
	msp_buf_printf(out, "%s%s%s", m->prefix, m->name, m->kind == MSP_METRIC_COUNTER ? "_total" : "");
}

/* In HELP a quotation mark stands for itself, in a label's value it is escaped. */
static void add_escaped(struct msp_buf *out, const char *text, bool is_label)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p == '\n')
			msp_buf_add_str(out, "\\n");
		else if (*p == '\\')
			msp_buf_add_str(out, "\\\\");
		else if (*p == '"' && is_label)
			msp_buf_add_str(out, "\\\"");
		else
			/* Our names and texts are ASCII; what is not is nothing that a person would look for. */
			msp_buf_add_u8(out, *p < 0x20 || *p >= 0x7f ? '?' : *p);
	}
}

void msp_metric_head(struct msp_buf *out, const struct msp_metric *m, const char *help)
{
	msp_buf_add_str(out, "# HELP ");
	add_name(out, m);
	msp_buf_add_u8(out, ' ');
	add_escaped(out, help, false);
	msp_buf_add_str(out, "\n# TYPE ");
	add_name(out, m);
	msp_buf_add_str(out, m->kind == MSP_METRIC_COUNTER ? " counter\n" : " gauge\n");
}

static void add_series(struct msp_buf *out, const struct msp_metric *m, const struct msp_metric_label *labels,
		       size_t count)
{
	add_name(out, m);
	for (size_t i = 0; i < count; i++) {
		msp_buf_printf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
		add_escaped(out, labels[i].value, true);
		msp_buf_add_u8(out, '"');
	}
	msp_buf_add_str(out, count > 0 ? "} " : " ");
}

void msp_metric_u64(struct msp_buf *out, const struct msp_metric *m, const struct msp_metric_label *labels,
		    size_t count, uint64_t value)
{
	add_series(out, m, labels, count);
	msp_buf_printf(out, "%llu\n", (unsigned long long)value);
}

void msp_metric_us(struct msp_buf *out, const struct msp_metric *m, const struct msp_metric_label *labels, size_t count,
		   uint64_t us)
{
	add_series(out, m, labels, count);
	msp_buf_printf(out, "%llu.%06llu\n", (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
}

void msp_metrics_table(struct msp_buf *out, const char *prefix, const struct msp_metric_row *rows, const void *values)
{
	for (const struct msp_metric_row *r = rows; r->name != NULL; r++) {
		struct msp_metric m = { prefix, r->name, r->kind };
		uint64_t v;

		memcpy(&v, (const uint8_t *)values + r->offset, sizeof(v));
		msp_metric_head(out, &m, r->help);
		msp_metric_u64(out, &m, NULL, 0, v);
	}
}

/* Pages of the process in memory; 0 when the system does not say. */
static uint64_t resident_octets(void)
{
	unsigned long long size = 0, resident = 0;
	long page = sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%20llu %20llu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return page > 0 ? (uint64_t)resident * (uint64_t)page : 0;
}

void msp_metrics_common(struct msp_buf *out, const char *name, int64_t uptime_s)
{
	const struct msp_metric_label version = { "version", MSP_VERSION };
	struct msp_metric build = { name, "_build_info", MSP_METRIC_GAUGE };
	struct msp_metric up = { name, "_uptime_seconds", MSP_METRIC_GAUGE };
	struct msp_metric rss = { "", "process_resident_memory_bytes", MSP_METRIC_GAUGE };

	msp_metric_head(out, &build, "Always 1; the label says which version runs");
	msp_metric_u64(out, &build, &version, 1, 1);
	msp_metric_head(out, &up, "Seconds since the start");
	msp_metric_u64(out, &up, NULL, 0, uptime_s > 0 ? (uint64_t)uptime_s : 0);
	msp_metric_head(out, &rss, "Resident memory, mapped pages of files included");
	msp_metric_u64(out, &rss, NULL, 0, resident_octets());
}

/* --- endpoint ----------------------------------------------------------------------------------------------------- */

struct msp_metrics {
	struct msp_http *http; /* owned */
	struct msp_addr addr;  /* as asked for */
	struct msp_metrics_ops ops;
	void *arg; /* borrowed until close */
};

static unsigned health(struct msp_metrics *m, struct msp_buf *body)
{
	bool is_well = m->ops.healthy(m->arg, body);

	if (body->len == 0)
		msp_buf_add_str(body, is_well ? "ok\n" : "not serving\n");
	return is_well ? 200 : 503;
}

static unsigned on_request(void *arg, const struct msp_http_request *req, struct msp_http_answer *answer)
{
	struct msp_metrics *m = arg;

	if (msp_span_equal(req->path, msp_span_str("/metrics"))) {
		answer->type = TEXT_TYPE;
		m->ops.metrics(m->arg, answer->body);
		return 200;
	}
	if (msp_span_equal(req->path, msp_span_str("/healthz")))
		return health(m, answer->body);
	msp_buf_add_str(answer->body, "Not Found: /metrics and /healthz are here\n");
	return 404;
}

enum msp_err msp_metrics_open(struct msp_loop *loop, const struct msp_addr *addr, const struct msp_metrics_ops *ops,
			      void *arg, struct msp_metrics **out, struct msp_why *why)
{
	struct msp_metrics *m = msp_alloc(1, sizeof(*m));
	enum msp_err err;

	*out = NULL;
	if (m == NULL)
		return msp_fail(why, MSP_ENOMEM, "out of memory");
	m->addr = *addr;
	m->ops = *ops;
	m->arg = arg;
	err = msp_http_open(loop, addr, MSP_METRICS_MAX, on_request, m, &m->http, why);
	if (err == MSP_OK)
		*out = m;
	else
		msp_free(m);
	return err;
}

enum msp_err msp_metrics_serve(struct msp_loop *loop, const struct msp_addr *addr, const struct msp_metrics_ops *ops,
			       void *arg, struct msp_metrics **m, struct msp_why *why)
{
	enum msp_err err;

	if (*m != NULL && msp_addr_equal(&(*m)->addr, addr))
		return MSP_OK;
	msp_metrics_close(m);
	if (addr->family == MSP_FAMILY_NONE)
		return MSP_OK;
	err = msp_metrics_open(loop, addr, ops, arg, m, why);
	if (err == MSP_OK)
		msp_log(msp_loop_log(loop), MSP_LOG_NOTICE, "metrics",
			MSP_F_STR("address", MSP_ADDR(msp_metrics_addr(*m))));
	return err;
}

const struct msp_addr *msp_metrics_addr(const struct msp_metrics *m)
{
	return msp_http_addr(m->http);
}

void msp_metrics_close(struct msp_metrics **m)
{
	if (*m == NULL)
		return;
	msp_http_close(&(*m)->http);
	msp_free(*m);
	*m = NULL;
}
