#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# moecast plan: the contract's fields, files, determinism, limits.
. "${srcdir:-.}/tests/test-lib.sh"

# field FILE PATH: a value of a JSON file, by python or not at all
field() {
	python3 - "$1" "$2" <<-'EOF'
	import json, sys
	value = json.load(open(sys.argv[1]))
	for step in sys.argv[2].split('.'):
	    value = value[int(step)] if step.isdigit() else value[step]
	print(value)
	EOF
}

test_expect_success 'the default scenario has a plan, as JSON' '
	moecast plan default --json >plan.json 2>err &&
	test ! -s err
'

if command -v python3 >/dev/null
then
	test_expect_success 'every field of the contract is there' '
		test "$(field plan.json schema)" = moecast.plan/1 &&
		for f in best.time_s best.knobs.alltoall \
			best.knobs.degree_forward best.knobs.degree_backward \
			best.knobs.capacity_factor best.knobs.layout.ep \
			best.knobs.techniques.0 best.drop_fraction \
			best.memory_bytes best.breakdown.expert \
			baselines.0.system baselines.0.time_s \
			baselines.0.speedup candidates.0.knobs.alltoall \
			evaluated pruned search_s
		do
			field plan.json $f >value || exit 1
		done
	'
	test_expect_success 'the plan beats or equals every baseline' '
		python3 - <<-EOF
		import json
		p = json.load(open("plan.json"))
		systems = [b["system"] for b in p["baselines"]]
		assert systems[:4] == ["sequential", "degree-2", "degree-4",
		                       "degree-8"], systems
		for name in ["deepspeed-moe", "tutel", "fastmoe", "fastermoe",
		             "pipemoe", "schemoe", "lina", "janus", "flowmoe",
		             "ta-moe", "hetumoe", "lsh-moe", "locmoe",
		             "luffy", "fsmoe"]:
		    assert systems.count(name) == 1, name
		for b in p["baselines"]:
		    assert b["speedup"] >= 1, b
		    ratio = b["time_s"] / p["best"]["time_s"]
		    assert abs(ratio - b["speedup"]) < 1e-9, b
		assert p["best"]["drop_fraction"] <= 0.01
		assert p["best"]["memory_bytes"] <= 80e9
		times = [c["time_s"] for c in p["candidates"]
		         if c["model"] == "flow"]
		assert times == sorted(times)
		EOF
	'
fi

test_expect_success 'the same scenario and seed give the same bytes' '
	grep -v search_s plan.json >a &&
	moecast plan default --json | grep -v search_s >b &&
	cmp a b &&
	moecast plan default --explain >t1 &&
	moecast plan default --explain >t2 &&
	cmp t1 t2
'

test_expect_success 'the text fits 80 columns' '
	awk "length > 80 { print; bad = 1 } END { exit bad }" t1
'

test_expect_success 'the text says what was pruned and what limits' '
	grep "pruned" t1 && grep "What limits it" t1 && grep simulated t1
'

test_expect_success '-o writes the plan, which simulate takes back' '
	moecast plan default -o out/dir/plan.txt >/dev/null 2>err &&
	test -s out/dir/report.txt &&
	moecast simulate default --plan out/dir/plan.txt --json >sim.json &&
	test "$(wc -l <out/dir/plan.txt)" = 1
'

if command -v python3 >/dev/null
then
	test_expect_success 'simulating the plan gives the time of the plan' '
		test "$(field sim.json time_s)" = "$(field plan.json best.time_s)"
	'
fi

if command -v "${GNUPLOT:-gnuplot}" >/dev/null
then
	test_expect_success 'figures are beside the plan' '
		for f in speedup gantt
		do
			grep -q "<svg" out/dir/$f.svg &&
			test -s out/dir/$f.png || exit 1
		done
	'
fi

test_expect_success 'without gnuplot: a warning, the plan all the same' '
	GNUPLOT=/nonexistent moecast plan default -o no/plan.txt >/dev/null \
		2>err &&
	grep "warning: no figures" err &&
	test -s no/plan.txt && test ! -e no/gantt.svg
'

test_expect_success 'a directory that cannot be made: one error, no file' '
	: >file &&
	test_expect_code 1 moecast plan default -o file/plan.txt >out.txt 2>err &&
	test "$(wc -l <err)" = 1
'

test_expect_success 'nothing fits: exit 2, the limit is named' '
	test_expect_code 2 moecast plan default \
		--set constraints.memory=1GB 2>err &&
	grep "constraints.memory" err &&
	test_expect_code 2 moecast plan default --set constraints.max_drop=0 \
		--set search.capacity=1 2>err &&
	grep "constraints.max_drop" err
'

test_expect_success '--top N lists N candidates' '
	moecast plan default --top 3 --json >top.json &&
	test "$(grep -c "\"model\": " top.json)" = 3 &&
	test_expect_code 2 moecast plan default --top 0 2>err &&
	grep -e "--top" err
'

test_expect_success 'the scenario of the contract, as it is written there' '
	cat >contract.yaml <<-EOF &&
	cluster:
	  nodes: 8
	  gpus_per_node: 8
	  gpu: h100-sxm                 # a comment
	  intra: {kind: nvswitch, bandwidth: 450GB/s, latency: 1us}
	  nic: {per_gpu: 1, bandwidth: 400Gb/s, latency: 3us}
	  fabric: {kind: rail, oversubscription: 1}
	  pxn: false
	model:
	  config: mixtral-8x7b
	  sequence: 4096
	  batch_per_gpu: 1
	  dtype: bf16
	layout: {ep: 64, esp: 1, tp: 1, dp: 1, pp: 1}
	routing: {kind: zipf, skew: 0.5, seed: 1}
	constraints: {max_drop: 1%, memory: 80GB}
	search: {alltoall: auto, degree: [1, 2, 4, 8], capacity: auto,
	         techniques: [baseline]}
	EOF
	moecast plan contract.yaml --json >contract.json &&
	grep "\"ep\": 64" contract.json
'

test_done
