/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolvetool -a ANCHOR-FILE -r ROOT-ADDRESS [-t TIMEOUT-MS]: reads commands from standard input, a line each:
 *   NAME TYPE [NAME TYPE]...   look all of them up at once; per name a line "name type verdict|why|owner ttl|rdata;
 * rdata"; ~NAME is an open look-up, whose line goes on with "|soa owner" when it is negative flush forget cached
 * answers restarts                   how often the worker died For the integration test of the resolver: the daemon's
 * own way of using it, without a daemon.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <msproto/io/resolve.h>
#include <msproto/kit/daemon.h>
#include <msproto/wire/text.h>

#define LOOKUPS_MAX 1000
#define WAIT_MS     120000

struct lookup {
	char name[256], type[32];
	size_t *left;
};

static void say(const struct lookup *l, enum msp_lookup verdict, const char *why, const struct msp_rrset *set,
		const char *more)
{
	struct msp_buf text;

	msp_buf_init(&text, 1 << 20);
	if (set) {
		msp_buf_printf(&text, "%s %u|", MSP_NAME(&set->owner), set->ttl);
		for (size_t i = 0; i < set->count; i++) {
			msp_buf_add_str(&text, i ? "; " : "");
			msp_rdata_print(&text, NULL, set->type, set->rdata[i]);
		}
	} else {
		msp_buf_add_str(&text, "|");
	}
	(void)printf("%s %s %s|%s|%s%s\n", l->name, l->type, msp_lookup_name(verdict), why, msp_buf_text(&text), more);
	(void)fflush(stdout);
	msp_buf_fini(&text);
	(*l->left)--;
}

static void answered(void *arg, enum msp_lookup verdict, struct msp_secure_rrset *secure, const char *why)
{
	say(arg, verdict, why, secure ? msp_secure_get(secure) : NULL, "");
	msp_secure_free(&secure);
}

static void answered_open(void *arg, const struct msp_open_answer *a)
{
	char more[1100] = "";

	if (a->is_negative)
		(void)snprintf(more, sizeof(more), "|soa %s",
			       msp_name_is_set(&a->soa_owner) ? MSP_NAME(&a->soa_owner) : "");
	say(arg, a->verdict, a->why, a->set, more);
}

static bool all_answered(void *arg)
{
	return *(size_t *)arg == 0;
}

/* The next word of the line, cut off in place; NULL at its end. */
static const char *next_word(char **line)
{
	char *word = *line + strspn(*line, " ");
	size_t len = strcspn(word, " ");

	*line = word + len + (word[len] != '\0');
	word[len] = '\0';
	return len ? word : NULL;
}

static bool ask(struct msp_resolver *r, const char *name, const char *type, struct lookup *l, size_t *left)
{
	bool is_open = name[0] == '~';
	struct msp_name owner;
	uint16_t number;
	enum msp_err err;

	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	(void)snprintf(l->type, sizeof(l->type), "%s", type);
	l->left = left;
	if (msp_name_from_text(name + is_open, &owner) != MSP_OK ||
	    msp_type_from_text(msp_span_str(type), NULL, &number) != MSP_OK)
		return false;
	err = is_open ? msp_resolver_ask_open(r, &owner, number, answered_open, l)
		      : msp_resolver_ask(r, &owner, number, answered, l);
	if (err != MSP_OK)
		return false;
	(*left)++;
	return true;
}

static int look_up(struct msp_loop *loop, struct msp_resolver *r, char *line)
{
	static struct lookup lookups[LOOKUPS_MAX];
	size_t left = 0;
	const char *name, *type;

	for (size_t n = 0; n < LOOKUPS_MAX && (name = next_word(&line)) != NULL && (type = next_word(&line)) != NULL;
	     n++)
		if (!ask(r, name, type, &lookups[n], &left))
			return 1;
	return msp_loop_run_until(loop, all_answered, &left, WAIT_MS) ? 0 : 1;
}

static int serve(struct msp_loop *loop, struct msp_resolver *r)
{
	char line[65536];
	int rc = 0;

	while (rc == 0 && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "flush") == 0) {
			msp_resolver_flush(r);
			rc = printf("flushed\n") < 0;
		} else if (strcmp(line, "restarts") == 0) {
			rc = printf("%llu\n", (unsigned long long)msp_resolver_restarts(r)) < 0;
		} else {
			rc = look_up(loop, r, line);
		}
		(void)fflush(stdout);
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct msp_resolver_conf conf = { .timeout_ms = 5000 };
	struct msp_resolver *r = NULL;
	struct msp_loop *loop = NULL;
	struct msp_log log;
	struct msp_why why = { "" };
	char self[4096];
	int c, rc = 1;

	if (argc > 1 && strcmp(argv[1], "--resolver-worker") == 0)
		return msp_resolver_worker(argc, argv);
	while ((c = getopt(argc, argv, "a:r:t:")) != -1) {
		if (c == 'a')
			conf.trust_anchor_file = optarg;
		else if (c == 't')
			conf.timeout_ms = (uint32_t)strtoul(optarg, NULL, 10);
		else if (c != 'r' || conf.root_server_count == 16 ||
			 msp_addr_parse(optarg, 53, &conf.root_server[conf.root_server_count++]) != MSP_OK)
			return 2;
	}
	msp_log_init_stderr(&log, MSP_LOG_DEBUG, true);
	if (msp_daemon_self_path(self, sizeof(self)) != MSP_OK || msp_loop_new(&log, &loop) != MSP_OK)
		return 1;
	conf.worker_path = self;
	if (msp_resolver_open(loop, &conf, &r, &why) == MSP_OK)
		rc = serve(loop, r);
	else
		(void)fprintf(stderr, "%s\n", why.text);
	msp_resolver_close(&r);
	msp_loop_free(&loop);
	return rc;
}
