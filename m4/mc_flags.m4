# SPDX-License-Identifier: GPL-3.0-or-later
# Compiler flags. Ours stand in WARN_CFLAGS, OPT_CFLAGS, SIM_CFLAGS and
# SANITIZE_CFLAGS; a CFLAGS given by the user comes after them and wins.

# MC_FLAGS_INIT, before AC_PROG_CC: no -O from Autoconf, so that a library
# can have its own.
AC_DEFUN([MC_FLAGS_INIT], [
	: ${CFLAGS="-g"}
])

# MC_FLAG(VAR, flag): adds it when the compiler knows it.
AC_DEFUN([MC_FLAG], [
	AC_MSG_CHECKING([whether $CC knows $2])
	mc_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS -Werror $2"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
		[mc_ok=yes], [mc_ok=no])
	CFLAGS=$mc_save_CFLAGS
	AC_MSG_RESULT([$mc_ok])
	AS_IF([test "$mc_ok" = yes], [$1="$$1 $2"])
])

# Warnings stop the build in a checkout, where they can be mended, and not
# in a release, where a newer compiler only annoys.
AC_DEFUN([MC_WARNINGS], [
	AC_ARG_ENABLE([werror],
		[AS_HELP_STRING([--enable-werror],
			[warnings are errors (default: only in a git checkout)])],
		[], [AS_IF([test -e "$srcdir/.git"], [enable_werror=yes],
			[enable_werror=no])])
	WARN_CFLAGS=
	m4_foreach_w([mc_flag], [-Wall -Wextra -Wshadow -Wstrict-prototypes
		-Wmissing-prototypes -Wvla -Wwrite-strings],
		[MC_FLAG([WARN_CFLAGS], mc_flag)])
	AS_IF([test "$enable_werror" = yes],
		[WARN_CFLAGS="$WARN_CFLAGS -Werror"])
	AC_SUBST([WARN_CFLAGS])
])

# The simulator is where the time goes: -O3 there, -O2 elsewhere.
AC_DEFUN([MC_SANITIZE], [
	AC_ARG_ENABLE([sanitize],
		[AS_HELP_STRING([--enable-sanitize],
			[address and undefined-behaviour sanitizers, for tests])],
		[], [enable_sanitize=no])
	OPT_CFLAGS=-O2
	SIM_CFLAGS=-O3
	SANITIZE_CFLAGS=
	AS_IF([test "$enable_sanitize" != no], [
		SANITIZE_CFLAGS="-fsanitize=address,undefined dnl
-fno-sanitize-recover=all -fno-omit-frame-pointer"
		OPT_CFLAGS=-O1
		SIM_CFLAGS=-O1
		mc_save_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS $SANITIZE_CFLAGS"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [],
			[AC_MSG_ERROR([--enable-sanitize: $CC cannot link with $SANITIZE_CFLAGS])])
		CFLAGS=$mc_save_CFLAGS
	])
	AC_SUBST([OPT_CFLAGS])
	AC_SUBST([SIM_CFLAGS])
	AC_SUBST([SANITIZE_CFLAGS])
])
