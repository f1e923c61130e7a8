/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into a daemon: counts the operations that change files below FAULT_DIR and makes one of them go wrong.
 *   FAULT=log        none; each is appended to FAULT_LOG: number, name, file, octets
 *   FAULT=kill:N     the process is killed instead of operation N
 *   FAULT=torn:N     operation N, a write, gets half of its sectors onto the disk; then the process is killed
 *   FAULT=enospc:N   from operation N on nothing can be written: no space left on the device
 *   FAULT=eio:N      from operation N on nothing can be written or synchronised: input/output error
 *   FAULT=erofs:N    from operation N on the file system is read-only
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SECTOR 512

enum kind { FAULT_NONE, FAULT_LOG, FAULT_KILL, FAULT_TORN, FAULT_FAIL };
static const struct {
	const char *word;
	enum kind kind;
	int error;
	bool fails_sync;
} kinds[] = { { "log", FAULT_LOG, 0, false },    { "kill:", FAULT_KILL, 0, false },
	      { "torn:", FAULT_TORN, 0, false }, { "enospc:", FAULT_FAIL, ENOSPC, false },
	      { "eio:", FAULT_FAIL, EIO, true }, { "erofs:", FAULT_FAIL, EROFS, false } };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static atomic_ulong counter;
static const char *dir;
static unsigned long at;
static size_t mode = KINDS;
static int log_fd = -1;

__attribute__((constructor)) static void begin(void)
{
	const char *fault = getenv("FAULT"), *log = getenv("FAULT_LOG");

	dir = getenv("FAULT_DIR");
	if (dir == NULL || fault == NULL)
		return;
	for (size_t i = 0; i < KINDS; i++) {
		size_t len = strlen(kinds[i].word);

		if (strncmp(fault, kinds[i].word, len) != 0)
			continue;
		mode = i;
		at = strtoul(fault + len, NULL, 10);
	}
	if (log != NULL)
		log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Nothing here may call what is wrapped below. */
static void note(unsigned long n, const char *op, const char *file, size_t len)
{
	char line[512];
	int got = snprintf(line, sizeof(line), "%lu %s %s %zu\n", n, op, file, len);

	if (log_fd >= 0 && got > 0)
		(void)!syscall(SYS_write, log_fd, line, (size_t)got);
}

static _Noreturn void die(void)
{
	syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		pause();
}

static bool is_ours(const char *path)
{
	return strncmp(path, dir, strlen(dir)) == 0;
}

static bool fd_path(int fd, char *path, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, size - 1);
	path[n > 0 ? n : 0] = '\0';
	return n > 0;
}

enum verdict { GO_ON, FAIL, TEAR };

/* One operation on a file of ours. */
static enum verdict count(const char *op, const char *path, size_t len, bool is_sync)
{
	unsigned long n;

	if (mode == KINDS || !is_ours(path))
		return GO_ON;
	n = atomic_fetch_add(&counter, 1);
	note(n, op, path, len);
	switch (kinds[mode].kind) {
	case FAULT_KILL:
		if (n == at)
			die();
		return GO_ON;
	case FAULT_TORN:
		if (n == at && len == 0)
			die();
		return n == at ? TEAR : GO_ON;
	case FAULT_FAIL:
		if (n < at || (is_sync && !kinds[mode].fails_sync))
			return GO_ON;
		errno = kinds[mode].error;
		return FAIL;
	case FAULT_NONE:
	case FAULT_LOG:
		break;
	}
	return GO_ON;
}

static enum verdict count_fd(const char *op, int fd, size_t len, bool is_sync)
{
	char path[512];

	if (mode == KINDS || !fd_path(fd, path, sizeof(path)))
		return GO_ON;
	return count(op, path, len, is_sync);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *buf, size_t len)
{
	switch (count_fd("write", fd, len, false)) {
	case FAIL:
		return -1;
	case TEAR:
		(void)!REAL(write)(fd, buf, len / 2 / SECTOR * SECTOR);
		die();
	case GO_ON:
		break;
	}
	return REAL(write)(fd, buf, len);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset)
{
	switch (count_fd("pwrite", fd, len, false)) {
	case FAIL:
		return -1;
	case TEAR:
		(void)!REAL(pwrite64)(fd, buf, len / 2 / SECTOR * SECTOR, offset);
		die();
	case GO_ON:
		break;
	}
	return REAL(pwrite64)(fd, buf, len, offset);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	return pwrite64(fd, buf, len, offset);
}

static size_t total(const struct iovec *iov, int n)
{
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	switch (count_fd("writev", fd, total(iov, n), false)) {
	case FAIL:
		return -1;
	case TEAR:
		(void)!REAL(writev)(fd, iov, n / 2);
		die();
	case GO_ON:
		break;
	}
	return REAL(writev)(fd, iov, n);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	switch (count_fd("pwritev", fd, total(iov, n), false)) {
	case FAIL:
		return -1;
	case TEAR:
		(void)!REAL(pwritev64)(fd, iov, n / 2, offset);
		die();
	case GO_ON:
		break;
	}
	return REAL(pwritev64)(fd, iov, n, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	return pwritev64(fd, iov, n, offset);
}

int fsync(int fd)
{
	return count_fd("fsync", fd, 0, true) == FAIL ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	return count_fd("fdatasync", fd, 0, true) == FAIL ? -1 : REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t len)
{
	return count_fd("ftruncate", fd, 0, false) == FAIL ? -1 : REAL(ftruncate64)(fd, len);
}

int ftruncate(int fd, off_t len)
{
	return ftruncate64(fd, len);
}

int rename(const char *from, const char *to)
{
	return count("rename", from, 0, false) == FAIL ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path)
{
	return count("unlink", path, 0, false) == FAIL ? -1 : REAL(unlink)(path);
}
