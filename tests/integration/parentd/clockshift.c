/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into a daemon: the time of day is CLOCK_SHIFT seconds later than it is (earlier if negative). What others
 * captured is good again at the time that it was made for. Monotonic time is as it is.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *ts)
{
	const char *shift = getenv("CLOCK_SHIFT");
	long err = syscall(SYS_clock_gettime, id, ts);

	if (err == 0 && id == CLOCK_REALTIME && shift != NULL)
		ts->tv_sec += strtol(shift, NULL, 10);
	return (int)err;
}
