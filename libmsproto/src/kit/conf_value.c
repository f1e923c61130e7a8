/* SPDX-License-Identifier: BSD-2-Clause */
#include "kit/conf_value.h"

#include <msproto/base/enc.h>
#include <msproto/base/mem.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void *conf_field(const struct msp_conf_row *row, void *conf)
{
	return (uint8_t *)conf + row->offset;
}

const void *conf_field_const(const struct msp_conf_row *row, const void *conf)
{
	return (const uint8_t *)conf + row->offset;
}

size_t conf_count_max(const struct msp_conf_row *row)
{
	return row->max > 0 ? (size_t)row->max : CONF_LIST_MAX;
}

bool conf_has_required(const struct msp_conf_schema *schema)
{
	for (const struct msp_conf_row *row = schema->rows; row->key; row++)
		if (row->flags & MSP_CONF_REQUIRED)
			return true;
	return false;
}

void conf_range(const struct msp_conf_row *row, int64_t *min, int64_t *max)
{
	int64_t low = 0, high = INT64_MAX;

	switch (row->kind) {
	case MSP_CONF_INT:
		low = INT64_MIN;
		break;
	case MSP_CONF_SECONDS:
		high = UINT32_MAX;
		break;
	case MSP_CONF_U8:
		high = UINT8_MAX;
		break;
	case MSP_CONF_PORT:
		low = 1;
		high = UINT16_MAX;
		break;
	case MSP_CONF_U16:
		high = UINT16_MAX;
		break;
	default:
		break;
	}
	if (row->min != 0 || row->max != 0) {
		low = row->min > low ? row->min : low;
		high = row->max < high ? row->max : high;
	}
	*min = low;
	*max = high;
}

struct unit {
	char letter;
	int64_t factor;
};
static const struct unit seconds_units[] = { { 's', 1 },     { 'm', 60 },     { 'h', 3600 },
					     { 'd', 86400 }, { 'w', 604800 }, { 0, 0 } };
static const struct unit bytes_units[] = { { 'K', 1024 }, { 'M', 1024 * 1024 }, { 'G', 1024 * 1024 * 1024 }, { 0, 0 } };
static const struct unit no_units[] = { { 0, 0 } };

static enum msp_err number_from_text(const char *text, const struct unit *units, int64_t *out, struct msp_why *why)
{
	bool negative = *text == '-';
	struct msp_span digits = msp_span_str(text + (negative ? 1 : 0));
	int64_t factor = 1;
	uint64_t v;

	for (const struct unit *u = units; digits.len > 0 && u->letter; u++) {
		if (digits.ptr[digits.len - 1] != (uint8_t)u->letter)
			continue;
		factor = u->factor;
		digits.len--;
		break;
	}
	if (digits.len == 0 || msp_u64_parse(digits, INT64_MAX, &v) != MSP_OK)
		return msp_fail(why, MSP_ECONF, "not a number%s", units->letter ? " with a unit" : "");
	if (v > (uint64_t)(INT64_MAX / factor))
		return msp_fail(why, MSP_ECONF, "number too large");
	*out = (int64_t)v * factor * (negative ? -1 : 1);
	return MSP_OK;
}

static enum msp_err number_of(const struct msp_conf_row *row, const struct conf_value *v, int64_t *out,
			      struct msp_why *why)
{
	const struct unit *units = no_units;
	int64_t min, max;
	enum msp_err err;

	if (row->kind == MSP_CONF_SECONDS)
		units = seconds_units;
	else if (row->kind == MSP_CONF_BYTES)
		units = bytes_units;
	if (v->kind == CONF_VALUE_INT) {
		*out = v->num;
	} else if (v->kind == CONF_VALUE_TEXT && (v->is_default || units != no_units)) {
		err = number_from_text(v->text, units, out, why);
		if (err != MSP_OK)
			return err;
	} else {
		return msp_fail(why, MSP_ECONF, "a number is needed");
	}
	conf_range(row, &min, &max);
	if (*out < min || *out > max)
		return msp_fail(why, MSP_ECONF, "%lld is outside %lld to %lld", (long long)*out, (long long)min,
				(long long)max);
	return MSP_OK;
}

static enum msp_err set_number(const struct msp_conf_row *row, const struct conf_value *v, void *field,
			       struct msp_why *why)
{
	int64_t num = 0; /* gcc does not see that msp_fail never gives MSP_OK */
	enum msp_err err = number_of(row, v, &num, why);

	if (err != MSP_OK)
		return err;
	switch (row->kind) {
	case MSP_CONF_SECONDS:
		*(uint32_t *)field = (uint32_t)num;
		break;
	case MSP_CONF_BYTES:
		*(uint64_t *)field = (uint64_t)num;
		break;
	case MSP_CONF_PORT:
		((struct msp_addr *)field)->port = (uint16_t)num;
		break;
	case MSP_CONF_U8:
		*(uint8_t *)field = (uint8_t)num;
		break;
	case MSP_CONF_U16:
		*(uint16_t *)field = (uint16_t)num;
		break;
	default:
		*(int64_t *)field = num;
		break;
	}
	return MSP_OK;
}

static enum msp_err set_bool(const struct conf_value *v, bool *field, struct msp_why *why)
{
	if (v->kind == CONF_VALUE_BOOL)
		*field = v->flag;
	else if (v->is_default && strcmp(v->text, "true") == 0)
		*field = true;
	else if (v->is_default && strcmp(v->text, "false") == 0)
		*field = false;
	else
		return msp_fail(why, MSP_ECONF, "true or false is needed");
	return MSP_OK;
}

static enum msp_err set_text(const struct msp_conf_row *row, const char *text, char **field, struct msp_why *why)
{
	if (row->kind == MSP_CONF_PATH && text[0] != '/')
		return msp_fail(why, MSP_ECONF, "must be an absolute path");
	msp_free(*field);
	*field = msp_strdup(text);
	return *field ? MSP_OK : MSP_ENOMEM;
}

static enum msp_err set_word(const struct msp_conf_row *row, const char *text, int *field, struct msp_why *why)
{
	char list[160] = "";
	size_t len = 0;

	for (const struct msp_conf_word *w = row->words; w->word; w++) {
		if (strcmp(w->word, text) == 0) {
			*field = w->value;
			return MSP_OK;
		}
		if (len + strlen(w->word) + 3 < sizeof(list)) {
			int n = snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", w->word);
			len += (size_t)n;
		}
	}
	return msp_fail(why, MSP_ECONF, "must be one of: %s", list);
}

static enum msp_err set_addr(const char *text, struct msp_addr *field, struct msp_why *why)
{
	uint16_t port = field->port;

	if (msp_addr_parse(text, port, field) != MSP_OK)
		return msp_fail(why, MSP_ECONF, "not an IP address (the port is a setting of its own)");
	return MSP_OK;
}

static enum msp_err set_from_text(const struct msp_conf_row *row, const struct conf_value *v, void *field,
				  struct msp_why *why)
{
	struct msp_name name;
	struct msp_prefix prefix;

	if (v->kind != CONF_VALUE_TEXT)
		return msp_fail(why, MSP_ECONF, "text in quotes is needed");
	switch (row->kind) {
	case MSP_CONF_STR:
	case MSP_CONF_PATH:
	case MSP_CONF_BASE: /* begins with the name */
		return set_text(row, v->text, field, why);
	case MSP_CONF_NAME:
		if (msp_name_from_text(v->text, &name) != MSP_OK)
			return msp_fail(why, MSP_ECONF, "not a domain name");
		*(struct msp_name *)field = name;
		return MSP_OK;
	case MSP_CONF_ADDR:
		return set_addr(v->text, field, why);
	case MSP_CONF_PREFIX:
		if (msp_prefix_parse(v->text, &prefix) != MSP_OK)
			return msp_fail(why, MSP_ECONF, "not an address prefix (host bits must be zero)");
		*(struct msp_prefix *)field = prefix;
		return MSP_OK;
	default: /* MSP_CONF_ENUM */
		return set_word(row, v->text, field, why);
	}
}

enum msp_err conf_value_set(const struct msp_conf_row *row, const struct conf_value *v, void *field,
			    struct msp_why *why)
{
	switch (row->kind) {
	case MSP_CONF_BOOL:
		return set_bool(v, field, why);
	case MSP_CONF_INT:
	case MSP_CONF_SECONDS:
	case MSP_CONF_BYTES:
	case MSP_CONF_PORT:
	case MSP_CONF_U8:
	case MSP_CONF_U16:
		return set_number(row, v, field, why);
	default:
		return set_from_text(row, v, field, why);
	}
}

static bool is_separator(char c)
{
	return c == ',' || isspace((unsigned char)c);
}

/* Words of a default such as "a, b". */
static enum msp_err strs_default(const char *def, struct msp_conf_strs *strs)
{
	size_t count = 0;

	for (const char *p = def; *p; p++)
		if (!is_separator(*p) && (p == def || is_separator(p[-1])))
			count++;
	strs->item = count ? msp_alloc(count, sizeof(*strs->item)) : NULL;
	if (count && !strs->item)
		return MSP_ENOMEM;
	for (const char *p = def; strs->count < count; p++) {
		size_t len = 0;

		if (is_separator(*p))
			continue;
		while (p[len] && !is_separator(p[len]))
			len++;
		strs->item[strs->count] = msp_memdup(p, len);
		if (!strs->item[strs->count])
			return MSP_ENOMEM;
		strs->count++;
		p += len - 1;
	}
	return MSP_OK;
}

enum msp_err conf_default_set(const struct msp_conf_row *row, void *field, struct msp_why *why)
{
	struct conf_value v = { .kind = CONF_VALUE_TEXT, .text = row->def, .is_default = true };

	if (row->kind == MSP_CONF_GROUP) {
		if (conf_has_required(row->sub))
			return MSP_OK;
		for (const struct msp_conf_row *sub = row->sub->rows; sub->key; sub++) {
			enum msp_err err = conf_default_set(sub, conf_field(sub, field), why);
			if (err != MSP_OK)
				return err;
		}
		return MSP_OK;
	}
	if (!row->def || row->kind == MSP_CONF_LIST)
		return MSP_OK;
	return row->kind == MSP_CONF_STRS ? strs_default(row->def, field) : conf_value_set(row, &v, field, why);
}
