/* SPDX-License-Identifier: BSD-2-Clause */
/** @file What the auth tests share: vectors, their keys, temporary directories. */
#ifndef AUTHKIT_H
#define AUTHKIT_H

#include "support.h"

#include <msproto/auth/key.h>
#include <msproto/base/mem.h>
#include <msproto/msg/msg.h>

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIT_C15     "Kchild.parent.example.+015+22135"
#define KIT_C13     "Kchild.parent.example.+013+06226"
#define KIT_C14     "Kchild.parent.example.+014+14719"
#define KIT_C16     "Kchild.parent.example.+016+08559"
#define KIT_C8      "Kchild.parent.example.+008+57341"
#define KIT_UPDATER "Kupdater.parent.example.+015+55629"
#define KIT_A       "Kdns.msa.provider-a.example.+015+31175"
#define KIT_B       "Kdns.msa.provider-b.example.+015+05833"
/* Inside the windows of all positive vectors (tests/data/vectors/README.md). */
#define KIT_NOW ((struct msp_wall){ 1795493200 })

struct kit_msg {
	struct msp_buf raw;
	struct msp_msg m;
};

static inline struct msp_rr_scratch *kit_scratch(void)
{
	static struct msp_rr_scratch scratch;

	return &scratch;
}

static inline void kit_read(const char *vector, struct msp_buf *out)
{
	char path[256];

	snprintf(path, sizeof(path), "vectors/%s.hex", vector);
	t_hex_file(path, out);
}

/** A vector, parsed. */
static inline struct kit_msg kit_vector(const char *vector)
{
	struct kit_msg k;
	struct msp_why why = { "" };

	kit_read(vector, &k.raw);
	if (msp_msg_parse(msp_buf_span(&k.raw), kit_scratch(), &k.m, &why) != MSP_OK)
		fail_msg("%s: %s", vector, why.text);
	return k;
}

static inline void kit_msg_fini(struct kit_msg *k)
{
	msp_buf_fini(&k->raw);
}

struct kit_dir {
	char path[64];
};

static inline struct kit_dir kit_dir(void)
{
	struct kit_dir d;

	snprintf(d.path, sizeof(d.path), "/tmp/msp-auth-XXXXXX");
	assert_non_null(mkdtemp(d.path));
	return d;
}

static inline void kit_dir_fini(struct kit_dir *d)
{
	DIR *dir = opendir(d->path);
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	assert_int_equal(rmdir(d->path), 0);
}

static inline void kit_write(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/** Copy a file of vectors/keys into the directory with that mode: a checkout does not keep 0600. */
static inline void kit_copy_key(const struct kit_dir *d, const char *base, const char *suffix, mode_t mode, char *path,
				size_t path_len)
{
	char from[512], text[8192];
	size_t len;
	FILE *f;

	snprintf(from, sizeof(from), "%s/vectors/keys/%s%s", TEST_DATA, base, suffix);
	f = fopen(from, "r");
	assert_non_null(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	snprintf(path, path_len, "%s/%s%s", d->path, base, suffix);
	kit_write(path, text, mode);
}

/** One of the vectors' key pairs. */
static inline struct msp_key *kit_key(const char *base)
{
	struct kit_dir d = kit_dir();
	struct msp_why why = { "" };
	struct msp_key *key;
	char path[256];

	kit_copy_key(&d, base, ".key", 0644, path, sizeof(path));
	kit_copy_key(&d, base, ".private", 0600, path, sizeof(path));
	if (msp_key_load(path, &key, &why) != MSP_OK)
		fail_msg("%s: %s", base, why.text);
	kit_dir_fini(&d);
	return key;
}

/** Its public half only, as from a KEY record. */
static inline struct msp_key *kit_public(const char *base)
{
	struct msp_key *pair = kit_key(base), *pub;

	T_OK(msp_key_from_rdata(msp_key_owner(pair), msp_key_rdata(pair), &pub));
	assert_false(msp_key_is_private(pub));
	msp_key_free(&pair);
	return pub;
}

static inline void kit_assert_octets(struct msp_span got, struct msp_span want)
{
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.ptr, want.ptr, want.len);
}

#endif
