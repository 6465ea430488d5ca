# SPDX-License-Identifier: GPL-3.0-or-later
# OpenBLAS: the host backend's products; a plain loop does without.
AC_DEFUN([MC_OPENBLAS], [
	MC_LIB([OPENBLAS], [openblas], [openblas], [cblas.h],
		[openblas_set_num_threads], [-lopenblas], [optional],
		[libopenblas-dev])
	AS_IF([test "$have_openblas" = yes],
		[AC_DEFINE([HAVE_CBLAS], [1], [OpenBLAS was found])])
])
