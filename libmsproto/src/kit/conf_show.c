/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings on their way out: file syntax, the man page's table, and release. */
#include "kit/conf_value.h"

#include <msproto/base/mem.h>

static void fini_list(const struct msp_conf_schema *sub, struct msp_conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		msp_conf_fini(sub, (uint8_t *)list->item + i * sub->size);
	msp_free(list->item);
	*list = (struct msp_conf_list){ NULL, 0 };
}

static void fini_strs(struct msp_conf_strs *strs)
{
	for (size_t i = 0; i < strs->count; i++)
		msp_free(strs->item[i]);
	msp_free(strs->item);
	*strs = (struct msp_conf_strs){ NULL, 0 };
}

void msp_conf_fini(const struct msp_conf_schema *schema, void *conf)
{
	for (const struct msp_conf_row *row = schema->rows; row->key; row++) {
		void *field = conf_field(row, conf);

		switch (row->kind) {
		case MSP_CONF_STR:
		case MSP_CONF_PATH:
			msp_free(*(char **)field);
			*(char **)field = NULL;
			break;
		case MSP_CONF_BASE:
			msp_free(((struct msp_conf_base *)field)->name);
			*(struct msp_conf_base *)field = (struct msp_conf_base){ NULL, false };
			break;
		case MSP_CONF_STRS:
			fini_strs(field);
			break;
		case MSP_CONF_LIST:
			fini_list(row->sub, field);
			break;
		case MSP_CONF_GROUP:
			msp_conf_fini(row->sub, field);
			break;
		default:
			break;
		}
	}
}

static void indent(struct msp_buf *out, unsigned depth)
{
	while (depth-- > 0)
		msp_buf_add_str(out, "  ");
}

static void show_quoted(struct msp_buf *out, const char *text)
{
	msp_buf_add_u8(out, '"');
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			msp_buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			msp_buf_printf(out, "\\x%02X", c);
		else
			msp_buf_add_u8(out, c);
	}
	msp_buf_add_u8(out, '"');
}

static void show_number(struct msp_buf *out, int64_t v)
{
	msp_buf_printf(out, "%lld%s", (long long)v, v > INT32_MAX || v < INT32_MIN ? "L" : "");
}

/* Settings hold bare addresses. */
static struct msp_addr_text host_text(const struct msp_addr *addr)
{
	struct msp_addr host = *addr;

	host.port = 0;
	return msp_addr_text(&host);
}

static const char *word_of(const struct msp_conf_row *row, int value)
{
	for (const struct msp_conf_word *w = row->words; w->word; w++)
		if (w->value == value)
			return w->word;
	return NULL;
}

static bool all_zero(const void *ptr, size_t len)
{
	const uint8_t *p = ptr;

	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

/* Whether there is anything to write: an unset name or text has no spelling. */
static bool is_set(const struct msp_conf_row *row, const void *field)
{
	switch (row->kind) {
	case MSP_CONF_STR:
	case MSP_CONF_PATH:
	case MSP_CONF_BASE: /* begins with the name */
		return *(char *const *)field != NULL;
	case MSP_CONF_NAME:
		return msp_name_is_set(field);
	case MSP_CONF_ADDR:
		return ((const struct msp_addr *)field)->family != MSP_FAMILY_NONE;
	case MSP_CONF_PORT:
		return ((const struct msp_addr *)field)->port != 0;
	case MSP_CONF_PREFIX:
		return ((const struct msp_prefix *)field)->addr.family != MSP_FAMILY_NONE;
	case MSP_CONF_ENUM:
		return word_of(row, *(const int *)field) != NULL;
	case MSP_CONF_GROUP:
		return !conf_has_required(row->sub) || !all_zero(field, row->sub->size);
	default:
		return true;
	}
}

static void show_scalar(struct msp_buf *out, const struct msp_conf_row *row, const void *field)
{
	switch (row->kind) {
	case MSP_CONF_BOOL:
		msp_buf_add_str(out, *(const bool *)field ? "true" : "false");
		break;
	case MSP_CONF_INT:
		show_number(out, *(const int64_t *)field);
		break;
	case MSP_CONF_SECONDS:
		show_number(out, *(const uint32_t *)field);
		break;
	case MSP_CONF_BYTES:
		show_number(out, (int64_t) * (const uint64_t *)field);
		break;
	case MSP_CONF_U8:
		show_number(out, *(const uint8_t *)field);
		break;
	case MSP_CONF_U16:
		show_number(out, *(const uint16_t *)field);
		break;
	case MSP_CONF_PORT:
		show_number(out, ((const struct msp_addr *)field)->port);
		break;
	case MSP_CONF_NAME:
		show_quoted(out, MSP_NAME((const struct msp_name *)field));
		break;
	case MSP_CONF_ADDR:
		show_quoted(out, host_text(field).s);
		break;
	case MSP_CONF_PREFIX:
		msp_buf_printf(out, "\"%s/%u\"", host_text(&((const struct msp_prefix *)field)->addr).s,
			       ((const struct msp_prefix *)field)->bits);
		break;
	case MSP_CONF_ENUM:
		show_quoted(out, word_of(row, *(const int *)field));
		break;
	default: /* STR, PATH, BASE */
		show_quoted(out, *(char *const *)field);
		break;
	}
}

static void show_rows(struct msp_buf *out, const struct msp_conf_schema *schema, const void *conf, unsigned depth);

static void show_braces(struct msp_buf *out, const struct msp_conf_schema *sub, const void *conf, unsigned depth)
{
	msp_buf_add_str(out, "{\n");
	show_rows(out, sub, conf, depth + 1);
	indent(out, depth);
	msp_buf_add_str(out, "}");
}

static void show_list(struct msp_buf *out, const struct msp_conf_row *row, const struct msp_conf_list *list,
		      unsigned depth)
{
	msp_buf_add_str(out, "( ");
	for (size_t i = 0; i < list->count; i++) {
		msp_buf_add_str(out, i ? ", " : "");
		show_braces(out, row->sub, (const uint8_t *)list->item + i * row->sub->size, depth);
	}
	msp_buf_add_str(out, " )");
}

static void show_strs(struct msp_buf *out, const struct msp_conf_strs *strs)
{
	msp_buf_add_str(out, "[ ");
	for (size_t i = 0; i < strs->count; i++) {
		msp_buf_add_str(out, i ? ", " : "");
		show_quoted(out, strs->item[i]);
	}
	msp_buf_add_str(out, " ]");
}

/* Only what is the entry's own has been filled in. */
static bool is_bare(const struct msp_conf_schema *schema, const void *conf)
{
	for (const struct msp_conf_row *row = schema->rows; row->key; row++)
		if (row->kind == MSP_CONF_BASE)
			return ((const struct msp_conf_base *)conf_field_const(row, conf))->is_bare;
	return false;
}

static void show_rows(struct msp_buf *out, const struct msp_conf_schema *schema, const void *conf, unsigned depth)
{
	bool own_only = is_bare(schema, conf);

	for (const struct msp_conf_row *row = schema->rows; row->key; row++) {
		const void *field = conf_field_const(row, conf);

		if (!is_set(row, field) || (own_only && !(row->flags & MSP_CONF_OWN)))
			continue;
		indent(out, depth);
		msp_buf_printf(out, "%s = ", row->key);
		if (row->kind == MSP_CONF_GROUP)
			show_braces(out, row->sub, field, depth);
		else if (row->kind == MSP_CONF_LIST)
			show_list(out, row, field, depth);
		else if (row->kind == MSP_CONF_STRS)
			show_strs(out, field);
		else
			show_scalar(out, row, field);
		msp_buf_add_str(out, ";\n");
	}
}

enum msp_err msp_conf_show(const struct msp_conf_schema *schema, const void *conf, struct msp_buf *out)
{
	show_rows(out, schema, conf, 0);
	return out->err;
}

static void table_type(struct msp_buf *out, const struct msp_conf_row *row)
{
	static const char *const names[] = {
		[MSP_CONF_BOOL] = "boolean",
		[MSP_CONF_INT] = "integer",
		[MSP_CONF_SECONDS] = "seconds",
		[MSP_CONF_BYTES] = "octets",
		[MSP_CONF_STR] = "text",
		[MSP_CONF_PATH] = "absolute path",
		[MSP_CONF_NAME] = "domain name",
		[MSP_CONF_ADDR] = "IP address",
		[MSP_CONF_PORT] = "port",
		[MSP_CONF_PREFIX] = "IP prefix",
		[MSP_CONF_ENUM] = "one of",
		[MSP_CONF_STRS] = "list of texts",
		[MSP_CONF_LIST] = "list of groups",
		[MSP_CONF_GROUP] = "group",
		[MSP_CONF_U8] = "integer",
		[MSP_CONF_U16] = "integer",
		[MSP_CONF_BASE] = "name of an entry",
	};

	msp_buf_add_str(out, names[row->kind]);
	if (row->kind == MSP_CONF_ENUM)
		for (const struct msp_conf_word *w = row->words; w->word; w++)
			msp_buf_printf(out, "%s %s", w == row->words ? "" : ",", w->word);
	else if (row->min != 0 || row->max != 0)
		msp_buf_printf(out, " %lld..%lld", (long long)row->min, (long long)row->max);
	if (row->flags & MSP_CONF_REQUIRED)
		msp_buf_add_str(out, ", required");
}

static void table_rows(struct msp_buf *out, const struct msp_conf_schema *schema, unsigned depth)
{
	for (const struct msp_conf_row *row = schema->rows; row->key; row++) {
		indent(out, depth);
		msp_buf_printf(out, "%s | ", row->key);
		table_type(out, row);
		msp_buf_printf(out, " | %s | %s\n", row->def ? row->def : "", row->help ? row->help : "");
		if (row->sub && row->kind != MSP_CONF_BASE)
			table_rows(out, row->sub, depth + 1);
	}
}

enum msp_err msp_conf_table(const struct msp_conf_schema *schema, struct msp_buf *out)
{
	table_rows(out, schema, 0);
	return out->err;
}
