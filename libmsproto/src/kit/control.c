/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/kit/control.h>

#include <msproto/base/mem.h>

#include "io/unixsock.h"

#include <string.h>

#define REQUEST_MAX (64u << 10)
#define CONN_MAX    16
#define IDLE_MS     60000
#define SOCKET_MODE 0660

struct msp_control {
	struct msp_usock *sock;
	const struct msp_command *commands; /* borrowed */
	void *arg;                          /* borrowed */
	const struct msp_log *log;          /* borrowed from the loop */
	bool in_command; /* a command may close its own socket: then the rest waits until it is through */
	bool closed;
	struct msp_usock_conn *conn; /* of the command under way; NULL: there is none, or it is answered later */
};

struct msp_control_call {
	struct msp_usock_conn *conn; /* NULL: it has gone */
	const struct msp_log *log;   /* borrowed from the loop */
};

/* ---- answers ---- */

static enum msp_err error_answer(enum msp_err err, const struct msp_why *why, struct msp_buf *out)
{
	json_t *obj = json_object();
	enum msp_err rc = obj ? MSP_OK : MSP_ENOMEM;

	if (rc == MSP_OK)
		rc = msp_json_set_bool(obj, "ok", false);
	if (rc == MSP_OK)
		rc = msp_json_set_str(obj, "error", msp_err_name(err));
	if (rc == MSP_OK)
		rc = msp_json_set_str(obj, "why", why->text[0] ? why->text : msp_err_text(err));
	if (rc == MSP_OK)
		rc = msp_json_write(obj, out);
	json_decref(obj);
	return rc;
}

/* Steals data. */
static enum msp_err good_answer(json_t *data, struct msp_buf *out)
{
	json_t *obj = json_object();
	enum msp_err rc = obj ? MSP_OK : MSP_ENOMEM;

	if (rc == MSP_OK)
		rc = msp_json_set_bool(obj, "ok", true);
	if (rc == MSP_OK)
		rc = msp_json_set(obj, "data", data ? data : json_null());
	else
		json_decref(data);
	if (rc == MSP_OK)
		rc = msp_json_write(obj, out);
	json_decref(obj);
	return rc;
}

/* ---- commands ---- */

static enum msp_err help_row(json_t *list, const char *name, const char *args, const char *help)
{
	json_t *row = json_object();
	enum msp_err err = row ? MSP_OK : MSP_ENOMEM;

	if (err == MSP_OK)
		err = msp_json_set_str(row, "cmd", name);
	if (err == MSP_OK)
		err = msp_json_set_str(row, "args", args ? args : "");
	if (err == MSP_OK)
		err = msp_json_set_str(row, "help", help ? help : "");
	if (err != MSP_OK) {
		json_decref(row);
		return err;
	}
	return msp_json_append(list, row);
}

static enum msp_err help(const struct msp_command *commands, json_t **data)
{
	json_t *list = json_array();
	enum msp_err err = list ? MSP_OK : MSP_ENOMEM;

	for (const struct msp_command *c = commands; err == MSP_OK && c && c->name; c++)
		err = help_row(list, c->name, c->args, c->help);
	if (err == MSP_OK)
		err = help_row(list, "help", "", "This list");
	if (err == MSP_OK)
		err = help_row(list, "ping", "", "Answers when the daemon's loop runs");
	if (err == MSP_OK)
		*data = list;
	else
		json_decref(list);
	return err;
}

static enum msp_err run_command(struct msp_control *c, const char *name, const json_t *args, json_t **data,
				struct msp_why *why)
{
	for (const struct msp_command *cmd = c->commands; cmd && cmd->name; cmd++)
		if (strcmp(cmd->name, name) == 0)
			return cmd->fn(c->arg, args, data, why);
	if (strcmp(name, "help") == 0)
		return help(c->commands, data);
	if (strcmp(name, "ping") == 0) {
		*data = json_string("pong");
		return *data ? MSP_OK : MSP_ENOMEM;
	}
	return msp_fail(why, MSP_ENOTFOUND, "no such command; try help");
}

static enum msp_err handle(struct msp_control *c, struct msp_span line, json_t **data, struct msp_why *why)
{
	json_t *request = NULL, *args;
	const char *name;
	enum msp_err err = msp_json_parse(line, REQUEST_MAX, &request, why);

	if (err != MSP_OK)
		return err;
	name = msp_json_str(request, "cmd");
	args = json_object_get(request, "args");
	if (!name)
		err = msp_fail(why, MSP_EFORMAT, "\"cmd\" is missing");
	else if (args && !json_is_object(args))
		err = msp_fail(why, MSP_EFORMAT, "\"args\" must be an object");
	else
		err = run_command(c, name, args, data, why);
	json_decref(request);
	return err;
}

/* Steals data. */
static enum msp_err write_answer(enum msp_err err, json_t *data, const struct msp_why *why, struct msp_buf *out)
{
	enum msp_err rc;

	if (err != MSP_OK) {
		json_decref(data);
		rc = error_answer(err, why, out);
	} else {
		rc = good_answer(data, out);
		if (rc != MSP_OK) { /* too long, or out of memory: say so in a short answer */
			msp_buf_reset(out);
			rc = error_answer(rc, why, out);
		}
	}
	msp_buf_add_u8(out, '\n');
	return rc == MSP_OK ? out->err : rc;
}

/* Steals data. */
static void answer(struct msp_usock_conn *conn, const struct msp_log *log, enum msp_err err, json_t *data,
		   const struct msp_why *why)
{
	struct msp_buf out;

	msp_buf_init(&out, MSP_CONTROL_LINE_MAX);
	err = write_answer(err, data, why, &out);
	if (err == MSP_OK)
		err = msp_usock_reply(conn, msp_buf_span(&out));
	if (err != MSP_OK)
		msp_log(log, MSP_LOG_WARNING, "control-answer-lost", MSP_F_STR("error", msp_err_name(err)));
	msp_buf_fini(&out);
}

static void got_line(void *arg, struct msp_usock_conn *conn, struct msp_span line)
{
	struct msp_control *c = arg;
	struct msp_why why = { "" };
	json_t *data = NULL;
	enum msp_err err;

	c->in_command = true;
	c->conn = conn;
	err = handle(c, line, &data, &why);
	c->in_command = false;
	if (!c->closed && c->conn != NULL)
		answer(conn, c->log, err, data, &why);
	else
		json_decref(data);
	c->conn = NULL;
	if (c->closed)
		msp_control_close(&c);
}

enum msp_err msp_control_defer(struct msp_control *c, struct msp_control_call **out)
{
	struct msp_control_call *call;

	*out = NULL;
	if (!c->in_command || c->conn == NULL)
		return MSP_ESTATE;
	call = msp_alloc(1, sizeof(*call));
	if (call == NULL)
		return MSP_ENOMEM;
	call->log = c->log;
	msp_usock_defer(c->conn, &call->conn);
	c->conn = NULL;
	*out = call;
	return MSP_OK;
}

void msp_control_answer(struct msp_control_call **call, enum msp_err err, json_t *data, const struct msp_why *why)
{
	if ((*call)->conn != NULL)
		answer((*call)->conn, (*call)->log, err, data, why);
	else
		json_decref(data);
	if ((*call)->conn != NULL) /* not even an error could be written: nothing else would end the wait */
		msp_usock_end((*call)->conn);
	msp_free(*call);
	*call = NULL;
}

enum msp_err msp_control_open(struct msp_loop *loop, const char *path, const struct msp_command *commands, void *arg,
			      struct msp_control **out, struct msp_why *why)
{
	static const struct msp_usock_conf conf = {
		.mode = SOCKET_MODE,
		.conn_max = CONN_MAX,
		.line_max = REQUEST_MAX,
		.reply_max = MSP_CONTROL_LINE_MAX + 1,
		.idle_ms = IDLE_MS,
		.busy = "{\"ok\":false,\"error\":\"EBUSY\",\"why\":\"too many control connections\"}\n",
		.too_long = "{\"ok\":false,\"error\":\"ELIMIT\",\"why\":\"request over 64 KiB\"}\n",
	};
	struct msp_control *c = msp_alloc(1, sizeof(*c));
	enum msp_err err;

	*out = NULL;
	if (!c)
		return msp_fail(why, MSP_ENOMEM, "%s: out of memory", path);
	c->commands = commands;
	c->arg = arg;
	c->log = msp_loop_log(loop);
	err = msp_usock_open(loop, path, &conf, got_line, c, &c->sock, why);
	if (err == MSP_OK)
		*out = c;
	else
		msp_control_close(&c);
	return err;
}

void msp_control_close(struct msp_control **c)
{
	if (!*c)
		return;
	msp_usock_close(&(*c)->sock); /* no line comes after this, so the rest can go at once */
	if ((*c)->in_command)
		(*c)->closed = true;
	else
		msp_free(*c);
	*c = NULL;
}

/* ---- the client's side ---- */

static enum msp_err err_from_name(const char *name)
{
	for (int e = 0; name && e < MSP_ERR__N; e++)
		if (strcmp(msp_err_name((enum msp_err)e), name) == 0)
			return (enum msp_err)e;
	return MSP_ENET;
}

static enum msp_err write_request(const char *cmd, json_t *args, struct msp_buf *out)
{
	json_t *obj = json_object();
	enum msp_err err = obj ? MSP_OK : MSP_ENOMEM;

	if (err == MSP_OK)
		err = msp_json_set_str(obj, "cmd", cmd);
	if (err == MSP_OK && args)
		err = msp_json_set(obj, "args", json_incref(args));
	if (err == MSP_OK)
		err = msp_json_write(obj, out);
	msp_buf_add_u8(out, '\n');
	json_decref(obj);
	return err == MSP_OK ? out->err : err;
}

static enum msp_err read_answer(struct msp_span line, json_t **data, struct msp_why *why)
{
	json_t *answer = NULL, *member;
	enum msp_err err = msp_json_parse(line, MSP_CONTROL_LINE_MAX, &answer, why);

	if (err != MSP_OK)
		return MSP_ENET; /* whoever answered, it was not our daemon */
	if (json_is_true(json_object_get(answer, "ok"))) {
		member = json_object_get(answer, "data");
		if (data)
			*data = json_is_null(member) ? NULL : json_incref(member);
	} else {
		const char *text = msp_json_str(answer, "why");

		err = err_from_name(msp_json_str(answer, "error"));
		err = msp_fail(why, err == MSP_OK ? MSP_ENET : err, "%s", text ? text : "no reason given");
	}
	json_decref(answer);
	return err;
}

enum msp_err msp_control_call(const char *path, const char *cmd, json_t *args, uint32_t timeout_ms, json_t **data,
			      struct msp_why *why)
{
	struct msp_buf request, answer;
	enum msp_err err;

	if (data)
		*data = NULL;
	msp_buf_init(&request, REQUEST_MAX + 1);
	msp_buf_init(&answer, MSP_CONTROL_LINE_MAX + 1);
	err = write_request(cmd, args, &request);
	if (err != MSP_OK)
		(void)msp_fail(why, err, "request: %s", msp_err_text(err));
	else
		err = msp_usock_call(path, msp_buf_span(&request), timeout_ms, &answer, why);
	if (err == MSP_OK)
		err = read_answer(msp_buf_span(&answer), data, why);
	msp_buf_fini(&request);
	msp_buf_fini(&answer);
	return err;
}
