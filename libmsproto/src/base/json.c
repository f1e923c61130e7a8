/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/json.h>

#include <string.h>

#define DEPTH_MAX 32 /* levels of nesting; our own documents use 6 */

/* Levels that open brackets outside of strings would make. On malformed text any answer does: jansson refuses it. */
static unsigned nesting(struct msp_span text)
{
	unsigned depth = 0, deepest = 0;
	bool in_string = false;

	for (size_t i = 0; i < text.len && deepest <= DEPTH_MAX; i++) {
		uint8_t c = text.ptr[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{'))
			depth++;
		else if (!in_string && (c == ']' || c == '}') && depth > 0)
			depth--;
		deepest = depth > deepest ? depth : deepest;
	}
	return deepest;
}

/* The library's message quotes the input. */
static enum msp_err fail_at(struct msp_why *why, const json_error_t *e)
{
	char clean[JSON_ERROR_TEXT_LENGTH];
	size_t i;

	for (i = 0; e->text[i] != '\0' && i < sizeof(clean) - 1; i++)
		clean[i] = e->text[i] >= 0x20 && e->text[i] < 0x7f ? e->text[i] : '?';
	clean[i] = '\0';
	return msp_fail(why, MSP_EFORMAT, "JSON line %d column %d: %s", e->line, e->column, clean);
}

enum msp_err msp_json_parse(struct msp_span text, size_t max_len, json_t **out, struct msp_why *why)
{
	json_error_t e;
	json_t *v;

	if (text.len > max_len)
		return msp_fail(why, MSP_ELIMIT, "JSON of %zu octets, at most %zu are taken", text.len, max_len);
	if (nesting(text) > DEPTH_MAX)
		return msp_fail(why, MSP_EFORMAT, "JSON nested deeper than %d levels", DEPTH_MAX);
	v = json_loadb(text.len == 0 ? "" : (const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &e);
	if (v == NULL)
		return json_error_code(&e) == json_error_out_of_memory ? MSP_ENOMEM : fail_at(why, &e);
	*out = v;
	return MSP_OK;
}

static int dump_to_buf(const char *piece, size_t len, void *arg)
{
	struct msp_buf *out = arg;

	msp_buf_add(out, piece, len);
	return out->err == MSP_OK ? 0 : -1;
}

enum msp_err msp_json_write(const json_t *v, struct msp_buf *out)
{
	int done = json_dump_callback(v, dump_to_buf, out, JSON_COMPACT | JSON_ENCODE_ANY);

	if (out->err != MSP_OK)
		return out->err;
	return done == 0 ? MSP_OK : MSP_ENOMEM;
}

const char *msp_json_str(const json_t *obj, const char *key)
{
	return json_string_value(json_object_get(obj, key));
}

/* Octets of the well-formed sequence at s (RFC 3629 4), 0 when there is none. */
static size_t utf8_len(const uint8_t *s)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : 4;

	if (len == 4 && (s[0] < 0xf0 || s[0] > 0xf4))
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80) /* the terminating zero stops here as well */
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) /* too long; a surrogate */
		return 0;
	if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) /* too long; over U+10FFFF */
		return 0;
	return len;
}

enum msp_err msp_json_set_str(json_t *obj, const char *key, const char *value)
{
	struct msp_buf text;
	enum msp_err err;
	json_t *v;

	msp_buf_init(
		&text,
		4 * strlen(value)); /* every octet escaped; the strings are in memory already, so this is bounded */
	for (const uint8_t *s = (const uint8_t *)value; *s != '\0';) {
		size_t len = utf8_len(s);

		if (len == 0)
			msp_buf_printf(&text, "\\%03u", *s++);
		else
			msp_buf_add(&text, s, len);
		s += len;
	}
	err = text.err;
	if (err != MSP_OK)
		goto out;
	v = json_stringn(msp_buf_text(&text), text.len);
	err = msp_json_set(obj, key, v);
out:
	msp_buf_fini(&text);
	return err;
}

enum msp_err msp_json_set_int(json_t *obj, const char *key, int64_t value)
{
	return msp_json_set(obj, key, json_integer(value));
}

enum msp_err msp_json_set_bool(json_t *obj, const char *key, bool value)
{
	return msp_json_set(obj, key, json_boolean(value));
}

enum msp_err msp_json_set(json_t *obj, const char *key, json_t *value)
{
	if (value != NULL && !json_is_object(obj)) {
		json_decref(value);
		return MSP_EVALUE;
	}
	return json_object_set_new(obj, key, value) == 0 ? MSP_OK : MSP_ENOMEM;
}

enum msp_err msp_json_append(json_t *arr, json_t *value)
{
	if (value != NULL && !json_is_array(arr)) {
		json_decref(value);
		return MSP_EVALUE;
	}
	return json_array_append_new(arr, value) == 0 ? MSP_OK : MSP_ENOMEM;
}
