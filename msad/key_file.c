/* SPDX-License-Identifier: BSD-2-Clause */
#include "key_file.h"

#include <msproto/base/mem.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_NAME     "parent-keys"
#define ALG          MSP_ALG_ECDSAP256 /* what every receiver can verify */
#define PATH_LEN     8192
#define NAME_MAX_LEN 2048

static enum msp_err path_of(const char *state_dir, struct msp_span name, char path[PATH_LEN])
{
	int n;

	if (name.len == 0 || name.len > NAME_MAX_LEN || memchr(name.ptr, '/', name.len) != NULL)
		return MSP_EVALUE;
	n = snprintf(path, PATH_LEN, "%s/" DIR_NAME "/%.*s", state_dir, (int)name.len, (const char *)name.ptr);
	return n < 0 || n >= PATH_LEN ? MSP_ENOSPACE : MSP_OK;
}

static enum msp_err name_of(const char *path, struct msp_key **key, char **file)
{
	*file = msp_strdup(strrchr(path, '/') + 1);
	if (*file == NULL)
		msp_key_free(key);
	return *file == NULL ? MSP_ENOMEM : MSP_OK;
}

enum msp_err msa_key_file_make(const char *state_dir, const struct msp_name *zone, struct msp_key **key, char **file,
			       struct msp_why *why)
{
	char dir[PATH_LEN], path[PATH_LEN];
	int n = snprintf(dir, sizeof(dir), "%s/" DIR_NAME, state_dir);
	enum msp_err err;

	if (n < 0 || (size_t)n >= sizeof(dir))
		return MSP_ENOSPACE;
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return msp_fail(why, MSP_EIO, "cannot make %.150s: %s", dir, strerror(errno));
	err = msp_key_generate(zone, ALG, 0, key);
	if (err == MSP_OK)
		err = msp_key_save(*key, dir, "KEY", path, sizeof(path), why);
	if (err != MSP_OK) {
		msp_key_free(key);
		return err;
	}
	return name_of(path, key, file);
}

enum msp_err msa_key_file_load(const char *state_dir, struct msp_span name, struct msp_key **key, char **file,
			       struct msp_why *why)
{
	char path[PATH_LEN];
	enum msp_err err = path_of(state_dir, name, path);

	if (err == MSP_OK)
		err = msp_key_load(path, key, why);
	return err == MSP_OK ? name_of(path, key, file) : err;
}

void msa_key_file_remove(const char *state_dir, struct msp_span name)
{
	static const char tail[] = "private";
	char path[PATH_LEN];
	size_t len;

	if (path_of(state_dir, name, path) != MSP_OK)
		return;
	(void)unlink(path);
	len = strlen(path);
	if (len <= sizeof(tail) || strcmp(path + len - (sizeof(tail) - 1), tail) != 0)
		return;
	memcpy(path + len - (sizeof(tail) - 1), "key", sizeof("key"));
	(void)unlink(path);
}
