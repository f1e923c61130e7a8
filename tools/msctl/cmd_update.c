/* SPDX-License-Identifier: BSD-2-Clause */
/* query update: a child's UPDATE to the parent's receiver, from anywhere, for finding out why something is refused. */
#include "ask.h"

#include <msproto/base/rand.h>
#include <msproto/msg/keystate.h>
#include <msproto/msg/update.h>
#include <msproto/wire/rdata.h>
#include <msproto/wire/text.h>

#include <stdio.h>
#include <string.h>

#define DEFAULT_TTL 3600

/* The next word of the line, taken off it. */
static struct msp_span word(struct msp_span *line)
{
	size_t at = 0, end;

	while (at < line->len && (line->ptr[at] == ' ' || line->ptr[at] == '\t'))
		at++;
	for (end = at; end < line->len && line->ptr[end] != ' ' && line->ptr[end] != '\t';)
		end++;
	struct msp_span w = msp_span(line->ptr + at, end - at);

	*line = msp_span(line->ptr + end, line->len - end);
	return w;
}

/* "delete OWNER [TYPE [RDATA]]": TTL and class are not said. */
static enum msp_err put_delete(struct ctl_ask *a, struct msp_span line, struct msp_buf *rdata)
{
	struct msp_span owner = word(&line), type = word(&line), rest = line, first = word(&line);
	struct msp_name name;
	uint16_t t = 0;
	enum msp_err err = owner.len > 0 ? msp_name_from_text_rel(owner, &a->name, &name) : MSP_EFORMAT;

	if (err == MSP_OK && type.len > 0)
		err = msp_type_from_text(type, &a->o->numbers, &t);
	if (err != MSP_OK)
		return msp_fail(&a->why, err, "delete OWNER [TYPE [RDATA]]");
	if (type.len == 0) {
		msp_updw_del_name(&a->w, &name);
	} else if (first.len == 0) {
		msp_updw_del_rrset(&a->w, &name, t);
	} else {
		err = msp_rdata_scan(rest, &a->o->numbers, t, &a->name, rdata, &a->why);
		if (err == MSP_OK)
			msp_updw_del_rr(&a->w, &name, t, msp_buf_span(rdata));
	}
	return err;
}

static enum msp_err put_add(struct ctl_ask *a, const char *line, struct msp_buf *rdata)
{
	struct msp_rr rr;
	enum msp_err err = msp_rr_scan(msp_span_str(line), &a->o->numbers, &a->name, DEFAULT_TTL, rdata, &rr, &a->why);

	if (err == MSP_OK)
		msp_updw_add(&a->w, &rr.owner, rr.type, rr.ttl, rr.rdata);
	return err;
}

/* One change a line; owners without a final dot are relative to the child. */
static enum msp_err put_changes(struct ctl_ask *a, FILE *f)
{
	struct msp_buf rdata;
	char line[8192];
	unsigned number = 0;
	enum msp_err err = MSP_OK;

	msp_buf_init(&rdata, MSP_RDATA_MAX);
	while (err == MSP_OK && fgets(line, sizeof(line), f) != NULL) {
		char *at = line + strspn(line, " \t");
		size_t verb = strcspn(at, " \t\r\n");
		char *rest = at + verb + strspn(at + verb, " \t");

		number++;
		line[strcspn(line, "\r\n")] = '\0';
		msp_buf_reset(&rdata);
		if (*at == '\0' || *at == ';' || *at == '#')
			continue;
		if (verb == 3 && strncmp(at, "add", 3) == 0)
			err = put_add(a, rest, &rdata);
		else if ((verb == 3 && strncmp(at, "del", 3) == 0) || (verb == 6 && strncmp(at, "delete", 6) == 0))
			err = put_delete(a, msp_span_str(rest), &rdata);
		else
			err = msp_fail(&a->why, MSP_EFORMAT, "add or delete, not %.*s", (int)(verb < 20 ? verb : 20),
				       at);
		if (err != MSP_OK) {
			struct msp_why inner = a->why;

			err = msp_fail(&a->why, err, "line %u: %.200s", number,
				       inner.text[0] != '\0' ? inner.text : msp_err_text(err));
		}
	}
	msp_buf_fini(&rdata);
	return err;
}

static enum msp_err read_changes(struct ctl_ask *a, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	enum msp_err err;

	if (f == NULL)
		return msp_fail(&a->why, MSP_ENOTFOUND, "cannot open %.200s", path);
	err = put_changes(a, f);
	if (f != stdin)
		fclose(f);
	return err;
}

/* The message, with an inquiry about the state of the key that signs it (PROTOCOL B.2). */
static enum msp_err send_update(struct ctl_ask *a, const struct msp_name *parent, const char *path)
{
	struct msp_keystate ks = { .state = MSP_KEYSTATE_INQUIRE, .key_id = msp_key_id(a->key) };
	struct msp_rand rand;
	struct msp_optw opt;
	enum msp_err err;

	msp_rand_init_system(&rand);
	msp_updw_init(&a->w, a->query, sizeof(a->query), msp_rand_u16(&rand), parent);
	err = read_changes(a, path);
	if (err != MSP_OK)
		return err;
	opt = msp_optw_open(&a->w, MSP_EDNS_PAYLOAD, 0, false);
	msp_optw_keystate(&opt, &a->o->numbers, &ks);
	return ctl_ask_send(a, &opt);
}

enum ctl_exit ctl_query_update(const struct ctl_opts *o, const struct ctl_command *cmd, int argc, char **argv)
{
	struct ctl_opts tcp = *o;
	struct msp_name parent;
	struct ctl_ask *a;
	json_t *out;
	bool is_signed = false, good = false;
	enum msp_err err;
	enum ctl_exit e;

	(void)argc;
	if (msp_name_from_text(argv[1], &parent) != MSP_OK)
		return ctl_misuse(argv[1], msp_err_text(MSP_ENAME));
	tcp.tcp = true; /* PROTOCOL C.7 */
	e = ctl_ask_new(&tcp, cmd, argv[0], CTL_NAMED_SERVER, &a);
	if (e != CTL_OK)
		return e;
	out = json_object();
	err = send_update(a, &parent, argv[2]);
	if (err == MSP_OK)
		err = ctl_ask_outcome(a, out);
	if (err == MSP_OK)
		err = ctl_ask_signature(a, out, &is_signed);
	if (err == MSP_OK && is_signed)
		err = ctl_add_keystate(a, is_signed, out, &good);
	good = err == MSP_OK && is_signed && a->msg.rcode == MSP_RCODE_NOERROR;
	return ctl_conclude(a, cmd, err, out, good);
}
