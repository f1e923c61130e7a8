/* SPDX-License-Identifier: BSD-2-Clause */
/** @file The program's side of tests/integration/parentd/pg.py: asks for something to be done with the server. */
#ifndef TEST_PG_SERVER_H
#define TEST_PG_SERVER_H

#include "support.h"

/** A line "@word" on the standard output; the answer is a line on the standard input, newline cut off. */
static inline void t_ask_line(const char *word, char *line, int size)
{
	printf("@%s\n", word);
	(void)fflush(stdout);
	assert_non_null(fgets(line, size, stdin));
	line[strcspn(line, "\n")] = '\0';
}

static inline void t_ask(const char *word)
{
	char line[256];

	t_ask_line(word, line, sizeof(line));
	assert_string_equal(line, "done");
}

#endif
