# SPDX-License-Identifier: GPL-3.0-or-later
# moecast topo: the tree, the JSON, bad input.
. "${srcdir:-.}/tests/test-lib.sh"

golden=$srcdir/tests/golden
scenario=$srcdir/scenarios/data/default.yaml

json() {	# json KEY FILE: the number after "KEY"
	sed -n "s/^  \"$1\": \([-+.0-9e]*\).*/\1/p" "$2"
}

same() {	# same A B: equal numbers, however they are written
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && a + 0 == b + 0) }'
}

check_golden() {	# check_golden NAME
	test -z "$UPDATE_GOLDEN" || cp "$1" "$golden/$1" || return 1
	test_cmp "$golden/$1" "$1"
}

topo() {
	moecast topo "$scenario" "$@"
}

test_expect_success 'rail: the text' '
	topo >topo-rail.txt && check_golden topo-rail.txt
'
test_expect_success 'fat tree of 100,000 GPUs: the text is abbreviated' '
	topo --set cluster.nodes=12500 --set cluster.fabric.kind=fat-tree \
		--set cluster.fabric.nodes_per_leaf=4 \
		--set cluster.fabric.leaves_per_pod=8 >topo-fat.txt &&
	check_golden topo-fat.txt
'
test_expect_success 'no line is wider than 80 columns' '
	! grep -E ".{81}" topo-rail.txt topo-fat.txt
'

# rail, 8 x 8: 64 GPUs x (2 NVLink + 2 NIC) + 8 rails x 2 = 272 links; half of
# the nodes holds 32 NICs of 50e9 bytes per second
test_expect_success 'rail: the JSON' '
	topo --json >rail.json &&
	same "$(json gpus rail.json)" 64 &&
	same "$(json nodes rail.json)" 8 &&
	same "$(json links rail.json)" 272 &&
	same "$(json bisection_Bps rail.json)" 1.6e12
'
# nonblocking: the rails are gone
test_expect_success 'nonblocking: the JSON' '
	topo --json --set cluster.fabric.kind=nonblocking >nb.json &&
	same "$(json links nb.json)" 256
'
# one node: 8 NVLinks up and down, halves of 4 GPUs x 450e9
test_expect_success 'one node: the JSON' '
	topo --json --set cluster.nodes=1 >one.json &&
	same "$(json links one.json)" 16 &&
	same "$(json bisection_Bps one.json)" 1.8e12
'
test_expect_success 'the tiers hold all links' '
	sum=$(sed -n "s/^      \"links\": \([0-9]*\).*/\1/p" rail.json |
	      awk "{ n += \$1 } END { print n }") &&
	same "$sum" 272
'
test_expect_success 'a figure needs .svg or .png' '
	test_expect_code 2 moecast topo "$scenario" -o x.pdf 2>err &&
	grep "x.pdf.*svg or .png" err && ! test -e x.pdf &&
	test_expect_code 2 moecast topo "$scenario" -o .svg 2>err
'
test_expect_success 'no scenario is wrong usage' '
	test_expect_code 2 moecast topo 2>err && grep -i missing err &&
	test_expect_code 2 moecast topo /nonexistent.yaml
'
faults="nic 0:3 50%, gpu 5:2 70%, nic 5:7 gone, nvlink 5:0 25%, leaf 6 50%"
test_expect_success 'degraded parts: the text' '
	topo --set "faults.degraded=$faults" >topo-faults.txt &&
	check_golden topo-faults.txt
'
# the texts of the drawing, in the order in which they are painted
texts() {
	sed -n "s/.*<tspan[^>]*>\([^<]*\)<.*/\1/p; s/.*<text>\(.*\)<\/text>.*/\1/p" \
		"$1" | sed "s/<[^>]*>//g"
}
if test -x "${GNUPLOT:-$(command -v gnuplot)}"
then
	test_expect_success 'degraded parts are drawn, with what is left' '
		topo --set "faults.degraded=$faults" -o faults.svg >/dev/null &&
		texts faults.svg >topo-faults-figure.txt &&
		check_golden topo-faults-figure.txt &&
		topo -o healthy.svg >/dev/null &&
		texts healthy.svg >healthy &&
		! grep -e "%" -e gone healthy &&
		! grep -i "d55e00\|213, *94, *0" healthy.svg &&
		grep -q -i "d55e00\|213, *94, *0" faults.svg
	'
fi
test_expect_success 'without gnuplot a figure is unavailable, not a failure' '
	export GNUPLOT="$PWD/none" &&
	test_expect_code 77 moecast topo "$scenario" -o x.svg 2>err &&
	grep "GNUPLOT.*gnuplot" err && ! test -e x.svg
'
test_done
