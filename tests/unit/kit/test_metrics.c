/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <msproto/kit/metrics.h>

#include "io/sockaddr.h"

struct numbers {
	uint64_t first;
	char between;
	uint64_t second;
};

static void a_table_writes_help_type_and_value(void **state)
{
	static const struct msp_metric_row rows[] = {
		{ "a", MSP_METRIC_COUNTER, "things \"so far\" \\ here", offsetof(struct numbers, first) },
		{ "b", MSP_METRIC_GAUGE, "two\nlines", offsetof(struct numbers, second) },
		{ .name = NULL }
	};
	struct numbers n = { .first = UINT64_MAX, .second = 0 };
	struct msp_buf out;

	(void)state;
	msp_buf_init(&out, 10000);
	msp_metrics_table(&out, "x_", rows, &n);
	assert_string_equal(msp_buf_text(&out), "# HELP x_a_total things \"so far\" \\\\ here\n"
						"# TYPE x_a_total counter\n"
						"x_a_total 18446744073709551615\n"
						"# HELP x_b two\\nlines\n"
						"# TYPE x_b gauge\n"
						"x_b 0\n");
	msp_buf_fini(&out);
}

static void labels_are_escaped(void **state)
{
	static const struct msp_metric m = { "p_", "m", MSP_METRIC_GAUGE };
	const struct msp_metric_label labels[] = { { "zone", "a\\010\"b\".\n" }, { "other", "\x1b\xff" } };
	struct msp_buf out;

	(void)state;
	msp_buf_init(&out, 10000);
	msp_metric_u64(&out, &m, labels, 2, 7);
	assert_string_equal(msp_buf_text(&out), "p_m{zone=\"a\\\\010\\\"b\\\".\\n\",other=\"??\"} 7\n");
	msp_buf_reset(&out);
	msp_metric_us(&out, &m, NULL, 0, 12000034);
	assert_string_equal(msp_buf_text(&out), "p_m 12.000034\n");
	msp_buf_fini(&out);
}

static void what_every_daemon_has(void **state)
{
	struct msp_buf out;

	(void)state;
	msp_buf_init(&out, 10000);
	msp_metrics_common(&out, "exampled", -5);
	assert_non_null(strstr(msp_buf_text(&out), "\nexampled_build_info{version=\""));
	assert_non_null(strstr(msp_buf_text(&out), "\nexampled_uptime_seconds 0\n"));
	assert_non_null(strstr(msp_buf_text(&out), "\nprocess_resident_memory_bytes "));
	assert_null(strstr(msp_buf_text(&out), "memory_bytes 0\n"));
	msp_buf_fini(&out);
}

/* --- endpoint ----------------------------------------------------------------------------------------------------- */

struct daemon_ {
	bool is_well;
	const char *says;
};

static void write_metrics(void *arg, struct msp_buf *out)
{
	(void)arg;
	msp_buf_add_str(out, "the metrics\n");
}

static bool write_health(void *arg, struct msp_buf *out)
{
	const struct daemon_ *d = arg;

	msp_buf_add_str(out, d->says);
	return d->is_well;
}

struct reading {
	int fd;
	char text[4096];
	size_t len;
};

static bool is_read(void *arg)
{
	struct reading *r = arg;
	ssize_t n = recv(r->fd, r->text + r->len, sizeof(r->text) - 1 - r->len, MSG_DONTWAIT);

	if (n > 0)
		r->len += (size_t)n;
	return n == 0;
}

static void tick(void *arg)
{
	msp_timer_start(*(struct msp_timer **)arg, 1);
}

static void get(struct msp_loop *loop, const struct msp_addr *addr, const char *path, const char *status,
		const char *body)
{
	struct reading r = { .fd = socket(AF_INET, SOCK_STREAM, 0) };
	union msp_sockaddr sa;
	socklen_t len = msp_sockaddr_set(&sa, addr);
	char request[200];
	int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);

	assert_int_equal(connect(r.fd, &sa.sa, len), 0);
	assert_int_equal(send(r.fd, request, (size_t)n, 0), n);
	assert_true(msp_loop_run_until(loop, is_read, &r, 5000));
	close(r.fd);
	assert_ptr_equal(strstr(r.text, status), r.text + strlen("HTTP/1.1 "));
	assert_string_equal(strstr(r.text, "\r\n\r\n") + 4, body);
}

static void the_endpoint_serves_metrics_and_health(void **state)
{
	static const struct msp_metrics_ops ops = { write_metrics, write_health };
	struct daemon_ d = { true, "" };
	struct msp_metrics *m = NULL;
	struct msp_timer *timer = NULL;
	struct msp_loop *loop = NULL;
	struct msp_why why = { "" };
	struct msp_addr addr;
	struct msp_log log;

	(void)state;
	msp_log_init_null(&log);
	T_OK(msp_loop_new(&log, &loop));
	T_OK(msp_timer_new(loop, tick, &timer, &timer));
	msp_timer_start(timer, 1);
	T_OK(msp_addr_parse("127.0.0.1", 0, &addr));
	T_OK(msp_metrics_open(loop, &addr, &ops, &d, &m, &why));
	addr = *msp_metrics_addr(m);
	get(loop, &addr, "/metrics", "200 ", "the metrics\n");
	get(loop, &addr, "/metrics?x=y", "200 ", "the metrics\n");
	get(loop, &addr, "/healthz", "200 ", "ok\n");
	d.says = "zone x. is expired\n";
	get(loop, &addr, "/healthz", "200 ", "zone x. is expired\n");
	d.is_well = false;
	get(loop, &addr, "/healthz", "503 ", "zone x. is expired\n");
	d.says = "";
	get(loop, &addr, "/healthz", "503 ", "not serving\n");
	get(loop, &addr, "/", "404 ", "Not Found: /metrics and /healthz are here\n");
	get(loop, &addr, "/metrics/", "404 ", "Not Found: /metrics and /healthz are here\n");
	msp_metrics_close(&m);
	msp_metrics_close(&m);
	msp_timer_close(&timer);
	msp_loop_free(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_writes_help_type_and_value),
		cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(what_every_daemon_has),
		cmocka_unit_test(the_endpoint_serves_metrics_and_health),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
