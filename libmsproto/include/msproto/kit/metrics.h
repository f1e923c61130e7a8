/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * Metrics for Prometheus: a writer of its text format, driven by tables, and the HTTP endpoint GET /metrics and
 * GET /healthz.
 * @source Prometheus documentation, "Exposition formats", text format 0.0.4
 */
#ifndef MSPROTO_KIT_METRICS_H
#define MSPROTO_KIT_METRICS_H

#include <msproto/base/addr.h>
#include <msproto/io/loop.h>

#define MSP_METRICS_MAX (1u << 20) /* octets of an answer */

enum msp_metric_kind { MSP_METRIC_COUNTER, MSP_METRIC_GAUGE };

/** A row stands for one uint64_t in a struct. Names are ours: [a-zA-Z_:][a-zA-Z0-9_:]*, a counter's without "_total",
 * which is appended. */
struct msp_metric_row {
	const char *name; /* NULL ends the table */
	enum msp_metric_kind kind;
	const char *help;
	size_t offset;
};
/** Every row with its value; names get `prefix` in front. Errors stick in `out`. */
void msp_metrics_table(struct msp_buf *out, const char *prefix, const struct msp_metric_row *rows, const void *values);

/** A family with labels or with a value that is no integer: head once, then its samples. `kind` makes the name as
 * above. */
struct msp_metric {
	const char *prefix, *name;
	enum msp_metric_kind kind;
};
struct msp_metric_label {
	const char *name, *value; /* value: any octets; they are escaped, and what is no UTF-8 is replaced */
};
void msp_metric_head(struct msp_buf *out, const struct msp_metric *m, const char *help);
void msp_metric_u64(struct msp_buf *out, const struct msp_metric *m, const struct msp_metric_label *labels,
		    size_t count, uint64_t value);
/** A number of seconds given in microseconds. */
void msp_metric_us(struct msp_buf *out, const struct msp_metric *m, const struct msp_metric_label *labels, size_t count,
		   uint64_t us);

/** Every daemon has them: NAME_build_info, NAME_uptime_seconds, process_resident_memory_bytes. */
void msp_metrics_common(struct msp_buf *out, const char *name, int64_t uptime_s);

/** The endpoint. */
struct msp_metrics_ops {
	/** Write all samples. */
	void (*metrics)(void *arg, struct msp_buf *out);
	/** Write what is not healthy, a line each (nothing: all is well). @return whether the daemon does its work. */
	bool (*healthy)(void *arg, struct msp_buf *out);
};
struct msp_metrics;
MSP_CHECKED enum msp_err msp_metrics_open(struct msp_loop *loop, const struct msp_addr *addr,
					  const struct msp_metrics_ops *ops, void *arg, struct msp_metrics **out,
					  struct msp_why *why);
/**
 * As the configuration says, at the start and after each reload: an address without family is none at all, and what
 * stays the same is not disturbed. *m: NULL, or what an earlier call has left there. Logs where it is.
 */
MSP_CHECKED enum msp_err msp_metrics_serve(struct msp_loop *loop, const struct msp_addr *addr,
					   const struct msp_metrics_ops *ops, void *arg, struct msp_metrics **m,
					   struct msp_why *why);
/** The address bound (port filled in when 0 was asked for). */
const struct msp_addr *msp_metrics_addr(const struct msp_metrics *m);
/** NULL allowed. */
void msp_metrics_close(struct msp_metrics **m);

#endif
