# SPDX-License-Identifier: GPL-3.0-or-later
# moecast report: the files, what the page says, texts that stay texts.
. "${srcdir:-.}/tests/test-lib.sh"

program=${GNUPLOT:-$(command -v gnuplot)}

is_xml() {	# when a parser is at hand
	if command -v xmllint >/dev/null
	then
		xmllint --noout "$1"
	elif command -v python3 >/dev/null
	then
		python3 -c "import sys, xml.dom.minidom as m
m.parse(sys.argv[1])" "$1"
	fi
}

is_png() {
	test "$(od -An -tx1 -N8 "$1" | tr -d " ")" = 89504e470d0a1a0a
}

refuses() { # refuses CODE TEXT ARGUMENT...
	code=$1 text=$2
	shift 2
	test_expect_code "$code" moecast report "$@" >out 2>err &&
	test_cmp /dev/null out &&
	test_grep -F -e "$text" err &&
	test "$(wc -l <err)" -eq 1
}

# group OP TIER VARIANT CTAS: t = 10 us + n / 100 GB/s, 2 % off up and down
group() {
	awk -v op="$1" -v tier="$2" -v variant="$3" -v ctas="$4" -v off=0.02 \
		'BEGIN {
		for (n = 1024; n < 3e9; n *= 8) {
			off = -off
			t = (1e-5 + n / 1e11) * (1 + off)
			printf "{\"type\":\"sample\",\"op\":\"%s\"," \
				"\"tier\":\"%s\",\"variant\":\"%s\"," \
				"\"ctas\":%d,\"ranks\":2,\"bytes\":%.0f," \
				"\"median_s\":%.9g,\"p95_s\":%.9g," \
				"\"min_s\":%.9g,\"count\":20}\n", op, tier,
				variant, ctas, n, t, t * 1.1, t * 0.9
		}
	}'
}

run='{"type":"run","backend":"cuda","host":"node7","gpu":"NVIDIA H200",
"gpus":2,"driver":"580.1","cuda":"13.0","nccl":"2.28.3",
"date":"2026-11-22T15:04:05Z"}'
run=$(echo "$run" | tr -d '\n')
{
	echo "$run"
	group alltoall nvlink even 0
	group alltoall nvlink even 4
	group allreduce socket "" 0
	echo '{"type":"sample","op":"gemm","m":64,"n":32,"k":16,"batch":8,"median_s":1e-3}'
	echo '{"type":"sample","op":"copy","tier":"memory","bytes":1e6,"median_s":1e-3}'
} >plain.jsonl

test_expect_success 'a database' '
	moecast db p.db --load=plain.jsonl >/dev/null
'
test_expect_success 'what is refused' '
	refuses 2 "--db FILE is missing" -o out &&
	refuses 2 "-o DIR is missing" --db p.db &&
	refuses 2 "scenario" --db p.db -o out --set a=b &&
	refuses 2 "unexpected argument" --db p.db -o out more
'
test_expect_success 'without gnuplot: unavailable, nothing written' '
	(
		GNUPLOT=$PWD/nowhere && export GNUPLOT &&
		refuses 77 "nowhere" --db p.db -o none
	) && test ! -e none
'
if ! test -x "$program"
then
	test_skip "the figures" "no gnuplot"
	test_done
	exit
fi

test_expect_success 'wrong input makes no directory' '
	refuses 2 "No such file" --db nowhere.db -o none &&
	refuses 2 "not an SQLite file" --db plain.jsonl -o none &&
	: >empty.db && refuses 2 "no fit to show" --db empty.db -o none &&
	test ! -e none
'
test_expect_success 'the files are those that the JSON lists' '
	cksum p.db >before &&
	moecast report --db p.db -o a/out --json >out &&
	cksum p.db >after && test_cmp before after &&
	sed -n "s/^ *\"\(a\/out\/.*\)\",*\$/\1/p" out | sort >listed &&
	find a/out -type f | sort >there &&
	test_cmp there listed &&
	test_grep "\"fits\": 3" out &&
	test_grep "\"figures\": 5" out &&
	test_grep "\"figures_left_out\": 0" out &&
	test "$(wc -l <there)" -eq 11 &&
	test "$(ls a/out/*scatter*.svg | wc -l)" -eq 2 &&
	test "$(ls a/out/*cost*.svg | wc -l)" -eq 3
'
test_expect_success 'figures are whole' '
	for f in a/out/*.svg; do is_xml "$f" || exit 1; done &&
	for f in a/out/*.png; do is_png "$f" || exit 1; done
'
test_expect_success 'figures say what they show' '
	for f in a/out/*cost*.svg
	do
		for word in "1 MiB" "1 ms" "error band" "measured: median" \
			"NVIDIA H200 x 2" "NCCL 2.28.3" "fitted: "
		do
			grep -q -F -e "$word" "$f" || exit 1
		done
	done
'
test_expect_success 'the page: provenance, fits, figures, no network' '
	page=a/out/index.html && is_xml "$page" &&
	for word in node7 "NVIDIA H200" 580.1 13.0 2.28.3 \
		2026-11-22T15:04:05Z alltoall allreduce nvlink socket \
		"<svg" "1 products"
	do
		grep -q -F -e "$word" "$page" || exit 1
	done &&
	test_grep "<td>alltoall</td><td>nvlink</td><td>even</td>.*>2</td>.*>8</td>" \
		"$page" &&
	test "$(grep -c "<svg" "$page")" -eq 5 &&
	! grep -i -e "http:/" -e "https:" -e "<script" -e "src=" \
		-e "<link" "$page"
'
test_expect_success 'no id is twice on the page' '
	grep -o " id=[\"'\''][^\"'\'']*" a/out/index.html | sort >ids &&
	test -s ids && test -z "$(uniq -d <ids)"
'
test_expect_success 'the same database gives the same page' '
	moecast report --db p.db -o b >/dev/null &&
	cmp a/out/index.html b/index.html
'

# products: two shapes, 2 us + flop / 400e12, 3 % off up and down; grouped too
products() {
	awk 'BEGIN {
		split("grouped strided-batched", variant)
		for (v = 1; v <= 2; v++)
			for (n = 768; n <= 1536; n += 768)
				for (m = 16; m <= 4096; m *= 2) {
					off = 0.03 - off
					flop = 2 * m * n * 2048 * 8
					t = v * (2e-6 + flop / 4e14) * (1 + off)
					printf "{\"type\":\"sample\",\"op\":" \
						"\"gemm\",\"variant\":\"%s\"," \
						"\"dtype\":\"bf16\",\"m\":%d," \
						"\"n\":%d,\"k\":2048," \
						"\"batch\":8," \
						"\"median_s\":%.9g}\n",
						variant[v], m, n, t
				}
	}'
}
test_expect_success 'products: rates by shape and variant, left-out points' '
	{
		echo "$run" && group alltoall nvlink even 0 && products
	} >g.jsonl &&
	moecast db g.db --load=g.jsonl >/dev/null &&
	moecast report --db g.db -o g --json >out &&
	test_grep "\"figures\": 5" out &&
	test_grep "g/products-rate-bf16-1.png" out &&
	ls g/products-* >there &&
	test "$(wc -l <there)" -eq 6 &&
	for f in g/products-*.svg; do is_xml "$f" || exit 1; done &&
	for f in g/products-*.png; do is_png "$f" || exit 1; done &&
	for word in "Products of bf16, grouped" "NVIDIA H200" "TFLOP/s" \
		"tokens per expert" "8 of 2048 x 768" "8 of 2048 x 1536"
	do
		grep -q -F -e "$word" g/products-rate-bf16-1.svg || exit 1
	done &&
	test_grep "strided-batched" g/products-rate-bf16-2.svg &&
	for word in "interpolated against measured" "each of 34 points" \
		"grouped: mean error" "strided-batched: mean error"
	do
		grep -q -F -e "$word" g/products-scatter-bf16-3.svg || exit 1
	done &&
	! grep "mean error [01]\.[0-9] %" g/products-scatter-bf16-3.svg &&
	test "$(grep -c "<svg" g/index.html)" -eq 5 &&
	test_grep "products-scatter-bf16-3.png" g/index.html &&
	moecast report --db g.db -o g2 >/dev/null &&
	cmp g/index.html g2/index.html
'

# 31 bytes at most for a tier, no control characters; a \ joins lines here
cat >odd.run <<END
{"type":"run","backend":"cuda","host":"\\"><script>alert(1)</script>",\
"gpu":"\`touch pwned\`","environment":"<img src=http://x/>"}
END
test_expect_success 'hostile names stay text' '
	{
		cat odd.run &&
		group alltoall "../../<b onload=x>" "; !touch pwned" 0 &&
		group allreduce "&lt;]]>{/Bold" "%s%n\$(touch pwned)" 0 &&
		group sendrecv "'\''; !touch pwned; system x" "id=" 0
	} >hostile.jsonl &&
	moecast db h.db --load=hostile.jsonl >/dev/null &&
	moecast report --db h.db -o h/h/out --json >out &&
	page=h/h/out/index.html &&
	test "$(find h -type f | wc -l)" -eq 13 &&
	test "$(find h -type f | grep -c "^h/h/out/[a-z0-9.-]*\$")" -eq 13 &&
	! find "$test_scratch" -name "pwned*" | grep . &&
	for f in h/h/out/*.svg "$page"; do is_xml "$f" || exit 1; done &&
	! grep -i -e "<script" -e "<b onload" -e "<img" "$page" &&
	test_grep "&lt;script&gt;alert" "$page" &&
	test_grep "&amp;lt;\]\]&gt;{/Bold" "$page"
'
test_expect_success 'no more than 60 figures, and a word on the others' '
	{
		echo "$run" && i=0 &&
		while test $i -lt 61
		do
			group alltoall nvlink "v$i" $((i > 57)) || exit 1
			i=$((i + 1))
		done
	} >many.jsonl &&
	moecast db m.db --load=many.jsonl >/dev/null &&
	moecast report --db m.db -o m >out &&
	test "$(ls m/*.svg | wc -l)" -eq 60 &&
	test_grep "left out: 2 cost figures, .*60" out &&
	test_grep "Left out:.*2 cost figures.*v59.*v60" m/index.html
'
test_expect_success 'a gnuplot that fails midway leaves no figure' '
	cat >fake <<-EOF &&
	#!/bin/sh
	cat >/dev/null
	test -e once && { echo no luck >&2; exit 1; }
	echo >once
	echo "<svg/>"
	EOF
	chmod +x fake &&
	(
		GNUPLOT=$PWD/fake && export GNUPLOT &&
		refuses 1 "no luck" --db p.db -o f
	) && test -z "$(ls -A f)"
'
test_done
