#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every command answers --help, and the man page names each of its options.
. "${srcdir:-.}/tests/test-lib.sh"

man=$abs_srcdir/doc/moecast.1

commands=$(moecast --help | awk '/^  [a-z]/ { print $1 }')

test_expect_success 'there are commands' '
	test -n "$commands"
'

for c in $commands
do
	test_expect_success "$c --help, and its options in the man page" '
		moecast '"$c"' --help >help &&
		grep -q "^\.SS '"$c"'" "$man" &&
		tr -d "\\\\" <"$man" >plain &&
		grep -o -e "--[a-z][a-z-]*" help | sort -u |
		grep -v -e --usage -e --version >long &&
		while read -r option
		do
			grep -q -e "$option" plain || {
				echo "man page lacks $option"
				exit 1
			}
		done <long
	'
done

test_expect_success 'an unknown command names the nearest one' '
	test_expect_code 2 moecast plam 2>err &&
	grep "did you mean .plan." err
'

test_expect_success 'no command is wrong usage' '
	test_expect_code 2 moecast 2>err &&
	grep "Usage: moecast" err
'

test_done
