/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands for parentd: the daemon does them; here are files' contents, the operator's name, and lists in pieces. */
#include "ctl.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <msproto/base/enc.h>
#include <msproto/wire/text.h>

#define RECORDS_MAX (48u << 10) /* a request has room for 64 KiB */

/* Who sits there: the user who logged in, also behind sudo (proc(5), /proc/[pid]/loginuid). */
static const char *operator_name(void)
{
	FILE *f = fopen("/proc/self/loginuid", "r");
	const struct passwd *pw = NULL;
	char text[32] = "";
	uint64_t uid = UINT32_MAX; /* nobody did */

	if (f != NULL) {
		if (fgets(text, sizeof(text), f) == NULL ||
		    msp_u64_parse(msp_span_str(text), UINT32_MAX, &uid) != MSP_OK)
			uid = UINT32_MAX;
		fclose(f);
	}
	pw = getpwuid(uid != UINT32_MAX ? (uid_t)uid : getuid());
	return pw != NULL ? pw->pw_name : "-";
}

/* A file name in `records` becomes what the file holds; "-" is standard input. */
static enum ctl_exit read_records(json_t *args)
{
	const char *path = msp_json_str(args, "records");
	FILE *f;
	struct msp_buf text;
	char chunk[4096];
	size_t n;
	enum msp_err err;

	if (path == NULL)
		return CTL_OK;
	f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	if (f == NULL)
		return ctl_fail(path, MSP_ENOTFOUND, NULL);
	msp_buf_init(&text, RECORDS_MAX);
	while (text.err == MSP_OK && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		msp_buf_add(&text, chunk, n);
	err = text.err;
	if (err == MSP_OK && ferror(f))
		err = MSP_EIO;
	if (f != stdin)
		fclose(f);
	if (err != MSP_OK) {
		msp_buf_fini(&text);
		return ctl_fail(path, err, NULL);
	}
	err = msp_json_set_str(args, "records", msp_buf_text(&text));
	msp_buf_fini(&text);
	return err == MSP_OK ? CTL_OK : ctl_fail("records", err, NULL);
}

static enum ctl_exit args_of(const struct ctl_command *cmd, int argc, char **argv, json_t **out)
{
	json_t *args = ctl_args(cmd->args, argc, argv);
	enum ctl_exit e = CTL_OK;

	if (args == NULL || msp_json_set_str(args, "operator", operator_name()) != MSP_OK)
		e = ctl_fail(cmd->words, MSP_ENOMEM, NULL);
	if (e == CTL_OK)
		e = read_records(args);
	if (e != CTL_OK) {
		json_decref(args);
		args = NULL;
	}
	*out = args;
	return e;
}

enum ctl_exit ctl_parent_order(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	json_t *args = NULL, *data = NULL;
	enum ctl_exit e = args_of(cmd, argc, argv, &args);

	if (e == CTL_OK)
		e = ctl_call(o, cmd, args, &data);
	json_decref(args);
	return e == CTL_OK ? ctl_out(o, cmd->columns, data) : e;
}

/* Rows of all pieces. `on`: the answer's member that says where to go on, and the argument that takes it. */
static enum ctl_exit all_rows(const struct ctl_opts *o, const struct ctl_command *cmd, json_t *args, const char *on,
			      const char *as, json_t **out)
{
	json_t *rows = json_array(), *data = NULL;
	enum ctl_exit e = rows != NULL ? CTL_OK : ctl_fail(cmd->words, MSP_ENOMEM, NULL);
	bool more = true;

	while (e == CTL_OK && more) {
		json_t *next;

		json_decref(data);
		data = NULL;
		e = ctl_call(o, cmd, args, &data);
		if (e != CTL_OK)
			break;
		next = json_object_get(data, on);
		more = next != NULL && !json_equal(next, json_object_get(args, as));
		if (json_array_extend(rows, json_object_get(data, "rows")) != 0 ||
		    (more && json_object_set(args, as, next) != 0))
			e = ctl_fail(cmd->words, MSP_EFORMAT, NULL);
	}
	json_decref(data);
	if (e != CTL_OK) {
		json_decref(rows);
		rows = NULL;
	}
	*out = rows;
	return e;
}

static enum ctl_exit listed(const struct ctl_opts *o, const struct ctl_command *cmd, json_t *args, const char *on,
			    const char *as)
{
	json_t *rows = NULL;
	enum ctl_exit e = args != NULL ? all_rows(o, cmd, args, on, as, &rows) : ctl_fail(cmd->words, MSP_ENOMEM, NULL);

	json_decref(args);
	return e == CTL_OK ? ctl_out(o, cmd->columns, rows) : e;
}

enum ctl_exit ctl_parent_list(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	return listed(o, cmd, ctl_args(cmd->args, argc, argv), "after", "after");
}

/* `parent audit 17` begins there, of all children. */
enum ctl_exit ctl_parent_audit(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	bool is_number = argc == 1 && argv[0][0] != '\0' && argv[0][strspn(argv[0], "0123456789")] == '\0';

	return listed(o, cmd, ctl_args(is_number ? "FROM" : cmd->args, argc, argv), "next", "from");
}

enum ctl_exit ctl_parent_verify(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	json_t *args = ctl_args(cmd->args, argc, argv), *data = NULL;
	bool more = true;
	enum ctl_exit e = CTL_OK;

	while (e == CTL_OK && more) {
		json_decref(data);
		data = NULL;
		e = ctl_call(o, cmd, args, &data);
		if (e != CTL_OK)
			break;
		more = json_is_true(json_object_get(data, "more"));
		if (msp_json_set_int(args, "from", json_integer_value(json_object_get(data, "to")) + 1) != MSP_OK ||
		    msp_json_set_str(args, "link", msp_json_str(data, "link")) != MSP_OK)
			e = ctl_fail(cmd->words, MSP_EFORMAT, NULL);
	}
	json_decref(args);
	if (e != CTL_OK) {
		json_decref(data);
		return e;
	}
	(void)json_object_del(data, "more");
	(void)json_object_del(data, "followed");
	return ctl_out(o, cmd->columns, data);
}

/* --- records to paste --------------------------------------------------------------------------------------------- */

/* Name servers in use read these types only in the form of RFC 3597 5; what they mean stands behind them. */
static bool is_young(uint16_t type)
{
	return type == MSP_TYPE_DSYNC || type == MSP_TYPE_SVCB;
}

static void print_generic(const struct ctl_opts *o, const struct msp_rr *rr)
{
	struct msp_buf hex, words;

	msp_buf_init(&hex, RECORDS_MAX);
	msp_buf_init(&words, RECORDS_MAX);
	msp_hex_write(&hex, rr->rdata);
	msp_rdata_print(&words, &o->numbers, rr->type, rr->rdata);
	printf("%s %u IN TYPE%u \\# %zu %s ; %s %s\n", MSP_NAME(&rr->owner), rr->ttl, rr->type, rr->rdata.len,
	       msp_buf_text(&hex), MSP_TYPE(rr->type), msp_buf_text(&words));
	msp_buf_fini(&hex);
	msp_buf_fini(&words);
}

/* A line for the zone file of `zone`; what is not in that zone comes as a comment. */
static void print_record(const struct ctl_opts *o, const struct msp_name *zone, const char *record)
{
	struct msp_buf rdata, text;
	struct msp_why why;
	struct msp_rr rr;
	bool is_read;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	is_read = msp_rr_scan(msp_span_str(record), &o->numbers, NULL, 0, &rdata, &rr, &why) == MSP_OK;
	if (is_read && !msp_name_is_under(&rr.owner, zone))
		printf("; in another zone: ");
	if (is_read && is_young(rr.type)) {
		print_generic(o, &rr);
	} else {
		msp_buf_init(&text, RECORDS_MAX);
		ctl_escape(&text, msp_span_str(record));
		puts(msp_buf_text(&text));
		msp_buf_fini(&text);
	}
	msp_buf_fini(&rdata);
}

static enum ctl_exit print_records(const struct ctl_opts *o, const struct ctl_command *cmd, const char *parent)
{
	json_t *args = json_object(), *rows = NULL, *row;
	struct msp_name zone;
	enum ctl_exit e = CTL_OK;
	size_t i;

	if (args == NULL || msp_json_set_str(args, "parent", parent) != MSP_OK)
		e = ctl_fail(cmd->words, MSP_ENOMEM, NULL);
	else if (msp_name_from_text(parent, &zone) != MSP_OK)
		e = ctl_fail(parent, MSP_ENAME, NULL);
	if (e == CTL_OK)
		e = ctl_call(o, cmd, args, &rows);
	json_array_foreach(rows, i, row)
		print_record(o, &zone,
			     json_is_string(json_object_get(row, "record")) ? msp_json_str(row, "record") : "");
	json_decref(args);
	json_decref(rows);
	return e;
}

/* For a zone file: nothing but records, and comments. */
enum ctl_exit ctl_parent_records(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	const struct ctl_command list = { .words = "parent list", .args = "", .socket = cmd->socket };
	json_t *args, *parents = NULL, *row;
	enum ctl_exit e;
	size_t i;

	if (o->json)
		return ctl_local(o, cmd, argc, argv);
	if (argc > 0)
		return print_records(o, cmd, argv[0]);
	args = json_object();
	e = args != NULL ? ctl_call(o, &list, args, &parents) : ctl_fail(list.words, MSP_ENOMEM, NULL);
	json_array_foreach(parents, i, row)
	{
		const char *parent = msp_json_str(row, "parent");

		if (e != CTL_OK || parent == NULL)
			break;
		if (json_array_size(parents) > 1)
			printf("; %s\n", parent);
		e = print_records(o, cmd, parent);
	}
	json_decref(args);
	json_decref(parents);
	return e;
}
