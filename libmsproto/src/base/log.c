/* SPDX-License-Identifier: BSD-2-Clause */
#include <msproto/base/clock.h>
#include <msproto/base/log.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* POSIX makes writes up to PIPE_BUF to a pipe whole. */
#define WRITE_MAX  MSP_LOG_LINE_MAX
#define PREFIX_MAX 32 /* of which for priority, time stamp and newline */
#define LINE_MAX_  (WRITE_MAX - PREFIX_MAX)
#define OCTETS_MAX 64 /* octets of a MSP_FIELD_OCTETS that are printed */

static const char *const level_names[MSP_LOG__N] = { "error", "warning", "notice", "info", "debug" };

/* A line under construction. Pieces go in whole or not at all, so a cut never splits an escape. */
struct line {
	char text[LINE_MAX_ + 1];
	size_t len;
	bool cut;
};

#define CUT_MARK "..."

static void put(struct line *l, const char *piece, size_t len)
{
	/* A closing quote and the mark must still fit behind. */
	if (l->cut || l->len + len > LINE_MAX_ - 1 - strlen(CUT_MARK)) {
		l->cut = true;
		return;
	}
	memcpy(l->text + l->len, piece, len);
	l->len += len;
}

static void put_str(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

/* As in zone files: \DDD for what is not printable, a backslash before quotes and backslashes. */
static void put_escaped(struct line *l, const char *s)
{
	for (; *s != '\0' && !l->cut; s++) {
		unsigned char c = (unsigned char)*s;
		char esc[5];

		if (c == '"' || c == '\\') {
			put(l, (const char[]){ '\\', (char)c }, 2);
		} else if (c >= 0x20 && c < 0x7f) {
			put(l, s, 1);
		} else {
			snprintf(esc, sizeof(esc), "\\%03u", c);
			put(l, esc, 4);
		}
	}
}

static void put_value(struct line *l, const char *s)
{
	bool quoted;

	if (s == NULL)
		s = "-";
	quoted = *s == '\0' || strpbrk(s, " \"=") != NULL;
	if (quoted)
		put_str(l, "\"");
	if (l->cut)
		return;
	put_escaped(l, s);
	if (quoted)
		l->text[l->len++] = '"'; /* put() always leaves room for this one */
}

static void put_octets(struct line *l, struct msp_span octets)
{
	size_t len = octets.len < OCTETS_MAX ? octets.len : OCTETS_MAX;

	for (size_t i = 0; i < len; i++) {
		char hex[3];

		snprintf(hex, sizeof(hex), "%02x", octets.ptr[i]);
		put(l, hex, 2);
	}
	if (octets.len > len)
		put_str(l, CUT_MARK);
	else if (octets.len == 0)
		put_str(l, "\"\"");
}

static void put_field(struct line *l, const struct msp_field *f)
{
	char number[24];

	put_str(l, " ");
	put_escaped(l, f->key == NULL ? "?" : f->key);
	put_str(l, "=");
	switch (f->kind) {
	case MSP_FIELD_STR:
		put_value(l, f->str);
		break;
	case MSP_FIELD_U64:
		snprintf(number, sizeof(number), "%" PRIu64, f->u64);
		put_str(l, number);
		break;
	case MSP_FIELD_I64:
		snprintf(number, sizeof(number), "%" PRId64, f->i64);
		put_str(l, number);
		break;
	case MSP_FIELD_OCTETS:
		put_octets(l, f->octets);
		break;
	case MSP_FIELD_END:
		break;
	}
}

void msp_log_write(const struct msp_log *log, enum msp_log_level level, const char *event,
		   const struct msp_field *fields)
{
	struct line l;

	if (log == NULL || log->sink == NULL || level > log->level)
		return;
	l.len = 0;
	l.cut = false;
	put_escaped(&l, event);
	for (; fields != NULL && fields->kind != MSP_FIELD_END && !l.cut; fields++)
		put_field(&l, fields);
	if (l.cut) {
		memcpy(l.text + l.len, CUT_MARK, strlen(CUT_MARK));
		l.len += strlen(CUT_MARK);
	}
	l.text[l.len] = '\0';
	log->sink(log->arg, level, l.text);
}

/* One write(2), so that lines of several processes on one pipe do not mix. A log that is blocked is dropped. */
static void write_stderr(const char *text, size_t len)
{
	ssize_t n;

	do
		n = write(STDERR_FILENO, text, len);
	while (n < 0 && errno == EINTR);
}

static void flush(struct msp_log_gathered *g)
{
	if (g->len > 0)
		write_stderr(g->text, g->len);
	g->len = 0;
}

static void gather(struct msp_log_gathered *g, const char *line, size_t len)
{
	if (g->len + len > sizeof(g->text))
		flush(g);
	memcpy(g->text + g->len, line, len);
	g->len += len;
}

static void put_stderr(struct msp_log_gathered *g, enum msp_log_level level, const char *stamp, const char *line)
{
	char out[WRITE_MAX + 1];
	int priority = 3 + (int)level; /* syslog(3): LOG_ERR 3 .. LOG_DEBUG 7 */
	int len = snprintf(out, sizeof(out), "<%d>%s%s\n", priority, stamp, line);

	if (len < 0)
		return;
	if (len > WRITE_MAX) {
		len = WRITE_MAX;
		out[len - 1] = '\n';
	}
	if (g == NULL) {
		write_stderr(out, (size_t)len);
		return;
	}
	gather(g, out, (size_t)len);
	if (level == MSP_LOG_ERROR)
		flush(g);
}

static void sink_stderr(void *arg, enum msp_log_level level, const char *line)
{
	put_stderr(arg, level, "", line);
}

static void sink_stderr_stamp(void *arg, enum msp_log_level level, const char *line)
{
	time_t now = (time_t)msp_wall_now().s;
	char stamp[PREFIX_MAX];
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL || strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ ", &tm) == 0)
		stamp[0] = '\0';
	put_stderr(arg, level, stamp, line);
}

void msp_log_init_stderr(struct msp_log *log, enum msp_log_level level, bool stamp)
{
	*log = (struct msp_log){ .level = level, .sink = stamp ? sink_stderr_stamp : sink_stderr };
}

void msp_log_gather(struct msp_log *log, struct msp_log_gathered *g)
{
	msp_log_flush(log);
	log->gathered = g;
	log->arg = g;
}

void msp_log_flush(const struct msp_log *log)
{
	if (log != NULL && log->gathered != NULL)
		flush(log->gathered);
}

void msp_log_init_null(struct msp_log *log)
{
	*log = (struct msp_log){ .level = MSP_LOG_ERROR };
}

const char *msp_log_level_name(enum msp_log_level level)
{
	return (unsigned)level < MSP_LOG__N ? level_names[level] : "unknown";
}

enum msp_log_level msp_log_level_from_name(const char *name)
{
	unsigned level = 0;

	while (level < MSP_LOG__N && strcmp(name, level_names[level]) != 0)
		level++;
	return (enum msp_log_level)level;
}
