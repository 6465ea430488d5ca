# SPDX-License-Identifier: GPL-3.0-or-later
# The deduplicated all-to-all at 4 nodes of 8 H200 against public measurements
# of DeepEP's dispatch and combine, where they are bound by bandwidth: 2048
# tokens and more, 16 SMs and more.
#
# A token has 8 of 256 experts, 64 per node and 8 per GPU, chosen without
# repetition: it goes to a given node with 1 - C(192,8) / C(256,8) and to a
# given GPU with 1 - C(248,8) / C(256,8). Dispatch sends 7168 fp8 values and
# a 4-byte scale per 128 of them, 7392 bytes; combine 7168 bf16 values, 14336
# bytes, on the same paths backwards, which take the same time.
. "${srcdir:-.}/tests/test-lib.sh"

file=h200_deepep_normal_1_and_4_nodes.csv
test_need_shared measured/$file
shared_data=$(cd "$shared_data" && pwd)

# matrices TOKENS BYTES: who sends what, to GPUs (m) and to nodes (nodes)
matrices() {
	awk -v tokens="$1" -v bytes="$2" 'function miss(free,   p, i) {
		p = 1
		for (i = 0; i < 8; i++)
			p *= (free - i) / (256 - i)
		return p
	}
	BEGIN {
		gpu = tokens * bytes * (1 - miss(248))
		node = tokens * bytes * (1 - miss(192))
		for (r = 0; r < 32; r++) {
			for (c = 0; c < 32; c++)
				printf "%.0f ", gpu >"m"
			for (c = 0; c < 4; c++)
				printf "%.0f ", node >"nodes"
			print "" >"m"
			print "" >"nodes"
		}
	}'
}

# predict TOKENS BYTES: microseconds
predict() {
	matrices "$1" "$2" &&
	moecast alltoall h200.yaml --set cluster.nodes=4 --algorithm dedup \
		--matrix m --node-matrix nodes --json >j &&
	awk '/makespan_s/ { printf "%.3f\n", $2 * 1e6 }' j
}

# compare COLUMN BYTES: each row within 10 %
compare() {
	rows=0 worst=0 &&
	awk -F, -v c="$1" '$3 == 4 && $4 == 7168 && $5 == 8 && $6 == 256 &&
		$7 >= 2048 && $8 >= 16 { print $7, $8, $c }' \
		"$shared_data/measured/$file" >wanted &&
	while read -r tokens sms measured
	do
		predicted=$(predict "$tokens" "$2") &&
		awk -v t="$tokens" -v s="$sms" -v m="$measured" \
			-v p="$predicted" 'BEGIN {
			e = p / m - 1
			printf "%6d tokens %2d SMs %9.1f us measured " \
			       "%9.1f predicted %+5.1f %%\n", t, s, m, p, 100 * e
			exit e > 0.1 || e < -0.1
		}' || return 1
		rows=$((rows + 1))
	done <wanted &&
	test "$rows" -ge 18
}

echo "cluster: hgx-h200-8x400g" >h200.yaml

test_expect_success 'dispatch is within 10 % in every row' '
	compare 9 7392
'

test_expect_success 'combine is within 10 % in every row' '
	compare 12 14336
'

test_done
