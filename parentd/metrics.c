/* SPDX-License-Identifier: BSD-2-Clause */
/* GET /metrics and GET /healthz. No series for each child: there may be millions. */
#include "backend.h"
#include "follow.h"
#include "receive.h"

#include <msproto/kit/metrics.h>

#define PREFIX "parentd_"

#define ROW_OF(prefix, kind, type, member, help)                                                                       \
	{                                                                                                              \
		prefix #member, MSP_METRIC_##kind, help, offsetof(struct type, member)                                 \
	}

static const struct msp_metric_row counters[] = {
#define COUNTER_ROW(member, help) ROW_OF("", COUNTER, prt_stats, member, help),
	PRT_STAT_MAP(COUNTER_ROW)
#undef COUNTER_ROW
		{ .name = NULL }
};

static const struct msp_metric_row server_rows[] = {
	ROW_OF("server_", COUNTER, msp_server_stats, udp_in, "datagrams received"),
	ROW_OF("server_", COUNTER, msp_server_stats, udp_short, "datagrams shorter than a DNS header"),
	ROW_OF("server_", COUNTER, msp_server_stats, udp_overrun,
	       "datagrams dropped because too many requests were held"),
	ROW_OF("server_", COUNTER, msp_server_stats, tcp_accepted, "connections accepted"),
	ROW_OF("server_", COUNTER, msp_server_stats, tcp_refused, "connections refused because of a limit"),
	ROW_OF("server_", COUNTER, msp_server_stats, tcp_in, "messages received over connections"),
	ROW_OF("server_", COUNTER, msp_server_stats, tcp_framing_errors, "connections that ended inside a message"),
	ROW_OF("server_", COUNTER, msp_server_stats, replies, "answers sent"),
	{ .name = NULL }
};

static const struct msp_metric_row books_rows[] = {
	ROW_OF("books_", COUNTER, prt_books_stats, jobs, "decisions stored"),
	ROW_OF("books_", COUNTER, prt_books_stats, groups, "transactions they were stored in"),
	ROW_OF("books_", COUNTER, prt_books_stats, commits_failed, "transactions that failed"),
	ROW_OF("books_", COUNTER, prt_books_stats, retried, "transactions that lost a race and were done again"),
	ROW_OF("books_", COUNTER, prt_books_stats, peeks, "children read"),
	ROW_OF("", GAUGE, prt_books_stats, children, "children in the store"),
	{ .name = NULL }
};

static void add_gauge(struct msp_buf *out, const char *name, const char *help, uint64_t value)
{
	const struct msp_metric m = { PREFIX, name, MSP_METRIC_GAUGE };

	msp_metric_head(out, &m, help);
	msp_metric_u64(out, &m, NULL, 0, value);
}

static void add_backends(struct msp_buf *out, const struct prt_app *app)
{
	static const struct msp_metric behind = { PREFIX, "backend_behind", MSP_METRIC_GAUGE },
				       down = { PREFIX, "backend_down", MSP_METRIC_GAUGE };
	const struct msp_metric *const of[] = { &behind, &down };
	static const char *const help[] = { "Journal records that a backend has not gone through",
					    "1 when the last attempt of a backend failed" };
	uint64_t last = prt_books_stats(app->books).last_seq;

	for (size_t m = 0; m < 2; m++) {
		msp_metric_head(out, of[m], help[m]);
		for (size_t i = 0; i < prt_backends_count(app->backends); i++) {
			struct prt_backend_state s;
			struct msp_name_text zone;
			struct msp_metric_label labels[2];

			prt_backends_state(app->backends, i, &s);
			zone = msp_name_text(&s.parent->zone);
			labels[0] = (struct msp_metric_label){ "parent", zone.s };
			labels[1] = (struct msp_metric_label){ "backend", s.conf->name };
			msp_metric_u64(out, of[m], labels, 2, m == 1 ? s.is_down : last > s.place ? last - s.place : 0);
		}
	}
}

static void metrics(void *arg, struct msp_buf *out)
{
	struct prt_app *app = arg;
	struct msp_server_stats servers = prt_listeners_stats(app);
	struct prt_books_stats books = prt_books_stats(app->books);
	struct prt_follow_stats follow = prt_follow_stats(app->follow);

	prt_backends_poke(app); /* so that "behind" is about changes alone, the next time */
	msp_metrics_common(out, "parentd", msp_wall_now().s - app->started.s);
	add_gauge(out, "requests_now", "Requests that are not answered yet", prt_receiver_load(app->receiver));
	add_gauge(out, "decisions_waiting", "Decisions waiting for the store", prt_books_load(app->books));
	add_gauge(out, "looks_running", "Children whose servers are looked at", follow.running);
	add_gauge(out, "looks_waiting", "Children whose servers will be looked at", follow.waiting);
	msp_metrics_table(out, PREFIX, counters, &app->stats);
	msp_metrics_table(out, PREFIX, server_rows, &servers);
	msp_metrics_table(out, PREFIX, books_rows, &books);
	add_backends(out, app);
}

/* It does its work while it can decide and store. Backends and primaries that are down are named: changes wait for
 * them, none is lost, and another parentd would do no better. */
static bool healthy(void *arg, struct msp_buf *out)
{
	const struct prt_app *app = arg;

	for (size_t i = 0; i < prt_backends_count(app->backends); i++) {
		struct prt_backend_state s;

		prt_backends_state(app->backends, i, &s);
		if (s.is_down)
			msp_buf_printf(out, "%s backend %s: %s\n", MSP_NAME(&s.parent->zone), s.conf->name,
				       s.last.text);
	}
	for (size_t i = 0; i < prt_importer_count(app->importer); i++) {
		struct prt_import_state s;

		prt_importer_state(app->importer, i, &s);
		if (s.last.text[0] != '\0')
			msp_buf_printf(out, "%s not read: %s\n", MSP_NAME(&s.parent->zone), s.last.text);
	}
	return prt_books_load(app->books) < PRT_JOBS_MAX;
}

enum msp_err prt_metrics_open(struct prt_app *app, struct msp_why *why)
{
	static const struct msp_metrics_ops ops = { .metrics = metrics, .healthy = healthy };

	return msp_metrics_serve(app->loop, &app->conf->metrics, &ops, app, &app->metrics, why);
}

void prt_metrics_close(struct prt_app *app)
{
	msp_metrics_close(&app->metrics);
}
