# SPDX-License-Identifier: GPL-3.0-or-later
# The section faults: of a scenario: slow and lost parts, jitter.
. "${srcdir:-.}/tests/test-lib.sh"

command -v python3 >/dev/null || test_skip_all "no python3 to read JSON"

MOECAST_CHECK=1
export MOECAST_CHECK

# py FILE...: python with the files' JSON as a, b, c, ...
py() {
	script=$1
	shift
	python3 - "$script" "$@" <<-'END'
	import json, sys
	for name, path in zip("abcdef", sys.argv[2:]):
	    globals()[name] = json.load(open(path))
	def near(x, y, tolerance=1e-6):
	    assert abs(x - y) <= tolerance * abs(y), (x, y)
	exec(sys.argv[1])
	END
}

# 64 GPUs: 8 nodes of 8 on 8 rails; one exchange after the other
set -- --set layout.ep=64 --set layout.esp=1 --set routing.kind=uniform \
	--set search.capacity=none --set search.degree=1 \
	--set search.alltoall=flat --json
run() {
	name=$1
	fault=$2
	shift 2
	moecast simulate default "$@" --set "faults.degraded=$fault" \
		>"$name.json"
}
args=$*

test_expect_success 'a part at 100 % is no fault' '
	moecast simulate default '"$args"' >none.json &&
	run whole "nic 0:3 100%, gpu 1:1 1" '"$args"' &&
	cmp none.json whole.json
'

# the exchange waits for its slowest NIC: as if all had half, but for flows
# that share nothing with it; all other times stay
test_expect_success 'one NIC at half: exchanges as with half NICs everywhere' '
	run half "nic 0:3 50%" '"$args"' &&
	moecast simulate default '"$args"' \
		--set cluster.nic.bandwidth=200Gb/s >all.json &&
	py "
for k in (\"dispatch\", \"combine\", \"dispatch_bwd\", \"combine_bwd\"):
    near(b[\"breakdown\"][k], c[\"breakdown\"][k])
    assert b[\"breakdown\"][k] > 1.8 * a[\"breakdown\"][k]
for k in (\"expert\", \"gate\", \"permute\"):
    assert b[\"breakdown\"][k] == a[\"breakdown\"][k]
" none.json half.json all.json
'

# what arithmetic says: 56 peers on other nodes, alike in bytes, at half rate
test_expect_success 'the exchange gets longer by the bytes over half a NIC' '
	moecast alltoall default --algorithm flat -b 64MiB -e 64MiB --ideal \
		--json >a.json &&
	moecast alltoall default --algorithm flat -b 64MiB -e 64MiB --ideal \
		--set "faults.degraded=nic 0:3 50%" --json >b.json &&
	py "
bytes = 64 * 2**20 / 64
near(a[\"rows\"][0][\"time_s\"], 56 * bytes / 50e9 + 3e-6, 1e-3)
near(b[\"rows\"][0][\"time_s\"], 56 * bytes / 25e9 + 3e-6, 1e-3)
" a.json b.json
'

test_expect_success 'a NIC that is gone: its neighbour carries both' '
	run gone "nic 0:3 gone" '"$args"' &&
	py "
near(b[\"breakdown\"][\"dispatch\"], c[\"breakdown\"][\"dispatch\"], 2e-3)
assert b[\"links\"][0][\"name\"] in (\"node 0 gpu 4 nic up\",
				     \"node 0 gpu 4 nic down\"), b[\"links\"]
" none.json gone.json half.json
'

test_expect_success 'a rail that is gone: the next one carries both' '
	run rail "leaf 2 gone" '"$args"' &&
	py "
near(b[\"breakdown\"][\"dispatch\"], c[\"breakdown\"][\"dispatch\"], 3e-3)
assert b[\"links\"][0][\"name\"].startswith((\"node \", \"rail 3\"))
assert \"gpu 2 nic\" not in str(b[\"links\"]), b[\"links\"]
" none.json rail.json half.json
'

test_expect_success 'a GPU at half: its products and kernels take twice' '
	run gpu "gpu 1:0 50%" '"$args"' &&
	py "
for k in (\"expert\", \"expert_bwd_data\", \"expert_bwd_weight\", \"gate\",
	  \"permute\", \"unpermute\"):
    near(b[\"breakdown\"][k], 2 * a[\"breakdown\"][k])
for k in (\"dispatch\", \"combine\"):
    near(b[\"breakdown\"][k], a[\"breakdown\"][k])
" none.json gpu.json
'

test_expect_success 'a slow NVLink: gathers of the shards wait for it' '
	set -- --set layout.ep=8 --set layout.esp=8 \
		--set routing.kind=uniform --set search.capacity=none \
		--set search.degree=1 --set search.alltoall=flat --json &&
	moecast simulate default "$@" >a.json &&
	run b "nvlink 0:1 50%" "$@" &&
	py "
g, h = a[\"breakdown\"][\"allgather\"], b[\"breakdown\"][\"allgather\"]
assert 1.85 * g < h <= 2 * g, (g, h)
near(b[\"breakdown\"][\"dispatch\"], a[\"breakdown\"][\"dispatch\"])
" a.json b.json
'

# the search plans round the fault; it cannot be faster than without it
test_expect_success 'plan, sensitivity and sweep take faults' '
	moecast plan default --json >a.json &&
	moecast plan default --set "faults.degraded=nic 0:3 25%" --json \
		>b.json &&
	moecast sensitivity default --set "faults.degraded=nic 0:3 25%" \
		--steps 0 --json >c.json &&
	py "
assert b[\"best\"][\"time_s\"] > a[\"best\"][\"time_s\"]
near(c[\"time_s\"], b[\"best\"][\"time_s\"])
" a.json b.json c.json &&
	moecast sweep default --db s.db --json \
		--set "faults.degraded=\"gpu 0:0 100%\",\"nic 0:3 25%\",\"nic 99:0 gone\"" \
		>d.json &&
	py "
t = [r[\"time_s\"] for r in c[\"rows\"]]
assert t[0] == a[\"best\"][\"time_s\"] and t[1] == b[\"best\"][\"time_s\"]
assert t[2] is None and \"no such node\" in c[\"rows\"][2][\"reason\"]
" a.json b.json d.json
'

test_expect_success 'topo names the parts' '
	moecast topo default >plain && ! grep degraded plain &&
	moecast topo default --set "faults.degraded=nic 0:3 50%, leaf 2 gone,
		gpu 1:0 80%, nic 1:1 gone" >t &&
	test_grep "nic 0:3: at 50 % of its speed" t &&
	test_grep "leaf 2: gone; its traffic by rail 3" t &&
	test_grep "gpu 1:0: at 80 % of its speed" t &&
	test_grep "nic 1:1: gone; its traffic by nic 1:3" t &&
	moecast topo default --set "faults.degraded=nic 0:3 50%" --json >a.json &&
	py "
assert a[\"degraded\"] == [{\"part\": \"nic\", \"node\": 0, \"index\": 3,
			    \"share\": 0.5}]
# 4 of 8 nodes, 8 NICs of 50 GB/s each, one at half
near(a[\"bisection_Bps\"], 32 * 50e9 - 25e9)
" a.json
'

refuses() { # refuses TEXT FAULTS
	test_expect_code 2 moecast simulate default \
		--set "faults.degraded=$2" >out 2>err &&
	test_cmp /dev/null out &&
	test_grep -F -e "$1" err &&
	test "$(wc -l <err)" -eq 1
}

test_expect_success 'what cannot be is refused in one line' '
	refuses "no such node" "nic 9:3 50%" &&
	refuses "no such NIC port" "nic 0:8 50%" &&
	refuses "no such GPU" "gpu 0:8 50%" &&
	refuses "no such leaf" "leaf 8 50%" &&
	refuses "plan for fewer GPUs" "gpu 0:3 gone" &&
	refuses "cut off" "nvlink 0:3 gone" &&
	refuses "do not talk over PCIe" "pcie 0:0 50%" &&
	refuses "is not " "nic 0:3" &&
	refuses "is not " "nic 0:3 150%" &&
	refuses "is not " "nic 0:3 -5%" &&
	all=$(for i in 0 1 2 3 4 5 6; do printf "nic 0:$i gone,"; done) &&
	refuses "node 0 has no NIC left" "${all}nic 0:7 gone"
'

test_expect_success 'a leaf of nodes that is gone cuts them off' '
	test_expect_code 2 moecast topo default \
		--set "cluster.fabric.kind=leaf-spine" \
		--set cluster.fabric.nodes_per_leaf=2 \
		--set "faults.degraded=leaf 1 gone" 2>err &&
	test_grep "its nodes are cut off" err
'

# ---- jitter ----

test_expect_success 'no jitter, no runs' '
	! grep jitter none.json
'

test_expect_success 'jitter: any number of processes, the same numbers' '
	for j in 1 2 5; do
		moecast simulate default '"$args"' --jobs $j \
			--set faults.compute_jitter=5% \
			--set faults.comm_jitter=10% \
			--set faults.repeats=101 >j$j.json || exit 1
	done &&
	cmp j1.json j2.json && cmp j1.json j5.json &&
	py "
j = a[\"jitter\"]
assert j[\"runs\"] == 101
assert j[\"min_s\"] < j[\"p50_s\"] < j[\"p95_s\"] < j[\"p99_s\"] <= j[\"max_s\"]
assert j[\"mean_s\"] > a[\"time_s\"] == b[\"time_s\"]
" j1.json none.json
'

test_expect_success 'another seed, other numbers; a slight jitter, near nominal' '
	moecast simulate default '"$args"' --set faults.compute_jitter=5% \
		--set faults.comm_jitter=10% --set faults.repeats=101 \
		--set faults.seed=2 >s.json &&
	! cmp -s j1.json s.json &&
	moecast simulate default '"$args"' --set faults.comm_jitter=1e-9 \
		--set faults.repeats=3 >e.json &&
	py "near(a[\"jitter\"][\"max_s\"], a[\"time_s\"], 1e-7)" e.json
'

test_expect_success 'text: the tail in 80 columns' '
	moecast simulate default --set faults.compute_jitter=5% >t &&
	test_grep "^1000 runs with jitter" t &&
	test_grep "^99 % below" t &&
	! grep "^.\{81,\}" t
'

test_expect_success 'jitter out of range is refused' '
	test_expect_code 2 moecast simulate default \
		--set faults.compute_jitter=-1 2>err &&
	test_expect_code 2 moecast simulate default \
		--set faults.repeats=0 2>err
'

test_done
