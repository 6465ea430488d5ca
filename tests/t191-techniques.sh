#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The worked scenario of each technique: does it pay where its paper says?
. "${srcdir:-.}/tests/test-lib.sh"

# pays SCENARIO TECHNIQUE: it is in the plan, and alone faster than nothing
# (with it as the only one when a third word says so)
pays() {
	moecast plan "$1" --json \
		${3:+--set "search.techniques=[baseline, $2]"} >plan.json &&
	python3 - "$2" <<-'EOF'
	import json, sys
	p = json.load(open("plan.json"))
	assert sys.argv[1] in p["best"]["knobs"]["techniques"], p["best"]
	[g] = [g for g in p["techniques"] if g["technique"] == sys.argv[1]]
	assert g["in_plan"] and "why_not" not in g, g
	assert g["speedup_alone"] > 1 and g["speedup_with_others"] > 1, g
	EOF
}

command -v python3 >/dev/null || test_skip_all "no python3"

for pair in lsh-moe-v100:lsh luffy-v100:condensation luffy-v100:migration \
	locmoe-ascend:locality shadowing-hot-expert:shadowing \
	janus-small-experts:expert-fetch \
	fsmoe-testbed-b:gradient-partition order-sharded:order \
	topology-two-nodes:topology-gate flowmoe-2080ti:attention-pipeline
do
	test_expect_success "${pair%:*}: ${pair#*:} pays" '
		pays '"${pair%:*} ${pair#*:}"'
	'
done

for gate in ktop1 sam base hash dts
do
	test_expect_success "gates-skewed: gate-$gate pays" '
		pays gates-skewed gate-'"$gate"' alone
	'
done

test_expect_success 'fsmoe-testbed-b: a plan with its layout' '
	moecast plan fsmoe-testbed-b --json >plan.json &&
	grep -q "\"esp\": 4" plan.json
'

test_expect_success 'hetumoe-one-nic: leaders beat flat for small messages' '
	moecast plan hetumoe-one-nic --set search.alltoall=flat --json \
		>flat.json &&
	moecast plan hetumoe-one-nic --set search.alltoall=leader --json \
		>leader.json &&
	python3 - <<-EOF
	import json
	time = [json.load(open(f + ".json"))["best"]["time_s"]
	        for f in ("leader", "flat")]
	assert time[0] < time[1], time
	EOF
'

test_expect_success 'and lose for large ones' '
	for a in flat leader
	do
		moecast plan hetumoe-one-nic --set search.alltoall=$a \
			--set model.sequence=4096 --json >$a.json || exit 1
	done &&
	python3 - <<-EOF
	import json
	time = [json.load(open(f + ".json"))["best"]["time_s"]
	        for f in ("leader", "flat")]
	assert time[0] > time[1], time
	EOF
'

test_expect_success 'all techniques on the default scenario, and why not' '
	moecast plan default --set search.techniques=all --explain >plan.txt &&
	test_grep "^Techniques, other knobs as in the plan" plan.txt &&
	test_grep "condensation .*compresses with too much error" plan.txt &&
	for t in lsh migration locality topology-gate shadowing expert-fetch
	do
		test_grep "^  $t  *" plan.txt || exit 1
	done
'

test_expect_success 'a plan of techniques that exclude one another is refused' '
	test_expect_code 2 moecast simulate default --plan "ep=8 esp=8 tp=1 \
dp=1 pp=1 alltoall=flat degree=1 capacity=none techniques=lsh,condensation" \
		2>err &&
	test_grep "cannot be used together" err
'

test_expect_success 'simulate runs the plan to the same time' '
	moecast plan luffy-v100 --json -o plan.d/best.plan >plan.json &&
	moecast simulate luffy-v100 --plan plan.d/best.plan --json \
		>simulate.json &&
	python3 - <<-EOF
	import json
	p, s = json.load(open("plan.json")), json.load(open("simulate.json"))
	assert abs(p["best"]["time_s"] - s["time_s"]) <= 1e-12, (p, s)
	assert abs(p["step"]["time_s"] - s["step"]["time_s"]) <= 1e-9
	EOF
'

test_done
