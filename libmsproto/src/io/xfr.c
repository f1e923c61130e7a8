/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/io/xfr.h>

#include <assert.h>
#include <string.h>

#include <msproto/base/mem.h>
#include <msproto/wire/rdata.h>

#include "io/xfr_conn.h"

#define CONNECT_MS  10000
#define IDLE_MS     30000
#define REQUEST_MAX (MSP_HEADER_LEN + 2 * MSP_NAME_MAX + 4 + 10 + 2 * MSP_NAME_MAX + 20 + MSP_TSIG_RR_MAX)

/* One transfer. What is large stays with the connection. */
struct msp_xfr {
	struct msp_loop *loop;
	const struct msp_tsig_key *tsig; /* borrowed until done; NULL = unsigned */
	struct msp_tsig_ctx ctx;
	uint32_t connect_ms, idle_ms, total_ms;
	/* For the machine that takes the answer, which is the connection's. */
	struct msp_name zone;
	enum msp_xfr_kind kind;
	uint32_t have_serial;
	struct msp_xfrin_limits limits;
	const struct msp_xfrin_ops *ops;
	void *ops_arg;
	uint16_t id;
	msp_xfr_done_fn *done;
	void *arg; /* borrowed until done or cancel */
	uint8_t request[REQUEST_MAX];
	size_t request_len;
	struct msp_xfr_conn *conn; /* NULL: could not even be tried */
	struct msp_task failed;    /* what came of it before the loop could say so */
	struct msp_xfr_result result;
	bool is_over, is_feeding, is_cancelled;
	bool is_clean; /* the answer is complete: the connection may carry another */
};

static void xfr_free(struct msp_xfr *x)
{
	msp_xfr_conn_put(&x->conn, x->is_over && x->is_clean);
	msp_tsig_ctx_fini(&x->ctx);
	msp_free(x);
}

static void take_counts(struct msp_xfr *x)
{
	const struct msp_xfrin *in = &x->conn->in;

	x->result.records = in->records;
	x->result.octets = in->octets;
	x->result.messages = in->messages;
	x->result.out_of_zone = in->out_of_zone;
	x->result.is_full = in->is_full;
}

static void finish(struct msp_xfr *x, enum msp_err err)
{
	assert(!x->is_over);
	x->is_over = true;
	x->result.err = err;
	if (x->conn != NULL)
		take_counts(x);
	/* Before `done`, which may start the next transfer on it. */
	msp_xfr_conn_put(&x->conn, x->is_clean);
	x->done(x->arg, &x->result);
	xfr_free(x);
}

/* --- the request --- */

static enum msp_err write_request(struct msp_xfr *x, const struct msp_xfr_params *p)
{
	struct msp_msgw w;
	struct msp_span octets;
	enum msp_err err;

	msp_msgw_init(&w, x->request, sizeof(x->request), x->id, MSP_OPCODE_QUERY, 0);
	msp_msgw_question(&w, &p->zone, p->kind == MSP_XFR_IXFR ? MSP_TYPE_IXFR : MSP_TYPE_AXFR, MSP_CLASS_IN);
	if (p->kind == MSP_XFR_IXFR) /* RFC 1995 3: the version we hold */
		msp_msgw_rr(&w, MSP_SEC_AUTHORITY, p->have_soa);
	err = msp_msgw_finish(&w, &octets);
	if (err != MSP_OK)
		return err;
	x->request_len = octets.len;
	if (p->tsig != NULL)
		err = msp_tsig_sign_request(p->tsig, msp_wall_now(), x->request, &x->request_len, sizeof(x->request),
					    &x->ctx);
	return err;
}

/* --- the answer --- */

/* The error field of the message's TSIG record (RFC 8945 4.2), as people know it; NULL when there is none. */
static const char *tsig_error(const struct msp_msg *m, struct msp_rr_scratch *scratch)
{
	struct msp_name alg;
	struct msp_rd rd;
	struct msp_rr rr;

	if (m->tsig_at == 0)
		return NULL;
	msp_rd_init(&rd, m->raw);
	rd.pos = m->tsig_at;
	msp_rr_read(&rd, scratch, &rr);
	if (rd.err != MSP_OK)
		return NULL;
	msp_rd_init(&rd, rr.rdata);
	msp_name_read(&rd, MSP_NAME_PLAIN, &alg);
	msp_rd_take(&rd, 6 + 2); /* time, fudge */
	msp_rd_take(&rd, msp_rd_u16(&rd));
	msp_rd_u16(&rd); /* original id */
	switch (msp_rd_u16(&rd)) {
	case MSP_TSIG_BADSIG:
		return "BADSIG";
	case MSP_TSIG_BADKEY:
		return "BADKEY";
	case MSP_TSIG_BADTIME:
		return "BADTIME";
	case MSP_TSIG_BADTRUNC:
		return "BADTRUNC";
	default:
		return NULL;
	}
}

/* An answer that says no. Its TSIG may be missing (RFC 8945 5.3): nothing but failure is taken from it. */
static enum msp_err refused(struct msp_xfr *x, const struct msp_msg *m, enum msp_err tsig)
{
	const char *error = tsig_error(m, &x->loop->scratch), *rcode = msp_rcode_name(m->rcode);
	struct msp_why *why = &x->result.why, detail = *why;

	x->result.rcode = m->rcode;
	if (tsig == MSP_OK)
		return msp_fail(why, MSP_ERCODE, "the server answered %s", rcode);
	if (error != NULL)
		return msp_fail(why, MSP_ERCODE, "the server answered %s, TSIG error %s: %.160s", rcode, error,
				detail.text);
	return msp_fail(why, MSP_ERCODE, "the server answered %s; %.200s", rcode, detail.text);
}

/* The frame of the message, whether it is ours, and its TSIG. Its records are looked at when they are taken. */
static enum msp_err check(struct msp_xfr *x, struct msp_span octets, struct msp_msg *m)
{
	struct msp_why *why = &x->result.why;
	enum msp_err err = msp_msg_frame(octets, &x->loop->scratch, m, why);

	if (err != MSP_OK)
		return err;
	if (m->id != x->id || (m->flags & MSP_FLAG_QR) == 0 || m->opcode != MSP_OPCODE_QUERY)
		return msp_fail(why, MSP_EMISMATCH, "message %u of the transfer does not answer our request",
				(unsigned)x->conn->in.messages + 1);
	if (x->tsig != NULL)
		err = msp_tsig_verify_response(&x->ctx, m, false, msp_wall_now(), why);
	else if (m->tsig_at != 0)
		err = msp_fail(why, MSP_ENOKEY, "answer with a TSIG to a request without");
	if (m->rcode != MSP_RCODE_NOERROR) {
		x->is_clean = err == MSP_OK; /* a whole answer, though not a happy one */
		return refused(x, m, err);
	}
	return err;
}

/* One message. MSP_OK with *over when the transfer is complete. */
static enum msp_err take_message(struct msp_xfr *x, struct msp_span octets, bool *over)
{
	struct msp_xfr_result *r = &x->result;
	struct msp_msg m;
	enum msp_err err = check(x, octets, &m);

	*over = false;
	if (err != MSP_OK)
		return err;
	x->is_feeding = true;
	err = msp_xfrin_feed_msg(&x->conn->in, &m, &r->state, &r->rcode, &r->why);
	x->is_feeding = false;
	if (err != MSP_OK || r->state == MSP_XFRIN_MORE)
		return err;
	*over = true;
	if (x->tsig != NULL && !msp_tsig_complete(&x->ctx)) /* RFC 8945 5.3.1 */
		return msp_fail(&r->why, MSP_EUNSIGNED, "the last message of the transfer is not signed");
	/* Whoever says "nothing newer" with more than one SOA may go on saying it. */
	x->is_clean = r->state == MSP_XFRIN_DONE || m.count[MSP_SEC_ANSWER] == 1;
	return MSP_OK;
}

static enum msp_err send_request(struct msp_xfr *x)
{
	enum msp_err err = msp_tcp_write_message(x->conn->tcp, msp_span(x->request, x->request_len), NULL, NULL);

	if (err == MSP_OK) {
		msp_timer_start(x->conn->step, x->idle_ms);
		msp_tcp_read(x->conn->tcp, true);
	}
	return err;
}

/* The connection is there, or on its way. */
static void begin(struct msp_xfr *x)
{
	msp_xfrin_init(&x->conn->in, x->kind, &x->zone, x->id, x->have_serial, &x->limits, x->ops, x->ops_arg);
	msp_timer_start(x->conn->step, x->connect_ms);
	if (x->total_ms != 0)
		msp_timer_start(x->conn->total, x->total_ms);
}

static enum msp_err begin_anew(struct msp_xfr *x)
{
	enum msp_err err = msp_xfr_conn_replace(&x->conn);

	if (err == MSP_OK)
		begin(x);
	else
		msp_fail(&x->result.why, err, "cannot connect: %s", msp_err_text(err));
	return err;
}

/*
 * A connection that waited may have been closed meanwhile, or may be out of step. Nothing of an answer was taken, and
 * nothing but our asking has happened: the same request goes out once more, on a connection that is new.
 */
static bool is_worth_another(const struct msp_xfr *x, enum msp_err err)
{
	return x->conn->is_reused && x->conn->in.messages == 0 &&
	       (err == MSP_ECLOSED || err == MSP_ENET || err == MSP_EMISMATCH);
}

static void on_failed(void *arg)
{
	struct msp_xfr *x = arg;

	if (x->is_cancelled)
		xfr_free(x);
	else
		finish(x, x->result.err);
}

static void end(struct msp_xfr *x, enum msp_err err)
{
	if (is_worth_another(x, err)) {
		err = begin_anew(x);
		if (err == MSP_OK)
			return;
	}
	finish(x, err);
}

static void on_octets(void *arg, const struct msp_tcp_in *in)
{
	struct msp_xfr *x = arg;
	struct msp_span octets = in->octets, message;
	enum msp_err err = in->err;
	bool over = false;

	if (err != MSP_OK)
		msp_fail(&x->result.why, err, "connection closed after %u messages, %llu records",
			 (unsigned)x->conn->in.messages, (unsigned long long)x->conn->in.records);
	while (err == MSP_OK && !over) {
		err = msp_tcp_frame_next(&x->conn->frame, &octets, &message);
		if (err == MSP_ETRUNC)
			return; /* more to come */
		if (err != MSP_OK)
			break;
		msp_timer_start(x->conn->step, x->idle_ms);
		err = take_message(x, message, &over);
		if (x->is_cancelled) {
			xfr_free(x);
			return;
		}
	}
	x->is_clean = x->is_clean && octets.len == 0;
	end(x, err);
}

static void on_connected(void *arg, enum msp_err err)
{
	struct msp_xfr *x = arg;
	const char *reason = msp_tcp_reason(x->conn->tcp);

	if (err == MSP_OK)
		err = send_request(x);
	if (err == MSP_OK)
		return;
	msp_fail(&x->result.why, err, "cannot connect: %s%s%.160s", msp_err_text(err), reason[0] != '\0' ? ": " : "",
		 reason);
	finish(x, err);
}

static void on_time(void *arg)
{
	struct msp_xfr *x = arg;

	msp_fail(&x->result.why, MSP_ETIMEOUT, "no answer in time after %u messages", (unsigned)x->conn->in.messages);
	finish(x, MSP_ETIMEOUT);
}

static const struct msp_xfr_conn_user user = { on_connected, on_octets, on_time };

static void connect_or_reuse(struct msp_xfr *x, const struct msp_xfr_params *p)
{
	enum msp_err err = msp_xfr_conn_take(x->loop, p->pool, &p->server, &p->source, p->tls, &user, x, &x->conn);

	if (err != MSP_OK) {
		msp_fail(&x->result.why, err, "cannot connect to %s: %s", MSP_ADDR(&p->server), msp_err_text(err));
	} else {
		begin(x);
		if (x->conn->is_reused && send_request(x) != MSP_OK)
			err = begin_anew(x);
	}
	if (err == MSP_OK)
		return;
	x->result.err = err; /* `done` comes from the loop */
	msp_loop_post(x->loop, &x->failed, on_failed, x);
}

static uint32_t or_default(uint32_t ms, uint32_t otherwise)
{
	return ms != 0 ? ms : otherwise;
}

enum msp_err msp_xfr_start(struct msp_loop *loop, const struct msp_xfr_params *p, const struct msp_xfrin_ops *ops,
			   void *ops_arg, msp_xfr_done_fn *done, void *done_arg, struct msp_xfr **out)
{
	struct msp_xfr *x;
	enum msp_err err;

	if (p->kind == MSP_XFR_IXFR && (p->have_soa == NULL || p->have_soa->type != MSP_TYPE_SOA))
		return MSP_EVALUE;
	x = msp_alloc(1, sizeof(*x));
	if (x == NULL)
		return MSP_ENOMEM;
	x->loop = loop;
	x->tsig = p->tsig;
	x->connect_ms = or_default(p->connect_timeout_ms, CONNECT_MS);
	x->idle_ms = or_default(p->idle_timeout_ms, IDLE_MS);
	x->total_ms = p->total_timeout_ms;
	x->zone = p->zone;
	x->kind = p->kind;
	x->have_serial = p->have_soa != NULL ? msp_soa_serial(p->have_soa->rdata) : 0;
	x->limits = p->limits;
	x->ops = ops;
	x->ops_arg = ops_arg;
	x->id = msp_rand_u16(&loop->rand);
	x->done = done;
	x->arg = done_arg;
	err = write_request(x, p);
	if (err != MSP_OK) {
		xfr_free(x);
		return err;
	}
	connect_or_reuse(x, p);
	if (out != NULL)
		*out = x;
	return MSP_OK;
}

void msp_xfr_cancel(struct msp_xfr **x)
{
	struct msp_xfr *old = *x;

	*x = NULL;
	if (old == NULL || old->is_over) /* over: called from inside done, after which it is freed */
		return;
	old->is_cancelled = true;
	/* Inside a call of ops, or queued: whoever looks at it next frees it. */
	if (!old->is_feeding && !old->failed.queued)
		xfr_free(old);
}
