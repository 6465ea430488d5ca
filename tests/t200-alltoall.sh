# SPDX-License-Identifier: GPL-3.0-or-later
# moecast alltoall: tables, matrices, and what it refuses.
. "${srcdir:-.}/tests/test-lib.sh"

cat >scenario.yaml <<'EOF'
cluster:
  nodes: 2
  gpus_per_node: 2
  gpu: h100-sxm
  intra: {kind: nvswitch, bandwidth: 100GB/s, latency: 1us}
  nic: {per_gpu: 1, bandwidth: 10GB/s, latency: 3us}
  fabric: {kind: nonblocking}
EOF

# Bytes; the largest time is that of rank 3's NIC up: 27 MB at 10 GB/s.
cat >matrix.txt <<'EOF'
# from rank i (line) to rank j (column)
1000000 2000000 3000000 4000000
5000000,6000000,7000000,8000000
9000000	10000000 , 11000000 12000000

13000000 14000000 15000000 16000000
EOF

# json KEY FILE: the value of a top-level key
json() {
	sed -n "s/^  \"$1\": \(.*[^,]\),*\$/\1/p" "$2"
}

# near A B: equal to 1e-9
near() {
	awk -v a="$1" -v b="$2" 'BEGIN {
		d = a - b; if (d < 0) d = -d
		if (d > 1e-9 * (b < 0 ? -b : b)) {
			print a " is not " b; exit 1
		}
	}'
}

# refuse TEXT ARGUMENT...: exit code 2, one line on stderr that has TEXT
refuse() {
	refuse_text=$1 &&
	shift &&
	test_expect_code 2 moecast alltoall "$@" >out 2>err &&
	test_grep -F -e "$refuse_text" err &&
	test "$(wc -l <err)" -eq 1 &&
	test ! -s out
}

test_expect_success 'the table has the rows asked for' '
	moecast alltoall scenario.yaml -b 1MiB -e 8MiB >table &&
	test "$(grep -vc "^#" table)" -eq 4 &&
	test_grep "^  *8388608 " table &&
	moecast alltoall scenario.yaml -b 1000 -e 1000000 -f 10 --json >j &&
	test "$(grep -c busbw_Bps j)" -eq 4
'

test_expect_success 'sizes as nccl-tests writes them: 8M is 8 MiB' '
	moecast alltoall scenario.yaml -b 8M -e 16m >table &&
	test_grep "^  *8388608 " table && test_grep "^  *16777216 " table &&
	moecast alltoall scenario.yaml -b 8MB -e 8MB >table &&
	test_grep "^  *8000000 " table
'

test_expect_success 'a factor that makes too many rows is named in full' '
	test_expect_code 2 moecast alltoall scenario.yaml -f 1.0000001 2>err &&
	test_grep "1.0000001" err
'

test_expect_success 'busbw is algbw * (n - 1) / n' '
	moecast alltoall scenario.yaml -b 1GiB -e 1GiB --json >j &&
	alg=$(sed -n "s/.*algbw_Bps\": \(.*\),/\1/p" j) &&
	bus=$(sed -n "s/.*busbw_Bps\": \(.*\)/\1/p" j) &&
	near "$bus" "$(awk "BEGIN { printf \"%.15g\", $alg * 0.75 }")"
'

test_expect_success 'every algorithm and operation runs' '
	for a in flat leader 2d lanes dedup pairwise
	do
		moecast alltoall scenario.yaml -a $a -b 1MiB -e 2MiB >out &&
		test_grep "($a)" out &&
		moecast alltoall scenario.yaml -a $a --matrix matrix.txt \
			--json >out &&
		test_grep "\"algorithm\": \"$a\"" out || return 1
	done &&
	for o in alltoall allgather reducescatter allreduce sendrecv
	do
		moecast alltoall scenario.yaml --op $o -b 1MiB -e 2MiB >out &&
		test_grep "^# $o" out || return 1
	done
'

test_expect_success 'an ideal matrix takes what the hand says' '
	moecast alltoall scenario.yaml --matrix matrix.txt --ideal \
		--flows flows.csv --json >j &&
	near "$(json makespan_s j)" 0.002703 &&
	near "$(json bound_s j)" 0.0027 &&
	near "$(json busiest_rank_bytes j)" 42000000 &&
	near "$(json total_bytes j)" 102000000 &&
	test "$(json flows j)" = 12 &&
	test_grep "\"busiest_link\": \"node 1 gpu 1 nic up\"" j
'

# 2->0 and 2->1 share port 2, 3->0 and 3->1 port 3, two flows on each port
# down: 5 GB/s each; 3 us of latency. See tests/unit/test_coll.c.
test_expect_success 'the flows file has a row per cell, in order' '
	head -n 1 flows.csv >head &&
	echo src,dst,bytes,finish_us >expected &&
	test_cmp expected head &&
	test "$(wc -l <flows.csv)" -eq 13 &&
	cat >expected <<-EOF &&
	2,0,9000000,1803.000000
	2,1,10000000,2003.000000
	3,0,13000000,2603.000000
	3,1,14000000,2703.000000
	EOF
	grep -e "^2,[01]," -e "^3,[01]," flows.csv >actual &&
	test_cmp expected actual
'

test_expect_success 'flows of flat end with the collective' '
	moecast alltoall scenario.yaml --matrix matrix.txt --flows f.csv \
		--json >j &&
	last=$(sed 1d f.csv | cut -d, -f4 | sort -n | tail -n 1) &&
	awk -v t="$(json makespan_s j)" -v l="$last" \
		"BEGIN { exit !(t * 1e6 - l < 1e-5 && l - t * 1e6 < 1e-5) }"
'

test_expect_success 'merging says what it can cost' '
	moecast alltoall scenario.yaml --matrix matrix.txt --ideal \
		--merge 300us --json >j &&
	error=$(json merge_error_s j) && time=$(json makespan_s j) &&
	awk "BEGIN { exit !($time - 0.002703 <= $error + 1e-12) }" &&
	moecast alltoall scenario.yaml --matrix matrix.txt --ideal >out &&
	! grep "merge error" out
'

test_expect_success 'one token per node: dedup with --node-matrix' '
	printf "%s\n" "1 3000000" "1 7000000" "19000000 1" "9000000 1" >nodes &&
	moecast alltoall scenario.yaml -a dedup --matrix matrix.txt --json >a &&
	moecast alltoall scenario.yaml -a dedup --matrix matrix.txt \
		--node-matrix nodes --json >b &&
	bound=$(json bound_s b) &&
	near "$(json bound_s a)" \
		"$(awk "BEGIN { printf \"%.15g\", 27 / 19 * $bound }")"
'

test_expect_success 'a cluster by name or in one line is enough' '
	moecast alltoall hgx-h200-8x400g -b 1GiB --json >a &&
	echo "cluster: hgx-h200-8x400g" >c.yaml &&
	moecast alltoall c.yaml -b 1GiB --json >b &&
	test_cmp a b &&
	moecast alltoall "nodes=2(nic=8x400Gb/s) gpu=8(nvlink=450GB/s) \
fabric=rail" -b 1GiB --json >j &&
	test_grep "\"ranks\": 16" j
'

test_expect_success 'the same bytes twice' '
	for i in 1 2
	do
		moecast alltoall scenario.yaml --json >table.$i &&
		moecast alltoall scenario.yaml --matrix matrix.txt --json \
			--flows flows.$i >matrix.$i || return 1
	done &&
	test_cmp table.1 table.2 && test_cmp matrix.1 matrix.2 &&
	test_cmp flows.1 flows.2
'

test_expect_success 'balanced: 1,024 and 100,000 GPUs' '
	moecast alltoall scenario.yaml --set cluster.nodes=512 -b 1MiB \
		-e 1MiB &&
	moecast alltoall scenario.yaml --set cluster.nodes=50000 -b 1MiB \
		-e 1MiB --ideal
'

test_expect_success 'wrong matrices are refused with file and line' '
	printf "1 2 3 4\n1 2 3\n" >m && refuse "m:2:6: this row has 3" \
		scenario.yaml --matrix m &&
	printf "1 2\n1 2 3\n" >m && refuse "m:2:5: this row has more" \
		scenario.yaml --matrix m &&
	printf "1 2\n3 4\n5 6\n" >m && refuse "3 rows of 2 cells" \
		scenario.yaml --matrix m &&
	printf "1 2\n3 4\n" >m && refuse "for 2 ranks, the cluster has 4" \
		scenario.yaml --matrix m &&
	printf "1 2 3 4\n1 -2 3 4\n" >m && refuse "m:2:3: '\''-2'\'' is neg" \
		scenario.yaml --matrix m &&
	printf "1 2 3.5 4\n" >m && refuse "m:1:5: '\''3.5'\'' is not a whole" \
		scenario.yaml --matrix m &&
	printf "1 nan 3 4\n" >m && refuse "m:1:3: '\''nan'\'' is not a whole" \
		scenario.yaml --matrix m &&
	printf "1 2 3 99999999999999999999999\n" >m &&
	refuse "m:1:7: '\''99999999999999999999999'\'' is more than 1e15" \
		scenario.yaml --matrix m &&
	printf "1,,3 4\n" >m && refuse "m:1:3: a cell is empty" \
		scenario.yaml --matrix m &&
	printf "1 2 3 4,\n" >m && refuse "m:1:9: a cell is empty" \
		scenario.yaml --matrix m &&
	printf "1 2\0003 4\n" >m && refuse "m:1:4: a NUL byte" \
		scenario.yaml --matrix m &&
	: >m && refuse "m: no matrix" scenario.yaml --matrix m &&
	refuse "none.txt" scenario.yaml --matrix none.txt &&
	refuse "." scenario.yaml --matrix .
'

test_expect_success 'wrong options are refused' '
	refuse "-f: '\''1'\'' is not above 1" scenario.yaml -f 1 &&
	refuse "makes more than 1000 rows" scenario.yaml -f 1.0001 &&
	refuse "-b: '\''0'\''" scenario.yaml -b 0 &&
	refuse "-b: '\''1XB'\''" scenario.yaml -b 1XB &&
	refuse "is more than -e" scenario.yaml -b 2MiB -e 1MiB &&
	refuse "did you mean '\''leader'\''" scenario.yaml -a leadr &&
	refuse "--op: '\''bcast'\''" scenario.yaml --op bcast &&
	refuse "--merge: '\''-1us'\''" scenario.yaml --merge=-1us &&
	refuse "--flows needs --matrix" scenario.yaml --flows x.csv &&
	refuse "use flat, lanes or --ideal" scenario.yaml -a 2d \
		--matrix matrix.txt --flows x.csv &&
	refuse "not with --matrix" scenario.yaml -b 1 --matrix matrix.txt &&
	refuse "are for --op alltoall" scenario.yaml --op allreduce --ideal &&
	refuse "--node-matrix needs" scenario.yaml --node-matrix nodes &&
	refuse "scenario file is missing" -b 1
'

test_expect_success 'no flows file is left behind by a failure' '
	printf "1 2\n" >m &&
	test_expect_code 2 moecast alltoall scenario.yaml --matrix m \
		--flows gone.csv &&
	test ! -e gone.csv &&
	test_must_fail moecast alltoall scenario.yaml --matrix matrix.txt \
		--flows no/such/dir.csv >out &&
	test ! -s out
'

test_done
