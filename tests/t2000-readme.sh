#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The README's examples are what the program prints: every indented block that
# starts with "$ moecast ..." is run and compared.
. "${srcdir:-.}/tests/test-lib.sh"

awk '
	/^    \$ moecast / {
		n++
		print substr($0, 7) >("cmd." n)
		printf "" >("expect." n)
		inside = 1
		next
	}
	inside && /^    / { print substr($0, 5) >("expect." n); next }
	inside && /^$/ { blank = blank "\n"; held++; print "" >("expect." n); next }
	{ inside = 0 }
' "$abs_srcdir/README.md"

test_expect_success 'the README has examples' '
	test -s cmd.1
'

n=1
while test -f cmd.$n
do
	test_expect_success "$(cat cmd.$n)" '
		sh ./cmd.'$n' >actual &&
		sed -e :a -e "/^\n*$/{\$d;N;ba" -e "}" expect.'$n' >expect &&
		diff -u expect actual
	'
	n=$((n + 1))
done

test_done
