/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <msproto/auth/tsig.h>
#include <msproto/base/mem.h>
#include <msproto/kit/conf.h>
#include <msproto/kit/store.h>

struct inner {
	char *text;
	uint32_t wait_s;
};
static const struct msp_conf_row inner_rows[] = {
	{ "text", MSP_CONF_STR, MSP_CONF_REQUIRED, 0, 0, NULL, offsetof(struct inner, text), NULL, NULL, "Text" },
	{ "wait", MSP_CONF_SECONDS, 0, 1, 3600, "5m", offsetof(struct inner, wait_s), NULL, NULL, "Wait" },
	{ .key = NULL }
};
static const struct msp_conf_schema inner_schema = { sizeof(struct inner), inner_rows };

struct peer {
	struct msp_name name;
	struct msp_addr addr;
	struct msp_conf_list inners;
};
static const struct msp_conf_row peer_rows[] = {
	{ "name", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, offsetof(struct peer, name), NULL, NULL, "Name" },
	{ "address", MSP_CONF_ADDR, 0, 0, 0, NULL, offsetof(struct peer, addr), NULL, NULL, "Address" },
	{ "port", MSP_CONF_PORT, 0, 0, 0, "53", offsetof(struct peer, addr), NULL, NULL, "Port" },
	{ "inner", MSP_CONF_LIST, 0, 0, 4, NULL, offsetof(struct peer, inners), &inner_schema, NULL, "Lists nest" },
	{ .key = NULL }
};
static const struct msp_conf_schema peer_schema = { sizeof(struct peer), peer_rows };

static const struct msp_conf_word words[] = { { "slow", 1 }, { "fast", 2 }, { NULL, 0 } };

struct all {
	bool flag;
	int64_t num;
	uint32_t seconds;
	uint64_t bytes;
	char *text, *path;
	struct msp_name name;
	struct msp_addr addr;
	struct msp_prefix prefix;
	int word;
	uint8_t u8;
	struct msp_conf_strs strs;
	struct msp_conf_list peers;
	struct inner optional; /* has a required key: stays zero when absent */
	struct msp_numbers numbers;
};
#define ROW(key, kind, flags, min, max, def, field, sub, help)                                                         \
	{                                                                                                              \
		key, kind, flags, min, max, def, offsetof(struct all, field), sub, words, help                         \
	}
static const struct msp_conf_row all_rows[] = {
	ROW("flag", MSP_CONF_BOOL, 0, 0, 0, "true", flag, NULL, "A flag"),
	ROW("num", MSP_CONF_INT, 0, -10, 5000000000, "7", num, NULL, "A number"),
	ROW("seconds", MSP_CONF_SECONDS, 0, 0, 0, "1h", seconds, NULL, "A time"),
	ROW("bytes", MSP_CONF_BYTES, 0, 0, 0, "64K", bytes, NULL, "A size"),
	ROW("text", MSP_CONF_STR, 0, 0, 0, "none", text, NULL, "A text"),
	ROW("path", MSP_CONF_PATH, 0, 0, 0, "/var/lib/x", path, NULL, "A path"),
	ROW("name", MSP_CONF_NAME, 0, 0, 0, NULL, name, NULL, "A name"),
	ROW("address", MSP_CONF_ADDR, 0, 0, 0, "::1", addr, NULL, "An address"),
	ROW("port", MSP_CONF_PORT, 0, 0, 0, "5399", addr, NULL, "Its port"),
	ROW("prefix", MSP_CONF_PREFIX, 0, 0, 0, NULL, prefix, NULL, "A prefix"),
	ROW("word", MSP_CONF_ENUM, 0, 0, 0, "slow", word, NULL, "A word"),
	ROW("u8", MSP_CONF_U8, 0, 0, 0, "9", u8, NULL, "A small number"),
	ROW("strs", MSP_CONF_STRS, 0, 0, 3, "a, b", strs, NULL, "Texts"),
	ROW("peers", MSP_CONF_LIST, 0, 0, 0, NULL, peers, &peer_schema, "Peers"),
	ROW("optional", MSP_CONF_GROUP, 0, 0, 0, NULL, optional, &inner_schema, "A group"),
	ROW("numbers", MSP_CONF_GROUP, 0, 0, 0, NULL, numbers, &msp_conf_numbers_schema, "Numbers"),
	{ .key = NULL }
};
static const struct msp_conf_schema all_schema = { sizeof(struct all), all_rows };

static enum msp_err load(const char *text, struct all *out, struct msp_buf *errors)
{
	msp_buf_init(errors, 65536);
	return msp_conf_load_text(text, &all_schema, out, errors);
}

/* The text must be refused and the complaint must hold every one of the NULL-terminated fragments. */
static void refused(const char *text, const char *fragment)
{
	struct msp_buf errors;
	struct all a;

	T_ERR(load(text, &a, &errors), MSP_ECONF);
	if (!strstr(msp_buf_text(&errors), fragment))
		fail_msg("\"%s\": complaint \"%s\" lacks \"%s\"", text, msp_buf_text(&errors), fragment);
	msp_buf_fini(&errors);
}

static void absent_settings_take_their_defaults(void **state)
{
	struct msp_buf errors;
	struct all a;

	(void)state;
	T_OK(load("", &a, &errors));
	assert_true(a.flag);
	assert_int_equal(a.num, 7);
	assert_int_equal(a.seconds, 3600);
	assert_int_equal(a.bytes, 65536);
	assert_string_equal(a.text, "none");
	assert_string_equal(a.path, "/var/lib/x");
	assert_false(msp_name_is_set(&a.name));
	assert_string_equal(MSP_ADDR(&a.addr), "[::1]:5399");
	assert_int_equal(a.prefix.addr.family, MSP_FAMILY_NONE);
	assert_int_equal(a.word, 1);
	assert_int_equal(a.u8, 9);
	assert_int_equal(a.strs.count, 2);
	assert_string_equal(a.strs.item[0], "a");
	assert_string_equal(a.strs.item[1], "b");
	assert_int_equal(a.peers.count, 0);
	assert_null(a.optional.text);
	assert_int_equal(a.optional.wait_s, 0); /* not configured at all, rather than half */
	assert_int_equal(errors.len, 0);
	msp_conf_fini(&all_schema, &a);
	msp_buf_fini(&errors);
}

static const char everything[] =
	"flag = false; num = 4000000000L; seconds = \"90s\"; bytes = \"2G\"; text = \"tab\\t \\\"quoted\\\" \\\\ "
	"\xc3\xa4\";\n"
	"path = \"/x\"; name = \"Zone.Example.\"; address = \"192.0.2.1\"; port = 53; prefix = \"2001:db8::/32\"; word "
	"= \"fast\";\n"
	"u8 = 0xff; strs = ( \"one\", \"two\" ); # comment 99999999999\n"
	"peers = ( { name = \"a.example.\"; address = \"2001:db8::1\"; },\n"
	"  { name = \"b.example.\"; port = 8053; inner = ( { text = \"in\"; wait = 9; }, { text = \"in2\"; } ); } );\n"
	"optional = { text = \"here\"; };\n"
	"numbers = { rrtype-hsync = 3997; hsync-compat-zero = true; };\n";

static void check_everything(const struct all *a)
{
	const struct peer *peers = a->peers.item;
	const struct inner *inners;

	assert_false(a->flag);
	assert_true(a->num == 4000000000);
	assert_int_equal(a->seconds, 90);
	assert_true(a->bytes == 2147483648u);
	assert_string_equal(a->text, "tab\t \"quoted\" \\ \xc3\xa4");
	assert_string_equal(MSP_NAME(&a->name), "Zone.Example.");
	assert_string_equal(MSP_ADDR(&a->addr), "192.0.2.1:53");
	assert_int_equal(a->prefix.bits, 32);
	assert_int_equal(a->word, 2);
	assert_int_equal(a->u8, 255);
	assert_int_equal(a->strs.count, 2);
	assert_string_equal(a->strs.item[1], "two");
	assert_int_equal(a->peers.count, 2);
	assert_string_equal(MSP_ADDR(&peers[0].addr), "[2001:db8::1]:53");
	assert_int_equal(peers[1].addr.port, 8053);
	assert_int_equal(peers[1].addr.family, MSP_FAMILY_NONE);
	assert_int_equal(peers[1].inners.count, 2);
	inners = peers[1].inners.item;
	assert_string_equal(inners[0].text, "in");
	assert_int_equal(inners[0].wait_s, 9);
	assert_int_equal(inners[1].wait_s, 300);
	assert_string_equal(a->optional.text, "here");
	assert_int_equal(a->numbers.type_hsync, 3997);
	assert_true(a->numbers.hsync_compat_zero);
}

static void every_kind_is_read(void **state)
{
	struct msp_buf errors;
	struct all a;

	(void)state;
	T_OK(load(everything, &a, &errors));
	check_everything(&a);
	msp_conf_fini(&all_schema, &a);
	msp_buf_fini(&errors);
}

static void what_is_shown_loads_again_to_the_same(void **state)
{
	struct msp_buf errors, shown, again;
	struct all a, b;

	(void)state;
	T_OK(load(everything, &a, &errors));
	msp_buf_init(&shown, 65536);
	msp_buf_init(&again, 65536);
	T_OK(msp_conf_show(&all_schema, &a, &shown));
	msp_buf_fini(&errors);
	if (load(msp_buf_text(&shown), &b, &errors) != MSP_OK)
		fail_msg("%s\n%s", msp_buf_text(&shown), msp_buf_text(&errors));
	check_everything(&b);
	T_OK(msp_conf_show(&all_schema, &b, &again));
	assert_string_equal(msp_buf_text(&shown), msp_buf_text(&again));
	msp_conf_fini(&all_schema, &a);
	msp_conf_fini(&all_schema, &b);
	msp_buf_fini(&errors);
	msp_buf_fini(&shown);
	msp_buf_fini(&again);
}

static void defaults_are_shown_and_load_again(void **state)
{
	struct msp_buf errors, shown;
	struct all a, b;

	(void)state;
	T_OK(load("", &a, &errors));
	msp_buf_init(&shown, 65536);
	T_OK(msp_conf_show(&all_schema, &a, &shown));
	assert_null(strstr(msp_buf_text(&shown), "optional"));
	msp_buf_fini(&errors);
	T_OK(load(msp_buf_text(&shown), &b, &errors));
	assert_int_equal(b.addr.port, 5399);
	msp_conf_fini(&all_schema, &a);
	msp_conf_fini(&all_schema, &b);
	msp_buf_fini(&errors);
	msp_buf_fini(&shown);
}

static void mistakes_are_refused_with_their_place(void **state)
{
	(void)state;
	refused("\nnonsense = 1;", "text:2: nonsense: unknown setting");
	refused("peers = (\n { name = \"a.\"; nmae = \"b.\"; } );", "text:2: peers[0].nmae: unknown setting");
	refused("peers = (\n\n { port = 5; } );", "text:3: peers[0].name: required setting is missing");
	refused("optional = { wait = 3; };", "optional.text: required setting is missing");
	refused("peers = ( { name = \"a.\"; inner = (\n { } ); } );", "text:2: peers[0].inner[0].text: required");
	refused("flag = 1;", "flag: true or false");
	refused("flag = \"true\";", "flag: true or false");
	refused("num = \"7\";", "num: a number");
	refused("num = -11;", "num: -11 is outside -10 to 5000000000");
	refused("num = 1.5;", "num: a single value");
	refused("seconds = -1;", "seconds: -1 is outside");
	refused("seconds = \"5 m\";", "seconds: not a number with a unit");
	refused("seconds = \"\";", "seconds: not a number");
	refused("seconds = \"s\";", "seconds: not a number");
	refused("seconds = \"99999999w\";", "seconds");
	refused("bytes = \"9999999999G\";", "bytes: number too large");
	refused("bytes = \"12X\";", "bytes: not a number");
	refused("text = 1;", "text: text in quotes");
	refused("path = \"relative\";", "path: must be an absolute path");
	refused("name = \"a..b\";", "name: not a domain name");
	refused("address = \"192.0.2.1:53\";", "address: not an IP address");
	refused("port = 0;", "port: 0 is outside 1 to 65535");
	refused("port = 65536;", "port: 65536 is outside");
	refused("prefix = \"192.0.2.1/24\";", "prefix: not an address prefix");
	refused("word = \"medium\";", "word: must be one of: slow, fast");
	refused("u8 = 256;", "u8: 256 is outside 0 to 255");
	refused("strs = [ \"a\", \"b\", \"c\", \"d\" ];", "strs: 4 elements");
	refused("strs = \"a\";", "strs: a list of texts");
	refused("strs = [ 1 ];", "strs[0]: text in quotes");
	refused("peers = { };", "peers: a list of groups");
	refused("peers = ( 1 );", "a group is needed");
	refused("optional = ( );", "optional: a group is needed");
	refused("flag = true; flag = true;", "duplicate");
	refused("flag = ", "syntax error");
	refused("numbers = { ede-base = 65500; };", "numbers.ede-base: 65500 is outside 1 to 65493");
}

/* libconfig 1.5 turns 99999999999 into 1215752191 and 0xFFFFFFFF into -1 without a word. */
static void integers_beyond_32_bits_need_their_suffix(void **state)
{
	(void)state;
	refused("text = \"x # 99999999999\"; /* 99999999999\n */ num = 99999999999;", "text:2: integer too large");
	refused("num = 4294967303;", "needs the suffix L");
	refused("num = 0xFFFFFFFF;", "needs the suffix L");
	refused("num = 99999999999999999999L;", "integer too large");
	refused("num = 2147483648;", "needs the suffix L");
}

static void the_32_bit_limits_themselves_are_good(void **state)
{
	struct msp_buf errors;
	struct all a;

	(void)state;
	T_OK(load("num = 2147483647; seconds = 4294967295L; bytes = 9223372036854775807L; u8 = 0x10;", &a, &errors));
	assert_int_equal(a.num, 2147483647);
	assert_true(a.seconds == 4294967295u);
	assert_true(a.bytes == 9223372036854775807u);
	assert_int_equal(a.u8, 16);
	msp_conf_fini(&all_schema, &a);
	msp_buf_fini(&errors);
}

static void all_mistakes_are_told_in_one_go(void **state)
{
	struct msp_buf errors;
	struct all a;
	size_t lines = 0;

	(void)state;
	T_ERR(load("flag = 1;\nport = 0;\nwhat = 2;\npeers = ( { }, { name = \"\"; } );\n", &a, &errors), MSP_ECONF);
	for (const char *p = msp_buf_text(&errors); *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 4 + (strstr(msp_buf_text(&errors), "peers[1].name") != NULL));
	assert_null(a.text); /* released */
	assert_null(a.peers.item);
	msp_buf_fini(&errors);
}

static void the_defaults_of_the_numbers_are_those_of_the_protocol(void **state)
{
	struct msp_buf errors;
	struct msp_numbers n;
	const struct msp_numbers *want = &msp_numbers_default;

	(void)state;
	msp_buf_init(&errors, 4096);
	T_OK(msp_conf_load_text("", &msp_conf_numbers_schema, &n, &errors));
	assert_int_equal(n.type_hsync, want->type_hsync);
	assert_int_equal(n.type_hsync3, want->type_hsync3);
	assert_int_equal(n.type_hsyncparam, want->type_hsyncparam);
	assert_int_equal(n.opt_keystate, want->opt_keystate);
	assert_int_equal(n.opt_multisigner, want->opt_multisigner);
	assert_int_equal(n.dsync_update, want->dsync_update);
	assert_int_equal(n.dsync_scanner, want->dsync_scanner);
	assert_int_equal(n.dsync_api, want->dsync_api);
	assert_int_equal(n.svcb_bootstrap, want->svcb_bootstrap);
	assert_int_equal(n.svcb_interval, want->svcb_interval);
	assert_int_equal(n.ede_base, want->ede_base);
	assert_int_equal(n.op_data, want->op_data);
	assert_int_equal(n.op_state, want->op_state);
	assert_int_equal(n.op_proc, want->op_proc);
	assert_int_equal(n.op_elect, want->op_elect);
	assert_int_equal(n.op_ping, want->op_ping);
	assert_int_equal(n.op_bye, want->op_bye);
	assert_int_equal(n.op_keyreq, want->op_keyreq);
	assert_int_equal(n.hsync_compat_zero, want->hsync_compat_zero);
	msp_buf_fini(&errors);
}

static void the_table_has_a_line_per_setting(void **state)
{
	struct msp_buf out;

	(void)state;
	msp_buf_init(&out, 65536);
	T_OK(msp_conf_table(&all_schema, &out));
	assert_non_null(strstr(msp_buf_text(&out), "num | integer -10..5000000000 | 7 | A number\n"));
	assert_non_null(strstr(msp_buf_text(&out), "word | one of slow, fast | slow | A word\n"));
	assert_non_null(strstr(msp_buf_text(&out),
			       "\n  inner | list of groups 0..4 |  | Lists nest\n    text | text, required |"));
	msp_buf_fini(&out);
}

static char dir[] = "/tmp/test_conf.XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const char *text, unsigned mode)
{
	T_OK(msp_file_replace(in_dir(name), mode, msp_span_str(text), NULL));
}

static void file_problem(const char *name, const char *fragment)
{
	struct msp_buf errors;
	struct all a;

	msp_buf_init(&errors, 4096);
	T_ERR(msp_conf_load(in_dir(name), &all_schema, &a, &errors), MSP_ECONF);
	if (!strstr(msp_buf_text(&errors), fragment))
		fail_msg("\"%s\" lacks \"%s\"", msp_buf_text(&errors), fragment);
	msp_buf_fini(&errors);
}

static void files_that_cannot_be_read_say_why(void **state)
{
	(void)state;
	file_problem("missing.conf", "No such file or directory");
	(void)mkdir(in_dir("directory"), 0700);
	file_problem("directory", "not a regular file");
	(void)rmdir(in_dir("directory"));
	write_file("bad.conf", "\n\nflag = 1;\n", 0644);
	file_problem("bad.conf", "bad.conf:3: flag: true or false");
	write_file("syntax.conf", "flag = true;\nnum = = ;\n", 0644);
	file_problem("syntax.conf", "syntax.conf:2: syntax error");
}

static void includes_are_found_beside_the_file(void **state)
{
	struct msp_buf errors;
	struct all a;

	(void)state;
	write_file("part.conf", "num = 12;\n", 0644);
	write_file("main.conf", "@include \"part.conf\"\n", 0644);
	msp_buf_init(&errors, 4096);
	T_OK(msp_conf_load(in_dir("main.conf"), &all_schema, &a, &errors));
	assert_int_equal(a.num, 12);
	msp_conf_fini(&all_schema, &a);
	msp_buf_fini(&errors);
	write_file("part.conf", "\nnum = 99999999999;\n", 0644);
	file_problem("main.conf", "part.conf:2: integer too large");
	write_file("part.conf", "\n\nnum = true;\n", 0644);
	file_problem("main.conf", "part.conf:3: num: a number is needed");
	write_file("main.conf", "@include \"nowhere.conf\"\n", 0644);
	file_problem("main.conf", "main.conf:1: ");
}

static void secrets_are_read_from_private_files_only(void **state)
{
	struct msp_buf secret;
	struct msp_why why = { "" };

	(void)state;
	msp_buf_init(&secret, 1024);
	write_file("good.key", "  c2VjcmV0c2VjcmV0c2VjcmV0\n", 0600);
	T_OK(msp_secret_file_read(in_dir("good.key"), &secret, &why));
	assert_int_equal(secret.len, 18);
	assert_memory_equal(secret.ptr, "secretsecretsecret", 18);
	msp_buf_reset(&secret);
	write_file("open.key", "c2VjcmV0\n", 0640);
	T_ERR(msp_secret_file_read(in_dir("open.key"), &secret, &why), MSP_ECONF);
	assert_non_null(strstr(why.text, "0640"));
	write_file("text.key", "not base64!\n", 0600);
	T_ERR(msp_secret_file_read(in_dir("text.key"), &secret, &why), MSP_ECONF);
	write_file("empty.key", "\n", 0600);
	T_ERR(msp_secret_file_read(in_dir("empty.key"), &secret, &why), MSP_ECONF);
	T_ERR(msp_secret_file_read(in_dir("missing.key"), &secret, &why), MSP_EIO);
	msp_buf_fini(&secret);
}

static const struct msp_conf_row ring_rows[] = {
	{ "tsig-keys", MSP_CONF_LIST, 0, 0, 0, NULL, 0, &msp_conf_tsig_schema, NULL, "Keys" }, { .key = NULL }
};
static const struct msp_conf_schema ring_schema = { sizeof(struct msp_conf_list), ring_rows };

static enum msp_err ring_of(const char *second, struct msp_tsig_ring **ring, struct msp_why *why)
{
	struct msp_conf_list keys;
	struct msp_buf errors;
	char text[1024];
	enum msp_err err;

	write_file("ring.key", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\n", 0600);
	(void)snprintf(text, sizeof(text),
		       "tsig-keys = ( { name = \"k1.example.\"; secret-file = \"%s/ring.key\"; },"
		       " { name = \"%s\"; algorithm = \"hmac-sha512\"; secret-file = \"%s/ring.key\"; } );",
		       dir, second, dir);
	msp_buf_init(&errors, 4096);
	T_OK(msp_conf_load_text(text, &ring_schema, &keys, &errors));
	err = msp_tsig_ring_load(&keys, ring, why);
	msp_conf_fini(&ring_schema, &keys);
	msp_buf_fini(&errors);
	return err;
}

static void tsig_keys_are_found_by_name_in_any_case(void **state)
{
	struct msp_tsig_ring *ring = NULL;
	struct msp_why why = { "" };
	struct msp_name k1 = t_name("K1.Example."), k2 = t_name("k2."), k3 = t_name("k3.");

	(void)state;
	T_OK(ring_of("k2.", &ring, &why));
	assert_non_null(msp_tsig_ring_get(ring, &k1));
	assert_non_null(msp_tsig_ring_get(ring, &k2));
	assert_null(msp_tsig_ring_get(ring, &k3));
	assert_true(msp_name_equal(msp_tsig_key_name(msp_tsig_ring_get(ring, &k2)), &k2));
	msp_tsig_ring_free(&ring);
	assert_null(ring);
	T_ERR(ring_of("K1.EXAMPLE.", &ring, &why), MSP_ECONF);
	assert_non_null(strstr(why.text, "twice"));
	assert_null(ring);
}

static void every_allocation_may_fail(void **state)
{
	struct msp_buf errors;
	struct all a;

	(void)state;
	for (size_t n = 1;; n++) {
		enum msp_err err;

		msp_buf_init(&errors, 65536);
		msp_mem_fail_at(n);
		err = msp_conf_load_text(everything, &all_schema, &a, &errors);
		msp_buf_fini(&errors);
		if (!msp_mem_failed()) {
			msp_mem_fail_at(0);
			T_OK(err);
			msp_conf_fini(&all_schema, &a);
			return;
		}
		msp_mem_fail_at(0);
		T_ERR(err, MSP_ECONF);
		assert_null(a.text);
	}
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char cmd[64];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_settings_take_their_defaults),
		cmocka_unit_test(every_kind_is_read),
		cmocka_unit_test(what_is_shown_loads_again_to_the_same),
		cmocka_unit_test(defaults_are_shown_and_load_again),
		cmocka_unit_test(mistakes_are_refused_with_their_place),
		cmocka_unit_test(integers_beyond_32_bits_need_their_suffix),
		cmocka_unit_test(the_32_bit_limits_themselves_are_good),
		cmocka_unit_test(all_mistakes_are_told_in_one_go),
		cmocka_unit_test(the_defaults_of_the_numbers_are_those_of_the_protocol),
		cmocka_unit_test(the_table_has_a_line_per_setting),
		cmocka_unit_test(files_that_cannot_be_read_say_why),
		cmocka_unit_test(includes_are_found_beside_the_file),
		cmocka_unit_test(secrets_are_read_from_private_files_only),
		cmocka_unit_test(tsig_keys_are_found_by_name_in_any_case),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
