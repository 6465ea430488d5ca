# SPDX-License-Identifier: GPL-3.0-or-later
# moecast keys: the key table as text, as JSON, and in the manual page.
. "${srcdir:-.}/tests/test-lib.sh"

test_expect_success 'every line fits 80 columns and has no blank at its end' '
	moecast keys >keys &&
	test_grep "^cluster.nodes  *int  *must be given$" keys &&
	! grep -E "^.{80}| $" keys
'

test_expect_success 'a prefix picks keys' '
	moecast keys routing.s >some &&
	test "$(grep -c "^routing[.]" some)" = 2 &&
	! grep "^cluster" some
'

test_expect_success 'a prefix of no key is refused' '
	test_expect_code 2 moecast keys routing.x 2>err &&
	test_grep "no key starts with .routing.x." err
'

test_expect_success 'JSON has one object for each key of the text' '
	moecast keys --json >keys.json &&
	test "$(grep -c "\"name\":" keys.json)" = "$(grep -c "^[a-z]" keys)" &&
	test_grep "\"allowed\": \"a whole number in 1..1048576\"" keys.json
'

# after a change of the table: make update-man
test_expect_success 'the manual page has the table of this program' '
	sed -n "/BEGIN KEYS/,/END KEYS/p" \
		"$srcdir/doc/moecast-scenario.5" | sed "1d;\$d" >page &&
	moecast keys --man >table &&
	test -s table &&
	test_cmp table page
'

if type groff >/dev/null 2>&1
then
	test_expect_success 'groff has nothing to say on the manual page' '
		groff -man -ww -Tutf8 "$srcdir/doc/moecast-scenario.5" \
			>/dev/null 2>warnings &&
		test_cmp /dev/null warnings
	'
else
	test_skip 'groff has nothing to say on the manual page' 'no groff'
fi

test_done
