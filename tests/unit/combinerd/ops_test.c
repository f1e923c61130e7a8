/* SPDX-License-Identifier: BSD-2-Clause */
/* Control commands, metrics and health over zones that this file makes up. */
#include "cmb_build.h"

#include "census.h"
#include "inspect.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "io/sockaddr.h"

/* --- the parts of combinerd that they call ------------------------------------------------------------------------ */

static struct cmb_app app;
static struct {
	char text[200]; /* the last order given */
	struct msp_name originator;
	bool has_originator;
} order;
static struct cmb_target untold;
static struct cmb_audit audit[3];
static enum msp_err answer;

struct cmb_hosted *cmb_shell_find(struct cmb_app *a, const struct msp_name *zone)
{
	struct msp_name_key key = msp_name_key(zone);

	return msp_map_get(&a->by_name, msp_name_key_span(&key));
}

struct msp_server_stats cmb_shell_server_stats(const struct cmb_app *a)
{
	(void)a;
	return (struct msp_server_stats){ .udp_in = 11, .tls_failed = 12 };
}

struct cmb_pages_stats cmb_pages_stats(struct cmb_pages *p)
{
	(void)p;
	return (struct cmb_pages_stats){ .file_octets = 4096, .commit_us = 1500000 };
}

struct cmb_zone *cmb_hosted_zone(struct cmb_hosted *h)
{
	return h->zone;
}

const char *cmb_hosted_trouble(const struct cmb_hosted *h)
{
	if (!h->has_head)
		return "not transferred yet";
	return h->is_damaged ? "damaged" : NULL;
}

const char *cmb_upstream_text(const struct cmb_hosted *h)
{
	(void)h;
	return "waiting";
}

const char *cmb_inspect_text(const struct cmb_inspect *i)
{
	(void)i;
	return "the verifier";
}

void cmb_upstream_event(struct cmb_hosted *h, enum cmb_refresh_event ev)
{
	(void)h;
	snprintf(order.text + strlen(order.text), 100, "event %d;", (int)ev);
}

void cmb_upstream_cancel(struct cmb_hosted *h)
{
	(void)h;
	snprintf(order.text + strlen(order.text), 100, "cancel;");
}

enum msp_err cmb_hosted_freeze(struct cmb_hosted *h, bool freeze, struct msp_why *why)
{
	snprintf(order.text, sizeof(order.text), "%s", freeze ? "freeze" : "thaw");
	if (answer != MSP_OK)
		return msp_fail(why, answer, "the disk is full");
	h->is_frozen = freeze;
	return MSP_OK;
}

enum msp_err cmb_hosted_accept(struct cmb_hosted *h, struct msp_why *why)
{
	(void)h;
	(void)why;
	snprintf(order.text, sizeof(order.text), "accept");
	return answer;
}

enum msp_err cmb_hosted_drop_contrib(struct cmb_hosted *h, const struct msp_name *originator, struct msp_why *why)
{
	(void)h;
	(void)why;
	snprintf(order.text, sizeof(order.text), "drop");
	order.has_originator = originator != NULL;
	if (originator != NULL)
		order.originator = *originator;
	return answer;
}

enum msp_err cmb_notify_each(const struct cmb_hosted *h, cmb_notify_fn *fn, void *arg)
{
	struct msp_why why = { "no answer in time" };

	(void)h;
	return untold.conf != NULL ? fn(arg, &untold, 77, 2, &why) : MSP_OK;
}

enum msp_err cmb_state_each_audit(struct msp_store *s, const struct msp_name *zone, uint64_t from, cmb_audit_fn *fn,
				  void *arg)
{
	enum msp_err err = MSP_OK;

	(void)s;
	(void)zone;
	for (size_t i = 0; err == MSP_OK && i < 3 && audit[i].seq != 0; i++)
		if (audit[i].seq >= from)
			err = fn(arg, &audit[i]);
	return err;
}

/* --- rig ---------------------------------------------------------------------------------------------------------- */

static struct msp_log log_;
static struct cmb_conf conf;
static struct cmb_conf_settings set;
static struct cmb_conf_remote remote[2];
static struct cmb_target target[2];
static struct cmb_profile profile;
static struct cmb_zone zone;

static struct cmb_hosted *add(const char *name, bool has_head)
{
	struct cmb_hosted *h = msp_alloc(1, sizeof(*h));
	struct msp_name_key key;

	assert_non_null(h);
	h->app = &app;
	h->name = t_name(name);
	h->profile = &profile;
	h->has_head = has_head;
	h->head.out_serial = 77;
	h->head.owner_serial = 70;
	h->head.records = 5;
	h->refresh.next = h->refresh.expires = h->quiet_until = MSP_MONO_NEVER;
	key = msp_name_key(&h->name);
	T_OK(msp_map_put(&app.by_name, msp_name_key_span(&key), h, NULL));
	return h;
}

static int setup(void **state)
{
	(void)state;
	memset(&app, 0, sizeof(app));
	memset(&order, 0, sizeof(order));
	memset(&untold, 0, sizeof(untold));
	memset(audit, 0, sizeof(audit));
	memset(&zone, 0, sizeof(zone));
	answer = MSP_OK;
	msp_log_init_null(&log_);
	app.log = &log_;
	app.conf = &conf;
	conf.numbers = msp_numbers_default;
	msp_map_init(&app.by_name, 10000);
	for (size_t i = 0; i < 2; i++) {
		T_OK(msp_addr_parse(i == 0 ? "192.0.2.1" : "192.0.2.2", 53, &remote[i].addr));
		target[i].conf = &remote[i];
	}
	profile = (struct cmb_profile){
		.conf = &set, .primary = target, .primary_count = 2, .signer = target, .signer_count = 2
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	msp_map_fini(&app.by_name, msp_free);
	cmb_apex_fini(&zone.served);
	cmb_contrib_fini(&zone.contrib);
	cmb_owner_free(&zone.owner);
	return 0;
}

static const struct msp_command *command(const char *name)
{
	for (const struct msp_command *c = cmb_commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	fail_msg("no command %s", name);
	return NULL;
}

/* A command with its arguments as JSON; its answer as JSON text ("" = none). */
static enum msp_err ask(const char *name, const char *args_text, char *out, size_t cap)
{
	json_t *args = NULL, *data = NULL;
	struct msp_why why = { "" };
	struct msp_buf text;
	enum msp_err err;

	T_OK(msp_json_parse(msp_span_str(args_text), 10000, &args, &why));
	err = command(name)->fn(&app, args, &data, &why);
	json_decref(args);
	if (err != MSP_OK) {
		assert_null(data);
		snprintf(out, cap, "%s", why.text);
		return err;
	}
	msp_buf_init(&text, 16u << 20);
	if (data != NULL)
		T_OK(msp_json_write(data, &text));
	snprintf(out, cap, "%s", msp_buf_text(&text));
	msp_buf_fini(&text);
	json_decref(data);
	return MSP_OK;
}

static char out[1 << 20];
#define ASK(name, args)        T_OK(ask(name, args, out, sizeof(out)))
#define ASK_ERR(name, args, e) T_ERR(ask(name, args, out, sizeof(out)), e)
#define HAS(text)              assert_non_null(strstr(out, text))
#define HAS_NOT(text)          assert_null(strstr(out, text))

/* --- list --------------------------------------------------------------------------------------------------------- */

static size_t rows(void)
{
	size_t n = 0;

	for (const char *p = out; (p = strstr(p, "{\"zone\":")) != NULL; p++)
		n++;
	return n;
}

static void a_list_is_bounded_and_goes_on_where_it_ended(void **state)
{
	char name[64];

	(void)state;
	for (unsigned i = 0; i < 2500; i++) {
		snprintf(name, sizeof(name), "z%05u.test.", i);
		add(name, i % 2 == 0);
	}
	ASK("combiner list", "{}");
	assert_int_equal(rows(), 1000);
	HAS("\"z00000.test.\"");
	HAS("\"z00999.test.\"");
	ASK("zone list", "{\"after\":\"Z00999.test.\"}");
	assert_int_equal(rows(), 1000);
	HAS_NOT("\"z00999.test.\"");
	HAS("\"z01000.test.\"");
	ASK("combiner list", "{\"after\":\"z01999.test\"}");
	assert_int_equal(rows(), 500);
	ASK("combiner list", "{\"after\":\"z02499.test.\"}");
	assert_string_equal(out, "[]");
	ASK("combiner list", "{\"after\":\"z01999.test.\",\"limit\":\"3\",\"state\":\"never\"}");
	assert_int_equal(rows(), 3);
	HAS("\"z02001.test.\",\"state\":\"not transferred yet\"");
	ASK("combiner list", "{\"limit\":0}");
	assert_string_equal(out, "[]");
	ASK("combiner list", "{\"under\":\"z00007.TEST.\"}");
	assert_int_equal(rows(), 1);
}

static void every_state_can_be_asked_for(void **state)
{
	static const char *const words[] = { "serving", "never", "damaged", "frozen", "held",
					     "failing", "busy",  "untold",  "loaded" };
	struct cmb_candidate held = { .owner = NULL };
	struct cmb_hosted *h = NULL;

	(void)state;
	add("serving.test.", true);
	add("never.test.", false);
	add("damaged.test.", true)->is_damaged = true;
	add("frozen.test.", true)->is_frozen = true;
	add("held.test.", true)->held = &held;
	add("failing.test.", true)->refresh.failures = 3;
	add("busy.test.", true)->candidate = &held;
	add("untold.test.", true)->notify = (struct cmb_notify *)(void *)&held;
	h = add("loaded.test.", true);
	h->zone = &zone;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char args[100], want[100];

		snprintf(args, sizeof(args), "{\"state\":\"%s\"}", words[i]);
		snprintf(want, sizeof(want), "\"zone\":\"%s.test.\"", words[i]);
		ASK("combiner list", args);
		HAS(want);
		assert_int_equal(rows(), strcmp(words[i], "serving") == 0 ? 7 : 1);
	}
	ASK("combiner list", "{\"state\":\"trouble\"}");
	assert_int_equal(rows(), 5);
	ASK("combiner list", "{\"state\":\"expired\"}");
	assert_int_equal(rows(), 0);
	ASK_ERR("combiner list", "{\"state\":\"nonsense\"}", MSP_EVALUE);
	ASK("status", "{}");
	HAS("\"zones\":9,\"zones_serving\":7,\"zones_by_state\":{\"serving\":7,\"never\":1,\"damaged\":1,\"frozen\":1");
}

static void arguments_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	add("z.test.", true);
	ASK_ERR("combiner list", "{\"limit\":1001}", MSP_EVALUE);
	ASK_ERR("combiner list", "{\"limit\":-1}", MSP_EVALUE);
	ASK_ERR("combiner list", "{\"limit\":[]}", MSP_EVALUE);
	ASK_ERR("combiner list", "{\"after\":\"a..b\"}", MSP_ENAME);
	ASK_ERR("combiner list", "{\"after\":7}", MSP_EVALUE);
	ASK_ERR("combiner list", "{\"under\":\"\"}", MSP_ENAME);
	ASK_ERR("combiner show", "{}", MSP_EVALUE);
	ASK_ERR("combiner show", "{\"zone\":\"other.\"}", MSP_ENOTFOUND);
	ASK_ERR("combiner audit", "{\"zone\":\"z.test.\",\"from\":\"x\"}", MSP_EVALUE);
	ASK_ERR("combiner drop", "{\"zone\":\"z.test.\"}", MSP_EVALUE);
	ASK_ERR("combiner retransfer", "{\"zone\":\"z.test.\",\"how\":\"now\"}", MSP_EVALUE);
	assert_string_equal(order.text, "");
}

/* --- show, diff, audit -------------------------------------------------------------------------------------------- */

static struct cmb_hosted *full(void)
{
	struct cmb_hosted *h = add("zone.test.", true);

	h->zone = &zone;
	zone.rules = t_rules();
	zone.owner = t_owner("");
	zone.has_served = true;
	T_OK(cmb_apex_dup(&zone.owner->apex, &zone.served));
	zone.served.set[CMB_DNSKEY] = t_rrset(Z "10 DNSKEY " KEY_A);
	t_contribute(&zone.contrib, US, Z "10 DNSKEY " KEY_A);
	t_contribute(&zone.contrib, THEM, Z "10 CDS 1 13 2 " DIGEST);
	t_contribute(&zone.contrib, THEM, Z "10 DNSKEY " KEY_B);
	audit[0] = (struct cmb_audit){
		.seq = 1, .at = { 1000 }, .key = t_name("k1."), .originator = t_name(US), .what = "x"
	};
	audit[1] = (struct cmb_audit){
		.seq = 2, .at = { 2000 }, .key = t_name("k2."), .originator = t_name(THEM), .what = "CDS 1 record"
	};
	audit[2] = (struct cmb_audit){
		.seq = 3, .at = { 3000 }, .key = t_name("k3."), .originator = t_name(THEM), .what = "DNSKEY, CDNSKEY"
	};
	return h;
}

static void show_has_everything(void **state)
{
	struct cmb_owner *smaller = t_owner("");
	struct cmb_candidate held = { .owner = smaller };
	struct cmb_trouble trouble = { { 1700000000 }, { "it \"shrinks\"" } };
	struct cmb_hosted *h = full();

	(void)state;
	h->held = &held;
	h->trouble = &trouble;
	smaller->records = 2;
	untold = target[1];
	ASK("combiner show", "{\"zone\":\"ZONE.test\"}");
	HAS("\"zone\":\"zone.test.\",\"state\":\"serving\",\"serial\":77,\"owner_serial\":70,\"records\":5");
	HAS("\"last_error\":\"it \\\"shrinks\\\"\",\"last_error_at\":1700000000");
	HAS("\"held\":{\"owner_serial\":1000,\"records\":2,\"records_served\":5,\"reason\":\"it \\\"shrinks\\\"\"}");
	HAS("\"waiting_for\":\"an operator: a version is held back");
	HAS("\"originator\":\"msa.a.test.\",\"type\":\"DNSKEY\",\"set_at\":1000,\"set_by\":\"k1.\"");
	HAS("\"originator\":\"msa.b.test.\",\"type\":\"CDS\",\"set_at\":2000,\"set_by\":\"k2.\"");
	HAS("\"originator\":\"msa.b.test.\",\"type\":\"DNSKEY\",\"set_at\":3000,\"set_by\":\"k3.\"");
	HAS("\"address\":\"192.0.2.1:53\",\"transport\":\"dns\",\"notified_serial\":77,\"acknowledged\":true");
	HAS("\"acknowledged\":false,\"tries\":2,\"last_error\":\"no answer in time\"");
	HAS("\"owner\":{\"SOA\":[\"zone.test. 300 IN SOA");
	HAS("\"served\":{\"SOA\":[");
	HAS("\"contributions_count\":3");
	cmb_owner_free(&smaller);
	h->held = NULL;
	h->trouble = NULL;
	h->zone = NULL; /* cannot be loaded: what is known without it is shown all the same */
	ASK("zone show", "{\"zone\":\"zone.test.\"}");
	HAS("\"serial\":77");
	HAS_NOT("contributions");
}

static void diff_has_owners_served_and_contributed(void **state)
{
	struct cmb_hosted *h = full();

	(void)state;
	ASK("combiner diff", "{\"zone\":\"zone.test.\"}");
	HAS("[{\"type\":\"DNSKEY\",\"owner\":[],\"served\":[\"zone.test. 10 IN DNSKEY ");
	HAS("\"contributed\":[{\"originator\":\"msa.a.test.\",\"records\":[");
	HAS_NOT("\"type\":\"NS\"");
	zone.has_served = false;
	ASK_ERR("combiner diff", "{\"zone\":\"zone.test.\"}", MSP_ESTATE);
	h->zone = NULL;
	ASK_ERR("combiner diff", "{\"zone\":\"zone.test.\"}", MSP_ESTATE);
}

static void audit_goes_from_a_number_on(void **state)
{
	(void)state;
	(void)full();
	audit[2].key = audit[2].originator = (struct msp_name){ 0 };
	ASK("combiner audit", "{\"zone\":\"zone.test.\",\"from\":2}");
	assert_string_equal(
		out,
		"[{\"seq\":2,\"at\":2000,\"who\":\"k2.\",\"originator\":\"msa.b.test.\",\"what\":\"CDS 1 record\"},"
		"{\"seq\":3,\"at\":3000,\"who\":\"operator\",\"what\":\"DNSKEY, CDNSKEY\"}]");
}

static void what_is_waited_for_is_told(void **state)
{
	struct cmb_hosted *h = add("z.test.", false);
	struct msp_mono soon = msp_mono_add_ms(msp_mono_now(), 9500);

	(void)state;
	h->refresh.next = soon;
	ASK("combiner list", "{}");
	HAS("\"waiting_for\":\"the next try with a primary\",\"waiting_s\":9");
	h->has_head = true;
	ASK("combiner list", "{}");
	HAS_NOT("waiting");
	h->is_dirty = true;
	h->quiet_until = msp_mono_add_ms(msp_mono_now(), 3500);
	ASK("combiner list", "{}");
	HAS("\"waiting_for\":\"the quiet time after a change\",\"waiting_s\":3");
	h->is_committing = true;
	ASK("combiner list", "{}");
	HAS("\"waiting_for\":\"the zone store\"");
	h->inspect = (struct cmb_inspect *)(void *)h;
	ASK("combiner list", "{}");
	HAS("\"waiting_for\":\"the verifier\"");
	h->is_frozen = true;
	ASK("combiner list", "{}");
	HAS("thaw");
}

/* --- orders ------------------------------------------------------------------------------------------------------- */

static void orders_are_given_once_and_only_when_they_make_sense(void **state)
{
	struct cmb_candidate some = { .owner = NULL };
	struct cmb_hosted *h = full();
	char want[100];

	(void)state;
	ASK_ERR("combiner thaw", "{\"zone\":\"zone.test.\"}", MSP_ESTATE);
	ASK_ERR("combiner accept", "{\"zone\":\"zone.test.\"}", MSP_ESTATE);
	assert_string_equal(order.text, "");
	answer = MSP_EIO;
	ASK_ERR("combiner freeze", "{\"zone\":\"zone.test.\"}", MSP_EIO);
	assert_string_equal(out, "the disk is full");
	answer = MSP_OK;
	ASK("combiner freeze", "{\"zone\":\"zone.test.\"}");
	assert_string_equal(order.text, "freeze");
	order.text[0] = '\0';
	ASK_ERR("combiner freeze", "{\"zone\":\"zone.test.\"}", MSP_ESTATE);
	ASK_ERR("combiner retransfer", "{\"zone\":\"zone.test.\"}", MSP_ESTATE);
	assert_string_equal(order.text, "");
	ASK("combiner thaw", "{\"zone\":\"zone.test.\"}");
	assert_string_equal(order.text, "thaw");
	h->held = &some;
	ASK("combiner accept", "{\"zone\":\"zone.test.\"}");
	assert_string_equal(order.text, "accept");
	h->held = NULL;
	h->fetch = (struct cmb_fetch *)(void *)h;
	order.text[0] = '\0';
	ASK("combiner retransfer", "{\"zone\":\"zone.test.\"}");
	snprintf(want, sizeof(want), "event %d;", (int)CMB_REV_FORCE);
	assert_string_equal(order.text, want);
	order.text[0] = '\0';
	ASK("combiner retransfer", "{\"zone\":\"zone.test.\",\"how\":\"force\"}");
	snprintf(want, sizeof(want), "cancel;event %d;", (int)CMB_REV_FORCE);
	assert_string_equal(order.text, want);
}

static void instructions_of_one_or_of_all_are_dropped(void **state)
{
	struct msp_name them = t_name(THEM);

	(void)state;
	(void)full();
	ASK_ERR("combiner drop", "{\"zone\":\"zone.test.\",\"originator\":\"nobody.\"}", MSP_ENOTFOUND);
	assert_string_equal(order.text, "");
	ASK("combiner drop", "{\"zone\":\"zone.test.\",\"originator\":\"MSA.b.test.\"}");
	assert_true(order.has_originator);
	assert_true(msp_name_equal(&order.originator, &them));
	ASK("combiner drop", "{\"zone\":\"zone.test.\",\"originator\":\"*\"}");
	assert_false(order.has_originator);
	cmb_contrib_fini(&zone.contrib);
	memset(&zone.contrib, 0, sizeof(zone.contrib));
	ASK_ERR("combiner drop", "{\"zone\":\"zone.test.\",\"originator\":\"*\"}", MSP_ENOTFOUND);
}

static void without_memory_an_answer_is_an_error_and_nothing_is_left_behind(void **state)
{
	static const char *const names[] = { "combiner show", "combiner diff", "combiner list", "combiner audit",
					     "status" };
	struct cmb_hosted *h = full();

	(void)state;
	(void)h;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (size_t nth = 1; nth < 5000; nth++) {
			json_t *args = json_pack("{s:s}", "zone", "zone.test."), *data = NULL;
			struct msp_why why = { "" };
			enum msp_err err;
			bool has_failed;

			assert_non_null(args);
			msp_mem_fail_at(nth);
			err = command(names[i])->fn(&app, args, &data, &why);
			has_failed = msp_mem_failed();
			msp_mem_fail_at(0);
			json_decref(args);
			if (!has_failed) {
				T_OK(err);
				json_decref(data);
				break;
			}
			T_ERR(err, MSP_ENOMEM);
			assert_null(data);
		}
	}
}

/* --- metrics and health ------------------------------------------------------------------------------------------- */

struct reading {
	int fd;
	char text[65536];
	size_t len;
};
static struct reading reading;

static bool is_read(void *arg)
{
	struct reading *r = arg;
	ssize_t n = recv(r->fd, r->text + r->len, sizeof(r->text) - 1 - r->len, MSG_DONTWAIT);

	if (n > 0)
		r->len += (size_t)n;
	r->text[r->len] = '\0';
	return n == 0;
}

static void tick(void *arg)
{
	msp_timer_start(*(struct msp_timer **)arg, 1);
}

/* Into `out`: the whole answer. */
static void get(const char *path)
{
	union msp_sockaddr sa;
	socklen_t len = msp_sockaddr_set(&sa, &conf.metrics);
	char request[200];
	int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);

	memset(&reading, 0, sizeof(reading));
	reading.fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(reading.fd, &sa.sa, len), 0);
	assert_int_equal(send(reading.fd, request, (size_t)n, 0), n);
	assert_true(msp_loop_run_until(app.loop, is_read, &reading, 5000));
	close(reading.fd);
	snprintf(out, sizeof(out), "%s", reading.text);
}

/* A port that is free now. */
static uint16_t free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	union msp_sockaddr any;
	struct msp_addr addr;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any.v4, &len), 0);
	close(fd);
	msp_sockaddr_get(&any, &addr);
	return addr.port;
}

static void metrics_and_health_tell_how_the_zones_are(void **state)
{
	struct msp_timer *timer = NULL;
	struct msp_why why = { "" };
	struct cmb_hosted *h;
	char name[64];

	(void)state;
	T_OK(msp_loop_new(&log_, &app.loop));
	T_OK(msp_timer_new(app.loop, tick, &timer, &timer));
	msp_timer_start(timer, 1);
	conf.metrics = (struct msp_addr){ 0 };
	T_OK(cmb_metrics_open(&app, &why)); /* no address: nothing */
	assert_null(app.metrics);
	T_OK(msp_addr_parse("127.0.0.1", free_port(), &conf.metrics));
	T_OK(cmb_metrics_open(&app, &why));
	T_OK(cmb_metrics_open(&app, &why)); /* the same once more, as a reload does */
	get("/healthz");
	HAS("HTTP/1.1 503 ");
	HAS("starting\n");
	app.is_running = true;
	get("/healthz");
	HAS("HTTP/1.1 200 ");
	HAS("\r\n\r\nok\n");
	add("good.test.", true);
	h = add("bad.test.", true);
	h->is_damaged = true;
	app.stats.updates = 42;
	get("/healthz");
	HAS("HTTP/1.1 200 ");
	HAS("\r\n\r\nbad.test. damaged\n");
	get("/metrics");
	HAS("\ncombinerd_zones{state=\"serving\"} 1\n");
	HAS("\ncombinerd_zones{state=\"damaged\"} 1\n");
	HAS("\ncombinerd_zones_marked{mark=\"frozen\"} 0\n");
	HAS("\ncombinerd_zone_records 10\n");
	HAS("\ncombinerd_updates_total 42\n");
	HAS("\ncombinerd_server_udp_in_total 11\n");
	HAS("\ncombinerd_server_tls_failed_total 12\n");
	HAS("\ncombinerd_store_file_bytes 4096\n");
	HAS("\ncombinerd_store_transaction_seconds_total 1.500000\n");
	HAS_NOT("good.test");
	for (unsigned i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "never%u.test.", i);
		add(name, false);
	}
	get("/healthz");
	HAS("and 11 more zones\n");
	get("/metrics");
	HAS("\ncombinerd_zones{state=\"never\"} 30\n");
	cmb_metrics_close(&app);
	cmb_metrics_close(&app);
	msp_timer_close(&timer);
	msp_loop_free(&app.loop);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_list_is_bounded_and_goes_on_where_it_ended),
		TEST(every_state_can_be_asked_for),
		TEST(arguments_that_make_no_sense_are_refused),
		TEST(show_has_everything),
		TEST(diff_has_owners_served_and_contributed),
		TEST(audit_goes_from_a_number_on),
		TEST(what_is_waited_for_is_told),
		TEST(orders_are_given_once_and_only_when_they_make_sense),
		TEST(instructions_of_one_or_of_all_are_dropped),
		TEST(without_memory_an_answer_is_an_error_and_nothing_is_left_behind),
		TEST(metrics_and_health_tell_how_the_zones_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
