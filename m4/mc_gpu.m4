# SPDX-License-Identifier: GPL-3.0-or-later
# The GPU runner is not part of this release. Who asks for it has to hear so
# now, not after the build.
AC_DEFUN([MC_GPU], [
	AC_ARG_WITH([cuda], [AS_HELP_STRING([--with-cuda],
		[not in this release: the GPU runner is still to come])])
	AC_ARG_WITH([nccl], [AS_HELP_STRING([--with-nccl],
		[not in this release: the GPU runner is still to come])])
	for mc_i in "cuda=$with_cuda" "nccl=$with_nccl"; do
		AS_CASE([$mc_i],
			[cuda=|nccl=|*=no|*=guess], [],
			[AC_MSG_ERROR([--with-$mc_i: the GPU runner is not part of this release])])
	done
])
