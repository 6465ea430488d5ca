#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# moecast capacity: rows, choice, floor, refusals.
. "${srcdir:-.}/tests/test-lib.sh"

cat >small.yaml <<'END'
cluster:
  nodes: 2
  gpus_per_node: 4
  gpu: h100-sxm
  intra: {kind: nvswitch, bandwidth: 450GB/s, latency: 1us}
  nic: {per_gpu: 1, bandwidth: 400Gb/s, latency: 3us}
  fabric: {kind: rail}
model: {config: olmoe, sequence: 1024, batch_per_gpu: 1}
layout: {ep: 8, esp: 1, tp: 1, dp: 1, pp: 1}
routing: {kind: zipf, skew: 0.5, seed: 7}
constraints: {max_drop: 2%, memory: 1TB}
search: {degree: [1, 2]}
END

# value PATH: of the JSON in file `out`, such as rows[0].time_s
value() {
	python3 -c 'import json,sys; d=json.load(open("out")); print(eval("d"+sys.argv[1]))' "$1"
}

test_expect_success 'JSON has the contract'\''s fields' '
	moecast capacity small.yaml --json >out &&
	for f in rows chosen lower_bound_tokens capacity_factor \
		tokens_per_expert drop_fraction padding_fraction time_s
	do
		test_grep "\"$f\"" out || exit 1
	done
'

test_expect_success 'same scenario, same bytes' '
	moecast capacity small.yaml --json >again &&
	test_cmp out again
'

if command -v python3 >/dev/null
then
	test_expect_success 'drops fall, padding and slots rise; slots = ceil(kTf/E)' '
		cat >check.py <<-\END &&
		import json, math
		d = json.load(open("out"))
		rows = [r for r in d["rows"] if not r["dropless"]]
		assert len(rows) >= 4 and len(rows) + 1 == len(d["rows"])
		for a, b in zip(rows, rows[1:]):
		    assert a["capacity_factor"] < b["capacity_factor"]
		    assert a["tokens_per_expert"] < b["tokens_per_expert"]
		    assert a["drop_fraction"] > b["drop_fraction"]
		    assert a["padding_fraction"] < b["padding_fraction"]
		for r in rows:
		    # 8 experts per token, 1024 tokens, 64 experts
		    want = math.ceil(128 * r["capacity_factor"] - 1e-9)
		    assert r["tokens_per_expert"] == want
		    # kept = routed (1 - drop) = slots (1 - padding)
		    kept = 128 * (1 - r["drop_fraction"])
		    used = r["tokens_per_expert"] * (1 - r["padding_fraction"])
		    assert abs(kept - used) < 1e-6
		assert rows[-1]["drop_fraction"] == 0
		last = d["rows"][-1]
		assert last["dropless"] and last["drop_fraction"] == 0
		assert last["padding_fraction"] == 0
		ok = [r for r in d["rows"] if r["drop_fraction"] <= 0.02]
		best = min(ok, key=lambda r: r["time_s"])
		assert abs(d["chosen_time_s"] - best["time_s"]) < 1e-15
		assert d["chosen"] == best["capacity_factor"]
		assert d["knee"] in [r["capacity_factor"] for r in rows]
		# LocMoE, 64 experts, hidden 2048, delta .03: .358 * 16 / 64
		assert abs(d["lower_bound_tokens"] - 0.0895) < 0.001
		assert d["floor_tokens"] == 1
		END
		python3 check.py
	'
else
	test_skip 'drops fall, padding and slots rise' 'no python3'
fi

test_expect_success 'the floor leaves out factors below it' '
	moecast capacity small.yaml --delta 0.09 --json >out &&
	moecast capacity small.yaml --delta 0.3 >text &&
	test_grep dropless text &&
	test_must_fail grep "^ *1 " text
'

test_expect_success 'the text fits 80 columns and marks the choice' '
	moecast capacity small.yaml >text &&
	test_grep "<- chosen" text &&
	test_grep knee text &&
	test_grep "constraints.max_drop" text &&
	test -z "$(awk "length > 80" text)"
'

test_expect_success 'a list of factors is what is shown' '
	moecast capacity small.yaml --set "search.capacity=[1.5, 1]" >text &&
	test $(grep -c "%" text) -ge 3 &&
	test_grep "^ *1.5 " text
'

test_expect_success 'even routing takes factor 1 exactly' '
	moecast capacity small.yaml --set routing.kind=uniform --json >out &&
	test_grep "\"chosen\": 1.0" out
'

test_expect_success 'wrong delta and skew are named' '
	test_expect_code 2 moecast capacity small.yaml --delta 2 2>err &&
	test_grep -e "--delta: .2. is not" err &&
	test_expect_code 2 moecast capacity small.yaml --delta nan 2>err &&
	test_expect_code 2 moecast capacity small.yaml \
		--set routing.skew=11 2>err &&
	test_grep "routing.skew: .11. is out of range" err &&
	test_expect_code 2 moecast capacity small.yaml \
		--set routing.kind=hot-expert --set routing.skew=1.5 2>err &&
	test_grep "0..1" err
'

test_expect_success 'a file of counts decides; its faults are named' '
	{
		echo "domain,layer_slot,expert,count" &&
		i=0 &&
		while test $i -lt 64
		do
			echo "a,0,$i,$((i + 1))" && i=$((i + 1))
		done
	} >counts.csv &&
	moecast capacity small.yaml --set routing.kind=counts \
		--set routing.file=counts.csv --json >out &&
	echo "a,0,64" >>counts.csv &&
	test_expect_code 2 moecast capacity small.yaml \
		--set routing.kind=counts --set routing.file=counts.csv 2>err &&
	test_grep "counts.csv:66: 3 columns where the header has 4" err &&
	test_expect_code 2 moecast capacity small.yaml \
		--set routing.kind=trace --set routing.file=counts.csv 2>err &&
	test_grep "counts.csv:1: the header does not start" err
'

test_done
