/* SPDX-License-Identifier: BSD-2-Clause */
/** @file One setting's value: text or number to field. Knows nothing of libconfig, so that defaults take the same path.
 */
#ifndef KIT_CONF_VALUE_H
#define KIT_CONF_VALUE_H

#include <msproto/kit/conf.h>

#define CONF_LIST_MAX 1000000u

enum conf_value_kind { CONF_VALUE_BOOL, CONF_VALUE_INT, CONF_VALUE_TEXT };
struct conf_value {
	enum conf_value_kind kind;
	bool flag;
	int64_t num;
	const char *text; /* borrowed */
	bool is_default;  /* text of a row's default: numbers and booleans are spelled out in it */
};

/** Field of `conf` that a row fills. */
void *conf_field(const struct msp_conf_row *row, void *conf);
const void *conf_field_const(const struct msp_conf_row *row, const void *conf);
/** Every kind but STRS, LIST and GROUP. @return MSP_OK, MSP_ECONF with the reason, MSP_ENOMEM */
MSP_CHECKED enum msp_err conf_value_set(const struct msp_conf_row *row, const struct conf_value *v, void *field,
					struct msp_why *why);
/** The default of any kind; absent default: the field stays zero. */
MSP_CHECKED enum msp_err conf_default_set(const struct msp_conf_row *row, void *field, struct msp_why *why);
/** Most elements of a LIST or STRS row. */
size_t conf_count_max(const struct msp_conf_row *row);
/** Number of the range's ends: what `min` and `max` say, or what the kind's type holds. */
void conf_range(const struct msp_conf_row *row, int64_t *min, int64_t *max);
/** True when a group of this schema cannot be filled by defaults alone. */
bool conf_has_required(const struct msp_conf_schema *schema);

#endif
