/* SPDX-License-Identifier: BSD-2-Clause */
/* GET /metrics and GET /healthz. No series for each zone: there may be 100,000. */
#include "census.h"

#include <msproto/kit/metrics.h>

#define PREFIX "combinerd_"

static const struct msp_metric_row counters[] = {
#define COUNTER_ROW(member, help) { #member, MSP_METRIC_COUNTER, help, offsetof(struct cmb_stats, member) },
	CMB_STAT_MAP(COUNTER_ROW)
#undef COUNTER_ROW
		{ .name = NULL }
};

static const struct msp_metric_row server_rows[] = {
#define SERVER_ROW(member, help)                                                                                       \
	{ "server_" #member, MSP_METRIC_COUNTER, help, offsetof(struct msp_server_stats, member) },
	SERVER_ROW(udp_in, "datagrams received") SERVER_ROW(udp_short, "datagrams shorter than a DNS header")
		SERVER_ROW(udp_overrun, "datagrams dropped because too many requests were held")
			SERVER_ROW(tcp_accepted, "connections accepted")
				SERVER_ROW(tcp_refused, "connections refused because of a limit")
					SERVER_ROW(tcp_in, "messages received over connections")
						SERVER_ROW(tcp_framing_errors,
							   "connections that ended inside a message")
							SERVER_ROW(tls_failed, "TLS handshakes that failed")
								SERVER_ROW(replies, "answers sent")
#undef SERVER_ROW
									{ .name = NULL }
};

static const struct msp_metric_row store_rows[] = {
#define STORE_ROW(name, kind, member, help)                                                                            \
	{ "store_" name, MSP_METRIC_##kind, help, offsetof(struct cmb_pages_stats, member) },
	STORE_ROW("file_bytes", GAUGE, file_octets,
		  "size of the zone store's file") STORE_ROW("used_bytes", GAUGE, used_octets, "octets in use in it")
		STORE_ROW("snapshots", GAUGE, snapshots, "snapshots open")
			STORE_ROW("retired", GAUGE, retired, "generations of pages waiting to be swept")
				STORE_ROW("transactions", COUNTER, commits, "write transactions of the zone store")
					STORE_ROW("damaged", COUNTER, damaged, "values whose checksum was wrong")
#undef STORE_ROW
						{ .name = NULL }
};

static void add_zones(struct msp_buf *out, const struct cmb_census *c)
{
	static const struct msp_metric state = { PREFIX, "zones", MSP_METRIC_GAUGE },
				       mark = { PREFIX, "zones_marked", MSP_METRIC_GAUGE },
				       records = { PREFIX, "zone_records", MSP_METRIC_GAUGE };
	struct msp_metric_label label = { "state", NULL };

	msp_metric_head(out, &state, "Zones by the one state that each is in");
	for (unsigned i = 0; i < CMB_CONDITION__N; i++) {
		label.value = cmb_condition_word((enum cmb_condition)i);
		msp_metric_u64(out, &state, &label, 1, c->condition[i]);
	}
	msp_metric_head(
		out, &mark,
		"Zones that are frozen, have a version held back, fail to refresh, have something under way, have "
		"signers that did not answer, are loaded");
	label.name = "mark";
	for (unsigned i = 0; i < CMB_MARK__N; i++) {
		label.value = cmb_mark_word((enum cmb_mark)i);
		msp_metric_u64(out, &mark, &label, 1, c->mark[i]);
	}
	msp_metric_head(out, &records, "Records of all zones, without the apex RRsets that are set apart");
	msp_metric_u64(out, &records, NULL, 0, c->records);
}

static void add_store(struct msp_buf *out, const struct cmb_app *app)
{
	static const struct msp_metric seconds = { PREFIX, "store_transaction_seconds", MSP_METRIC_COUNTER };
	struct cmb_pages_stats s = cmb_pages_stats(app->pages);

	msp_metrics_table(out, PREFIX, store_rows, &s);
	msp_metric_head(out, &seconds, "Time that write transactions of the zone store took");
	msp_metric_us(out, &seconds, NULL, 0, s.commit_us);
}

static void add_gauge(struct msp_buf *out, const char *name, const char *help, uint64_t value)
{
	const struct msp_metric m = { PREFIX, name, MSP_METRIC_GAUGE };

	msp_metric_head(out, &m, help);
	msp_metric_u64(out, &m, NULL, 0, value);
}

static void metrics(void *arg, struct msp_buf *out)
{
	const struct cmb_app *app = arg;
	struct msp_server_stats servers = cmb_shell_server_stats(app);
	struct cmb_census c;

	cmb_census_take(app, &c);
	msp_metrics_common(out, "combinerd", msp_wall_now().s - app->started.s);
	add_zones(out, &c);
	add_gauge(out, "transfers_out_now", "Transfers to clients under way", app->stream_count);
	add_gauge(out, "running", "1 when the start is over", app->is_running);
	msp_metrics_table(out, PREFIX, counters, &app->stats);
	msp_metrics_table(out, PREFIX, server_rows, &servers);
	add_store(out, app);
}

/* The daemon does its work when it has started and serves some of its zones, or has none: one customer's primary that
 * is gone must not make a load balancer turn away from all others. */
static bool healthy(void *arg, struct msp_buf *out)
{
	const struct cmb_app *app = arg;
	struct cmb_census c;

	cmb_census_take(app, &c);
	if (!app->is_running)
		msp_buf_add_str(out, "starting\n");
	for (size_t i = 0; i < c.sick_count; i++) {
		const struct cmb_hosted *h = c.sick[i];
		const char *trouble = cmb_hosted_trouble(h);

		msp_buf_printf(out, "%s %s%s%s\n", MSP_NAME(&h->name), trouble != NULL ? trouble : "serving",
			       h->is_frozen ? ", frozen" : "", h->held != NULL ? ", a version is held back" : "");
	}
	if (c.sick_all > c.sick_count)
		msp_buf_printf(out, "and %llu more zones\n", (unsigned long long)(c.sick_all - c.sick_count));
	return app->is_running && (c.zones == 0 || c.condition[CMB_IS_SERVING] > 0);
}

enum msp_err cmb_metrics_open(struct cmb_app *app, struct msp_why *why)
{
	static const struct msp_metrics_ops ops = { .metrics = metrics, .healthy = healthy };

	return msp_metrics_serve(app->loop, &app->conf->metrics, &ops, app, &app->metrics, why);
}

void cmb_metrics_close(struct cmb_app *app)
{
	msp_metrics_close(&app->metrics);
}
