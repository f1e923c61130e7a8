/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/kit/answer.h>

#include <msproto/base/enc.h>

/* --- arguments ---------------------------------------------------------------------------------------------------- */

enum msp_err msp_arg_name(const json_t *args, const char *key, struct msp_name *out, struct msp_why *why)
{
	const char *text = msp_json_str(args, key);

	if (text == NULL)
		return msp_fail(why, MSP_EVALUE, "which %s?", key);
	if (msp_name_from_text(text, out) != MSP_OK)
		return msp_fail(why, MSP_ENAME, "not a domain name: %.100s", text);
	return MSP_OK;
}

enum msp_err msp_arg_number(const json_t *args, const char *key, uint64_t def, uint64_t max, uint64_t *out,
			    struct msp_why *why)
{
	const json_t *v = json_object_get(args, key);
	const char *text = msp_json_str(args, key);

	*out = def;
	if (v == NULL)
		return MSP_OK;
	if (text != NULL && msp_u64_parse(msp_span_str(text), max, out) == MSP_OK)
		return MSP_OK;
	if (json_is_integer(v) && json_integer_value(v) >= 0 && (uint64_t)json_integer_value(v) <= max) {
		*out = (uint64_t)json_integer_value(v);
		return MSP_OK;
	}
	return msp_fail(why, MSP_EVALUE, "%s: not a number up to %llu", key, (unsigned long long)max);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

struct msp_put msp_put_new(json_t *v)
{
	return (struct msp_put){ v, v != NULL ? MSP_OK : MSP_ENOMEM };
}

void msp_put_str(struct msp_put *p, const char *key, const char *value)
{
	if (p->err == MSP_OK && value != NULL)
		p->err = msp_json_set_str(p->v, key, value);
}

void msp_put_int(struct msp_put *p, const char *key, int64_t value)
{
	if (p->err == MSP_OK)
		p->err = msp_json_set_int(p->v, key, value);
}

void msp_put_bool(struct msp_put *p, const char *key, bool value)
{
	if (p->err == MSP_OK)
		p->err = msp_json_set_bool(p->v, key, value);
}

void msp_put_name(struct msp_put *p, const char *key, const struct msp_name *name)
{
	if (msp_name_is_set(name))
		msp_put_str(p, key, MSP_NAME(name));
}

void msp_put_until(struct msp_put *p, const char *key, struct msp_mono then)
{
	if (then.ms != MSP_MONO_NEVER.ms)
		msp_put_int(p, key, msp_mono_until_ms(msp_mono_now(), then) / 1000);
}

void msp_put_part(struct msp_put *p, const char *key, struct msp_put *part)
{
	if (p->err == MSP_OK)
		p->err = part->err;
	if (p->err != MSP_OK)
		json_decref(part->v);
	else if (key != NULL)
		p->err = msp_json_set(p->v, key, part->v);
	else
		p->err = msp_json_append(p->v, part->v);
	part->v = NULL;
}

enum msp_err msp_put_end(struct msp_put *p, json_t **data)
{
	if (p->err != MSP_OK)
		json_decref(p->v);
	else
		*data = p->v;
	return p->err;
}
