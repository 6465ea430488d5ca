# SPDX-License-Identifier: GPL-3.0-or-later
# Forecasts from measured costs: keys profile.*.
. "${srcdir:-.}/tests/test-lib.sh"

make_profile=$top_builddir/tests/unit/make_profile

cat >s.yaml <<'END'
cluster:
  nodes: 1
  gpus_per_node: 4
  gpu: h200-sxm
model: {hidden: 1024, layers: 1, experts: 8, experts_per_token: 2,
        expert_ffn: 2048, sequence: 1024, batch_per_gpu: 1, name: toy}
layout: {ep: 4, esp: 1}
search: {alltoall: flat, degree: [1, 2], capacity: none}
profile: {use: off}
END
sed 's/^profile:.*/profile: {db: p.db}/' s.yaml >with.yaml

# all-to-all of 4 ranks: 10 us + S / 200 GB/s; products: 3 us + flop / 4e14
rows() {
	awk 'BEGIN {
		for (s = 1024; s <= 2^28; s *= 2)
			print "alltoall even nvlink bf16 4", s, 10e-6 + s / 200e9
		for (m = 1; m <= 16384; m *= 4)
			for (n = 8; n <= 32768; n *= 4)
				for (k = 4; k <= 16384; k *= 4)
					print "gemm grouped compute bf16", m, n,
					      k, 1, 3e-6 + 2 * m * n * k / 4e14
	}'
}

test_expect_success 'a database is made' '
	rows | "$make_profile" p.db "NVIDIA H200" fit &&
	test -s p.db
'

test_expect_success 'costs come from it and the report says so' '
	moecast plan s.yaml >without &&
	moecast plan with.yaml >measured 2>err &&
	! cmp without measured &&
	test_grep "costs: measured (p.db: NVIDIA H200, 1 run" measured &&
	test_grep "exchanges inside a node" measured &&
	! test -s err
'

test_expect_success 'JSON has where costs come from' '
	moecast plan with.yaml --json >j &&
	test_grep "\"costs\": \"measured\"" j &&
	test_grep "\"cost_note\": \"measured (p.db" j &&
	moecast plan s.yaml --json >j &&
	test_grep "\"costs\": \"datasheet\"" j &&
	! grep cost_note j
'

# uniform: 2048 copies a rank, 3/4 of 2048 x 1024 x 2 bytes over the link:
# 10 us + 4194304 / 200e9 = 30.97 us, less what 1 us latency in the cluster
# file and fit round off
test_expect_success 'the exchange takes what was measured' '
	moecast simulate with.yaml --model lane --json >j &&
	t=$(sed -n "s/^ *\"dispatch\": \([0-9.e-]*\),*$/\1/p" j) &&
	echo "dispatch $t" &&
	awk -v t="$t" "BEGIN { exit !(t > 30.5e-6 && t < 31.5e-6) }"
'

test_expect_success 'use: off is as if there were no database' '
	moecast plan with.yaml --set profile.use=off >off &&
	test_cmp without off &&
	moecast simulate s.yaml >a &&
	moecast simulate with.yaml --set profile.use=off >b &&
	test_cmp a b &&
	moecast capacity s.yaml --json >a &&
	moecast capacity with.yaml --set profile.use=off --json >b &&
	test_cmp a b
'

test_expect_success 'simulate and capacity take it too' '
	moecast simulate with.yaml >out &&
	test_grep "^costs: measured (p.db" out &&
	moecast capacity with.yaml >out &&
	test_grep "^costs: measured (p.db" out &&
	moecast capacity with.yaml --json >out &&
	test_grep "\"costs\": \"measured\"" out
'

test_expect_success 'the same forecast every time, from any directory' '
	mkdir -p sub &&
	(cd sub && moecast plan ../with.yaml >../again) &&
	test_cmp measured again
'

test_expect_success 'fits that were not stored are made' '
	rows | "$make_profile" unfitted.db "NVIDIA H200" &&
	moecast simulate with.yaml --set profile.db=p.db >a &&
	moecast simulate with.yaml --set profile.db=unfitted.db >b &&
	sed "/^costs/,\$d" a >a2 &&
	sed "/^costs/,\$d" b | test_cmp a2 -
'

test_expect_success 'keys of the scenario stand above the measurement' '
	moecast simulate with.yaml --json --set comm.intra.launch=5ms >j &&
	t=$(sed -n "s/^ *\"dispatch\": \([0-9.e-]*\),*$/\1/p" j) &&
	awk -v t="$t" "BEGIN { exit !(t > 5e-3) }" ||
	{
		# the low-latency protocol is still there
		moecast simulate with.yaml --json \
			--set comm.intra.launch=5ms \
			--set comm.intra.ll_launch=5ms >j &&
		t=$(sed -n "s/^ *\"dispatch\": \([0-9.e-]*\),*$/\1/p" j) &&
		awk -v t="$t" "BEGIN { exit !(t > 5e-3) }"
	}
'

test_expect_success 'leaving the measured range warns on stderr' '
	moecast simulate with.yaml --set model.sequence=1048576 >out 2>err &&
	test_grep "warning: forecast leaves the measured range" err &&
	test_grep "products" err &&
	test_grep "exchanges inside a node" err
'

test_expect_success 'another GPU warns' '
	moecast simulate with.yaml --set cluster.gpu=a100-80gb >out 2>err &&
	test_grep "measured on .NVIDIA H200., the scenario.s GPU is" err
'

test_expect_success 'socket samples are no network unless asked for' '
	{
		echo "sendrecv pair socket bf16 2 1048576 1e-3" &&
		echo "sendrecv pair socket bf16 2 10485760 1e-2" &&
		echo "sendrecv pair socket bf16 2 104857600 1e-1"
	} | "$make_profile" sock.db "NVIDIA H200" fit &&
	two="--set cluster.nodes=2 --set cluster.nic.bandwidth=50GB/s
	     --set layout.ep=8" &&
	moecast simulate s.yaml $two >none &&
	moecast simulate with.yaml $two --set profile.db=sock.db >a &&
	test_grep "nothing that this scenario needs" a &&
	sed "/^$/d; /^costs:/,\$d" a >a2 &&
	sed "/^$/d" none | test_cmp - a2 &&
	moecast simulate with.yaml $two --set profile.db=sock.db \
		--set profile.inter=socket >b 2>err &&
	test_grep "exchanges between nodes" b
'

test_expect_success 'what is not a database is refused, with the place' '
	test_expect_code 2 moecast plan with.yaml --set profile.db=absent.db \
		2>err &&
	test_grep "absent.db" err &&
	test_grep "profile.db" err &&
	test_expect_code 2 moecast plan with.yaml --set profile.db=s.yaml \
		2>err &&
	test_grep "s.yaml" err &&
	: >empty.in &&
	"$make_profile" empty.db "NVIDIA H200" <empty.in &&
	test_expect_code 2 moecast plan with.yaml --set profile.db=empty.db \
		2>err &&
	test_grep "no samples" err &&
	test_expect_code 2 moecast plan s.yaml --set profile.use=maybe 2>err &&
	test_grep "auto, off" err
'

# the same exchange under 4 CTAs: at a quarter of the rate
limited() {
	rows
	awk 'BEGIN {
		for (s = 1024; s <= 2^28; s *= 2)
			print "alltoall even nvlink bf16 4", s,
			      10e-6 + s / 50e9, 4
	}'
}
words="ep=4 esp=1 tp=1 dp=1 pp=1 alltoall=flat degree=1/1 capacity=none"
words="$words techniques=baseline"

# 10 us + 4194304 / 50e9 = 93.9 us instead of 31.0
test_expect_success 'a limit of CTAs takes what was measured under it' '
	limited | "$make_profile" l.db "NVIDIA H200" fit &&
	sed "s/p\.db/l.db/" with.yaml >l.yaml &&
	moecast simulate l.yaml --plan "$words ctas=4" --model lane --json >j &&
	test_grep "\"ctas\": 4" j &&
	t=$(sed -n "s/^ *\"dispatch\": \([0-9.e-]*\),*$/\1/p" j) &&
	echo "dispatch $t" &&
	awk -v t="$t" "BEGIN { exit !(t > 93e-6 && t < 95e-6) }" &&
	moecast simulate l.yaml --plan "$words" --model lane --json >a &&
	test_grep "\"ctas\": 0" a &&
	moecast simulate with.yaml --plan "$words" --model lane --json >b &&
	grep "\"dispatch\"" a >a.t && grep "\"dispatch\"" b >b.t &&
	test_cmp a.t b.t
'

test_expect_success 'the planner tries it; text and knobs say so' '
	moecast plan l.yaml --set "search.ctas=[4]" >out &&
	test_grep "alltoall=flat ctas=4 degree=" out &&
	test_grep "may hold 4 SMs" out &&
	moecast plan l.yaml --set "search.ctas=[4]" --json >j &&
	test_grep "\"ctas\": 4" j &&
	moecast plan l.yaml --set search.ctas=auto >out &&
	test_grep "ctas=4" out
'

test_expect_success 'a limit that was not measured: an error says which were' '
	test_expect_code 2 moecast simulate l.yaml --plan "$words ctas=8" 2>err &&
	test_grep "plan: .ctas. is .8., but exchanges of this cluster" err &&
	test_grep "(measured: 4)" err &&
	test_expect_code 2 moecast plan with.yaml --set "search.ctas=[0, 4]" 2>err &&
	test_grep "search.ctas=.0, 4.*search.ctas: .*(measured: none)" err &&
	test_expect_code 2 moecast simulate s.yaml --plan "$words ctas=4" 2>err &&
	test_grep "(measured: none)" err
'

test_done
