/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One file for $INCLUDE with all delegations of the parent in canonical order, written anew for whatever has changed:
 * aside, made durable, then renamed. Afterwards a command (rndc reload, knotc zone-reload) is run; when it fails all of
 * it is done again later. What changes meanwhile makes one more round, however much it is.
 */
#include "backend.h"
#include "run.h"
#include "work.h"

#include <msproto/base/mem.h>
#include <msproto/wire/text.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK     256        /* children in one reading of the store */
#define PIECE     (1u << 20) /* octets in one write */
#define CHILD_MAX (1u << 20)
#define MODE      0644

struct filer {
	struct prt_backend base;
	struct prt_app *app;
	struct prt_settings *settings; /* owned reference: conf is in there */
	const struct prt_conf_backend *conf;
	struct msp_name parent;
	struct msp_numbers numbers;
	prt_backend_done_fn *done;
	void *arg;
	struct prt_work *work;
	struct prt_run *run;
	/* of the work */
	int fd;
	struct msp_buf text;
	struct msp_name last;
	size_t seen;
	bool is_over;
	enum msp_err err;
	struct msp_why why;
};

/* --- text ----------------------------------------------------------------------------------------------------------
 */

static bool is_before(const struct msp_rrset *a, const struct msp_rrset *b)
{
	int c = msp_name_cmp(&a->owner, &b->owner);

	return c < 0 || (c == 0 && a->type < b->type);
}

static void sort_sets(const struct prt_delegation *d, const struct msp_rrset *out[PRT_SETS_MAX])
{
	for (size_t i = 0; i < d->count; i++) {
		size_t at = i;

		for (; at > 0 && is_before(d->set[i], out[at - 1]); at--)
			out[at] = out[at - 1];
		out[at] = d->set[i];
	}
}

static void print_child(struct filer *f, const struct prt_delegation *d)
{
	const struct msp_rrset *set[PRT_SETS_MAX];

	sort_sets(d, set);
	for (size_t i = 0; i < d->count; i++) {
		struct msp_rr rr = {
			.owner = set[i]->owner, .type = set[i]->type, .cls = MSP_CLASS_IN, .ttl = set[i]->ttl
		};

		for (size_t n = 0; n < set[i]->count; n++) {
			rr.rdata = set[i]->rdata[n];
			msp_rr_print(&f->text, &f->numbers, &rr);
			msp_buf_add_u8(&f->text, '\n');
		}
	}
}

/* --- the file ------------------------------------------------------------------------------------------------------
 */

static enum msp_err trouble(struct filer *f, const char *what)
{
	return msp_fail(&f->why, MSP_EIO, "%.180s: %s: %s", f->conf->path, what, strerror(errno));
}

static enum msp_err flush(struct filer *f)
{
	if (f->text.err != MSP_OK)
		return f->text.err;
	for (size_t at = 0; at < f->text.len;) {
		ssize_t n = write(f->fd, f->text.ptr + at, f->text.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return trouble(f, "write");
		at += (size_t)n;
	}
	msp_buf_reset(&f->text);
	return MSP_OK;
}

static enum msp_err on_child(void *arg, const struct prt_child *c)
{
	struct filer *f = arg;

	f->seen++;
	if (f->is_over || (msp_name_is_set(&f->last) && msp_name_equal(&c->name, &f->last)))
		return MSP_OK;
	if (!msp_name_is_under(&c->name, &f->parent)) {
		f->is_over = true;
		return MSP_OK;
	}
	f->last = c->name;
	if (msp_name_equal(&c->parent, &f->parent) && (c->flags & PRT_CHILD_GONE) == 0)
		print_child(f, &c->registered);
	return MSP_OK;
}

static enum msp_err write_children(struct filer *f)
{
	enum msp_err err = MSP_OK;

	f->is_over = false;
	f->last.len = 0;
	while (err == MSP_OK && !f->is_over) {
		if (prt_work_is_left(f->work))
			return MSP_ECANCEL;
		f->seen = 0;
		err = prt_books_each(f->app->books, msp_name_is_set(&f->last) ? &f->last : &f->parent, CHUNK, on_child,
				     f);
		f->is_over |= f->seen < CHUNK;
		if (err == MSP_OK && f->text.len >= PIECE)
			err = flush(f);
	}
	return err == MSP_OK ? flush(f) : err;
}

static enum msp_err sync_directory(struct filer *f)
{
	char path[PATH_MAX];
	int fd;
	enum msp_err err = MSP_OK;

	if (snprintf(path, sizeof(path), "%s", f->conf->path) >= (int)sizeof(path))
		return MSP_ELIMIT;
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return trouble(f, "directory");
	if (fsync(fd) != 0)
		err = trouble(f, "directory");
	close(fd);
	return err;
}

static enum msp_err write_file(struct filer *f, const char *aside)
{
	enum msp_err err;

	f->fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE);
	if (f->fd < 0)
		return trouble(f, "create");
	msp_buf_init(&f->text, 4 * PIECE);
	msp_buf_printf(&f->text, "; delegations of %s, written by parentd: changes made here are lost\n",
		       MSP_NAME(&f->parent));
	err = write_children(f);
	msp_buf_fini(&f->text);
	if (err == MSP_OK && (fchmod(f->fd, MODE) != 0 || fsync(f->fd) != 0))
		err = trouble(f, "sync");
	if (close(f->fd) != 0 && err == MSP_OK)
		err = trouble(f, "close");
	if (err == MSP_OK && rename(aside, f->conf->path) != 0)
		err = trouble(f, "rename");
	if (err != MSP_OK)
		(void)unlink(aside);
	return err == MSP_OK ? sync_directory(f) : err;
}

static void in_pool(void *arg)
{
	struct filer *f = arg;
	char aside[PATH_MAX];

	if (snprintf(aside, sizeof(aside), "%s.new", f->conf->path) >= (int)sizeof(aside))
		f->err = msp_fail(&f->why, MSP_ELIMIT, "path is too long");
	else
		f->err = write_file(f, aside);
}

/* --- the command ---------------------------------------------------------------------------------------------------
 */

static void finish(struct filer *f, enum msp_err err, const struct msp_why *why)
{
	prt_backend_done_fn *done = f->done;

	f->done = NULL;
	done(f->arg, err, why);
}

static void has_run(void *arg, enum msp_err err, int exit_status, const struct msp_why *why)
{
	(void)exit_status;
	finish(arg, err, why);
}

static void written(void *arg)
{
	struct filer *f = arg;

	if (f->err == MSP_OK && f->conf->command.count > 0) {
		f->err = prt_run_start(f->app->loop, &f->conf->command, msp_span(NULL, 0), f->conf->timeout_s, has_run,
				       f, &f->run);
		if (f->err == MSP_OK)
			return;
	}
	finish(f, f->err, &f->why);
}

/* --- the driver ----------------------------------------------------------------------------------------------------
 */

static enum msp_err file_open(struct prt_app *app, const struct prt_conf_parent *parent,
			      const struct prt_conf_backend *conf, struct prt_backend **out, struct msp_why *why)
{
	struct filer *f = msp_alloc(1, sizeof(*f));

	if (f == NULL)
		return msp_fail(why, MSP_ENOMEM, "out of memory");
	f->base.driver = &prt_backend_file;
	f->app = app;
	f->settings = prt_settings_ref(app->settings);
	f->conf = conf;
	f->parent = parent->zone;
	f->numbers = app->conf->numbers;
	*out = &f->base;
	return MSP_OK;
}

static enum msp_err file_apply(struct prt_backend *b, const struct prt_backend_job *jobs, size_t count,
			       prt_backend_done_fn *done, void *arg)
{
	struct filer *f = (struct filer *)b;

	(void)jobs; /* all is read from the books, where it is at least as new */
	(void)count;
	f->done = done;
	f->arg = arg;
	f->why.text[0] = '\0';
	return prt_work_start(f->app->loop, in_pool, written, f, &f->work);
}

static void file_close(struct prt_backend **b)
{
	struct filer *f = (struct filer *)*b;

	if (f == NULL)
		return;
	*b = NULL;
	prt_work_leave(&f->work);
	prt_run_leave(&f->run);
	prt_settings_unref(&f->settings);
	msp_free(f);
}

const struct prt_backend_driver prt_backend_file = { .name = "file",
						     .batch = PRT_BATCH_MAX,
						     .is_whole = true,
						     .open = file_open,
						     .apply = file_apply,
						     .close = file_close };
