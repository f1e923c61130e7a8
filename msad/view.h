/* SPDX-License-Identifier: BSD-2-Clause */
/** @file JSON values for msctl, put together without a check after each step. */
#ifndef MSAD_VIEW_H
#define MSAD_VIEW_H

#include <msproto/base/enc.h>
#include <msproto/base/json.h>

#include "state.h"

/** A JSON value under construction: the first failure sticks, and the value is then dropped. */
struct view {
	json_t *v;
	enum msp_err err;
};

static inline void set(struct view *w, const char *key, json_t *value)
{
	enum msp_err err = msp_json_set(w->v, key, value);

	if (w->err == MSP_OK)
		w->err = err;
}

static inline void set_str(struct view *w, const char *key, const char *value)
{
	enum msp_err err = msp_json_set_str(w->v, key, value);

	if (w->err == MSP_OK)
		w->err = err;
}

static inline void set_name(struct view *w, const char *key, const struct msp_name *n)
{
	set_str(w, key, MSP_NAME(n));
}

static inline void set_int(struct view *w, const char *key, int64_t value)
{
	set(w, key, json_integer(value));
}

static inline void set_bool(struct view *w, const char *key, bool value)
{
	set(w, key, json_boolean(value));
}

/** Seconds ago, or null. */
static inline void set_age(struct view *w, const char *key, bool has, struct msp_mono since, struct msp_mono now)
{
	set(w, key, has ? json_integer(msa_age_s(since, now)) : json_null());
}

/** Seconds from now, or null. */
static inline void set_until(struct view *w, const char *key, struct msp_mono at, struct msp_mono now)
{
	set(w, key, at.ms == INT64_MAX ? json_null() : json_integer(msp_mono_until_ms(now, at) / 1000));
}

static inline void append(struct view *w, json_t *value)
{
	enum msp_err err = msp_json_append(w->v, value);

	if (w->err == MSP_OK)
		w->err = err;
}

static inline struct view object(void)
{
	json_t *v = json_object();

	return (struct view){ .v = v, .err = v == NULL ? MSP_ENOMEM : MSP_OK };
}

static inline struct view array(void)
{
	json_t *v = json_array();

	return (struct view){ .v = v, .err = v == NULL ? MSP_ENOMEM : MSP_OK };
}

static inline json_t *done(struct view *w)
{
	if (w->err != MSP_OK) {
		json_decref(w->v);
		return NULL;
	}
	return w->v;
}

static inline void set_digest(struct view *w, const char *key, const uint8_t digest[32])
{
	struct msp_buf b;

	msp_buf_init(&b, 128);
	msp_hex_write(&b, msp_span(digest, 32));
	set_str(w, key, msp_buf_text(&b));
	msp_buf_fini(&b);
}

#endif
