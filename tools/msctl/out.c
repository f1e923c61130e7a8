/* SPDX-License-Identifier: BSD-2-Clause */
/* One printer for all answers: an array of objects is a table, an object is "name: value" lines with its arrays below. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 24

static void print_scalar(const json_t *v, FILE *f)
{
	if (json_is_string(v))
		fputs(json_string_value(v), f);
	else if (json_is_integer(v))
		fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_real(v))
		fprintf(f, "%g", json_real_value(v));
	else if (json_is_boolean(v))
		fputs(json_is_true(v) ? "yes" : "no", f);
	else
		fputs("-", f);
}

/* Everything that fits one cell: scalars, and arrays of scalars joined by commas. */
static bool fits_cell(const json_t *v)
{
	size_t i;
	json_t *e;

	if (json_is_object(v))
		return false;
	if (!json_is_array(v))
		return true;
	json_array_foreach(v, i, e) {
		if (json_is_object(e) || json_is_array(e))
			return false;
	}
	return true;
}

static void print_cell(const json_t *v, FILE *f)
{
	size_t i;
	json_t *e;

	if (!json_is_array(v)) {
		print_scalar(v, f);
		return;
	}
	if (json_array_size(v) == 0)
		fputs("-", f);
	json_array_foreach(v, i, e) {
		if (i > 0)
			fputc(',', f);
		print_scalar(e, f);
	}
}

static size_t cell_width(const json_t *v)
{
	char text[512];
	FILE *f = fmemopen(text, sizeof(text), "w");
	long n;

	if (f == NULL)
		return 0;
	print_cell(v, f);
	n = ftell(f);
	fclose(f);
	return n < 0 ? 0 : (size_t)n;
}

static bool is_table(const json_t *v)
{
	return json_is_array(v) && json_array_size(v) > 0 && json_is_object(json_array_get(v, 0));
}

static void print_table(json_t *rows, const char *indent)
{
	const char *key[COLUMNS_MAX];
	size_t width[COLUMNS_MAX], columns = 0, i;
	json_t *row, *v;
	const char *k;

	json_array_foreach(rows, i, row) {
		json_object_foreach(row, k, v) {
			size_t c = 0, w;

			while (c < columns && strcmp(key[c], k) != 0)
				c++;
			if (c == COLUMNS_MAX || !fits_cell(v))
				continue; /* seen with --json */
			if (c == columns) {
				key[columns] = k;
				width[columns++] = strlen(k);
			}
			w = cell_width(v);
			if (w > width[c])
				width[c] = w;
		}
	}
	fputs(indent, stdout);
	for (size_t c = 0; c < columns; c++)
		printf("%-*s%s", c + 1 < columns ? (int)width[c] : 0, key[c], c + 1 < columns ? "  " : "\n");
	json_array_foreach(rows, i, row) {
		fputs(indent, stdout);
		for (size_t c = 0; c < columns; c++) {
			v = json_object_get(row, key[c]);
			print_cell(v, stdout);
			if (c + 1 < columns)
				printf("%*s  ", (int)(width[c] - cell_width(v)), "");
		}
		putchar('\n');
	}
}

static void print_object(json_t *obj, unsigned depth)
{
	static const char *const indents[] = { "", "  ", "    ", "      " };
	const char *indent = indents[depth < 3 ? depth : 3], *k;
	json_t *v;

	json_object_foreach(obj, k, v) {
		if (fits_cell(v)) {
			printf("%s%s: ", indent, k);
			print_cell(v, stdout);
			putchar('\n');
		}
	}
	json_object_foreach(obj, k, v) {
		if (fits_cell(v))
			continue;
		printf("%s%s:\n", indent, k);
		if (is_table(v))
			print_table(v, indents[depth < 2 ? depth + 1 : 3]);
		else if (json_is_object(v) && depth < 3)
			print_object(v, depth + 1);
	}
}

enum ctl_exit ctl_out(const struct ctl_opts *o, json_t *data)
{
	if (data == NULL)
		return CTL_OK;
	if (o->json) {
		json_dumpf(data, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
		putchar('\n');
	} else if (is_table(data)) {
		print_table(data, "");
	} else if (json_is_object(data)) {
		print_object(data, 0);
	} else {
		print_cell(data, stdout);
		putchar('\n');
	}
	json_decref(data);
	return fflush(stdout) == 0 ? CTL_OK : CTL_REFUSED;
}

enum ctl_exit ctl_fail(const char *what, enum msp_err err, const struct msp_why *why)
{
	fprintf(stderr, "msctl: %s: %s%s%s\n", what, msp_err_text(err), why != NULL && why->text[0] != '\0' ? ": " : "",
		why != NULL ? why->text : "");
	return err == MSP_ENET || err == MSP_ETIMEOUT || err == MSP_ECLOSED ? CTL_UNREACHABLE : CTL_REFUSED;
}
