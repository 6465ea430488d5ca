# SPDX-License-Identifier: GPL-3.0-or-later
# cmocka: the unit tests; without it `make check` runs the shell tests only.
AC_DEFUN([MC_CMOCKA], [
	MC_LIB([CMOCKA], [cmocka], [cmocka], [cmocka.h],
		[_cmocka_run_group_tests], [-lcmocka], [optional],
		[libcmocka-dev])
	AM_CONDITIONAL([HAVE_CMOCKA], [test "$have_cmocka" = yes])
])
