# SPDX-License-Identifier: GPL-3.0-or-later
# expat: NCCL topology files.
AC_DEFUN([MC_EXPAT], [
	MC_LIB([EXPAT], [expat], [expat], [expat.h], [XML_ParserCreate],
		[-lexpat], [required], [libexpat1-dev])
])
