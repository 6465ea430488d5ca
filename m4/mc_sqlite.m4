# SPDX-License-Identifier: GPL-3.0-or-later
# SQLite: profile databases. STRICT tables came with 3.37, and so did the
# function that is asked for here.
AC_DEFUN([MC_SQLITE], [
	MC_LIB([SQLITE], [sqlite], [sqlite3], [sqlite3.h], [sqlite3_changes64],
		[-lsqlite3], [required], [libsqlite3-dev])
])
