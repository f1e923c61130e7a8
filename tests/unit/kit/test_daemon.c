/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <msproto/base/mem.h>
#include <msproto/kit/daemon.h>

#define WAIT_MS 10000

static char dir[] = "/tmp/test_daemon.XXXXXX";

/* A daemon with one timer, whose "configuration" decides how it behaves. */
struct app {
	struct msp_timer *timer;
	const char *conf;
};

static void tick(void *arg)
{
	(void)arg;
}

static enum msp_err toy_check(const char *conf_path, struct msp_buf *errors)
{
	if (strstr(conf_path, "bad")) {
		msp_buf_add_str(errors, "bad:1: nonsense\n");
		return MSP_ECONF;
	}
	return MSP_OK;
}

static enum msp_err toy_start(struct msp_loop *loop, struct msp_log *log, const char *conf_path, void **app,
			      struct msp_why *why)
{
	struct app *a;

	(void)log;
	if (strstr(conf_path, "confined") && prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) != 1)
		return msp_fail(why, MSP_ESTATE, "new privileges are possible");
	if (strstr(conf_path, "user") && (geteuid() == 0 || getegid() == 0))
		return msp_fail(why, MSP_ESTATE, "still root");
	a = msp_alloc(1, sizeof(*a));
	if (!a)
		return MSP_ENOMEM;
	a->conf = conf_path;
	*app = a;
	if (msp_timer_new(loop, tick, a, &a->timer) != MSP_OK)
		return MSP_ENOMEM;
	msp_timer_start(a->timer, 3600000);
	return strstr(conf_path, "bad") ? msp_fail(why, MSP_ECONF, "no") : MSP_OK;
}

static enum msp_err toy_reload(void *app, struct msp_why *why)
{
	struct app *a = app;

	return strstr(a->conf, "reloadfails") ? msp_fail(why, MSP_ECONF, "new file is bad") : MSP_OK;
}

static void toy_stop(void *app)
{
	struct app *a = app;

	msp_timer_close(&a->timer);
}

static void toy_free(void **app)
{
	msp_free(*app);
	*app = NULL;
}

static const struct msp_daemon_ops toy = { "toyd", toy_check, toy_start, toy_reload, toy_stop, toy_free };

static int run_main(const char *const *args)
{
	char *argv[10];
	int argc = 0, status;

	for (; args[argc]; argc++)
		argv[argc] = msp_strdup(args[argc]);
	argv[argc] = NULL;
	status = msp_daemon_main(argc, argv, &toy);
	while (argc > 0)
		msp_free(argv[--argc]);
	return status;
}

static pid_t spawn(const char *const *args, const char *notify)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		(void)dup2(null, 1);
		(void)dup2(null, 2);
		if (notify)
			(void)setenv("NOTIFY_SOCKET", notify, 1);
		_exit(run_main(args));
	}
	return pid;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("the daemon died of signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int status_of(const char *const *args)
{
	return wait_for(spawn(args, NULL));
}
#define ARGS(...) ((const char *const[]){ "toyd", __VA_ARGS__, NULL })

static void options_decide_the_exit_status(void **state)
{
	(void)state;
	assert_int_equal(status_of(ARGS("-V")), 0);
	assert_int_equal(status_of(ARGS("-n", "-c", "/good")), 0);
	assert_int_equal(status_of(ARGS("-n", "-c", "/bad")), 1);
	assert_int_equal(status_of(ARGS("-c", "/bad")), 1);
	assert_int_equal(status_of(ARGS("-n")), 2);
	assert_int_equal(status_of(ARGS("-x")), 2);
	assert_int_equal(status_of(ARGS("-c")), 2);
	assert_int_equal(status_of(ARGS("-c", "/good", "extra")), 2);
	assert_int_equal(status_of(ARGS("-c", "/good", "-u", "no-such-user-here")), 1);
	assert_int_equal(status_of(ARGS("-c", "/good", "-u", "root")), 1);
}

static int notify_socket(const char *path, bool abstract)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t len = offsetof(struct sockaddr_un, sun_path) + strlen(path);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (abstract)
		sun.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun, (socklen_t)len), 0);
	return fd;
}

static void told(int fd, const char *want)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char got[128];
	ssize_t n;

	if (poll(&p, 1, WAIT_MS) != 1)
		fail_msg("no notification, wanted %s", want);
	n = recv(fd, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, want);
}

static void life_of_a_daemon(const char *conf, const char *notify, int fd, int signum)
{
	pid_t pid = spawn(ARGS("-v", "-c", conf), notify);

	told(fd, "READY=1");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kill(pid, SIGHUP), 0);
		told(fd, "RELOADING=1");
		told(fd, "READY=1");
	}
	assert_int_equal(kill(pid, signum), 0);
	told(fd, "STOPPING=1");
	assert_int_equal(wait_for(pid), 0);
}

static void readiness_reload_and_stop_are_told_to_the_supervisor(void **state)
{
	char path[128];
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/notify", dir);
	fd = notify_socket(path, false);
	life_of_a_daemon("/good/confined", path, fd, SIGTERM);
	life_of_a_daemon("/good", path, fd, SIGINT);
	life_of_a_daemon("/reloadfails", path, fd, SIGTERM); /* the old configuration stays in force */
	(void)close(fd);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "@test_daemon.%d", getpid());
	fd = notify_socket(path, true);
	life_of_a_daemon("/good", path, fd, SIGTERM);
	(void)close(fd);
}

static unsigned long long capabilities(pid_t pid)
{
	char path[64], line[256];
	unsigned long long caps = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "CapEff:", 7) == 0)
			caps = strtoull(line + 7, NULL, 16);
	(void)fclose(f);
	return caps;
}

static void with_u_it_runs_as_that_user_and_may_only_bind_low_ports(void **state)
{
	char path[128];
	pid_t pid;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	(void)snprintf(path, sizeof(path), "@test_daemon.u.%d", getpid());
	fd = notify_socket(path, true);
	pid = spawn(ARGS("-c", "/user", "-u", "nobody"), path);
	told(fd, "READY=1");
	assert_true((capabilities(pid) & ~(1ull << 10)) == 0); /* CAP_NET_BIND_SERVICE is bit 10 */
	assert_int_equal(kill(pid, SIGTERM), 0);
	told(fd, "STOPPING=1");
	assert_int_equal(wait_for(pid), 0);
	(void)close(fd);
}

static void its_own_path_is_known(void **state)
{
	char path[4096], tiny[4];

	(void)state;
	T_OK(msp_daemon_self_path(path, sizeof(path)));
	assert_non_null(strstr(path, "/test_daemon"));
	assert_int_equal(access(path, X_OK), 0);
	T_ERR(msp_daemon_self_path(tiny, sizeof(tiny)), MSP_EIO);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_decide_the_exit_status),
		cmocka_unit_test(readiness_reload_and_stop_are_told_to_the_supervisor),
		cmocka_unit_test(with_u_it_runs_as_that_user_and_may_only_bind_low_ports),
		cmocka_unit_test(its_own_path_is_known),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
