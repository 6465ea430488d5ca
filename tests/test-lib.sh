# SPDX-License-Identifier: GPL-3.0-or-later
# TAP for the shell tests. A test starts with
#
#	. "${srcdir:-.}/tests/test-lib.sh"
#
# and then stands in an empty scratch directory below the build tree, with
# LC_ALL=C, no MOECAST_DATA, and moecast first on PATH. $srcdir (also
# $abs_srcdir) and $top_builddir are absolute. Under `make check` both come from the
# environment; by hand:
#
#	top_builddir=build prove -e sh tests/t1*.sh
#
# Every step of a test's commands is chained with &&; what they print is
# shown only when the test fails.

test_fatal() {
	echo "Bail out! $*"
	exit 99
}

srcdir=$(cd "${srcdir:-.}" && pwd) || test_fatal "srcdir is wrong"
abs_srcdir=$srcdir
top_builddir=$(cd "${top_builddir:-.}" && pwd) ||
	test_fatal "top_builddir is wrong"

PATH=$top_builddir:$PATH
LC_ALL=C
LANG=C
TZ=UTC
TERM=dumb
# a sanitizer's complaint must not pass for an expected failure
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}exitcode=99
LSAN_OPTIONS=${LSAN_OPTIONS:+$LSAN_OPTIONS:}exitcode=99
UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}exitcode=99
export srcdir abs_srcdir top_builddir PATH LC_ALL LANG TZ TERM
export ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS
unset MOECAST_DATA COLUMNS CDPATH

test_name=${0##*/}
test_name=${test_name%.sh}
test_scratch=$top_builddir/tests/scratch/$test_name
test_count=0
test_failures=0
test_finished=

rm -rf "$test_scratch"
mkdir -p "$test_scratch" || test_fatal "cannot make $test_scratch"
cd "$test_scratch" || exit 99
HOME=$test_scratch
export HOME

# A script that ends before test_done, by whatever way, is a failure.
test_at_exit() {
	test -n "$test_finished" || echo "Bail out! ended before test_done"
}
trap test_at_exit EXIT

# test_report ok|'not ok' TITLE [DIRECTIVE]
test_report() {
	test_count=$((test_count + 1))
	echo "$1 $test_count - $2${3:+ # $3}"
}

# test_expect_success TITLE COMMANDS: they run in a subshell, in the scratch
# directory. Files stay for the next test, variables and cd do not.
test_expect_success() {
	if (eval "$2") >"$test_scratch/.output" 2>&1 </dev/null
	then
		test_report ok "$1"
	else
		test_report "not ok" "$1"
		test_failures=$((test_failures + 1))
		printf '%s\n' "$2" | sed 's/^/#! /'
		sed 's/^/# /' "$test_scratch/.output"
	fi
}

# test_skip TITLE WHY: one test that cannot run here.
test_skip() {
	test_report ok "$1" "SKIP $2"
}

# test_expect_code N COMMAND...: ends with exactly that exit code.
test_expect_code() {
	test_want=$1
	shift
	"$@"
	test_got=$?
	test "$test_got" -eq "$test_want" && return 0
	echo "exit code $test_got, not $test_want: $*"
	return 1
}

# test_must_fail COMMAND...: fails, but by its own decision: no signal, no
# sanitizer, not "command not found".
test_must_fail() {
	"$@"
	test_got=$?
	test "$test_got" -gt 0 && test "$test_got" -ne 99 &&
		{ test "$test_got" -lt 126; } && return 0
	echo "exit code $test_got is no ordinary failure: $*"
	return 1
}

# test_cmp EXPECTED ACTUAL: same content, else the difference.
test_cmp() {
	diff -u "$1" "$2"
}

# test_grep [GREP-OPTION...] PATTERN FILE: found, else the file is shown.
test_grep() {
	grep "$@" && return 0
	eval "test_file=\${$#}"
	echo "not found: grep $*; the file is:"
	cat "$test_file"
	return 1
}

# test_need_shared [FILE]: skips all when the optional folder of public
# measurements (or FILE in it) is absent; else $shared_data is its path.
test_need_shared() {
	shared_data=${MOECAST_SHARED:-$srcdir/../shared/data}
	test -e "$shared_data${1:+/$1}" && return 0
	test_skip_all "no ${1:-shared data} in $shared_data"
}

# test_profile_host DB: a quick profile of 2 ranks, its JSON in profile.json,
# its rows in profile.jsonl. On a busy machine a budget may end before each op
# has the sizes that a fit takes; then all is done anew with a larger one.
test_profile_ops="alltoall sendrecv allgather reducescatter allreduce gemm \
gate topk sort permute combine stream copy launch plan"
TEST_PROFILE_SIZES=3

test_profile_host() {
	for test_budget in 2s 10s 60s
	do
		rm -f "$1"
		moecast profile --backend host --ranks 2 --quick --db "$1" \
			--budget "$test_budget" --json >profile.json &&
			moecast db "$1" --save profile.jsonl >/dev/null ||
			return 1
		test_missing=
		for test_op in $test_profile_ops
		do
			test "$(grep -c "\"op\":\"$test_op\"" profile.jsonl)" \
				-ge "$TEST_PROFILE_SIZES" ||
				test_missing="$test_missing $test_op"
		done
		test -n "$test_missing" || return 0
	done
	echo "not measured at $TEST_PROFILE_SIZES sizes:$test_missing"
	return 1
}

# test_skip_all WHY: before the first test.
test_skip_all() {
	echo "1..0 # SKIP $*"
	test_finished=yes
	cd "$top_builddir" && rm -rf "$test_scratch"
	exit 0
}

# The scratch directory of a failed test is kept. Automake's driver reads the
# TAP and would count a bad exit code as one more failure.
test_done() {
	echo "1..$test_count"
	test_finished=yes
	cd "$top_builddir" || exit 99
	if test "$test_failures" -gt 0
	then
		test -n "$AM_TAP_AWK"
		exit
	fi
	rm -rf "$test_scratch"
	rmdir "$top_builddir/tests/scratch" 2>/dev/null
	exit 0
}
