# SPDX-License-Identifier: GPL-3.0-or-later
#
# MC_LIB(VAR, option, pkg-config module, header, function, plain libs,
#        required|optional, Debian package)
#
# One library. --with-option is
#	DIR	its prefix: DIR/lib*/pkgconfig, else DIR/include and DIR/lib
#	yes	must be found
#	no	not used; an error for a required library
#	guess	the default: used when found; an error for a required library
# Sets have_option (yes or no), VAR_CFLAGS and VAR_LIBS; a value that was
# given for VAR_CFLAGS or VAR_LIBS is kept. What is found has to link.
AC_DEFUN([MC_LIB], [
	AC_ARG_WITH([$2],
		[AS_HELP_STRING([--with-$2=DIR|yes|no|guess],
			[$3 ($7; Debian: $8)])],
		[], [with_$2=guess])
	AC_SUBST([with_$2])
	have_$2=no
	AS_CASE([$with_$2],
		[no], [AS_IF([test "$7" = required],
			[AC_MSG_ERROR([$2 is required: --without-$2 cannot work])])],
		[yes|guess], [
			PKG_CHECK_MODULES([$1], [$3], [have_$2=yes], [
				: "${$1_LIBS=$6}"
				have_$2=yes
			])
		], [
			AS_IF([test -d "$with_$2"], [],
				[AC_MSG_ERROR([--with-$2: '$with_$2' is no directory])])
			_MC_LIB_PREFIX([$1], [$2], [$3], [$6], [$4])
			have_$2=yes
		])
	AS_IF([test "$have_$2" = yes], [_MC_LIB_LINKS([$1], [$2], [$4], [$5])])
	AS_IF([test "$have_$2$with_$2" != nono && test "$have_$2" = no], [
		AS_IF([test "$7" = required || test "$with_$2" != guess],
			[AC_MSG_ERROR([$2 is needed and was not found (Debian: $8); try --with-$2=DIR])])
	])
	AS_IF([test "$have_$2" = no], [
		$1_CFLAGS=
		$1_LIBS=
	])
])

# From a prefix: its own .pc file when it has one.
AC_DEFUN([_MC_LIB_PREFIX], [
	mc_dir=`cd "$with_$2" && pwd`
	mc_pc=
	for mc_i in "$mc_dir"/lib/pkgconfig "$mc_dir"/lib64/pkgconfig \
		"$mc_dir"/lib/*/pkgconfig "$mc_dir"/share/pkgconfig
	do
		AS_IF([test -z "$mc_pc" && test -f "$mc_i/$3.pc"],
			[mc_pc=$mc_i])
	done
	mc_libdir=
	set x $4
	mc_lib=lib`AS_ECHO(["$[2]"]) | sed 's/^-l//'`
	for mc_i in "$mc_dir"/lib "$mc_dir"/lib64 "$mc_dir"/lib/*-*; do
		AS_IF([test -f "$mc_i/$mc_lib.so" || test -f "$mc_i/$mc_lib.a"],
			[mc_libdir=$mc_i])
	done
	AS_IF([test -n "$mc_pc" && test -n "$PKG_CONFIG"], [
		$1_CFLAGS=`PKG_CONFIG_PATH=$mc_pc:$PKG_CONFIG_PATH $PKG_CONFIG --cflags $3`
		$1_LIBS=`PKG_CONFIG_PATH=$mc_pc:$PKG_CONFIG_PATH $PKG_CONFIG --libs $3`
	], [
		AS_IF([test -f "$mc_dir/include/$5"], [],
			[AC_MSG_ERROR([--with-$2: there is no '$mc_dir/include/$5'])])
		AS_IF([test -n "$mc_libdir"], [],
			[AC_MSG_ERROR([--with-$2: there is no $mc_lib in '$mc_dir/lib'])])
		# -isystem: warnings in other people's headers are not ours
		$1_CFLAGS="-isystem $mc_dir/include"
		$1_LIBS="-L$mc_libdir -Wl,-rpath,$mc_libdir $4"
	])
])

AC_DEFUN([_MC_LIB_LINKS], [
	AC_MSG_CHECKING([whether $2 links])
	mc_save_CPPFLAGS=$CPPFLAGS
	mc_save_LIBS=$LIBS
	CPPFLAGS="$$1_CFLAGS $CPPFLAGS"
	LIBS="$$1_LIBS $LIBS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[
		#include <stdarg.h>
		#include <stddef.h>
		#include <stdint.h>
		#include <setjmp.h>
		#include <$3>
		]], [[return (void *)&$4 == NULL;]])],
		[], [have_$2=no])
	CPPFLAGS=$mc_save_CPPFLAGS
	LIBS=$mc_save_LIBS
	AC_MSG_RESULT([$have_$2])
])
