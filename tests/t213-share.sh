# SPDX-License-Identifier: GPL-3.0-or-later
# moecast share: jobs on one fabric against closed forms.
. "${srcdir:-.}/tests/test-lib.sh"

command -v python3 >/dev/null || test_skip_all "no python3 to read JSON"

# py SCRIPT FILE: the JSON's rows as r
py() {
	python3 - "$@" <<-'END'
	import json, sys
	d = json.load(open(sys.argv[2]))
	r = d["rows"]
	def near(x, y, tolerance=1e-6):
	    assert abs(x - y) <= tolerance * abs(y), (x, y)
	exec(sys.argv[1])
	END
}

# nodes of one GPU; a leaf of n nodes has an uplink of n / oversubscription
# NICs; slow NICs, so that a step is next to nothing but exchanges
cat >a.yaml <<'END'
cluster:
  nodes: 2
  gpus_per_node: 1
  gpu: {base: h100-sxm, kernel_launch: 0us}
  nic: {per_gpu: 1, bandwidth: 10Mb/s, latency: 0us}
  fabric: {kind: leaf-spine, nodes_per_leaf: 2, oversubscription: 2}
model: {hidden: 64, layers: 1, experts: 2, experts_per_token: 1,
        expert_ffn: 64, sequence: 4096, batch_per_gpu: 1, name: toy}
layout: {ep: 2}
routing: {kind: uniform}
search: {alltoall: flat, degree: 1, capacity: none}
END

# in turn: node 0 of both jobs is under leaf 0, node 1 under leaf 1; the
# uplink is as wide as one NIC and each job could fill it
test_expect_success 'two equal jobs that fill one uplink: twice as slow' '
	moecast share a.yaml a.yaml --place interleaved --json >j &&
	py "
assert d[\"schema\"] == \"moecast.share/1\" and len(r) == 2
for x in r:
    near(x[\"exchange_slowdown\"], 2)
    near(x[\"slowdown\"], 1 + x[\"exchange_share\"], 1e-5)
    assert x[\"exchange_share\"] > 0.99, x
    near(x[\"time_s\"], x[\"slowdown\"] * x[\"alone_s\"])
# others exchange for a share of the time
    near(x[\"mean_s\"] - x[\"alone_s\"], x[\"exchange_share\"] *
         (x[\"time_s\"] - x[\"alone_s\"]), 1e-5)
" j
'

test_expect_success 'side by side each has a leaf: no slowdown' '
	moecast share a.yaml a.yaml --json >j &&
	py "
for x in r:
    assert x[\"slowdown\"] == x[\"slowdown_mean\"] == 1, x
    assert x[\"exchange_slowdown\"] == 1
" j
'

test_expect_success 'an uplink for both, a nonblocking fabric: no slowdown' '
	moecast share a.yaml a.yaml --place interleaved \
		--set cluster.fabric.oversubscription=1 --json >j &&
	py "assert all(x[\"slowdown\"] == 1 for x in r), r" j &&
	moecast share a.yaml a.yaml --place interleaved \
		--set cluster.fabric.kind=nonblocking --json >j &&
	py "assert all(x[\"slowdown\"] == 1 for x in r), r" j
'

# two flows share an uplink of 4/3 NICs: each gets 2/3 of what its NIC has
test_expect_success 'a partly shared uplink: by as much as it lacks' '
	moecast share a.yaml a.yaml --place interleaved \
		--set cluster.fabric.oversubscription=1.5 --json >j &&
	py "
for x in r:
    near(x[\"exchange_slowdown\"], 1.5)
" j
'

test_expect_success 'three jobs on an uplink of one NIC: three times' '
	moecast share a.yaml a.yaml a.yaml --place interleaved --json \
		--set cluster.fabric.nodes_per_leaf=3 \
		--set cluster.fabric.oversubscription=3 >j &&
	py "
assert len(r) == 3
for x in r:
    near(x[\"exchange_slowdown\"], 3)
" j
'

# nodes 0 .. 5 are A B A B A A in leaves of two. The uplink of leaf 2 has four
# flows of A (two nodes to two other nodes): each gets a quarter of it, that is
# what A takes alone. Leaf 0 has three of A and the one of B, which gets a
# quarter too: B takes four times as long, and A as long as alone.
test_expect_success 'a small job among the flows of a large one' '
	sed -e "s/nodes: 2/nodes: 4/; s/ep: 2/ep: 4/; s/experts: 2/experts: 4/" \
		a.yaml >b.yaml &&
	moecast share b.yaml a.yaml --place interleaved --json >j &&
	py "
assert [x[\"nodes\"] for x in r] == [4, 2]
near(r[0][\"exchange_slowdown\"], 1, 2e-3)
near(r[1][\"exchange_slowdown\"], 4, 2e-3)
" j &&
	moecast share b.yaml a.yaml --place interleaved >t &&
	test_grep "^2 jobs on one fabric, nodes in turn" t &&
	! grep "^.\{81,\}" t
'

# Faults are the fabric's, nodes counted over both jobs: in turn A has nodes 0
# and 2, B has 1 and 3; an uplink is as wide as one NIC. A healthy job's flows
# take F alone; its step without them is alone_s - F.
share2() {
	moecast share a.yaml a.yaml --place interleaved --json \
		--set "faults.degraded=$1" >$2
}

# the uplink of leaf 0 is half as wide: 2 F alone, and each has half of it
test_expect_success 'a leaf at half its speed, for both jobs' '
	moecast share a.yaml a.yaml --place interleaved --json >healthy &&
	share2 "leaf 0 50%" j &&
	py "
h = json.load(open(\"healthy\"))[\"rows\"]
for x, y in zip(r, h):
    F = y[\"exchange_share\"] * y[\"alone_s\"]
    near(x[\"alone_s\"], y[\"alone_s\"] + F)
    near(x[\"exchange_slowdown\"], 2)
    near(x[\"time_s\"], y[\"alone_s\"] + 3 * F)
" j
'

# A through a NIC at a quarter takes a quarter of the uplink, alone or not; B
# has the other three quarters. Node 1 is the other way round.
test_expect_success 'a slow NIC slows its own job and frees the uplink' '
	share2 "nic 0:0 25%" j &&
	py "
h = json.load(open(\"healthy\"))[\"rows\"]
F = h[0][\"exchange_share\"] * h[0][\"alone_s\"]
near(r[0][\"alone_s\"], h[0][\"alone_s\"] + 3 * F)
near(r[0][\"exchange_slowdown\"], 1)
near(r[1][\"alone_s\"], h[1][\"alone_s\"])
near(r[1][\"exchange_slowdown\"], 4 / 3)
" j &&
	share2 "nic 1:0 25%" k &&
	py "
o = json.load(open(\"j\"))[\"rows\"]
for key in (\"alone_s\", \"time_s\", \"mean_s\"):
    near(r[0][key], o[1][key])
    near(r[1][key], o[0][key])
" k
'

test_expect_success 'a slow GPU slows its own job alone' '
	share2 "gpu 3:0 50%" j &&
	py "
h = json.load(open(\"healthy\"))[\"rows\"]
assert r[0][\"alone_s\"] == h[0][\"alone_s\"]
assert r[1][\"alone_s\"] > h[1][\"alone_s\"]
near(r[1][\"exchange_slowdown\"], 2)
" j &&
	moecast share a.yaml a.yaml --json --set "faults.degraded=gpu 1:0 50%" \
		>k &&
	py "assert r[0][\"alone_s\"] > r[1][\"alone_s\"]" k
'

refuses() { # refuses TEXT ARGUMENT...
	text=$1
	shift
	test_expect_code 2 moecast share "$@" >out 2>err &&
	test_cmp /dev/null out &&
	test_grep -F -e "$text" err &&
	test "$(wc -l <err)" -eq 1
}

test_expect_success 'what is no common fabric is refused' '
	sed "s/10Mb/20Mb/" a.yaml >nic.yaml &&
	sed "s/oversubscription: 2/oversubscription: 4/" a.yaml >over.yaml &&
	sed "s/leaf-spine/rail/" a.yaml >rail.yaml &&
	refuses "cluster.nic.bandwidth" a.yaml nic.yaml &&
	refuses "cluster.fabric.oversubscription" a.yaml over.yaml &&
	refuses "cluster.fabric.kind" a.yaml rail.yaml &&
	refuses "two scenarios at least" a.yaml &&
	{ cat a.yaml; echo "faults: {degraded: nic 0:0 50%}"; } >nic50.yaml &&
	refuses "faults.degraded" a.yaml nic50.yaml &&
	refuses "nic 4:0: the jobs have 4 nodes in all" a.yaml a.yaml \
		--set "faults.degraded=nic 4:0 50%" &&
	refuses "leaf 0: its nodes are cut off" a.yaml a.yaml \
		--set "faults.degraded=leaf 0 gone" &&
	refuses "must be" a.yaml a.yaml --place heap &&
	refuses "more than 16" a.yaml a.yaml a.yaml a.yaml a.yaml a.yaml \
		a.yaml a.yaml a.yaml a.yaml a.yaml a.yaml a.yaml a.yaml \
		a.yaml a.yaml a.yaml
'

test_expect_success 'the same bytes twice; one fabric of 128 GPUs' '
	moecast share default default --set cluster.fabric.kind=leaf-spine \
		--set cluster.fabric.nodes_per_leaf=4 \
		--set cluster.fabric.oversubscription=4 \
		--set cluster.nodes=4 --place interleaved --json >j1 &&
	moecast share default default --set cluster.fabric.kind=leaf-spine \
		--set cluster.fabric.nodes_per_leaf=4 \
		--set cluster.fabric.oversubscription=4 \
		--set cluster.nodes=4 --place interleaved --json >j2 &&
	cmp j1 j2 &&
	py "
for x in r:
    assert x[\"alone_s\"] <= x[\"mean_s\"] <= x[\"time_s\"], x
" j1
'

test_done
