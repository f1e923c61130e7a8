/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libconfig's tree, walked by schema tables. What libconfig 1.5 leaves out is done here: unknown keys, ranges, and
 * integers that do not fit 32 bits without the suffix L, which it cuts silently.
 */
#include <msproto/kit/conf.h>

#include <msproto/base/mem.h>
#include <msproto/kit/store.h>

#include "kit/conf_value.h"

#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX         (64u << 20)
#define PATH_TEXT_MAX    256
#define INCLUDE_PATH_MAX 4096
#define DEPTH_MAX        16 /* groups in groups; schemas are far flatter */

struct reader {
	const char *file; /* name of the main file in messages; borrowed */
	struct msp_buf *errors;
	size_t count;
	const config_setting_t *root;
	const struct msp_conf_schema *top;
	bool is_muted; /* a base's settings are read again for who takes them: what is wrong was said there */
};

static const char *file_of(const struct reader *r, const config_setting_t *s)
{
	const char *file = s ? config_setting_source_file(s) : NULL;

	return file ? file : r->file;
}

/* "peers[2].address": where a person finds it. */
static void path_of(const config_setting_t *s, char *out, size_t len)
{
	const config_setting_t *chain[DEPTH_MAX];
	size_t depth = 0, at = 0;

	out[0] = '\0';
	for (; s && !config_setting_is_root(s) && depth < DEPTH_MAX; s = config_setting_parent(s))
		chain[depth++] = s;
	while (depth-- > 0 && at < len) {
		const char *name = config_setting_name(chain[depth]);
		int n = name ? snprintf(out + at, len - at, "%s%s", at ? "." : "", name)
			     : snprintf(out + at, len - at, "[%d]", config_setting_index(chain[depth]));
		at += n > 0 ? (size_t)n : 0;
	}
}

static void complain(struct reader *r, const config_setting_t *at, const char *key, const char *reason)
{
	char path[PATH_TEXT_MAX];
	unsigned line = at ? config_setting_source_line(at) : 0;

	if (r->is_muted)
		return;
	path_of(at, path, sizeof(path));
	msp_buf_printf(r->errors, "%s:%u: %s%s%s: %s\n", file_of(r, at), line ? line : 1, path,
		       key && path[0] ? "." : "", key ? key : "", reason);
	r->count++;
}

/* ---- integers libconfig would cut ---- */

struct scan {
	const char *p, *end;
	unsigned line;
};

static void skip_until(struct scan *s, const char *stop, size_t len)
{
	while (s->p < s->end && ((size_t)(s->end - s->p) < len || memcmp(s->p, stop, len) != 0)) {
		if (*s->p == '\n')
			s->line++;
		s->p++;
	}
	if (s->p < s->end)
		s->p += len;
}

static void skip_string(struct scan *s)
{
	for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
		if (*s->p == '\\' && s->p + 1 < s->end)
			s->p++;
		if (*s->p == '\n')
			s->line++;
	}
	if (s->p < s->end)
		s->p++;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '-' || c == '*';
}

static void scan_number(struct reader *r, const char *file, struct scan *s, bool negative)
{
	bool hex = s->end - s->p > 2 && s->p[0] == '0' && (s->p[1] == 'x' || s->p[1] == 'X');
	uint64_t base = hex ? 16 : 10, v = 0, limit;
	bool over = false;

	s->p += hex ? 2 : 0;
	for (; s->p < s->end; s->p++) {
		int digit = hex ? hex_value(*s->p) : is_digit(*s->p) ? *s->p - '0' : -1;

		if (digit < 0)
			break;
		over = over || v > (UINT64_MAX - (uint64_t)digit) / base;
		v = v * base + (uint64_t)digit;
	}
	if (!hex && s->p < s->end && (*s->p == '.' || *s->p == 'e' || *s->p == 'E')) {
		while (s->p < s->end && (is_digit(*s->p) || memchr(".eE+-", *s->p, 5)))
			s->p++;
		return; /* no setting is a float: the walk refuses it */
	}
	limit = s->p < s->end && *s->p == 'L' ? (uint64_t)INT64_MAX : (uint64_t)INT32_MAX;
	if (over || v > limit + (negative ? 1u : 0u)) {
		msp_buf_printf(r->errors, "%s:%u: integer too large%s\n", file, s->line,
			       !over && v <= (uint64_t)INT64_MAX ? ": beyond 32 bits it needs the suffix L" : "");
		r->count++;
	}
}

static void scan_integers(struct reader *r, const char *file, struct msp_span text)
{
	struct scan s = { (const char *)text.ptr, (const char *)text.ptr + text.len, 1 };

	while (s.p < s.end) {
		char c = *s.p, next = s.end - s.p > 1 ? s.p[1] : '\0';

		if (c == '"') {
			skip_string(&s);
		} else if (c == '#' || (c == '/' && next == '/')) {
			while (s.p < s.end && *s.p != '\n')
				s.p++;
		} else if (c == '/' && next == '*') {
			s.p += 2;
			skip_until(&s, "*/", 2);
		} else if (is_digit(c)) {
			scan_number(r, file, &s, s.p > (const char *)text.ptr && s.p[-1] == '-');
		} else if (is_word(c) && c != '-') {
			while (s.p < s.end && is_word(*s.p))
				s.p++;
		} else {
			s.line += c == '\n';
			s.p++;
		}
	}
}

/* `name` is how messages call it. */
static enum msp_err scan_file(struct reader *r, const char *path, const char *name)
{
	struct msp_buf text;
	struct msp_why why = { "" };
	enum msp_err err;

	msp_buf_init(&text, FILE_MAX);
	err = msp_file_read(path, FILE_MAX, false, &text, &why);
	if (err == MSP_OK) {
		scan_integers(r, name, msp_buf_span(&text));
	} else {
		msp_buf_printf(r->errors, "%s:1: %s\n", name, why.text);
		r->count++;
	}
	msp_buf_fini(&text);
	return err;
}

/* libconfig looks for every include below the include directory, and tells only the name as written. */
static void scan_include(struct reader *r, const char *dir, const char *name)
{
	char path[INCLUDE_PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

	if (n > 0 && (size_t)n < sizeof(path))
		(void)scan_file(r, path, name);
}

/* ---- the walk ---- */

static enum msp_err read_group(struct reader *r, const config_setting_t *group, const struct msp_conf_schema *schema,
			       void *conf, unsigned depth);

static enum msp_err read_scalar(struct reader *r, const config_setting_t *s, const struct msp_conf_row *row,
				void *field)
{
	struct conf_value v = { .kind = CONF_VALUE_INT };
	struct msp_why why = { "" };
	enum msp_err err;

	switch (config_setting_type(s)) {
	case CONFIG_TYPE_BOOL:
		v.kind = CONF_VALUE_BOOL;
		v.flag = config_setting_get_bool(s) == CONFIG_TRUE;
		break;
	case CONFIG_TYPE_INT:
		v.num = config_setting_get_int(s);
		break;
	case CONFIG_TYPE_INT64:
		v.num = config_setting_get_int64(s);
		break;
	case CONFIG_TYPE_STRING:
		v.kind = CONF_VALUE_TEXT;
		v.text = config_setting_get_string(s);
		v.text = v.text ? v.text : "";
		break;
	default:
		complain(r, s, NULL, "a single value is needed here, no group, list or fraction");
		return MSP_OK;
	}
	err = conf_value_set(row, &v, field, &why);
	if (err == MSP_ECONF) {
		complain(r, s, NULL, why.text);
		err = MSP_OK;
	}
	return err;
}

/* The number of elements of a list, or -1 after a complaint. */
static int count_of(struct reader *r, const config_setting_t *s, const struct msp_conf_row *row, bool array_ok)
{
	char reason[96];
	int n = config_setting_length(s);

	if (!config_setting_is_list(s) && !(array_ok && config_setting_is_array(s))) {
		complain(r, s, NULL,
			 array_ok ? "a list of texts is needed: [ \"a\", \"b\" ]"
				  : "a list of groups is needed: ( { ... }, { ... } )");
		return -1;
	}
	if ((size_t)n > conf_count_max(row) || (int64_t)n < row->min) {
		(void)snprintf(reason, sizeof(reason), "%d elements, %lld to %zu are allowed", n, (long long)row->min,
			       conf_count_max(row));
		complain(r, s, NULL, reason);
		return -1;
	}
	return n;
}

static enum msp_err read_strs(struct reader *r, const config_setting_t *s, const struct msp_conf_row *row, void *field)
{
	struct msp_conf_strs *strs = field;
	int n = count_of(r, s, row, true);

	if (n <= 0)
		return MSP_OK;
	strs->item = msp_alloc((size_t)n, sizeof(*strs->item));
	if (!strs->item)
		return MSP_ENOMEM;
	for (int i = 0; i < n; i++) {
		const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
		const char *text = config_setting_get_string(e);

		if (!text) {
			complain(r, e, NULL, "text in quotes is needed");
			continue;
		}
		strs->item[strs->count] = msp_strdup(text);
		if (!strs->item[strs->count])
			return MSP_ENOMEM;
		strs->count++;
	}
	return MSP_OK;
}

static enum msp_err read_list(struct reader *r, const config_setting_t *s, const struct msp_conf_row *row, void *field,
			      unsigned depth)
{
	struct msp_conf_list *list = field;
	int n = count_of(r, s, row, false);
	enum msp_err err = MSP_OK;

	if (n <= 0)
		return MSP_OK;
	list->item = msp_alloc((size_t)n, row->sub->size);
	if (!list->item)
		return MSP_ENOMEM;
	for (int i = 0; i < n && err == MSP_OK; i++) {
		const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);

		if (!config_setting_is_group(e)) {
			complain(r, e, NULL, "a group is needed: { key = value; }");
			continue;
		}
		list->count++; /* before it is filled: what it owns is then released in any case */
		err = read_group(r, e, row->sub, (uint8_t *)list->item + (list->count - 1) * row->sub->size, depth + 1);
	}
	return err;
}

static enum msp_err read_row(struct reader *r, const config_setting_t *s, const struct msp_conf_row *row, void *field,
			     unsigned depth)
{
	switch (row->kind) {
	case MSP_CONF_STRS:
		return read_strs(r, s, row, field);
	case MSP_CONF_LIST:
		return read_list(r, s, row, field, depth);
	case MSP_CONF_GROUP:
		if (config_setting_is_group(s))
			return read_group(r, s, row->sub, field, depth + 1);
		complain(r, s, NULL, "a group is needed: { key = value; }");
		return MSP_OK;
	default:
		return read_scalar(r, s, row, field);
	}
}

static void refuse_unknown(struct reader *r, const config_setting_t *group, const struct msp_conf_schema *schema)
{
	int n = config_setting_length(group);

	for (int i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const struct msp_conf_row *row = schema->rows;

		while (row->key && strcmp(row->key, config_setting_name(s)) != 0)
			row++;
		if (!row->key)
			complain(r, s, NULL, "unknown setting");
	}
}

static const struct msp_conf_row *base_row(const struct msp_conf_schema *schema)
{
	for (const struct msp_conf_row *row = schema->rows; row->key; row++)
		if (row->kind == MSP_CONF_BASE)
			return row;
	return NULL;
}

static const config_setting_t *entry_named(const config_setting_t *list, const char *key, const char *name)
{
	int n = list && config_setting_is_list(list) ? config_setting_length(list) : 0;

	for (int i = 0; i < n; i++) {
		const config_setting_t *e = config_setting_get_elem(list, (unsigned)i);
		const char *text = NULL;

		if (config_setting_is_group(e) && config_setting_lookup_string(e, key, &text) == CONFIG_TRUE &&
		    strcmp(text, name) == 0)
			return e;
	}
	return NULL;
}

/* What `group` takes settings from; NULL when it names nothing, or after a complaint. */
static const config_setting_t *base_of(struct reader *r, const config_setting_t *group, const struct msp_conf_row *row)
{
	const config_setting_t *s = row ? config_setting_get_member(group, row->key) : NULL, *found = NULL;
	const char *name = s ? config_setting_get_string(s) : NULL;

	for (const struct msp_conf_row *top = r->top->rows; name && row->sub && top->key && !found; top++)
		if (top->kind == MSP_CONF_LIST && top->sub == row->sub)
			found = entry_named(config_setting_get_member(r->root, top->key), row->sub->rows[0].key, name);
	if (s && !found)
		complain(r, s, NULL, "there is no entry of that name");
	return found;
}

static bool says_nothing_else(const config_setting_t *group, const struct msp_conf_schema *schema)
{
	for (const struct msp_conf_row *row = schema->rows; row->key; row++)
		if (!(row->flags & MSP_CONF_OWN) && config_setting_get_member(group, row->key))
			return false;
	return true;
}

static enum msp_err read_default(struct reader *r, const config_setting_t *group, const struct msp_conf_row *row,
				 void *field)
{
	struct msp_why why = { "" };
	enum msp_err err = conf_default_set(row, field, &why);

	if (err != MSP_ECONF)
		return err;
	complain(r, group, row->key, why.text); /* a wrong table: say so rather than run with zero */
	return MSP_OK;
}

/* @return MSP_OK (complaints included) or MSP_ENOMEM */
static enum msp_err read_group(struct reader *r, const config_setting_t *group, const struct msp_conf_schema *schema,
			       void *conf, unsigned depth)
{
	const struct msp_conf_row *link = base_row(schema);
	const config_setting_t *base;
	enum msp_err err = MSP_OK;
	bool is_bare;

	if (depth > DEPTH_MAX) {
		complain(r, group, NULL, "nested too deeply");
		return MSP_OK;
	}
	refuse_unknown(r, group, schema);
	base = base_of(r, group, link);
	is_bare = base != NULL && says_nothing_else(group, schema);
	for (const struct msp_conf_row *row = schema->rows; row->key && err == MSP_OK; row++) {
		const config_setting_t *s = config_setting_get_member(group, row->key);
		const config_setting_t *taken =
			!s && base && !(row->flags & MSP_CONF_OWN) ? config_setting_get_member(base, row->key) : NULL;
		void *field = conf_field(row, conf);

		if (s) {
			err = read_row(r, s, row, field, depth);
		} else if (taken && !is_bare) {
			r->is_muted = true;
			err = read_row(r, taken, row, field, depth);
			r->is_muted = false;
		} else if (!taken && row->flags & MSP_CONF_REQUIRED) {
			complain(r, group, row->key, "required setting is missing");
		} else if (!taken && !(is_bare && !(row->flags & MSP_CONF_OWN))) {
			err = read_default(r, group, row, field);
		}
	}
	if (is_bare)
		((struct msp_conf_base *)conf_field(link, conf))->is_bare = true;
	return err;
}

static void syntax_error(struct reader *r, const config_t *cfg)
{
	const char *file = config_error_file(cfg);

	msp_buf_printf(r->errors, "%s:%d: %s\n", file ? file : r->file, config_error_line(cfg), config_error_text(cfg));
	r->count++;
}

static enum msp_err walk(struct reader *r, config_t *cfg, const struct msp_conf_schema *schema, void *out)
{
	enum msp_err err;

	r->root = config_root_setting(cfg);
	r->top = schema;
	err = read_group(r, r->root, schema, out, 0);
	if (err != MSP_OK) {
		msp_buf_printf(r->errors, "%s:1: %s\n", r->file, msp_err_text(err));
		r->count++;
	}
	if (r->count == 0)
		return MSP_OK;
	msp_conf_fini(schema, out);
	return MSP_ECONF;
}

enum msp_err msp_conf_load(const char *path, const struct msp_conf_schema *schema, void *out, struct msp_buf *errors)
{
	struct reader r = { .file = path, .errors = errors };
	const char *slash = strrchr(path, '/');
	char *dir = msp_memdup(slash == path ? "/"
			       : slash       ? path
					     : ".",
			       slash && slash != path ? (size_t)(slash - path) : 1);
	enum msp_err err = MSP_ECONF;
	config_t cfg;

	memset(out, 0, schema->size);
	config_init(&cfg);
	/* Before libconfig, which has no errno and no line for a file that cannot be read. */
	if (!dir || scan_file(&r, path, path) != MSP_OK)
		goto done;
	config_set_include_dir(&cfg, dir); /* else relative to the working directory */
	if (config_read_file(&cfg, path) != CONFIG_TRUE) {
		syntax_error(&r, &cfg);
		goto done;
	}
	for (unsigned i = 0; i < cfg.num_filenames; i++)
		if (strcmp(cfg.filenames[i], path) != 0)
			scan_include(&r, dir, cfg.filenames[i]);
	err = walk(&r, &cfg, schema, out);
done:
	config_destroy(&cfg);
	msp_free(dir);
	return err;
}

enum msp_err msp_conf_load_text(const char *text, const struct msp_conf_schema *schema, void *out,
				struct msp_buf *errors)
{
	struct reader r = { .file = "text", .errors = errors };
	enum msp_err err = MSP_ECONF;
	config_t cfg;

	memset(out, 0, schema->size);
	config_init(&cfg);
	scan_integers(&r, r.file, msp_span_str(text));
	if (config_read_string(&cfg, text) == CONFIG_TRUE)
		err = walk(&r, &cfg, schema, out);
	else
		syntax_error(&r, &cfg);
	config_destroy(&cfg);
	return err;
}
