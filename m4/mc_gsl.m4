# SPDX-License-Identifier: GPL-3.0-or-later
# GSL: random numbers, distributions, special functions.
AC_DEFUN([MC_GSL], [
	MC_LIB([GSL], [gsl], [gsl], [gsl/gsl_randist.h], [gsl_ran_gamma],
		[-lgsl -lgslcblas -lm], [required], [libgsl-dev])
])
