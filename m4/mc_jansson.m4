# SPDX-License-Identifier: GPL-3.0-or-later
# jansson: JSON in and out.
AC_DEFUN([MC_JANSSON], [
	MC_LIB([JANSSON], [jansson], [jansson], [jansson.h], [json_loadb],
		[-ljansson], [required], [libjansson-dev])
])
