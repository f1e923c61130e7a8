/* SPDX-License-Identifier: BSD-2-Clause */
/* One printer for all answers: an array of objects is a table, an object is "name: value" lines with its arrays below.
 */
#include "ctl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COLUMNS_MAX 24
#define KEY_MAX     40
#define DEPTH_MAX   4
#define CELL_MAX    (1u << 20)

/* Members that hold seconds since 1970. */
static const char *const wall_times[] = { "earliest_expiration", "last_ok", "epoch", "at", "set_at", "last_error_at" };

void ctl_escape(struct msp_buf *out, struct msp_span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f)
			msp_buf_add_u8(out, text.ptr[i]);
		else
			msp_buf_printf(out, "\\%03u", text.ptr[i]);
	}
}

/* ---- cells ---- */

static bool is_empty(const json_t *v)
{
	return v == NULL || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0) ||
	       (json_is_array(v) && json_array_size(v) == 0);
}

/* Everything that fits a cell: scalars, and arrays of scalars. */
static bool fits_cell(const json_t *v)
{
	size_t i;
	json_t *e;

	if (json_is_object(v))
		return false;
	if (!json_is_array(v))
		return true;
	json_array_foreach(v, i, e)
	{
		if (json_is_object(e) || json_is_array(e))
			return false;
	}
	return true;
}

/* Records and sentences, as opposed to words: an element a line. */
static bool is_long_list(const json_t *v)
{
	size_t i;
	json_t *e;

	json_array_foreach(v, i, e)
	{
		if (json_is_string(e) && strchr(json_string_value(e), ' ') != NULL)
			return fits_cell(v);
	}
	return false;
}

static bool is_wall_time(const char *key)
{
	for (size_t i = 0; i < sizeof(wall_times) / sizeof(wall_times[0]); i++)
		if (strcmp(key, wall_times[i]) == 0)
			return true;
	return false;
}

static void add_integer(struct msp_buf *out, const char *key, json_int_t n)
{
	time_t t = (time_t)n;
	struct tm tm;
	char text[32];

	if (is_wall_time(key) && n == 0)
		msp_buf_add_u8(out, '-');
	else if (is_wall_time(key) && n > 0 && n <= UINT32_MAX && gmtime_r(&t, &tm) != NULL &&
		 strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		msp_buf_add_str(out, text);
	else
		msp_buf_printf(out, "%" JSON_INTEGER_FORMAT, n);
}

static void add_scalar(struct msp_buf *out, const char *key, const json_t *v)
{
	if (is_empty(v))
		msp_buf_add_u8(out, '-');
	else if (json_is_string(v))
		ctl_escape(out, msp_span(json_string_value(v), json_string_length(v)));
	else if (json_is_integer(v))
		add_integer(out, key, json_integer_value(v));
	else if (json_is_real(v))
		msp_buf_printf(out, "%g", json_real_value(v));
	else if (json_is_boolean(v))
		msp_buf_add_str(out, json_is_true(v) ? "yes" : "no");
	else
		msp_buf_add_str(out, "(--json)");
}

static size_t cell_lines(const json_t *v)
{
	return is_long_list(v) ? json_array_size(v) : 1;
}

/* One line of a cell. Borrowed from `out` until its next change; "" past the cell's last line. */
static const char *cell_line(struct msp_buf *out, const char *key, const json_t *v, size_t line)
{
	size_t i;
	json_t *e;

	msp_buf_reset(out);
	if (line >= cell_lines(v))
		return "";
	if (!json_is_array(v) || is_empty(v) || !fits_cell(v))
		add_scalar(out, key, v);
	else if (is_long_list(v))
		add_scalar(out, key, json_array_get(v, line));
	else
		json_array_foreach(v, i, e)
		{
			if (i > 0)
				msp_buf_add_u8(out, ',');
			add_scalar(out, key, e);
		}
	return out->err == MSP_OK ? msp_buf_text(out) : "(--json)";
}

/* ---- tables ---- */

struct column {
	char key[KEY_MAX];
	bool is_optional;
	size_t width;
};
struct table {
	struct column column[COLUMNS_MAX];
	size_t count;
};

static bool is_table(const json_t *v)
{
	return json_is_array(v) && json_array_size(v) > 0 && json_is_object(json_array_get(v, 0));
}

static void add_column(struct table *t, const char *key, size_t len, bool is_optional)
{
	struct column *c = &t->column[t->count];

	for (size_t i = 0; i < t->count; i++)
		if (strlen(t->column[i].key) == len && memcmp(t->column[i].key, key, len) == 0)
			return;
	if (t->count == COLUMNS_MAX || len >= KEY_MAX)
		return; /* seen with --json */
	memcpy(c->key, key, len);
	c->key[len] = '\0';
	c->is_optional = is_optional;
	t->count++;
}

/* The part of a columns string that is about the table `name`; *len 0 when there is none. */
static const char *columns_of(const char *columns, const char *name, size_t *len)
{
	for (const char *part = columns; part != NULL;) {
		size_t part_len = strcspn(part, ";"), name_len = strcspn(part, ":;");
		const char *list = part_len > name_len ? part + name_len + 1 : part;

		if (part_len == name_len)
			name_len = 0;
		if (name_len == strlen(name) && memcmp(part, name, name_len) == 0) {
			*len = (size_t)(part + part_len - list);
			return list;
		}
		part = part[part_len] == ';' ? part + part_len + 1 : NULL;
	}
	*len = 0;
	return "";
}

static void choose_columns(struct table *t, json_t *rows, const char *columns, const char *name)
{
	size_t len, i;
	const char *list = columns_of(columns, name, &len), *k;
	json_t *row, *v;

	for (size_t at = 0; at < len;) {
		size_t n = 0;

		while (at + n < len && list[at + n] != ',')
			n++;
		if (n > 0 && list[at + n - 1] == '?')
			add_column(t, list + at, n - 1, true);
		else
			add_column(t, list + at, n, false);
		at += n + 1;
	}
	if (len > 0)
		return;
	json_array_foreach(rows, i, row)
	{
		json_object_foreach(row, k, v)
		{
			if (fits_cell(v))
				add_column(t, k, strlen(k), false);
		}
	}
}

static void drop_empty_columns(struct table *t, json_t *rows)
{
	size_t kept = 0, i;
	json_t *row;

	for (size_t c = 0; c < t->count; c++) {
		bool is_used = !t->column[c].is_optional;

		json_array_foreach(rows, i, row) is_used = is_used || !is_empty(json_object_get(row, t->column[c].key));
		if (is_used)
			t->column[kept++] = t->column[c];
	}
	t->count = kept;
}

static void measure(struct table *t, json_t *rows, struct msp_buf *text)
{
	size_t i;
	json_t *row;

	for (size_t c = 0; c < t->count; c++) {
		struct column *col = &t->column[c];

		msp_buf_reset(text);
		ctl_escape(text, msp_span_str(col->key));
		col->width = text->len;
		json_array_foreach(rows, i, row)
		{
			json_t *v = json_object_get(row, col->key);

			for (size_t line = 0; line < cell_lines(v); line++) {
				size_t w = strlen(cell_line(text, col->key, v, line));

				col->width = w > col->width ? w : col->width;
			}
		}
	}
}

static void pad(size_t n)
{
	while (n-- > 0)
		putchar(' ');
}

/* A line of cells, without blanks at its end. `row` NULL: the heads. */
static void print_line(const struct table *t, json_t *row, size_t line, size_t indent, struct msp_buf *text)
{
	size_t owed = indent;

	for (size_t c = 0; c < t->count; c++) {
		const char *key = t->column[c].key, *s;

		if (row != NULL) {
			s = cell_line(text, key, json_object_get(row, key), line);
		} else {
			msp_buf_reset(text);
			ctl_escape(text, msp_span_str(key));
			s = msp_buf_text(text);
		}
		if (*s != '\0') {
			pad(owed);
			owed = 0;
			fputs(s, stdout);
		}
		owed += t->column[c].width - strlen(s) + 2;
	}
	putchar('\n');
}

static void print_table(json_t *rows, const char *columns, const char *name, size_t indent)
{
	struct table t = { .count = 0 };
	struct msp_buf text;
	json_t *row;
	size_t i;

	msp_buf_init(&text, CELL_MAX);
	choose_columns(&t, rows, columns, name);
	drop_empty_columns(&t, rows);
	measure(&t, rows, &text);
	print_line(&t, NULL, 0, indent, &text);
	json_array_foreach(rows, i, row)
	{
		size_t lines = 1;

		for (size_t c = 0; c < t.count; c++) {
			size_t n = cell_lines(json_object_get(row, t.column[c].key));

			lines = n > lines ? n : lines;
		}
		for (size_t line = 0; line < lines; line++)
			print_line(&t, row, line, indent, &text);
	}
	msp_buf_fini(&text);
}

/* ---- objects ---- */

static size_t print_key(const char *k, size_t indent, struct msp_buf *text)
{
	msp_buf_reset(text);
	ctl_escape(text, msp_span_str(k));
	pad(indent);
	printf("%s:", msp_buf_text(text));
	return text->len;
}

static void print_lines(const char *k, const json_t *v, size_t indent, size_t width, struct msp_buf *text)
{
	size_t len = print_key(k, indent, text);

	if (!is_long_list(v)) {
		pad(width - len + 1);
		puts(cell_line(text, k, v, 0));
		return;
	}
	putchar('\n');
	for (size_t line = 0; line < cell_lines(v); line++) {
		pad(indent + 2);
		puts(cell_line(text, k, v, line));
	}
}

static void print_object(json_t *obj, const char *columns, size_t depth, struct msp_buf *text)
{
	size_t indent = 2 * depth, width = 0;
	const char *k;
	json_t *v;

	json_object_foreach(obj, k, v)
	{
		msp_buf_reset(text);
		ctl_escape(text, msp_span_str(k));
		if (fits_cell(v) && !is_long_list(v) && text->len > width)
			width = text->len;
	}
	json_object_foreach(obj, k, v)
	{
		if (fits_cell(v))
			print_lines(k, v, indent, width, text);
	}
	json_object_foreach(obj, k, v)
	{
		if (fits_cell(v))
			continue;
		print_key(k, indent, text);
		puts(!is_table(v) && (!json_is_object(v) || depth == DEPTH_MAX) ? " (--json)" : "");
		if (is_table(v))
			print_table(v, columns, k, indent + 2);
		else if (json_is_object(v) && depth < DEPTH_MAX)
			print_object(v, columns, depth + 1, text);
	}
}

/* ---- out ---- */

/* ENSURE_ASCII leaves DEL, the one octet below 0x80 outside of the C0 range that is not for terminals. */
static int write_json(const char *piece, size_t len, void *arg)
{
	for (size_t i = 0; i < len; i++)
		if ((piece[i] == 0x7f ? fputs("\\u007f", arg) : fputc(piece[i], arg)) == EOF)
			return -1;
	return 0;
}

enum ctl_exit ctl_out(const struct ctl_opts *o, const char *columns, json_t *data)
{
	struct msp_buf text;
	int failed = 0;

	if (data == NULL)
		return CTL_OK;
	msp_buf_init(&text, CELL_MAX);
	if (o->json) {
		failed = json_dump_callback(data, write_json, stdout,
					    JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		putchar('\n');
	} else if (is_table(data)) {
		print_table(data, columns, "", 0);
	} else if (json_is_object(data)) {
		print_object(data, columns, 0, &text);
	} else if (!is_empty(data)) {
		for (size_t line = 0; line < cell_lines(data); line++)
			puts(cell_line(&text, "", data, line));
	}
	msp_buf_fini(&text);
	json_decref(data);
	if (failed != 0 || ferror(stdout) || fflush(stdout) != 0) {
		fputs("msctl: cannot write the answer\n", stderr);
		return CTL_REFUSED;
	}
	return CTL_OK;
}

enum ctl_exit ctl_fail(const char *what, enum msp_err err, const struct msp_why *why)
{
	const char *reason = why != NULL && why->text[0] != '\0' ? why->text : msp_err_text(err);
	struct msp_buf text;

	msp_buf_init(&text, CELL_MAX);
	if (strncmp(reason, what, strlen(what)) != 0) { /* "FILE: FILE: cannot open" helps nobody */
		ctl_escape(&text, msp_span_str(what));
		msp_buf_add_str(&text, ": ");
	}
	ctl_escape(&text, msp_span_str(reason));
	fprintf(stderr, "msctl: %s\n", msp_buf_text(&text));
	msp_buf_fini(&text);
	return err == MSP_ENET || err == MSP_ETIMEOUT || err == MSP_ECLOSED ? CTL_UNREACHABLE : CTL_REFUSED;
}

enum ctl_exit ctl_misuse(const char *what, const char *reason)
{
	struct msp_why why;

	(void)msp_fail(&why, MSP_EVALUE, "%s", reason);
	(void)ctl_fail(what, MSP_EVALUE, &why);
	return CTL_USAGE;
}
