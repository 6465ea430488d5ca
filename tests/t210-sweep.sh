# SPDX-License-Identifier: GPL-3.0-or-later
# moecast sweep: the grid, rows, resuming, workers that die.
. "${srcdir:-.}/tests/test-lib.sh"

command -v python3 >/dev/null || test_skip_all "no python3 to read JSON"

cat >s.yaml <<'END'
cluster: "nodes=2(nic=4x400Gb/s) gpu=4(nvlink=450GB/s) fabric=rail"
model: {hidden: 1024, layers: 1, experts: 8, experts_per_token: 2,
        expert_ffn: 2048, sequence: 1024, batch_per_gpu: 1, name: toy}
layout: {ep: 8, esp: 1}
search: {alltoall: [flat, 2d], degree: [1, 2], capacity: none}
END
grid="--set cluster.nic.bandwidth=100Gb/s..800Gb/s*2 --set cluster.nodes=1,2,3,4"

# each point by itself: what `plan` says of it
test_expect_success 'every row is what plan says of the point' '
	moecast sweep s.yaml $grid --db a.db --jobs 2 --json >a.json &&
	moecast plan s.yaml --set cluster.nic.bandwidth=200Gb/s \
		--set cluster.nodes=2 --json >p.json &&
	python3 - <<-"END"
	import json
	a, p = json.load(open("a.json")), json.load(open("p.json"))
	assert a["schema"] == "moecast.sweep/1" and a["points"] == 16
	rows = a["rows"]
	assert [r["point"] for r in rows] == list(range(16))
	r = rows[5]
	assert r["cluster.nic.bandwidth"] == 25e9 and r["cluster.nodes"] == 2
	assert r["time_s"] == p["best"]["time_s"]
	assert r["knobs"] == p["best"]["knobs"]
	assert r["baselines"][0]["speedup"] == p["baselines"][0]["speedup"]
	END
'

# ep 8 x esp 1 is 8 GPUs: with 1 node (4 GPUs) and 3 (12) it does not fit
test_expect_success 'a point that cannot be is a row with its reason' '
	python3 - <<-"END"
	import json
	a = json.load(open("a.json"))
	bad = [r for r in a["rows"] if "reason" in r]
	assert a["failed"] == len(bad) == 8
	assert all(r["time_s"] is None for r in bad)
	assert {r["cluster.nodes"] for r in bad} == {1, 3}
	assert "layout" in bad[0]["reason"]
	END
'

test_expect_success 'one, two and five processes give the same bytes' '
	for n in 1 2 5; do
		moecast sweep s.yaml $grid --db j$n.db --jobs $n --json \
			--csv j$n.csv >j$n.json || exit 1
		cmp a.json j$n.json && cmp j1.csv j$n.csv || exit 1
	done
'

test_expect_success 'the same call again computes nothing' '
	moecast sweep s.yaml $grid --db a.db --json >again.json 2>err &&
	test_grep "16 of 16 points were there already" err &&
	cmp a.json again.json
'

test_expect_success 'another grid in the same database is another sweep' '
	moecast sweep s.yaml --set cluster.nodes=2,4 --db a.db --json >o.json \
		2>err &&
	! test -s err &&
	test_grep "\"points\": 2" o.json
'

test_expect_success 'the CSV has a line for each point' '
	test "$(wc -l <j1.csv)" -eq 17 &&
	head -1 j1.csv >head &&
	test_grep "^point,cluster.nic.bandwidth,cluster.nodes,time_s," head &&
	test_grep "^5,25000000000,2,0" j1.csv
'

test_expect_success 'text shows keys, plans and reasons in 80 columns' '
	moecast sweep s.yaml $grid --db a.db >t 2>err &&
	test_grep "^16 points, 8 without a plan; simulated" t &&
	test_grep "200Gb/s *2 " t &&
	! grep "^.\{81,\}" t
'

# more than three keys: a line says what rows have in common
test_expect_success 'text of many keys: groups of one key, one head' '
	moecast sweep s.yaml --set cluster.nodes=2,3 \
		--set cluster.nic.bandwidth=100Gb/s,200Gb/s \
		--set cluster.fabric.oversubscription=1,2 \
		--set model.sequence=256,512,1024 --db groups.db >t 2>err &&
	test "$(grep -c "^nodes 2, bandwidth [12]00Gb/s, oversubscription [12]$" \
		t)" -eq 4 &&
	test "$(grep -c "^ *sequence  *step  *gain  *tokens/s" t)" -eq 1 &&
	test "$(grep -c "^ *256  .*s  .*x  .*ep=" t)" -ge 4 &&
	! grep "^.\{81,\}" t
'

# slow NICs and nothing to compute: 1 % more of the NIC is 1 % more speed, and
# its fabric has no uplinks that could pay
test_expect_success 'what a step brings: twice as fast where NICs limit' '
	cat >slow.yaml <<-"END" &&
	cluster:
	  nodes: 2
	  gpus_per_node: 1
	  gpu: {base: h100-sxm, kernel_launch: 0us}
	  nic: {per_gpu: 1, bandwidth: 100kb/s, latency: 0us}
	  fabric: {kind: nonblocking}
	model: {hidden: 64, layers: 1, experts: 2, experts_per_token: 1,
	        expert_ffn: 64, sequence: 4096, batch_per_gpu: 1, name: toy}
	layout: {ep: 2}
	routing: {kind: uniform}
	search: {alltoall: flat, degree: 1, capacity: none}
	END
	moecast sweep slow.yaml --set cluster.nic.bandwidth=100kb/s..400kb/s*2 \
		--db slow.db >t 2>err &&
	test_grep "^step  *all points" t &&
	test_grep "nic bandwidth 100kb/s to 200kb/s  *+100.0 (+100.0 .. +100.0)" t &&
	test_grep "nic bandwidth 200kb/s to 400kb/s  *+100.0 (+100.0 .. +100.0)" t &&
	moecast sweep slow.yaml --set cluster.nic.bandwidth=100kb/s..130kb/s+1 \
		--db slow.db >t 2>err && ! grep "100kb/s to" t
'

long="--set cluster.nic.bandwidth=100Gb/s..800Gb/s*1.004 --set cluster.nodes=2"

test_expect_success 'killed at any moment it goes on to the same bytes' '
	moecast sweep s.yaml $long --db whole.db --json >whole.json &&
	tries=0 &&
	until moecast sweep s.yaml $long --db cut.db --json >cut.json \
			2>cut.err; do
		tries=$((tries + 1)) && test $tries -lt 60 || exit 1
	done &
	loop=$!
	i=0
	while kill -0 $loop 2>/dev/null && test $i -lt 12; do
		i=$((i + 1))
		sleep 0.$((i % 4 + 1))
		pkill -KILL -f "moecast sweep s.yaml .*--db cut.db" || :
	done
	wait $loop &&
	cmp whole.json cut.json &&
	moecast db whole.db --check >out && moecast db cut.db --check >out
'

test_expect_success 'workers that are killed are replaced, no point is lost' '
	moecast sweep s.yaml $long --db w.db --jobs 2 --json >w.json 2>err &
	sweep=$!
	for i in 1 2 3 4 5; do
		sleep 0.2
		pkill -KILL -P $sweep 2>/dev/null || :
	done
	wait $sweep &&
	cmp whole.json w.json
'

bad() {
	test_expect_code 2 moecast sweep s.yaml --db bad.db "$@" >out 2>err &&
	test "$(wc -l <err)" -eq 1 &&
	! test -s out
}
test_expect_success 'wrong lists are refused, nothing is written' '
	bad && test_grep "needs at least one --set with a list" err &&
	bad --set cluster.nodes=2 && test_grep "at least one" err &&
	bad --set cluster.nodez=1,2 && test_grep "did you mean .cluster.nodes" err &&
	bad --set cluster.nodes=1,,2 && test_grep "value 2 is empty" err &&
	bad --set cluster.nodes=1..8*1 && test_grep "factor above 1" err &&
	bad --set cluster.nodes=8..1*2 && test_grep "begins above its end" err &&
	bad --set cluster.nodes=1..8+0 && test_grep "step above 0" err &&
	bad --set cluster.nodes=1,2 --set cluster.nodes=3,4 &&
	test_grep "has a list already" err &&
	bad --set cluster.nodes=1..100000+1 && test_grep "more than 4096" err &&
	bad --set cluster.nodes=x,y && test_grep "no point of the sweep" err &&
	! test -e bad.db &&
	test_expect_code 2 moecast sweep s.yaml --set cluster.nodes=1,2 2>err &&
	test_grep "db FILE is missing" err
'

# leaves have a size without being told one; only where they are is it used
test_expect_success 'rail and leaf-spine side by side, nothing more given' '
	moecast sweep s.yaml --set cluster.fabric.kind=rail,leaf-spine \
		--set cluster.fabric.oversubscription=1,2 \
		--set cluster.nodes=2,4 --db f.db --json >f.json &&
	test_grep "\"points\": 8" f.json && test_grep "\"failed\": 0" f.json
'

# a list inside brackets is one value
test_expect_success 'commas in brackets do not separate' '
	moecast sweep s.yaml --set "search.degree=[1, 2],4" --db b.db --json \
		>b.json &&
	test_grep "\"points\": 2" b.json
'

if ! command -v mpirun >/dev/null || ! ldd "$top_builddir/moecast" | grep -q mpi
then
	test_skip "four MPI processes give the same bytes" "no MPI"
	test_skip "a rank's worker that is killed is replaced" "no MPI"
	test_skip "a rank that is killed ends the run, which can go on" "no MPI"
	test_skip "a wrong scenario is refused once" "no MPI"
	test_done
	exit
fi

OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM
four="mpirun --oversubscribe -np 4 moecast sweep"

test_expect_success 'four MPI processes give the same bytes' '
	$four s.yaml $grid --db m.db --json >m.json &&
	cmp a.json m.json
'

longer="--set cluster.nic.bandwidth=100Gb/s..800Gb/s*1.002 --set cluster.nodes=2"

# ranks are children of mpirun, workers children of ranks
ranks_of() {
	for i in $(seq 100); do
		set -- $(pgrep -P "$1" -f "moecast sweep") "$1"
		test $# -gt 4 && echo "$1 $2 $3 $4" && return
		eval "set -- \${$#}"
		sleep 0.1
	done
}

test_expect_success 'a worker of a rank that is killed is replaced' '
	moecast sweep s.yaml $longer --db l.db --json >l.json &&
	{ $four s.yaml $longer --db mk.db --json >mk.json 2>err & } &&
	run=$! &&
	ranks=$(ranks_of $run) && test -n "$ranks" &&
	killed=0 &&
	for i in 1 2 3 4 5 6; do
		for r in $ranks; do
			for w in $(pgrep -P "$r"); do
				kill -KILL "$w" 2>/dev/null &&
				killed=$((killed + 1))
			done
		done
		sleep 0.1
	done
	wait $run &&
	echo "killed $killed" && test $killed -gt 0 &&
	cmp l.json mk.json
'

test_expect_success 'a rank that is killed ends the run, which can go on' '
	{ $four s.yaml $longer --db mr.db --json >mr.json 2>err & } &&
	run=$! &&
	ranks=$(ranks_of $run) && test -n "$ranks" &&
	i=0 &&
	until test "$(cat mr.db-wal 2>/dev/null | wc -c)" -gt 200000; do
		i=$((i + 1)) && test $i -lt 300 || exit 1
		sleep 0.05
	done &&
	set -- $ranks && kill -KILL $3 &&
	! wait $run &&
	test_grep "signal 9" err &&
	$four s.yaml $longer --db mr.db --json >mr.json 2>err &&
	test_grep "points were there already" err &&
	cmp l.json mr.json
'

test_expect_success 'a wrong scenario is refused once' '
	test_expect_code 2 $four s.yaml --set cluster.nodes=x,y --db no.db \
		>out 2>err &&
	! test -s out && ! test -e no.db &&
	test "$(grep -c "no point of the sweep" err)" -eq 1
'

test_done
