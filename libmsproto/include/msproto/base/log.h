/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * @file
 * key=value events: a fixed event name and typed fields. Values are escaped and quoted here, so octets from the network
 * can be passed as they are. Levels say who acts: error = operator now, warning = operator soon, notice = history.
 *
 *   msp_log(log, MSP_LOG_NOTICE, "peer-state", MSP_F_STR("peer", MSP_NAME(&id)), MSP_F_STR("from", "known"));
 */
#ifndef MSPROTO_BASE_LOG_H
#define MSPROTO_BASE_LOG_H

#include <msproto/base/span.h>

enum msp_log_level { MSP_LOG_ERROR, MSP_LOG_WARNING, MSP_LOG_NOTICE, MSP_LOG_INFO, MSP_LOG_DEBUG, MSP_LOG__N };

enum msp_field_kind { MSP_FIELD_END, MSP_FIELD_STR, MSP_FIELD_U64, MSP_FIELD_I64, MSP_FIELD_OCTETS };

struct msp_field {
	enum msp_field_kind kind;
	const char *key; /* static */
	const char *str;
	uint64_t u64;
	int64_t i64;
	struct msp_span octets; /* printed as hexadecimal, cut at 64 octets */
};

#define MSP_F_STR(k, v) ((struct msp_field){ .kind = MSP_FIELD_STR, .key = (k), .str = (v) })
#define MSP_F_U64(k, v) ((struct msp_field){ .kind = MSP_FIELD_U64, .key = (k), .u64 = (uint64_t)(v) })
#define MSP_F_I64(k, v) ((struct msp_field){ .kind = MSP_FIELD_I64, .key = (k), .i64 = (int64_t)(v) })
#define MSP_F_HEX(k, v) ((struct msp_field){ .kind = MSP_FIELD_OCTETS, .key = (k), .octets = (v) })

/** A finished line without newline, e.g. `peer-state peer=ns.b. from=known to=operational`. */
typedef void msp_log_sink_fn(void *arg, enum msp_log_level level, const char *line);

/** Octets of a line with its prefix and newline: what a pipe takes whole. */
#define MSP_LOG_LINE_MAX 4096

/** Lines that go out together. */
struct msp_log_gathered {
	size_t len;
	char text[MSP_LOG_LINE_MAX];
};

struct msp_log {
	enum msp_log_level level; /* events above it are not formatted at all */
	msp_log_sink_fn *sink;
	void *arg;                         /* borrowed, for the sink */
	struct msp_log_gathered *gathered; /* borrowed; NULL = each line goes out at once */
};

/** Log to standard error, each line with a `<N>` priority prefix as systemd reads it and a UTC time stamp when `stamp`.
 */
void msp_log_init_stderr(struct msp_log *log, enum msp_log_level level, bool stamp);
/**
 * From now on lines to standard error are gathered in g (borrowed; NULL: no longer) until msp_log_flush, which the
 * event loop calls before it waits. An error goes out at once, with all that came before it.
 */
void msp_log_gather(struct msp_log *log, struct msp_log_gathered *g);
/** Write what has been gathered, if anything. log may be NULL. */
void msp_log_flush(const struct msp_log *log);
/** A log that drops everything (tests). */
void msp_log_init_null(struct msp_log *log);

/**
 * `log` may be NULL (nothing happens). `fields` ends with kind MSP_FIELD_END; NULL is none.
 * A line with its prefix and newline is cut (ending in "...") at MSP_LOG_LINE_MAX octets.
 * Escapes are \DDD, \" and \\, as in zone files.
 */
void msp_log_write(const struct msp_log *log, enum msp_log_level level, const char *event,
		   const struct msp_field *fields);
#define msp_log(log, level, event, ...)                                                                                \
	msp_log_write((log), (level), (event), (const struct msp_field[]){ __VA_ARGS__, { .kind = MSP_FIELD_END } })

/** "error" .. "debug". */
const char *msp_log_level_name(enum msp_log_level level);
/** Returns MSP_LOG__N when the name is unknown. */
enum msp_log_level msp_log_level_from_name(const char *name);

#endif
