# SPDX-License-Identifier: GPL-3.0-or-later
#
# The cuda backend of the runner: CUDA with cuBLAS (--with-cuda) and NCCL
# (--with-nccl), each DIR|yes|no|guess. It is built when both are there; else
# the runner has the host backend alone. A DIR or a yes that cannot be had is
# an error.
#
# Sets have_cuda, have_nccl, have_gpu; CUDA_CPPFLAGS (with -isystem: nccl.h is
# not clean under our warnings), CUDA_LIBS, NVCC, NVCCFLAGS.

AC_DEFUN([MC_CUDA], [
	AC_ARG_WITH([cuda],
		[AS_HELP_STRING([--with-cuda=DIR|yes|no|guess],
			[CUDA and cuBLAS, for the runner's cuda backend (optional)])],
		[], [with_cuda=guess])
	AC_ARG_WITH([nccl],
		[AS_HELP_STRING([--with-nccl=DIR|yes|no|guess],
			[NCCL, likewise (optional; default: beside CUDA, /usr)])],
		[], [with_nccl=guess])
	AC_ARG_VAR([NVCC], [CUDA compiler])
	AC_ARG_VAR([NVCCFLAGS], [CUDA compiler flags])
	AC_ARG_VAR([CUDA_ARCHS], [compute capabilities that get machine code
		(default: 90); others compile the kernels' PTX at start])
	AC_SUBST([with_cuda])
	AC_SUBST([with_nccl])
	have_cuda=no
	have_nccl=no
	AS_IF([test "$with_cuda" != no], [_MC_CUDA_FIND])
	AS_IF([test "$have_cuda" = yes && test "$with_nccl" != no],
		[_MC_NCCL_FIND])
	AS_IF([test "$have_cuda$have_nccl" = yesyes],
		[have_gpu=yes], [have_gpu=no])
	AS_CASE([$have_cuda:$with_cuda], [no:no|no:guess|yes:*], [],
		[AC_MSG_ERROR([--with-cuda=$with_cuda: no nvcc, cuda_runtime.h, libcudart, libcublas and libcublasLt that work together])])
	AS_CASE([$have_nccl:$with_nccl], [no:no|no:guess|yes:*], [],
		[AC_MSG_ERROR([--with-nccl=$with_nccl: no nccl.h and libnccl 2.18 or newer that work with CUDA])])
	AS_IF([test "$have_gpu" = yes], [
		CUDA_CPPFLAGS="$mc_cuda_cppflags $mc_nccl_cppflags"
		CUDA_LIBS="$mc_nccl_libs $mc_cuda_libs"
		_MC_NVCC_ARCHS
		AC_DEFINE([HAVE_CUDA], [1], [the runner has its cuda backend])
	])
	AC_SUBST([CUDA_CPPFLAGS])
	AC_SUBST([CUDA_LIBS])
	AC_SUBST([CUDA_GENCODE])
	AC_SUBST([NVCC_HOSTFLAGS])
	AM_CONDITIONAL([HAVE_CUDA], [test "$have_gpu" = yes])
])

# MC_CUDA_DIRS: where a CUDA may be, in order.
AC_DEFUN([_MC_CUDA_DIRS], [
	AS_CASE([$with_cuda],
		[yes|guess], [
			mc_nvcc_dir=
			AC_PATH_PROG([mc_nvcc_path], [nvcc])
			AS_IF([test -n "$mc_nvcc_path"],
				[mc_nvcc_dir=`dirname "$mc_nvcc_path"`/..])
			mc_dirs="$CUDA_HOME $CUDA_PATH $mc_nvcc_dir /usr/local/cuda /usr"
		], [mc_dirs=$with_cuda])
])

AC_DEFUN([_MC_CUDA_FIND], [
	_MC_CUDA_DIRS
	AC_MSG_CHECKING([for CUDA])
	mc_cuda_dir=
	for mc_i in $mc_dirs; do
		AS_IF([test -z "$mc_cuda_dir" && test -x "$mc_i/bin/nvcc" &&
				test -f "$mc_i/include/cuda_runtime.h"],
			[mc_cuda_dir=`cd "$mc_i" && pwd`])
	done
	AC_MSG_RESULT([${mc_cuda_dir:-no}])
	AS_IF([test -n "$mc_cuda_dir"], [
		: "${NVCC=$mc_cuda_dir/bin/nvcc}"
		: "${NVCCFLAGS=-O3}"
		_MC_LIBDIR([$mc_cuda_dir], [cudart])
		mc_cuda_libdir=$mc_libdir
		_MC_PREFIX_FLAGS([$mc_cuda_dir])
		mc_cuda_cppflags=$mc_cppflags
		mc_cuda_libs="$mc_ldflags -lcublasLt -lcublas -lcudart -lstdc++"
		_MC_CUDA_LINKS
	])
])

# The library's directory under a prefix.
AC_DEFUN([_MC_LIBDIR], [
	mc_libdir=
	for mc_j in "$1"/lib64 "$1"/lib "$1"/lib/*-linux-gnu \
		"$1"/targets/*-linux/lib
	do
		AS_IF([test -z "$mc_libdir" && test -f "$mc_j/lib$2.so"],
			[mc_libdir=$mc_j])
	done
])

# Nothing for /usr: -isystem /usr/include breaks #include_next.
AC_DEFUN([_MC_PREFIX_FLAGS], [
	AS_IF([test "$1" = /usr], [
		mc_cppflags=
		mc_ldflags=
	], [
		mc_cppflags="-isystem $1/include"
		mc_ldflags="-L$mc_libdir -Wl,-rpath,$mc_libdir"
	])
])

# nvcc needs a C++ compiler that it knows; the objects have to link with ours.
AC_DEFUN([_MC_CUDA_LINKS], [
	AC_MSG_CHECKING([whether $NVCC and cuBLAS work])
	AS_ECHO(["__global__ void k(int *p) { *p = 1; }"]) >conftest.cu
	AS_ECHO(["extern \"C\" void f(int *p) { k<<<1, 1>>>(p); }"]) >>conftest.cu
	AS_IF([$NVCC -c -o conftest_cu.o conftest.cu >&AS_MESSAGE_LOG_FD 2>&1], [
		mc_save_CPPFLAGS=$CPPFLAGS
		mc_save_LIBS=$LIBS
		CPPFLAGS="$mc_cuda_cppflags $CPPFLAGS"
		LIBS="conftest_cu.o $mc_cuda_libs $LIBS"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([[
			#include <cublasLt.h>
			#include <cublas_v2.h>
			#include <cuda_runtime.h>
			void f(int *p);
			]], [[
			cublasHandle_t h;
			cublasLtHandle_t lt;
			f(NULL);
			return cublasCreate(&h) || cublasLtCreate(&lt) ||
				cudaFree(NULL);
			]])], [have_cuda=yes])
		CPPFLAGS=$mc_save_CPPFLAGS
		LIBS=$mc_save_LIBS
	])
	rm -f conftest.cu conftest_cu.o
	AC_MSG_RESULT([$have_cuda])
])

AC_DEFUN([_MC_NCCL_FIND], [
	AS_CASE([$with_nccl],
		[yes|guess], [mc_dirs="$NCCL_HOME $mc_cuda_dir /usr /usr/local"],
		[mc_dirs=$with_nccl])
	AC_MSG_CHECKING([for NCCL])
	for mc_i in $mc_dirs; do
		AS_IF([test "$have_nccl" = no && test -f "$mc_i/include/nccl.h"], [
			_MC_LIBDIR([$mc_i], [nccl])
			AS_IF([test -n "$mc_libdir"], [_MC_NCCL_LINKS])
		])
	done
	AC_MSG_RESULT([$have_nccl])
])

# 2.18: ncclCommInitRankConfig with maxCTAs.
AC_DEFUN([_MC_NCCL_LINKS], [
	_MC_PREFIX_FLAGS([$mc_i])
	mc_nccl_cppflags=$mc_cppflags
	mc_nccl_libs="$mc_ldflags -lnccl"
	mc_save_CPPFLAGS=$CPPFLAGS
	mc_save_LIBS=$LIBS
	CPPFLAGS="$mc_nccl_cppflags $mc_cuda_cppflags $CPPFLAGS"
	LIBS="$mc_nccl_libs $mc_cuda_libs $LIBS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[
		#include <nccl.h>
		#if NCCL_VERSION_CODE < NCCL_VERSION(2, 18, 0)
		#error too old
		#endif
		]], [[
		ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
		config.maxCTAs = 4;
		return ncclCommInitRankConfig(NULL, 1, (ncclUniqueId){ 0 }, 0,
			&config);
		]])], [have_nccl=yes])
	CPPFLAGS=$mc_save_CPPFLAGS
	LIBS=$mc_save_LIBS
])

# Machine code for the chips asked for, and the oldest PTX that this nvcc
# writes, from which the driver makes the rest at start. Few targets keep the
# build short.
AC_DEFUN([_MC_NVCC_ARCHS], [
	AC_MSG_CHECKING([what $NVCC compiles for])
	: "${CUDA_ARCHS=90}"
	mc_known=`$NVCC --list-gpu-arch 2>/dev/null | sed 's/^compute_//' | sort -n`
	CUDA_GENCODE=
	for mc_i in $CUDA_ARCHS; do
		for mc_j in $mc_known; do
			AS_IF([test "$mc_i" = "$mc_j"],
				[CUDA_GENCODE="$CUDA_GENCODE -gencode arch=compute_$mc_i,code=sm_$mc_i"])
		done
	done
	for mc_j in $mc_known; do
		AS_IF([test "$mc_j" -ge 70], [
			CUDA_GENCODE="$CUDA_GENCODE -gencode arch=compute_$mc_j,code=compute_$mc_j"
			break
		])
	done
	AC_MSG_RESULT([$CUDA_GENCODE])
	# no guards of C++ statics: our kernels have none
	NVCC_HOSTFLAGS=-Xcompiler=-Wall,-fno-exceptions,-fno-rtti
])
