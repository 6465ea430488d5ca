# SPDX-License-Identifier: GPL-3.0-or-later
# moecast-run: layers on the host backend, what it writes, what it refuses.
. "${srcdir:-.}/tests/test-lib.sh"

run=$top_builddir/moecast-run

# job FILE TASK...: a job of these tasks (JSON objects without braces)
job() {
	file=$1
	shift
	{
		echo '{"backend": "host", "quick": true, "budget_s": 60, "seed": 2, "tasks": ['
		comma=
		for task; do
			echo "$comma{\"op\": \"layer\", $task}"
			comma=,
		done
		echo ']}'
	} >"$file"
}

small='"tokens": 32, "hidden": 32, "ffn": 48, "experts": 8, "k": 2'
plan() {	# EP ALGORITHM DEGREE CAPACITY
	echo "\"plan\": \"ep=$1 esp=1 tp=1 dp=1 pp=1 alltoall=$2 degree=$3" \
	     "capacity=$4 techniques=baseline\""
}

test_every_algorithm() {
	job all.json \
		"$small, \"nodes\": 2, \"label\": \"l0\", $(plan 4 flat 1 none)" \
		"$small, \"nodes\": 2, \"label\": \"l1\", $(plan 4 leader 2 none)" \
		"$small, \"nodes\": 2, \"label\": \"l2\", $(plan 4 2d 4/2 1.25)" \
		"$small, \"nodes\": 2, \"label\": \"l3\", $(plan 4 lanes 2 1)" \
		"$small, \"nodes\": 2, \"label\": \"l4\", $(plan 4 dedup 2 none)" \
		"$small, \"nodes\": 2, \"label\": \"l5\", $(plan 4 pairwise 1 2)"
	"$run" all.json >all.out || return 1
	test "$(grep -c '"op":"layer"' all.out)" = 12 &&
	test "$(grep -c '"variant":"forward".*"wrong":0' all.out)" = 6 &&
	test "$(grep -c '"variant":"step".*"wrong":0' all.out)" = 6 &&
	for i in 0 1 2 3 4 5; do
		test "$(grep -c "\"layer\":\"l$i 32x32x48 e8 k2 gelu" all.out)" \
			= 2 || return 1
	done &&
	test_grep '"tier":"shm","dtype":"bf16","ranks":4,"nodes":2' all.out &&
	test_grep '"m":32.0,"n":32.0,"k":48.0,"batch":8.0' all.out &&
	test_grep 'capacity 10 routed seed 2"' all.out &&
	test_grep '"type":"end","samples":12' all.out
}

# a step takes longer than its forward part
test_times() {
	awk -F'"median_s":' '/"variant":"forward"/ { f = $2 + 0 }
		/"variant":"step"/ { s = $2 + 0; n += f > 0 && s > f }
		END { exit n != 6 }' all.out
}

test_planted() {
	job bad.json "$small, \"plant_fault\": true, $(plan 2 flat 1 none)"
	"$run" bad.json >bad.out &&
	test "$(grep -c '"wrong":1,' bad.out)" = 2 &&
	test_grep '"what":"wrong: integers 0, y ' bad.out
}

# beside benchmarks, and a layer of one rank
test_mixed() {
	cat >mixed.json <<END
{"backend": "host", "quick": true, "budget_s": 20, "tasks": [
 {"op": "stream", "min_bytes": 4096, "max_bytes": 8192},
 {"op": "layer", $small, $(plan 1 flat 1 none)}]}
END
	"$run" mixed.json >mixed.out &&
	test_grep '"op":"layer","variant":"step","tier":"memory"' mixed.out &&
	test_grep '"op":"stream"' mixed.out
}

refused() {	# TASK MESSAGE
	job no.json "$1"
	"$run" no.json >no.out 2>no.err
	test $? = 2 && test_grep "\"type\":\"error\".*$2" no.out &&
	test_must_fail grep sample no.out
}

test_refused() {
	refused "$small" "tasks\[0\]: field 'plan': is missing" &&
	refused "$small, $(plan 3 flat 1 none)" \
		"field 'plan': ep 3 neither divides the 8 experts" &&
	refused "$small, \"nodes\": -1, $(plan 4 flat 1 none)" \
		"field 'nodes': -1 is not in" &&
	refused "$small, \"capacity\": 1e300, $(plan 4 flat 1 2)" \
		"field 'capacity': must be a whole number" &&
	refused "$small, $(plan 4 flat 9999999999 none)" \
		"field 'plan': plan: 'degree' is '9999999999'" &&
	refused '"tokens": 4194304, "hidden": 65536, "ffn": 1048576,
		"experts": 2, "k": 1, '"$(plan 2 flat 1 none)" \
		"backend 'host' needs about .* MB for this layer"
}

# the command that starts the runner takes its rows into a database
test_validate() {
	cat >v.yaml <<END
cluster: {nodes: 1, gpus_per_node: 2, gpu: h200-sxm}
model: {hidden: 32, layers: 1, experts: 4, experts_per_token: 2,
        expert_ffn: 32, sequence: 64, batch_per_gpu: 1, name: toy}
routing: {kind: zipf, skew: 1, seed: 3}
layout: {pp: 1}
END
	moecast validate v.yaml --backend=host --db=v.db --budget=20s \
		--plans=2 --spread=2 --tolerance=100000 >v.out 2>v.err &&
	test_grep 'mean error' v.out
}

test_expect_success "every algorithm, rows and right results" test_every_algorithm
test_expect_success "a step contains its forward part" test_times
test_expect_success "a planted fault is found" test_planted
test_expect_success "beside benchmarks; one rank alone" test_mixed
test_expect_success "wrong and absurd values are refused" test_refused
test_expect_success "moecast validate runs them" test_validate
test_done
