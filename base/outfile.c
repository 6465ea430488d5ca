/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/outfile.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOTS 32	/* files open for writing at one time */
#define NAME_TRIES 100	/* temporary names tried before giving up */
#define MODE_BITS 0777
#define READ_STEP 65536

/* Temporaries that the signal handler removes; NULL: free. */
static const char *volatile slots[SLOTS];

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
#define N_CAUGHT (sizeof(caught) / sizeof(caught[0]))

static void on_signal(int sig)
{
	int i;

	for (i = 0; i < SLOTS; i++) {
		if (slots[i])
			unlink(slots[i]);
	}
	raise(sig);	/* SA_RESETHAND: now it kills, once we return */
}

void outfile_on_signal(void)
{
	struct sigaction sa = { .sa_handler = on_signal,
				.sa_flags = (int)SA_RESETHAND };
	size_t i;

	sigemptyset(&sa.sa_mask);
	for (i = 0; i < N_CAUGHT; i++) {
		sigaddset(&sa.sa_mask, caught[i]);
	}
	for (i = 0; i < N_CAUGHT; i++) {
		struct sigaction old;

		if (sigaction(caught[i], NULL, &old) ||
		    old.sa_handler == SIG_IGN)
			continue;	/* nohup stays nohup */
		sigaction(caught[i], &sa, NULL);
	}
	/* past `ulimit -f` a write fails like any other */
	signal(SIGXFSZ, SIG_IGN);
}

/* A file and its slot appear and vanish together for the handler. */
static void signals_block(sigset_t *old)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < N_CAUGHT; i++) {
		sigaddset(&set, caught[i]);
	}
	sigprocmask(SIG_BLOCK, &set, old);
}

static void signals_restore(const sigset_t *old)
{
	sigprocmask(SIG_SETMASK, old, NULL);
}

static int slot_find(void)
{
	int i;

	for (i = 0; i < SLOTS; i++) {
		if (!slots[i])
			return i;
	}
	return -1;
}

static enum status write_error(const char *path)
{
	return err_set(ST_FAIL, "cannot write '%s': %m", path);
}

static void outfile_clear(struct outfile *f)
{
	if (f->slot >= 0)
		slots[f->slot] = NULL;
	free(f->path);
	free(f->temp);
	*f = (struct outfile){ .slot = -1 };
}

/* Creates "PATH.tmpPID-K"; -1 and errno on failure. */
static int create_temp(struct outfile *f)
{
	int fd = -1, k;

	for (k = 0; fd < 0 && k < NAME_TRIES; k++) {
		free(f->temp);
		f->temp = xasprintf("%s.tmp%ld-%d", f->path, (long)getpid(),
				    k);
		fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			  0666);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	return fd;
}

/* Devices and pipes cannot be replaced; they are written in place. */
static bool in_place(const char *path, const struct stat *sb)
{
	return !S_ISREG(sb->st_mode) || !strncmp(path, "/dev/", 5) ||
	       !strncmp(path, "/proc/", 6);
}

static int open_fd(struct outfile *f, const sigset_t *old)
{
	struct stat sb;
	bool exists = !stat(f->path, &sb);
	char *real;
	int fd;

	if (exists && S_ISDIR(sb.st_mode)) {
		errno = EISDIR;
		return -1;
	}
	if (exists && in_place(f->path, &sb)) {
		/* may wait for a pipe's reader: let a signal end that */
		signals_restore(old);
		return open(f->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	}
	if (exists && access(f->path, W_OK))
		return -1;
	real = exists ? realpath(f->path, NULL) : NULL;
	if (real) {	/* a link stays a link: replace what it names */
		free(f->path);
		f->path = real;
	}
	fd = create_temp(f);
	if (fd >= 0 && exists)
		(void)!fchmod(fd, sb.st_mode & MODE_BITS);
	return fd;
}

enum status outfile_open(struct outfile *f, const char *path)
{
	enum status st = ST_OK;
	sigset_t old;
	int fd, slot;

	*f = (struct outfile){ .path = xstrdup(path), .slot = -1 };
	signals_block(&old);
	slot = slot_find();
	fd = slot < 0 ? (errno = EMFILE, -1) : open_fd(f, &old);
	if (fd < 0) {
		st = write_error(path);
		outfile_clear(f);
	} else {
		if (f->temp) {
			f->slot = slot;
			slots[slot] = f->temp;
		}
		f->stream = fdopen(fd, "w");
		if (!f->stream) {
			st = write_error(path);
			close(fd);
			outfile_abort(f);
		}
	}
	signals_restore(&old);
	return st;
}

static bool close_stream(struct outfile *f)
{
	bool bad = ferror(f->stream) != 0;

	if (fclose(f->stream))
		bad = true;
	f->stream = NULL;
	return !bad;
}

enum status outfile_commit(struct outfile *f)
{
	enum status st = ST_OK;
	sigset_t old;
	bool closed;

	if (!f->stream)
		return err_set(ST_FAIL, "output file is not open");
	errno = EIO;	/* for a stream whose earlier error is forgotten */
	closed = close_stream(f);	/* a pipe may wait: signals are open */
	signals_block(&old);
	if (!closed || (f->temp && rename(f->temp, f->path))) {
		st = write_error(f->path);
		outfile_abort(f);
	} else {
		outfile_clear(f);
	}
	signals_restore(&old);
	return st;
}

void outfile_abort(struct outfile *f)
{
	sigset_t old;

	if (!f->path)
		return;
	if (f->stream)
		close_stream(f);
	signals_block(&old);
	if (f->temp)
		unlink(f->temp);
	outfile_clear(f);
	signals_restore(&old);
}

enum status outfile_write(const char *path, const char *text, size_t len)
{
	struct outfile f;
	enum status st = outfile_open(&f, path);

	if (st)
		return st;
	fwrite(text, 1, len, f.stream);	/* commit looks at ferror() */
	return outfile_commit(&f);
}

static bool make_dir(const char *path)
{
	struct stat sb;

	if (!mkdir(path, 0777))
		return true;
	if (errno != EEXIST)
		return false;
	if (stat(path, &sb))
		return false;
	if (S_ISDIR(sb.st_mode))
		return true;
	errno = ENOTDIR;
	return false;
}

enum status outfile_mkdir(const char *path)
{
	char *copy = xstrdup(path), *p;
	bool ok = true;

	for (p = copy; ok && *p; p++) {
		if (*p != '/' || p == copy)
			continue;
		*p = '\0';
		ok = make_dir(copy);
		*p = '/';
	}
	ok = ok && make_dir(copy);
	free(copy);
	return ok ? ST_OK : err_set(ST_FAIL, "cannot make directory '%s': %m",
				    path);
}

/* Reads to the end or one byte past `max`, whatever the size claimed. */
static bool read_all(int fd, size_t max, char **text_p, size_t *len_p)
{
	size_t cap = 0, len = 0;
	char *text = NULL;
	ssize_t n = 0;

	do {
		size_t want = max + 1 - len;

		if (want > READ_STEP)
			want = READ_STEP;
		text = array_grow(text, &cap, len + want + 1, 1);
		n = read(fd, text + len, want);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len <= max) || (n < 0 && errno == EINTR));
	if (n < 0) {
		free(text);
		return false;
	}
	text[len] = '\0';
	*text_p = text;
	*len_p = len;
	return true;
}

static enum status check_regular(int fd, const char *path, size_t max)
{
	struct stat sb;

	if (fstat(fd, &sb))
		return err_set(ST_FAIL, "cannot read '%s': %m", path);
	if (S_ISDIR(sb.st_mode))
		return err_set(ST_INPUT, "'%s' is a directory", path);
	if (!S_ISREG(sb.st_mode))
		return err_set(ST_INPUT, "'%s' is not a regular file", path);
	if ((uintmax_t)sb.st_size > max)
		return err_set(ST_INPUT,
			       "'%s' has %jd bytes, at most %zu are read",
			       path, (intmax_t)sb.st_size, max);
	return ST_OK;
}

enum status infile_read(const char *path, size_t max, char **text_p,
			size_t *len_p)
{
	/* O_NONBLOCK: a pipe without a writer must not hang us */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	enum status st;
	size_t len = 0;

	if (fd < 0)
		return err_set(ST_INPUT, "cannot read '%s': %m", path);
	st = check_regular(fd, path, max);
	if (!st && !read_all(fd, max, &text, &len))
		st = err_set(ST_FAIL, "cannot read '%s': %m", path);
	close(fd);
	if (!st && len > max) {
		free(text);
		st = err_set(ST_INPUT, "'%s' has more than %zu bytes", path,
			     max);
	}
	if (st)
		return st;
	*text_p = text;
	*len_p = len;
	return ST_OK;
}
