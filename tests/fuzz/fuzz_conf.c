/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration text: whatever loads is shown in a form that loads again and is shown the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <msproto/base/mem.h>
#include <msproto/kit/conf.h>
#include <msproto/wire/rr.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Stays in release builds. */
#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			abort();                                                                                       \
	} while (0)

/* libconfig 1.5 leaks the text it was collecting when a syntax error stops it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

#define TEXT_MAX 16384

static const struct msp_conf_word words[] = { { "slow", 1 }, { "fast", 2 }, { NULL, 0 } };

struct item {
	struct msp_name name;
	struct msp_addr addr;
	struct msp_prefix prefix;
	struct msp_conf_list items;
};
struct leaf {
	char *text;
	int word;
};
struct all {
	bool flag;
	int64_t num;
	uint32_t seconds;
	uint64_t bytes;
	uint8_t u8;
	char *path;
	struct msp_conf_strs strs;
	struct msp_conf_list items;
	struct leaf leaf;
	struct msp_numbers numbers;
};
static const struct msp_conf_row leaf_rows[] = {
	{ "text", MSP_CONF_STR, MSP_CONF_REQUIRED, 0, 0, NULL, offsetof(struct leaf, text), NULL, NULL, "" },
	{ "word", MSP_CONF_ENUM, 0, 0, 0, "slow", offsetof(struct leaf, word), NULL, words, "" },
	{ .key = NULL }
};
static const struct msp_conf_schema leaf_schema = { sizeof(struct leaf), leaf_rows };
static const struct msp_conf_row item_rows[] = {
	{ "name", MSP_CONF_NAME, MSP_CONF_REQUIRED, 0, 0, NULL, offsetof(struct item, name), NULL, NULL, "" },
	{ "address", MSP_CONF_ADDR, 0, 0, 0, NULL, offsetof(struct item, addr), NULL, NULL, "" },
	{ "port", MSP_CONF_PORT, 0, 0, 0, "53", offsetof(struct item, addr), NULL, NULL, "" },
	{ "prefix", MSP_CONF_PREFIX, 0, 0, 0, NULL, offsetof(struct item, prefix), NULL, NULL, "" },
	{ "inner", MSP_CONF_LIST, 0, 0, 0, NULL, offsetof(struct item, items), &leaf_schema, NULL, "" },
	{ .key = NULL }
};
static const struct msp_conf_schema item_schema = { sizeof(struct item), item_rows };
static const struct msp_conf_row rows[] = {
	{ "flag", MSP_CONF_BOOL, 0, 0, 0, NULL, offsetof(struct all, flag), NULL, NULL, "" },
	{ "num", MSP_CONF_INT, 0, 0, 0, "7", offsetof(struct all, num), NULL, NULL, "" },
	{ "seconds", MSP_CONF_SECONDS, 0, 0, 0, "1h", offsetof(struct all, seconds), NULL, NULL, "" },
	{ "bytes", MSP_CONF_BYTES, 0, 0, 0, "64K", offsetof(struct all, bytes), NULL, NULL, "" },
	{ "u8", MSP_CONF_U8, 0, 0, 0, NULL, offsetof(struct all, u8), NULL, NULL, "" },
	{ "path", MSP_CONF_PATH, 0, 0, 0, NULL, offsetof(struct all, path), NULL, NULL, "" },
	{ "strs", MSP_CONF_STRS, 0, 0, 0, "a b", offsetof(struct all, strs), NULL, NULL, "" },
	{ "items", MSP_CONF_LIST, 0, 0, 0, NULL, offsetof(struct all, items), &item_schema, NULL, "" },
	{ "leaf", MSP_CONF_GROUP, 0, 0, 0, NULL, offsetof(struct all, leaf), &leaf_schema, NULL, "" },
	{ "numbers", MSP_CONF_GROUP, 0, 0, 0, NULL, offsetof(struct all, numbers), &msp_conf_numbers_schema, NULL, "" },
	{ .key = NULL }
};
static const struct msp_conf_schema schema = { sizeof(struct all), rows };

static void show_again(const struct all *first)
{
	struct msp_buf shown, again, errors;
	struct all second;

	msp_buf_init(&shown, 1 << 20);
	msp_buf_init(&again, 1 << 20);
	msp_buf_init(&errors, 1 << 20);
	if (msp_conf_show(&schema, first, &shown) == MSP_OK) {
		enum msp_err err = msp_conf_load_text(msp_buf_text(&shown), &schema, &second, &errors);

		CHECK(err == MSP_OK);
		err = msp_conf_show(&schema, &second, &again);
		CHECK(err == MSP_OK && msp_span_equal(msp_buf_span(&shown), msp_buf_span(&again)));
		msp_conf_fini(&schema, &second);
	}
	msp_buf_fini(&shown);
	msp_buf_fini(&again);
	msp_buf_fini(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = len <= TEXT_MAX ? msp_memdup(data, len) : NULL;
	struct msp_buf errors;
	struct all all;

	/* An include would read files of this machine. */
	if (!text || strstr(text, "@include")) {
		msp_free(text);
		return 0;
	}
	msp_buf_init(&errors, 1 << 20);
	if (msp_conf_load_text(text, &schema, &all, &errors) == MSP_OK) {
		show_again(&all);
		msp_conf_fini(&schema, &all);
	} else {
		CHECK(errors.len > 0); /* a refusal says why */
	}
	msp_buf_fini(&errors);
	msp_free(text);
	return 0;
}
