/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit trail for msctl: records, and whether the chain is whole. */
#include "ctl.h"

#include <msproto/base/enc.h>

#include <string.h>

#define VERIFIED_AT_ONCE 5000 /* records gone through for one answer: no other command is served meanwhile */

struct one {
	struct prt_audit *out;
	bool found;
};

static enum msp_err take(void *arg, uint64_t seq, struct msp_span octets)
{
	struct one *o = arg;

	(void)seq;
	o->found = true;
	return prt_audit_read(octets, o->out);
}

enum msp_err prt_ctl_audit_get(struct prt_ctl_call *c, uint64_t seq, struct prt_audit *out)
{
	struct one o = { .out = out };
	enum msp_err err = prt_books_audit(c->books, seq, 1, take, &o);

	if (err == MSP_OK && o.found && out->seq != seq)
		prt_audit_fini(out);
	if (err == MSP_OK && (!o.found || out->seq != seq))
		err = msp_fail(&c->why, MSP_ENOTFOUND, "no audit record %llu", (unsigned long long)seq);
	return err;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

struct listing {
	struct msp_put rows;
	struct msp_name child; /* unset = all */
	uint64_t limit, count, next;
};

static enum msp_err list(void *arg, uint64_t seq, struct msp_span octets)
{
	struct listing *l = arg;
	struct prt_audit a;
	json_t *v = NULL;
	enum msp_err err = prt_audit_read(octets, &a);

	if (err != MSP_OK)
		return err;
	l->next = seq + 1;
	if (!msp_name_is_set(&l->child) || msp_name_equal(&l->child, &a.child)) {
		struct msp_put one;

		err = prt_audit_json(&a, &v);
		one = (struct msp_put){ v, err };
		msp_put_part(&l->rows, NULL, &one);
		err = l->rows.err;
		l->count++;
	}
	prt_audit_fini(&a);
	return err != MSP_OK ? err : l->count >= l->limit ? MSP_ELIMIT : MSP_OK;
}

/* Oldest first. `next` in the answer: where to go on. */
static enum msp_err audit(struct prt_ctl_call *c)
{
	const char *child = msp_json_str(c->args, "child");
	struct listing l = { .limit = PRT_ROWS_MAX };
	uint64_t from = 1;
	struct msp_put answer;
	enum msp_err err = msp_arg_number(c->args, "from", 1, INT64_MAX, &from, &c->why);

	if (err == MSP_OK)
		err = msp_arg_number(c->args, "limit", PRT_ROWS_MAX, PRT_ROWS_MAX, &l.limit, &c->why);
	if (err == MSP_OK && child != NULL && child[0] != '\0')
		err = msp_arg_name(c->args, "child", &l.child, &c->why);
	if (err != MSP_OK)
		return err;
	l.rows = msp_put_new(json_array());
	l.next = from;
	err = prt_books_audit(c->books, from, VERIFIED_AT_ONCE, list, &l);
	answer = msp_put_new(json_object());
	if (answer.err == MSP_OK && err != MSP_ELIMIT)
		answer.err = err;
	msp_put_part(&answer, "rows", &l.rows);
	if (l.next <= prt_books_last_seq(c->books))
		msp_put_int(&answer, "next", (int64_t)l.next);
	return msp_put_end(&answer, &c->data);
}

enum msp_err prt_ctl_audit(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, audit, NULL, why);
}

/* --- the chain ---------------------------------------------------------------------------------------------------- */

struct following {
	uint8_t link[PRT_HASH_LEN];
	uint64_t seq, count;
	struct msp_why *why;
};

static enum msp_err follow(void *arg, uint64_t seq, struct msp_span octets)
{
	struct following *f = arg;
	enum msp_err err = prt_audit_follow(octets, f->link, &f->seq, f->why);

	f->count += err == MSP_OK;
	if (err == MSP_OK && seq != f->seq)
		err = msp_fail(f->why, MSP_ECORRUPT, "record %llu is kept as %llu", (unsigned long long)f->seq,
			       (unsigned long long)seq);
	return err;
}

static enum msp_err read_link(const json_t *args, uint8_t link[PRT_HASH_LEN], struct msp_why *why)
{
	const char *text = msp_json_str(args, "link");
	struct msp_buf b;
	enum msp_err err = MSP_OK;

	if (text == NULL || text[0] == '\0')
		return MSP_OK;
	msp_buf_init(&b, PRT_HASH_LEN);
	err = msp_hex_parse(msp_span_str(text), &b);
	if (err == MSP_OK && b.len == PRT_HASH_LEN)
		memcpy(link, b.ptr, PRT_HASH_LEN);
	else
		err = msp_fail(why, MSP_EVALUE, "link: not a hash");
	msp_buf_fini(&b);
	return err;
}

/* The walk has come to the end: to the record that was written last, and nothing is missing behind it. */
static enum msp_err check_end(const struct following *f, uint64_t last, const uint8_t hash[PRT_HASH_LEN])
{
	if (f->seq < last)
		return msp_fail(f->why, MSP_ECORRUPT, "the trail ends with record %llu, there have been %llu",
				(unsigned long long)f->seq, (unsigned long long)last);
	if (f->seq == last && last > 0 && memcmp(f->link, hash, PRT_HASH_LEN) != 0)
		return msp_fail(f->why, MSP_ECORRUPT, "record %llu is not the one that was written last",
				(unsigned long long)last);
	return MSP_OK; /* or there are newer ones by now */
}

/* From the first record, or from `from` with the hash of the one before in `link`. */
static enum msp_err verify(struct prt_ctl_call *c)
{
	struct following f = { .why = &c->why };
	struct msp_put answer;
	struct msp_buf hex;
	uint64_t from = 1, last = 0;
	uint8_t hash[PRT_HASH_LEN];
	bool more;
	enum msp_err err = msp_arg_number(c->args, "from", 1, INT64_MAX, &from, &c->why);

	if (err == MSP_OK)
		err = read_link(c->args, f.link, &c->why);
	if (err != MSP_OK || from == 0)
		return err != MSP_OK ? err : msp_fail(&c->why, MSP_EVALUE, "from: records begin with 1");
	f.seq = from - 1;
	err = prt_books_head(c->books, &last, hash);
	if (err == MSP_OK)
		err = prt_books_audit(c->books, from, VERIFIED_AT_ONCE, follow, &f);
	more = f.count == VERIFIED_AT_ONCE;
	if (err == MSP_OK && !more)
		err = check_end(&f, last, hash);
	if (err != MSP_OK)
		return err;
	answer = msp_put_new(json_object());
	msp_buf_init(&hex, 4 * PRT_HASH_LEN);
	msp_hex_write(&hex, msp_span(f.link, sizeof(f.link)));
	msp_put_int(&answer, "followed", (int64_t)f.count);
	msp_put_int(&answer, "to", (int64_t)f.seq);
	msp_put_str(&answer, "link", msp_buf_text(&hex));
	msp_put_bool(&answer, "more", more);
	msp_buf_fini(&hex);
	return msp_put_end(&answer, &c->data);
}

enum msp_err prt_ctl_verify(void *arg, const json_t *args, json_t **data, struct msp_why *why)
{
	(void)data;
	return prt_ctl_start(arg, args, verify, NULL, why);
}
