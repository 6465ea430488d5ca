# SPDX-License-Identifier: GPL-3.0-or-later
# moecast sensitivity: against closed forms.
. "${srcdir:-.}/tests/test-lib.sh"

command -v python3 >/dev/null || test_skip_all "no python3 to read JSON"

# elasticities of the JSON in $1 as python's dict e
py() {
	python3 - "$@" <<-'END'
	import json, sys
	d = json.load(open(sys.argv[1]))
	e = {r["resource"]: r["elasticity"] for r in d["rows"]}
	rank = [r["resource"] for r in d["rows"]]
	limit = {r["resource"]: r["limit"] for r in d["rows"]}
	path = d["path"]
	exec(sys.argv[2])
	END
}

# no fixed costs, and links so slow that nothing else counts: 2 nodes of one
# GPU whose whole step is NIC transfer, so T ~ 1 / B: e = 1, and 0 for FLOPs
cat >nic.yaml <<'END'
cluster:
  nodes: 2
  gpus_per_node: 1
  gpu: {base: h100-sxm, kernel_launch: 0us}
  nic: {per_gpu: 1, bandwidth: 1Mb/s, latency: 0us}
  fabric: {kind: nonblocking}
model: {hidden: 64, layers: 1, experts: 2, experts_per_token: 1,
        expert_ffn: 64, sequence: 4096, batch_per_gpu: 1, name: toy}
layout: {ep: 2}
routing: {kind: uniform}
search: {alltoall: flat, degree: 1, capacity: none}
END

test_expect_success 'bound by the NIC alone: elasticity 1, others 0' '
	moecast sensitivity nic.yaml --steps 1 --json >j &&
	py j "
assert rank[0] == \"nic\", rank
assert abs(e[\"nic\"] - 1) < 5e-3, e
assert all(abs(v) < 5e-3 for k, v in e.items() if k != \"nic\"), e
assert limit[\"nic\"] is None and path[0][\"until\"] is None
assert path[0][\"from\"] == 125000.0
"
'

# one GPU: no exchange, a product so large that nothing but FLOPs counts
cat >flops.yaml <<'END'
cluster: "nodes=1 gpu=1(nvlink=450GB/s)"
model: {hidden: 8192, layers: 1, experts: 1, experts_per_token: 1,
        expert_ffn: 32768, sequence: 65536, batch_per_gpu: 1, name: toy}
layout: {ep: 1}
routing: {kind: uniform}
constraints: {memory: 10TB}
search: {degree: 1, capacity: none}
END

test_expect_success 'bound by products alone: FLOPs near 1, no NIC' '
	moecast sensitivity flops.yaml --steps 0 --json >j &&
	py j "
assert rank[0] == \"flops\", rank
assert 0.95 < e[\"flops\"] <= 1.0001, e
assert \"nic\" not in e and \"leaf-uplink\" not in e
assert path == []
"
'

# with no overlap (degree 1) the step is a sum of terms, each inverse in one
# resource or a fixed cost: the elasticities add to 1
test_expect_success 'elasticities of a sequential step add to 1' '
	moecast sensitivity default --set layout.ep=8 --set layout.esp=8 \
		--set search.degree=1 --set search.alltoall=flat \
		--set routing.kind=uniform --set search.capacity=none \
		--steps 0 --json >j &&
	py j "
s = sum(v for k, v in e.items() if k != \"leaf-uplink\")
assert 0.93 < s < 1.02, (s, e)
"
'

# the NIC leads a slow-NIC cluster until products take over: at the limit
# another one pays as much, before it the NIC pays more
test_expect_success 'the limit is where another resource takes over' '
	set -- default --set layout.ep=8 --set layout.esp=8 \
		--set search.degree=1 --set search.alltoall=flat \
		--set routing.kind=uniform --set search.capacity=none &&
	moecast sensitivity "$@" --set cluster.nic.bandwidth=50Gb/s \
		--steps 1 --json >j &&
	limit=$(py j "
assert rank[0] == \"nic\"
print(limit[\"nic\"])") &&
	for x in 0.9 1.1; do
		at=$(python3 -c "print($limit * $x)") &&
		moecast sensitivity "$@" --set cluster.nic.bandwidth=$at \
			--steps 0 --json >at$x || exit 1
	done &&
	py at0.9 "assert e[\"nic\"] * 1.1 > max(e.values()), e" &&
	py at1.1 "assert e[\"nic\"] * 1.1 < max(e.values()), e"
'

test_expect_success 'text fits 80 columns, the same bytes twice' '
	moecast sensitivity nic.yaml >a && moecast sensitivity nic.yaml >b &&
	cmp a b && ! grep "^.\{81,\}" a &&
	test_grep "next nic from 125 kB/s on" a
'

test_done
