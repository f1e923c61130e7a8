/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files: read with limits, replaced durably (write, fsync, rename, fsync of the directory). */
#include <msproto/kit/store.h>

#include <msproto/base/mem.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_LEN_MAX 4096
#define READ_CHUNK   65536

static enum msp_err file_fail(struct msp_why *why, const char *path, const char *what)
{
	return msp_fail(why, MSP_EIO, "%s: %s: %s", path, what, strerror(errno));
}

static enum msp_err write_all(int fd, struct msp_span content)
{
	while (content.len > 0) {
		ssize_t n = write(fd, content.ptr, content.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return MSP_EIO;
		content = msp_span(content.ptr + n, content.len - (size_t)n);
	}
	return MSP_OK;
}

/* The new name is durable only when the directory is. */
static enum msp_err sync_directory(const char *path)
{
	char dir[PATH_LEN_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	int fd, rc;

	if (!slash)
		(void)snprintf(dir, sizeof(dir), ".");
	else
		(void)snprintf(dir, sizeof(dir), "%.*s", len ? (int)len : 1, path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return MSP_EIO;
	rc = fsync(fd);
	(void)close(fd);
	return rc == 0 ? MSP_OK : MSP_EIO;
}

static enum msp_err write_new(const char *tmp, unsigned mode, struct msp_span content, struct msp_why *why)
{
	enum msp_err err = MSP_OK;
	int fd;

	(void)unlink(tmp); /* of a run that was interrupted; O_EXCL below never follows a link */
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return file_fail(why, tmp, "create");
	if (write_all(fd, content) != MSP_OK)
		err = file_fail(why, tmp, "write");
	else if (fchmod(fd, (mode_t)mode) != 0)
		err = file_fail(why, tmp, "mode");
	else if (fsync(fd) != 0)
		err = file_fail(why, tmp, "fsync");
	if (close(fd) != 0 && err == MSP_OK)
		err = file_fail(why, tmp, "close");
	return err;
}

enum msp_err msp_file_replace(const char *path, unsigned mode, struct msp_span content, struct msp_why *why)
{
	char tmp[PATH_LEN_MAX];
	enum msp_err err;
	int n = snprintf(tmp, sizeof(tmp), "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof(tmp))
		return msp_fail(why, MSP_EIO, "path too long");
	err = write_new(tmp, mode, content, why);
	if (err == MSP_OK && rename(tmp, path) != 0)
		err = file_fail(why, path, "rename");
	if (err != MSP_OK) {
		(void)unlink(tmp);
		return err;
	}
	return sync_directory(path) == MSP_OK ? MSP_OK : file_fail(why, path, "fsync of the directory");
}

static enum msp_err read_all(int fd, size_t max, struct msp_buf *out)
{
	size_t start = out->len;

	for (;;) {
		size_t room = max - (out->len - start) + 1; /* one more than allowed, to notice that there is more */
		size_t want = room < READ_CHUNK ? room : READ_CHUNK;
		uint8_t chunk[READ_CHUNK];
		ssize_t n = read(fd, chunk, want);
		bool over = n > 0 && (size_t)n > room - 1;

		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0 && !over)
			msp_buf_add(out, chunk, (size_t)n);
		msp_wipe(chunk, n > 0 ? (size_t)n : 0); /* may have been a key */
		if (over)
			return MSP_ELIMIT;
		if (n < 0)
			return MSP_EIO;
		if (n == 0 || out->err != MSP_OK)
			return out->err;
	}
}

enum msp_err msp_file_read(const char *path, size_t max, bool must_be_private, struct msp_buf *out, struct msp_why *why)
{
	enum msp_err err = MSP_OK;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* never waits for a FIFO's writer */

	if (fd < 0)
		return file_fail(why, path, "open");
	if (fstat(fd, &st) != 0)
		err = file_fail(why, path, "stat");
	else if (!S_ISREG(st.st_mode))
		err = msp_fail(why, MSP_EIO, "%s: not a regular file", path);
	else if (must_be_private && (st.st_mode & 077) != 0)
		err = msp_fail(why, MSP_ECONF, "%s: mode %04o lets others in, 0600 is needed", path,
			       (unsigned)(st.st_mode & 07777));
	if (err != MSP_OK)
		goto out;
	err = read_all(fd, max, out);
	if (err == MSP_EIO)
		err = file_fail(why, path, "read");
	else if (err == MSP_ELIMIT)
		err = msp_fail(why, err, "%s: more than %zu octets", path, max);
	else if (err != MSP_OK)
		err = msp_fail(why, err, "%s: %s", path, msp_err_text(err));
out:
	(void)close(fd);
	return err;
}
