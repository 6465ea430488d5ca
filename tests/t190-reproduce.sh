#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Papers' tables: what is reported beside what is forecast.
. "${srcdir:-.}/tests/test-lib.sh"

papers=$abs_srcdir/scenarios/data/papers

# json_numbers KEY FILE: the key's numbers, in order
json_numbers() {
	sed -n 's/^ *"'"$1"'": \([-0-9.e+]*\),*$/\1/p' "$2"
}

for f in "$papers"/*.yaml
do
	p=$(basename "$f" .yaml)
	test_expect_success "$p: rows, assumptions, no unexplained miss" '
		moecast reproduce '"$p"' --json >out.json &&
		grep -q "\"paper\": \"'"$p"'\"" out.json &&
		grep -q "\"assumptions\": \[" out.json &&
		json_numbers predicted out.json >predicted &&
		test -s predicted &&
		moecast reproduce '"$p"' >out.txt &&
		test_must_fail grep "not explained" out.txt
	'

	# Constants belong to a cluster or a model, never to a row: other
	# reported numbers, or other names of rows, forecast the same.
	test_expect_success "$p: forecasts do not know what was reported" '
		mkdir -p other/papers &&
		sed -e "s/reported: [^,]*\(, source\)/reported: 12345\1/" \
			-e "s/reported: \[[^]]*\]/reported: 12345/" \
			-e "s/{case: \"/{case: \"other /" \
			"$papers/'"$p"'.yaml" >other/papers/other.yaml &&
		test_must_fail cmp -s "$papers/'"$p"'.yaml" \
			other/papers/other.yaml &&
		moecast reproduce other/papers/other.yaml --json >other.json &&
		json_numbers predicted other.json >other.predicted &&
		test_cmp predicted other.predicted
	'
done

for p in fsmoe luffy
do
	test_expect_success "$p: mean absolute error at most 15 %" '
		moecast reproduce '"$p"' --json >$p.json &&
		json_numbers mean_abs_error $p.json >mean &&
		test "$(wc -l <mean)" -eq 1 &&
		awk "!(\$1 > 0 && \$1 <= 0.15) { exit 1 }" mean
	'
done

# rows that no assumption was taken from
test_expect_success 'fsmoe and luffy: mean of what is free at most 15 %' '
	for p in fsmoe luffy
	do
		json_numbers free_rows $p.json >n &&
		json_numbers free_mean_abs_error $p.json >mean &&
		paste n mean || exit 1
	done >means &&
	test "$(wc -l <means)" -eq 2 &&
	awk "\$1 < 70 { exit 1 } { n += \$1; sum += \$1 * \$2 }
		END { exit !(sum > 0 && sum / n <= 0.15) }" means
'

# six_digits PAPER ROWS: forecasts of those rows (a sed script)
six_digits() {
	moecast reproduce "$1" --json >digits.json &&
	json_numbers predicted digits.json | sed -n "$2" |
		awk '{ printf "%.6g\n", $1 }'
}

# What techniques, gates and exchanges cost in the simulator is what is judged:
# a ninth pass of LSH's sort, say, changes a digit.
test_expect_success 'forecasts are what the simulator counts' '
	{ six_digits lsh-moe "1p;7p;13p;14p;15p;16p" &&
	six_digits locmoe "1p;6p" && six_digits hetumoe "1p" &&
	six_digits luffy "1p;8p;9p;13p;27p;31p"
	} >found &&
	cat >wanted <<-\EOF &&
	1.59018
	1.51101
	2.32638
	2.12762
	2.79135
	0.380034
	0.0994162
	0.202112
	7.31826
	1920.76
	3456.03
	2578.86
	218.477
	1336.57
	1054.43
	EOF
	test_cmp wanted found
'

test_expect_success 'what a technique is told moves its paper' '
	for change in "lsh.hashes, value: 6/lsh.hashes, value: 12" \
		"v100.model.experts_per_token, value: 2/v100.model.experts_per_token, value: 1"
	do
		sed "s/$change/" "$papers/lsh-moe.yaml" >changed.yaml &&
		moecast reproduce changed.yaml --json >changed.json &&
		json_numbers predicted changed.json >changed &&
		moecast reproduce lsh-moe --json >out.json &&
		json_numbers predicted out.json >some &&
		test_must_fail cmp changed some || exit 1
	done
'

test_expect_success 'fsmoe: speedups over Tutel on 1,458 layers' '
	moecast reproduce fsmoe >out.txt &&
	test_grep "A, 1458 layers: fsmoe/tutel *1.18 " out.txt &&
	test_grep "B, 1458 layers: fsmoe/tutel *1.22 " out.txt
'

test_expect_success 'an assumption changes the forecast' '
	sed "/name: interference/{n;s/0.83/0/;}" "$papers/fsmoe.yaml" \
		>none.yaml &&
	moecast reproduce none.yaml --json >none.json &&
	json_numbers predicted none.json >none &&
	moecast reproduce fsmoe --json >out.json &&
	json_numbers predicted out.json >some &&
	test_must_fail cmp none some
'

test_expect_success 'all, with files' '
	moecast reproduce all -o made --json >all.json &&
	grep -q "\"papers\": \[" all.json &&
	for f in "$papers"/*.yaml
	do
		p=$(basename "$f" .yaml) &&
		test -s "made/$p.txt" || exit 1
		if command -v gnuplot >/dev/null
		then
			test -s "made/$p-speedup.svg" &&
			test -s "made/$p-speedup.png" || exit 1
		fi
	done
'

test_expect_success 'errors name the place' '
	test_expect_code 2 moecast reproduce fsmo 2>err &&
	test_grep "did you mean .fsmoe." err &&
	sed "s/measure: grid a fsmoe,/measure: grid c fsmoe,/" \
		"$papers/fsmoe.yaml" >bad.yaml &&
	test_expect_code 2 moecast reproduce bad.yaml 2>err &&
	test_grep "bad.yaml:[0-9]*:[0-9]*: unknown measure .grid c fsmoe" \
		err &&
	grep -v "name: copies" "$papers/fsmoe.yaml" >bad.yaml &&
	test_expect_code 2 moecast reproduce bad.yaml 2>err &&
	test_grep "no constant or assumption .copies" err &&
	sed "s/gave: gemm_scale/gave: gemm/" "$papers/fsmoe.yaml" >bad.yaml &&
	test_expect_code 2 moecast reproduce bad.yaml 2>err &&
	test_grep "bad.yaml:[0-9]*:[0-9]*: .gave. is .gemm." err
'

test_expect_success 'constants that make no sense are refused' '
	for change in "name: a.gpus, value: [0-9]*/name: a.gpus, value: 0" \
		"name: gpt2-xl.layers_a, value: 48/name: gpt2-xl.layers_a, value: 1e9" \
		"name: copies, value: 2.4/name: copies, value: 1e300"
	do
		sed "s/$change/" "$papers/fsmoe.yaml" >bad.yaml &&
		test_must_fail cmp -s "$papers/fsmoe.yaml" bad.yaml &&
		test_expect_code 2 moecast reproduce bad.yaml || exit 1
	done
'

test_done
