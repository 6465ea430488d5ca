/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/gnuplot.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "reports/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STDERR_KEEP 400		/* bytes of gnuplot's message that we show */
#define FORK_STATUS_NO_EXEC 127
#define APOSTROPHE "\342\200\231"	/* U+2019 */
#define STRING_MAX 512		/* characters of one label */
/* The first that exists is taken by the SVG viewer; cairo asks fontconfig. */
#define SVG_FONT "DejaVu Sans, Helvetica, Arial, sans-serif"
#define PNG_FONT "DejaVu Sans"
#define FONT_SIZE 11
#define PNG_SCALE 2	/* pixels per point: sharp in print and on screens */
/* cairo and gd take font sizes at 96 dots per inch, SVG at 72 */
#define PNG_FONT_SCALE (PNG_SCALE * 72.0 / 96)

static const char *const suffixes[FIGURE_FORMAT_N] = { ".svg", ".png" };

enum status figure_format_find(const char *path, enum figure_format *out)
{
	size_t n = strlen(path), k;
	int f;

	for (f = 0; f < FIGURE_FORMAT_N; f++) {
		k = strlen(suffixes[f]);
		if (n > k && !strcmp(path + n - k, suffixes[f]) &&
		    path[n - k - 1] != '/') {
			*out = (enum figure_format)f;
			return ST_OK;
		}
	}
	return err_set(ST_INPUT, "'%s': a figure's name ends with .svg or .png",
		       path);
}

static bool is_program(const char *path)
{
	struct stat sb;

	return !access(path, X_OK) && !stat(path, &sb) && S_ISREG(sb.st_mode);
}

/* The first of PATH's folders that holds gnuplot; NULL: none. free() it. */
static char *search_path(void)
{
	const char *path = getenv("PATH");
	char *file;
	size_t n;

	for (; path && *path; path += n + (path[n] == ':')) {
		n = strcspn(path, ":");
		if (!n)
			continue;	/* the working directory: not ours */
		file = xasprintf("%.*s/gnuplot", (int)n, path);
		if (is_program(file))
			return file;
		free(file);
	}
	return NULL;
}

static enum status find_program(char **out_p)
{
	const char *given = getenv("GNUPLOT");

	if (given && *given) {
		if (!is_program(given))
			return err_set(ST_UNAVAILABLE, "GNUPLOT='%s' is no "
				       "program; figures need gnuplot", given);
		*out_p = xstrdup(given);
		return ST_OK;
	}
	*out_p = search_path();
	if (*out_p)
		return ST_OK;
	return err_set(ST_UNAVAILABLE, "'gnuplot' is not in PATH; install it "
		       "or set GNUPLOT; figures need it");
}

enum status gnuplot_check(void)
{
	char *program;
	enum status st = find_program(&program);

	if (!st)
		free(program);
	return st;
}

/*
 * Inside single quotes nothing is special but the quote. Doubling it should
 * do, but gnuplot 5.4 takes a doubled quote at a string's beginning for the
 * string's end, and what follows for commands: an apostrophe stands instead.
 */
static void put_quoted(struct buf *out, const char *text, const char *escape)
{
	char *clean = text_clean(text);
	const char *s;

	clean[text_bytes(clean, STRING_MAX)] = '\0';
	for (s = clean; *s; s++) {
		if (strchr(escape, *s))
			buf_puts(out, "\\");
		/* gnuplot's SVG leaves '>' as it is; XML forbids this */
		if (*s == '>' && s - clean >= 2 && s[-1] == ']' &&
		    s[-2] == ']')
			buf_puts(out, " ");
		if (*s == '\'')
			buf_puts(out, APOSTROPHE);
		else
			buf_add(out, s, 1);
	}
	free(clean);
}

void gnuplot_string(struct buf *out, const char *text)
{
	buf_puts(out, "'");
	put_quoted(out, text, "");
	buf_puts(out, "'");
}

void gnuplot_bold_string(struct buf *out, const char *text)
{
	buf_puts(out, "'{/:Bold ");
	put_quoted(out, text, "\\^_@&~{}");
	buf_puts(out, "}'");
}

void gnuplot_number(struct buf *out, double value)
{
	char text[48], *s;

	snprintf(text, sizeof(text), "%.9g", isfinite(value) ? value : 0);
	for (s = text; *s; s++) {
		if (*s == ',')	/* a caller may have set LC_NUMERIC */
			*s = '.';
	}
	buf_puts(out, text);
}

/* A child with pipes to its input and from its messages. */
struct child {
	pid_t pid;
	int in, err;	/* our ends; -1 when closed */
	struct buf message;
	double deadline_s;	/* on now_s()'s clock */
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

extern char **environ;

/* Its standard output is the figure: no file name enters the script. */
static int spawn(const char *program, int in, int out, int err, pid_t *pid_p)
{
	char *argv[] = { xstrdup(program), xstrdup("-d"), xstrdup("-"), NULL };
	posix_spawn_file_actions_t fa;
	int e, i;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, out, 1);
	posix_spawn_file_actions_adddup2(&fa, err, 2);
	e = posix_spawn(pid_p, program, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	for (i = 0; argv[i]; i++)
		free(argv[i]);
	return e;
}

/* Not inherited by the child, except where spawn() puts them. */
static int make_pipe(int fd[2])
{
	int i;

	if (pipe(fd))
		return -1;
	for (i = 0; i < 2; i++)
		fcntl(fd[i], F_SETFD, FD_CLOEXEC);
	return 0;
}

static enum status child_start(struct child *c, const char *program, int out)
{
	int in[2], err[2], e;

	if (make_pipe(in))
		return err_set(ST_FAIL, "cannot make a pipe: %m");
	if (make_pipe(err)) {
		close(in[0]);
		close(in[1]);
		return err_set(ST_FAIL, "cannot make a pipe: %m");
	}
	*c = (struct child){ .in = in[1], .err = err[0] };
	c->deadline_s = now_s() + GNUPLOT_DEADLINE_S;
	fcntl(c->in, F_SETFL, O_NONBLOCK);
	e = spawn(program, in[0], out, err[1], &c->pid);
	close(in[0]);
	close(err[1]);
	if (!e)
		return ST_OK;
	close_fd(&c->in);
	close_fd(&c->err);
	return err_set(ST_UNAVAILABLE, "cannot start '%s': %s", program,
		       strerror(e));
}

/* Sends what the pipe takes; closes it at the end of the script. */
static void child_send(struct child *c, const struct buf *script,
		       size_t *sent)
{
	ssize_t n = write(c->in, script->s + *sent, script->len - *sent);

	if (n > 0)
		*sent += (size_t)n;
	else if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || *sent == script->len)
		close_fd(&c->in);
}

static void child_receive(struct child *c)
{
	char text[512];
	ssize_t n = read(c->err, text, sizeof(text));

	if (n > 0 && c->message.len < STDERR_KEEP)
		buf_add(&c->message, text, (size_t)n);
	else if (!n || (n < 0 && errno != EINTR && errno != EAGAIN))
		close_fd(&c->err);
}

/* Talks until gnuplot closes its messages; false when time is up. */
static bool child_talk(struct child *c, const struct buf *script)
{
	struct pollfd fd[2];
	size_t sent = 0;
	double left;

	while (c->err >= 0) {
		left = c->deadline_s - now_s();
		if (left <= 0)
			return false;
		fd[0] = (struct pollfd){ c->err, POLLIN, 0 };
		fd[1] = (struct pollfd){ c->in, POLLOUT, 0 };
		if (poll(fd, 2, (int)(left * 1000) + 1) < 0 && errno != EINTR)
			return false;
		if (fd[1].revents)
			child_send(c, script, &sent);
		if (fd[0].revents)
			child_receive(c);
	}
	return true;
}

/* Its exit status; -1 when it had to be killed. */
static int child_finish(struct child *c, bool alive)
{
	const struct timespec nap = { .tv_nsec = 2000000 };
	int status = 0;

	close_fd(&c->in);
	close_fd(&c->err);
	while (alive && !waitpid(c->pid, &status, WNOHANG)) {
		alive = now_s() < c->deadline_s;
		nanosleep(&nap, NULL);
	}
	if (alive)
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	kill(c->pid, SIGKILL);
	waitpid(c->pid, &status, 0);
	return -1;
}

static enum status child_judge(const struct child *c, const char *program,
			       int rc)
{
	/* in the C locale it always warns first that this fails */
	static const char usual[] = "failed to convert degree sign";
	const char *said = buf_str(&c->message), *warned = strstr(said, usual);
	char *clean = text_clean(warned ? warned + strlen(usual) : said);
	const char *text = clean + strspn(clean, " ");
	enum status st = ST_OK;

	if (rc == FORK_STATUS_NO_EXEC)
		st = err_set(ST_UNAVAILABLE, "cannot start '%s'", program);
	else if (rc < 0 && now_s() >= c->deadline_s)
		st = err_set(ST_FAIL, "'%s' took longer than %d s", program,
			     GNUPLOT_DEADLINE_S);
	else if (rc)
		st = err_set(ST_FAIL, "'%s' failed: %.*s", program,
			     STDERR_KEEP, *text ? text : "no message");
	free(clean);
	return st;
}

static enum status run_script(const char *program, const struct buf *script,
			      int out)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	struct child c;
	enum status st;
	bool alive;
	int rc;

	sigaction(SIGPIPE, &ignore, &old);	/* gnuplot may die early */
	st = child_start(&c, program, out);
	if (!st) {
		alive = child_talk(&c, script);
		rc = child_finish(&c, alive);
		st = child_judge(&c, program, rc);
		buf_release(&c.message);
	}
	sigaction(SIGPIPE, &old, NULL);
	return st;
}

static void put_terminal(struct buf *out, enum figure_format format,
			 int width, int height)
{
	if (format == FIGURE_SVG)
		buf_addf(out, "set terminal svg size %d,%d enhanced "
			 "font '" SVG_FONT ",%d' background '#ffffff' "
			 "linewidth 1 name 'figure'\n", width, height,
			 FONT_SIZE);
	else
		buf_addf(out, "if (strstrt(GPVAL_TERMINALS, 'pngcairo')) "
			 "set terminal pngcairo size %d,%d enhanced "
			 "font '" PNG_FONT ",%d' background '#ffffff' "
			 "fontscale %g linewidth %d pointscale %d\n"
			 "if (!strstrt(GPVAL_TERMINALS, 'pngcairo')) "
			 "set terminal png size %d,%d enhanced "
			 "font '" PNG_FONT ",%d' background '#ffffff' "
			 "fontscale %g linewidth %d truecolor\n",
			 width * PNG_SCALE, height * PNG_SCALE, FONT_SIZE,
			 PNG_FONT_SCALE, PNG_SCALE, PNG_SCALE,
			 width * PNG_SCALE, height * PNG_SCALE, FONT_SIZE,
			 PNG_FONT_SCALE, PNG_SCALE);
	buf_puts(out, "set encoding utf8\n");
}

static bool is_empty(int fd)
{
	struct stat sb;

	return fstat(fd, &sb) || (S_ISREG(sb.st_mode) && !sb.st_size);
}

enum status gnuplot_run(const struct buf *script, int width, int height,
			const char *path)
{
	enum figure_format format = FIGURE_SVG;
	struct outfile f = { 0 };
	struct buf whole = { 0 };
	char *program = NULL;
	enum status st;

	st = figure_format_find(path, &format);
	if (!st)
		st = find_program(&program);
	if (st)
		return st;
	st = outfile_open(&f, path);
	if (st)
		goto out_program;
	put_terminal(&whole, format, width, height);
	buf_puts(&whole, buf_str(script));
	buf_puts(&whole, "\nunset output\n");
	st = run_script(program, &whole, fileno(f.stream));
	if (!st && is_empty(fileno(f.stream)))
		st = err_set(ST_FAIL, "'%s' wrote nothing to '%s'", program,
			     path);
	if (st)
		outfile_abort(&f);
	else
		st = outfile_commit(&f);
	buf_release(&whole);
out_program:
	free(program);
	return st;
}
