/* SPDX-License-Identifier: BSD-2-Clause */
/** @file jansson behind bounded, strict readers: duplicates, trailing text, bad UTF-8 and deep nesting are refused. */
#ifndef MSPROTO_BASE_JSON_H
#define MSPROTO_BASE_JSON_H

#include <jansson.h>
#include <msproto/base/buf.h>

/** @return MSP_OK (a new reference in *out), MSP_ELIMIT (over max_len octets), MSP_EFORMAT with the reason in why, or
 * MSP_ENOMEM. Only objects and arrays, at most 32 levels deep. */
MSP_CHECKED enum msp_err msp_json_parse(struct msp_span text, size_t max_len, json_t **out, struct msp_why *why);
/** Compact, keys in insertion order. */
MSP_CHECKED enum msp_err msp_json_write(const json_t *v, struct msp_buf *out);
/** Borrowed string member, or NULL when absent or not a string. */
const char *msp_json_str(const json_t *obj, const char *key);
/** Set a string member; octets that are not UTF-8 are escaped as \DDD first. */
MSP_CHECKED enum msp_err msp_json_set_str(json_t *obj, const char *key, const char *value);
MSP_CHECKED enum msp_err msp_json_set_int(json_t *obj, const char *key, int64_t value);
MSP_CHECKED enum msp_err msp_json_set_bool(json_t *obj, const char *key, bool value);
/** Steals `value` (also on failure). @return MSP_OK, MSP_ENOMEM (also for value NULL), MSP_EVALUE (not an object,
 * array). */
MSP_CHECKED enum msp_err msp_json_set(json_t *obj, const char *key, json_t *value);
MSP_CHECKED enum msp_err msp_json_append(json_t *arr, json_t *value);

#endif
