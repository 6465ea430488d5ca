# SPDX-License-Identifier: GPL-3.0-or-later
# The direct exchange: where it is offered, what refuses it, and constants
# from samples of alltoall, variant direct.
. "${srcdir:-.}/tests/test-lib.sh"

cat >two.yaml <<'END'
cluster: {nodes: 1, gpus_per_node: 2, gpu: h200-sxm}
model: {hidden: 2048, layers: 1, experts: 16, experts_per_token: 4,
        expert_ffn: 1024, sequence: 4096, batch_per_gpu: 1, name: toy}
layout: {ep: 2, esp: 1}
routing: {kind: zipf, skew: 0.5, seed: 3}
search: {degree: [1, 2], capacity: none}
profile: {use: "off"}
END
known="--set comm.direct.efficiency=0.85 --set comm.direct.launch=4us"

# 5 us with the link's latency of 1 us, and 85 % of 450 GB/s for half of the
# bytes; the host's own line of the shipped samples comes first
{
	head -n 1 "$srcdir/profiles/data/h200-x2.jsonl"
	awk 'BEGIN {
		for (b = 1024; b <= 1073741824; b *= 4)
			printf "{\"type\":\"sample\",\"op\":\"alltoall\"," \
				"\"variant\":\"direct\",\"tier\":\"nvlink\"," \
				"\"dtype\":\"fp32\",\"ranks\":2,\"nodes\":1," \
				"\"bytes\":%d,\"median_s\":%.9g," \
				"\"count\":100,\"wrong\":0}\n", b,
				5e-6 + b / 2 / 382.5e9
	}'
} >direct.jsonl

plan_of() {
	sed -n 's/.*"plan": "\(.*\)".*/\1/p' "$1"
}

test_expect_success 'not known: not offered, and an error where it is named' '
	moecast plan two.yaml --json >j &&
	! grep direct j &&
	test_expect_code 2 moecast plan two.yaml \
		--set search.alltoall=direct 2>err &&
	test_grep "search.alltoall.*direct.*no constants" err &&
	test_expect_code 2 moecast simulate two.yaml --plan "ep=2 esp=1 tp=1 \
dp=1 pp=1 alltoall=direct degree=1/1 capacity=none techniques=baseline" \
		2>err &&
	test_grep "alltoall.*direct.*no constants" err &&
	test_expect_code 2 moecast alltoall two.yaml -a direct 2>err &&
	test_grep "no constants" err
'

test_expect_success 'known: auto offers it; flat is there as before' '
	moecast plan two.yaml --top 20 $known >out &&
	test_grep "direct" out &&
	test_grep "flat" out &&
	moecast plan two.yaml --set search.alltoall=direct $known >out &&
	test_grep "alltoall=direct" out
'

test_expect_success 'between nodes: not offered, an error where it is named' '
	moecast plan two.yaml --set cluster.nodes=2 --set layout.ep=4 \
		--set cluster.nic.bandwidth=50GB/s $known >out &&
	! grep direct out &&
	test_expect_code 2 moecast plan two.yaml --set cluster.nodes=2 \
		--set layout.ep=4 --set cluster.nic.bandwidth=50GB/s \
		--set search.alltoall=direct $known 2>err &&
	test_grep "span NVLink domains" err
'

test_expect_success 'constants come from samples of variant direct' '
	moecast db p.db --load=direct.jsonl >/dev/null &&
	moecast alltoall two.yaml --set profile.use=auto \
		--set profile.db=p.db -a direct -b 64MiB -e 1GiB -f 4 >out &&
	awk "/^ *[0-9]/ { w = 5 + \$1 / 2 / 382.5e3; n++
		if (\$2 < 0.99 * w || \$2 > 1.01 * w) bad++ }
		END { exit !n || bad }" out
'

test_expect_success 'of two ranks for eight they say nothing' '
	test_expect_code 2 moecast alltoall two.yaml --set profile.use=auto \
		--set cluster.gpus_per_node=8 --set profile.db=p.db -a direct \
		2>err &&
	test_grep "no constants" err
'

test_done
