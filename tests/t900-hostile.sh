# SPDX-License-Identifier: GPL-3.0-or-later
# Hostile input and surroundings: each case here was once answered wrongly.
. "${srcdir:-.}/tests/test-lib.sh"

# refused PATTERN COMMAND...: exit code 2 and one line on stderr with it
refused() {
	refused_pattern=$1
	shift
	test_expect_code 2 "$@" >out 2>err &&
	test_cmp /dev/null out &&
	test "$(wc -l <err)" = 1 &&
	test_grep "$refused_pattern" err
}

# printable FILE: only printable ASCII, tabs and line ends
printable() {
	test "$(tr -d "\\11\\12\\40-\\176" <"$1" | wc -c)" = 0
}

test_expect_success 'a message stays one line of text' '
	name=$(printf "a\033[31mb\nc") &&
	refused "cannot read .a?\[31mb?c." moecast alltoall default \
		--matrix "$name" &&
	printable err &&
	printf "\302\211\377\233\177 1\n1 1\n" >matrix.bin &&
	refused "matrix.bin:1:1: .?????. is not a whole" \
		moecast alltoall default --matrix matrix.bin &&
	printable err &&
	name=$(printf "\303\251") &&
	refused "cannot read .$name." moecast simulate default --plan "$name"
'

test_expect_success 'SIGTERM ends a wait for the reader of a pipe' '
	mkfifo pipe &&
	for out in "alltoall default --matrix even --flows" \
		"simulate default --trace"
	do
		awk "BEGIN { for (i = 0; i < 64 * 64; i++)
			printf \"1%s\", i % 64 == 63 ? \"\n\" : \" \" }" >even &&
		test_expect_code 124 timeout -k 5 1 moecast $out pipe ||
			exit 1
	done
'

test_expect_success 'a file size limit is an error like a full disk' '
	mkdir limit &&
	(
		ulimit -f 1 &&
		test_expect_code 1 moecast simulate default \
			--trace limit/trace.json >out 2>err
	) &&
	test_grep "cannot write .limit/trace.json." err &&
	test "$(ls limit)" = ""
'

test_expect_success 'a value instead of a section names the keys' '
	refused "cluster.fabric.: .rail. is not a mapping of the keys kind, " \
		moecast topo default --set cluster.fabric=rail &&
	refused "comm.: a list is not a mapping of the keys window, " \
		moecast topo default --set "comm=[1]"
'

# With one finalist the sequential baseline wins in the flow model.
test_expect_success 'the best plan is the first candidate' '
	moecast plan default --set model.config=gpt2-xl-moe \
		--set search.finalists=1 --json >plan.json &&
	sed -n "/\"best\"/,/\"knobs\"/s/.*\"time_s\": //p" plan.json >best &&
	sed -n "/\"candidates\"/,\$s/.*\"time_s\": //p" plan.json |
		head -n 1 >first &&
	test_grep "^0" best &&
	test_cmp best first
'

test_done
