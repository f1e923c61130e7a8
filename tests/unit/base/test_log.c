/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <msproto/base/log.h>

#include <fcntl.h>
#include <unistd.h>

struct capture {
	char line[5000];
	enum msp_log_level level;
	unsigned count;
};

static void keep(void *arg, enum msp_log_level level, const char *line)
{
	struct capture *c = arg;

	snprintf(c->line, sizeof(c->line), "%s", line);
	c->level = level;
	c->count++;
}

static void an_event_has_a_name_and_typed_fields(void **state)
{
	struct capture c = { .count = 0 };
	struct msp_log log = { .level = MSP_LOG_DEBUG, .sink = keep, .arg = &c };

	(void)state;
	msp_log(&log, MSP_LOG_NOTICE, "peer-state", MSP_F_STR("peer", "ns.b."), MSP_F_U64("n", UINT64_MAX),
		MSP_F_I64("d", INT64_MIN), MSP_F_HEX("id", msp_span("\x00\xff\x10", 3)));
	assert_string_equal(c.line, "peer-state peer=ns.b. n=18446744073709551615 d=-9223372036854775808 id=00ff10");
	assert_int_equal(c.level, MSP_LOG_NOTICE);
	msp_log_write(&log, MSP_LOG_ERROR, "bare", NULL);
	assert_string_equal(c.line, "bare");
	assert_int_equal(c.count, 2);
}

static void levels_above_the_set_one_are_dropped(void **state)
{
	struct capture c = { .count = 0 };
	struct msp_log log = { .level = MSP_LOG_NOTICE, .sink = keep, .arg = &c };

	(void)state;
	msp_log_write(&log, MSP_LOG_INFO, "x", NULL);
	msp_log_write(&log, MSP_LOG_DEBUG, "x", NULL);
	assert_int_equal(c.count, 0);
	msp_log_write(&log, MSP_LOG_NOTICE, "x", NULL);
	msp_log_write(&log, MSP_LOG_ERROR, "x", NULL);
	assert_int_equal(c.count, 2);
	msp_log_write(NULL, MSP_LOG_ERROR, "x", NULL);
	msp_log_init_null(&log);
	msp_log_write(&log, MSP_LOG_ERROR, "x", NULL);
	assert_int_equal(c.count, 2);
}

static void values_are_escaped_and_quoted(void **state)
{
	static const struct {
		const char *value, *want;
	} rows[] = {
		{ "plain", "e v=plain" },
		{ "", "e v=\"\"" },
		{ NULL, "e v=-" },
		{ "two words", "e v=\"two words\"" },
		{ "a=b", "e v=\"a=b\"" },
		{ "say \"hi\"", "e v=\"say \\\"hi\\\"\"" },
		{ "line\nbreak", "e v=line\\010break" },
		{ "x\r\n<3>fake event=yes", "e v=\"x\\013\\010<3>fake event=yes\"" },
		{ "\x1b[31m", "e v=\\027[31m" },
		{ "\x7f\x80\xff", "e v=\\127\\128\\255" },
		{ "a\\b", "e v=a\\\\b" },
		{ "\t", "e v=\\009" },
	};
	struct capture c = { .count = 0 };
	struct msp_log log = { .level = MSP_LOG_DEBUG, .sink = keep, .arg = &c };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		msp_log(&log, MSP_LOG_INFO, "e", MSP_F_STR("v", rows[i].value));
		assert_string_equal(c.line, rows[i].want);
	}
	msp_log(&log, MSP_LOG_INFO, "e", MSP_F_HEX("v", msp_span(NULL, 0)));
	assert_string_equal(c.line, "e v=\"\"");
}

static void any_octet_in_a_value_stays_on_one_printable_line(void **state)
{
	struct capture c = { .count = 0 };
	struct msp_log log = { .level = MSP_LOG_DEBUG, .sink = keep, .arg = &c };

	(void)state;
	for (int octet = 1; octet < 256; octet++) {
		char value[4] = { 'a', (char)octet, 'b', '\0' };

		msp_log(&log, MSP_LOG_INFO, "e", MSP_F_STR("v", value));
		for (const char *s = c.line; *s != '\0'; s++)
			assert_in_range((unsigned char)*s, 0x20, 0x7e);
	}
}

static void long_lines_are_cut_between_escapes(void **state)
{
	struct capture c = { .count = 0 };
	struct msp_log log = { .level = MSP_LOG_DEBUG, .sink = keep, .arg = &c };
	static uint8_t octets[100];
	char value[6000];

	(void)state;
	/* Every length around the limit, plain, quoted and escaped: the line is bounded and its quotes close. */
	for (size_t len = 3900; len < 4200; len++)
		for (int kind = 0; kind < 3; kind++) {
			size_t end;

			memset(value, kind == 2 ? '\n' : 'a', len);
			value[len] = '\0';
			if (kind == 1)
				value[0] = ' ';
			msp_log(&log, MSP_LOG_INFO, "e", MSP_F_STR("v", kind == 2 ? value + len / 4 * 3 : value),
				MSP_F_STR("w", "a b"), MSP_F_U64("n", 1234567));
			end = strlen(c.line);
			assert_in_range(end, 3000, 4096);
			if (strcmp(c.line + end - 3, "...") != 0)
				assert_string_equal(c.line + end - 8, "=1234567");
			end = 0;
			for (const char *s = c.line; *s != '\0'; s++)
				end += *s == '"';
			assert_int_equal(end % 2, 0);
		}
	memset(value, '\n', 5000);
	value[5000] = '\0';
	msp_log(&log, MSP_LOG_INFO, "e", MSP_F_STR("v", value));
	assert_string_equal(c.line + strlen(c.line) - 7, "\\010...");
	msp_log(&log, MSP_LOG_INFO, "e", MSP_F_HEX("v", msp_span(octets, sizeof(octets))), MSP_F_U64("n", 1));
	assert_int_equal(strlen(c.line), strlen("e v=") + 128 + strlen("... n=1"));
}

static void standard_error_gets_a_priority_and_one_line(void **state)
{
	int fd[2], saved = dup(STDERR_FILENO);
	char plain[5000] = "", stamped[5000] = "", big[6000];
	struct msp_log log;
	ssize_t n, m;

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	msp_log_init_stderr(&log, MSP_LOG_DEBUG, false);
	msp_log(&log, MSP_LOG_WARNING, "event", MSP_F_STR("k", "v w"));
	n = read(fd[0], plain, sizeof(plain) - 1);
	msp_log_init_stderr(&log, MSP_LOG_DEBUG, true);
	msp_log(&log, MSP_LOG_DEBUG, "event", MSP_F_STR("k", big));
	m = read(fd[0], stamped, sizeof(stamped) - 1);
	dup2(saved, STDERR_FILENO); /* cmocka reports there */
	close(saved);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(n, 17);
	assert_string_equal(plain, "<4>event k=\"v w\"\n");
	assert_in_range(m, 4000, 4096);
	assert_memory_equal(stamped, "<7>20", 5);
	assert_int_equal(stamped[13], 'T');
	assert_memory_equal(stamped + 22, "Z event k=x", 11);
	assert_string_equal(stamped + m - 4, "...\n");
}

static size_t lines_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static size_t read_all(int fd, char *out, size_t cap)
{
	ssize_t n = read(fd, out, cap - 1);

	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void gathered_lines_go_out_together(void **state)
{
	int fd[2], saved = dup(STDERR_FILENO);
	size_t early, flushed, error, full, last;
	char value[1500], text[4][8192];
	struct msp_log_gathered g = { 0 };
	struct msp_log log;

	(void)state;
	memset(value, 'x', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
	dup2(fd[1], STDERR_FILENO);
	msp_log_init_stderr(&log, MSP_LOG_DEBUG, false);
	msp_log_flush(NULL);
	msp_log_flush(&log);
	msp_log_gather(&log, &g);
	msp_log(&log, MSP_LOG_INFO, "one", MSP_F_U64("n", 1));
	msp_log(&log, MSP_LOG_WARNING, "two", MSP_F_U64("n", 2));
	early = read_all(fd[0], text[0], sizeof(text[0]));
	msp_log_flush(&log);
	msp_log_flush(&log);
	flushed = read_all(fd[0], text[0], sizeof(text[0]));
	msp_log(&log, MSP_LOG_INFO, "three", MSP_F_U64("n", 3));
	msp_log(&log, MSP_LOG_ERROR, "four", MSP_F_U64("n", 4));
	error = read_all(fd[0], text[1], sizeof(text[1]));
	for (int i = 0; i < 3; i++)
		msp_log(&log, MSP_LOG_INFO, "long", MSP_F_STR("v", value));
	full = read_all(fd[0], text[2], sizeof(text[2]));
	msp_log_gather(&log, NULL);
	msp_log(&log, MSP_LOG_INFO, "last", MSP_F_U64("n", 5));
	last = read_all(fd[0], text[3], sizeof(text[3]));
	dup2(saved, STDERR_FILENO); /* cmocka reports there */
	close(saved);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(early, 0);
	assert_string_equal(text[0], "<6>one n=1\n<4>two n=2\n");
	assert_int_equal(flushed, strlen(text[0]));
	assert_string_equal(text[1], "<6>three n=3\n<3>four n=4\n");
	assert_int_equal(error, strlen(text[1]));
	assert_int_equal(lines_of(text[2]), 2);
	assert_true(full <= MSP_LOG_LINE_MAX);
	assert_int_equal(lines_of(text[3]), 2);
	assert_true(last > sizeof(value));
}

static void level_names_go_both_ways(void **state)
{
	(void)state;
	for (unsigned l = 0; l < MSP_LOG__N; l++)
		assert_int_equal(msp_log_level_from_name(msp_log_level_name((enum msp_log_level)l)), l);
	assert_string_equal(msp_log_level_name(MSP_LOG_ERROR), "error");
	assert_string_equal(msp_log_level_name(MSP_LOG_DEBUG), "debug");
	assert_int_equal(msp_log_level_from_name("Error"), MSP_LOG__N);
	assert_int_equal(msp_log_level_from_name(""), MSP_LOG__N);
	assert_non_null(msp_log_level_name(MSP_LOG__N));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_has_a_name_and_typed_fields),
		cmocka_unit_test(levels_above_the_set_one_are_dropped),
		cmocka_unit_test(values_are_escaped_and_quoted),
		cmocka_unit_test(any_octet_in_a_value_stays_on_one_printable_line),
		cmocka_unit_test(long_lines_are_cut_between_escapes),
		cmocka_unit_test(standard_error_gets_a_priority_and_one_line),
		cmocka_unit_test(gathered_lines_go_out_together),
		cmocka_unit_test(level_names_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
