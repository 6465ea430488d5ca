# SPDX-License-Identifier: GPL-3.0-or-later
#
# MPI for the runner and for sweeps: --with-mpi=DIR|yes|no|guess, by DIR/bin/mpicc or the
# mpicc in the path. No by default: a moecast-run with MPI needs that MPI's
# library wherever it goes, and few of its runs are mpirun's; the same holds for
# moecast, of which only cli/sweep_mpi.c uses it.
#
# Sets have_mpi, MPI_CPPFLAGS (with -isystem), MPI_LIBS.
AC_DEFUN([MC_MPI], [
	AC_ARG_WITH([mpi],
		[AS_HELP_STRING([--with-mpi=DIR|yes|no|guess],
			[MPI, for moecast-run and moecast sweep over several processes (optional; default: no; Debian: libopenmpi-dev)])],
		[], [with_mpi=no])
	AC_SUBST([with_mpi])
	have_mpi=no
	AS_CASE([$with_mpi],
		[no], [],
		[yes|guess], [
			AC_PATH_PROG([MPICC], [mpicc])
			AS_IF([test -n "$MPICC"], [_MC_MPI_TRY])
		], [
			MPICC=$with_mpi/bin/mpicc
			AS_IF([test -x "$MPICC"], [_MC_MPI_TRY])
		])
	AS_CASE([$have_mpi:$with_mpi], [no:no|no:guess|yes:*], [],
		[AC_MSG_ERROR([--with-mpi=$with_mpi: no mpicc and mpi.h that work (Debian: libopenmpi-dev)])])
	AS_IF([test "$have_mpi" = yes],
		[AC_DEFINE([HAVE_MPI], [1], [the runner and sweeps can be several processes])],
		[MPI_CPPFLAGS= MPI_LIBS=])
	AC_SUBST([MPI_CPPFLAGS])
	AC_SUBST([MPI_LIBS])
])

# Open MPI tells its flags one way, MPICH another.
AC_DEFUN([_MC_MPI_TRY], [
	AC_MSG_CHECKING([whether $MPICC works])
	mc_compile=`"$MPICC" --showme:compile 2>/dev/null`
	mc_link=`"$MPICC" --showme:link 2>/dev/null`
	AS_IF([test -z "$mc_link"], [
		mc_compile=`"$MPICC" -compile_info 2>/dev/null`
		mc_link=`"$MPICC" -link_info 2>/dev/null`
	])
	MPI_CPPFLAGS=
	for mc_i in $mc_compile; do
		AS_CASE([$mc_i], [-I*],
			[MPI_CPPFLAGS="$MPI_CPPFLAGS -isystem `AS_ECHO(["$mc_i"]) | sed 's/^-I//'`"])
	done
	MPI_LIBS=
	for mc_i in $mc_link; do
		AS_CASE([$mc_i], [-L*|-l*|-Wl,*],
			[MPI_LIBS="$MPI_LIBS $mc_i"])
	done
	mc_save_CPPFLAGS=$CPPFLAGS
	mc_save_LIBS=$LIBS
	CPPFLAGS="$MPI_CPPFLAGS $CPPFLAGS"
	LIBS="$MPI_LIBS $LIBS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>]], [[
		int level;
		return MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE,
			&level);
		]])], [have_mpi=yes])
	CPPFLAGS=$mc_save_CPPFLAGS
	LIBS=$mc_save_LIBS
	AC_MSG_RESULT([$have_mpi])
])
