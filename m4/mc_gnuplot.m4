# SPDX-License-Identifier: GPL-3.0-or-later
# gnuplot: started at run time by the reports that draw. A program, not a
# library: DIR holds DIR/bin/gnuplot or DIR/gnuplot.
AC_DEFUN([MC_GNUPLOT], [
	AC_ARG_WITH([gnuplot],
		[AS_HELP_STRING([--with-gnuplot=DIR|yes|no|guess],
			[gnuplot, for SVG and PNG plots at run time (optional; Debian: gnuplot-nox)])],
		[], [with_gnuplot=guess])
	GNUPLOT=
	have_gnuplot=no
	AS_CASE([$with_gnuplot],
		[no], [],
		[yes|guess], [AC_PATH_PROG([GNUPLOT], [gnuplot])],
		[AC_PATH_PROG([GNUPLOT], [gnuplot], [],
			[$with_gnuplot/bin$PATH_SEPARATOR$with_gnuplot])])
	AS_IF([test -n "$GNUPLOT"], [have_gnuplot=yes])
	AS_IF([test "$have_gnuplot" = no && test "$with_gnuplot" != no &&
	       test "$with_gnuplot" != guess],
		[AC_MSG_ERROR([gnuplot was asked for and not found; try --with-gnuplot=DIR])])
	AC_DEFINE_UNQUOTED([GNUPLOT], ["${GNUPLOT:-gnuplot}"],
		[The gnuplot program.])
])
