/* SPDX-License-Identifier: BSD-2-Clause */
#include "kit/privilege.h"

#include <msproto/kit/daemon.h>

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static enum msp_err sys_fail(struct msp_why *why, const char *what)
{
	return msp_fail(why, MSP_EIO, "%s: %s", what, strerror(errno));
}

/* What is held of CAP_NET_BIND_SERVICE stays, everything else goes. Without libcap: two structs and a system call. */
static enum msp_err keep_bind_only(struct msp_why *why)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	const uint32_t bind = 1u << CAP_NET_BIND_SERVICE;

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &head, data) != 0)
		return sys_fail(why, "capget");
	data[0].permitted &= bind;
	data[0].effective = data[0].permitted;
	data[0].inheritable &= bind;
	data[1].permitted = data[1].effective = data[1].inheritable = 0;
	return syscall(SYS_capset, &head, data) == 0 ? MSP_OK : sys_fail(why, "capset");
}

enum msp_err privilege_become(const char *user, struct msp_why *why)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(user);
	if (!pw)
		return msp_fail(why, MSP_ECONF, "user %s: %s", user, errno ? strerror(errno) : "does not exist");
	if (pw->pw_uid == 0)
		return msp_fail(why, MSP_ECONF, "user %s is root", user);
	if (prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L) != 0)
		return sys_fail(why, "keep capabilities");
	if (initgroups(user, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
		return sys_fail(why, user);
	return keep_bind_only(why);
}

enum msp_err msp_daemon_confine(struct msp_why *why)
{
	struct rlimit none = { 0, 0 }, files;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) != 0)
		return sys_fail(why, "no new privileges");
	if (setrlimit(RLIMIT_CORE, &none) != 0) /* cores would hold keys */
		return sys_fail(why, "core limit");
	/* What the system lets it have of descriptors: connections are limited by settings, and running out of them
	 * would look like others being out of reach. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) != 0)
			return sys_fail(why, "descriptor limit");
	}
	return geteuid() == 0 ? MSP_OK : keep_bind_only(why);
}
