# SPDX-License-Identifier: GPL-3.0-or-later
# What configure was asked for and cannot give is an error that names it.
. "${srcdir:-.}/tests/test-lib.sh"

test -x "$srcdir/configure" || test_skip_all "no configure in $srcdir"
test ! -f "$srcdir/config.status" ||
	test_skip_all "the source directory itself is configured"

# As this build was configured, then what a test adds. -C: the compiler is
# looked at once.
unset CONFIG_SITE
configured_with=$("$top_builddir/config.status" --config 2>/dev/null)
configure() {
	(
		added=$(printf "'%s' " "$@")
		eval "set -- $configured_with --srcdir='$srcdir' -C $added"
		"$srcdir/configure" "$@" >out 2>err
	)
}

refused() {	# refused WORD ARGUMENT...: fails, and the message has WORD
	refused_word=$1
	shift
	test_must_fail configure "$@" &&
	test_grep -e "error:.*$refused_word" err
}

mkdir empty &&
mkdir -p bare/include bare/lib

test_expect_success 'a required library cannot be left out' '
	refused "yaml is required" --without-yaml &&
	refused "jansson is required" --without-jansson &&
	refused "expat is required" --without-expat &&
	refused "gsl is required" --with-gsl=no &&
	refused "sqlite is required" --without-sqlite
'

test_expect_success 'a directory that is none' '
	refused "nowhere" --with-yaml="$PWD/nowhere" &&
	refused "empty/include" --with-jansson="$PWD/empty" &&
	touch bare/include/jansson.h &&
	refused "no libjansson" --with-jansson="$PWD/bare"
'

test_expect_success 'a directory without the program' '
	refused gnuplot --with-gnuplot="$PWD/empty"
'

test_expect_success 'a directory without CUDA, without NCCL' '
	refused "with-cuda=.*empty.*nvcc" --with-cuda="$PWD/empty"
'

# A CUDA that is asked for is there, or its absence has been an error.
test_expect_success 'NCCL that is asked for and cannot be had' '
	refused "with-nccl=.*empty.*nccl.h" --with-nccl="$PWD/empty"
'

test_expect_success 'what is optional can be left out' '
	configure --without-cmocka --without-gnuplot --without-cuda \
		--disable-werror &&
	test_grep "cmocka  *no" out &&
	test_grep "gnuplot  *no" out &&
	test_grep "cuda  *no" out &&
	! grep "^WARN_CFLAGS.*-Werror" Makefile
'

test_done
