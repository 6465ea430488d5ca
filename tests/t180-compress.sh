#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# moecast compress: synthetic tokens, files, both methods, refusals.
. "${srcdir:-.}/tests/test-lib.sh"

# three tokens twice, and one alone: 7 tokens of 4 dimensions
cat >tokens.txt <<'END'
# twins
1 2 3 4
1, 2, 3, 4
-4 1 0 2
-4 1 0 2
5	5 -5 5
5 5 -5 5

0.5 -3 9 1  # alone
END

test_expect_success 'twins are one cluster, and the mean is exact' '
	moecast compress tokens.txt >out &&
	test_grep "^7 tokens of 4 dimensions, 7 copies for 1 expert$" out &&
	test_grep "lsh sends 4 vectors: rate 0.5714, error 0.0000" out
'

test_expect_success 'condensation: the same four' '
	moecast compress tokens.txt --method condensation --threshold 0.9 \
		>out &&
	test_grep "condensation sends 4 vectors: rate 0.5714, error 0.0000" out
'

test_expect_success 'raw fp32 says the same as text' '
	printf "\000\000\200\077\000\000\000\100\000\000\200\077\000\000\000\100" >raw &&
	printf "1 2\n1 2\n" >same.txt &&
	moecast compress raw --raw 2 --json >a &&
	moecast compress same.txt --json >b &&
	test_cmp b a &&
	test_grep "\"sent\": 1.0" a
'

test_expect_success 'JSON has its fields; same seed, same bytes' '
	moecast compress -n 300 -d 64 --experts 4 --experts-per-token 2 \
		--hashes 2 --json >out &&
	for f in schema method tokens dim copies sent rate error \
		restored_error
	do
		test_grep "\"$f\"" out || exit 1
	done &&
	test_grep "\"copies\": 600" out &&
	moecast compress -n 300 -d 64 --experts 4 --experts-per-token 2 \
		--hashes 2 --json >again &&
	test_cmp out again &&
	moecast compress -n 300 -d 64 --experts 4 --experts-per-token 2 \
		--hashes 2 --json --seed 2 >other &&
	! cmp -s out other
'

rate() {	# rate OPTION...: as an integer, millionths
	moecast compress -n 256 -d 128 --clustered 1 --json "$@" |
		tr -d '",' | awk '$1 == "rate:" { printf "%d\n", 1e6 * $2 }'
}

test_expect_success 'more hashes, a higher rate; more similar, a lower one' '
	test "$(rate --hashes 2)" -lt "$(rate --hashes 6)" &&
	test "$(rate --similarity 0.99)" -lt "$(rate --similarity 0.9)" &&
	test "$(rate --buckets 4)" -lt "$(rate --buckets 256)" &&
	test "$(rate --method condensation --threshold 0.5)" -lt \
		"$(rate --method condensation --threshold 0.97)"
'

test_expect_success 'the dense rotation says nearly the same as the fast one' '
	a=$(rate --clusters 64 --hashes 4) &&
	b=$(rate --clusters 64 --hashes 4 --rotation dense) &&
	test "$a" -gt 500000 &&
	test $((a * 10)) -lt $((b * 11)) && test $((b * 10)) -lt $((a * 11))
'

test_expect_success 'sweep: rates rise with hashes' '
	moecast compress --sweep -n 64 -d 32 >out &&
	test_grep "similarity" out &&
	awk "NR > 2 && \$3 > last && \$5 < rate { exit 1 }
		NR > 2 { last = \$3; rate = \$5 }" out &&
	moecast compress --sweep -n 64 -d 32 --json >json &&
	test_grep "collision_probability" json
'

refused() {	# refused MESSAGE OPTION...
	message=$1
	shift
	test_expect_code 2 moecast compress "$@" 2>err &&
		test_grep -e "$message" err
}

printf '1 2\n3 4 5\n' >ragged.txt

test_expect_success 'wrong input is named' '
	refused "ragged.txt:2: 3 numbers, the first token has 2" ragged.txt &&
	refused "missing.txt" missing.txt &&
	refused "no whole number of tokens" tokens.txt --raw 1000 &&
	refused "is neither lsh nor condensation" --method zip &&
	refused "buckets .7. is odd" --buckets 7 -n 4 --clusters 1 &&
	refused "clusters are not in" --clusters 9 -n 4 &&
	refused "threshold" --method condensation --threshold 0 &&
	refused "k is not in" --experts 2 --experts-per-token 3 &&
	refused "needs a file" --raw 4 &&
	refused "is for lsh and synthetic" tokens.txt --sweep &&
	refused "hashes" --hashes 65
'

test_done
