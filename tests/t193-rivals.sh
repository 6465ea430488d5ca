#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# No published system that the simulator runs as a fixed policy is faster than
# the plan, on any scenario that ships: with all techniques, and with those that
# the scenario lists. One that is has to be outside of the scenario's limits or
# of what it lets search, and the plan says so.
. "${srcdir:-.}/tests/test-lib.sh"

command -v python3 >/dev/null || test_skip_all "no python3"

# Exits with 1 for a faster system that may be the plan, or of which the text
# does not say why it is not.
cat >judge.py <<'END'
import json, sys
plan, text, all_of_them = sys.argv[1], open(sys.argv[2]).read(), sys.argv[3:]
p = json.load(open(plan))
time, bad = p["best"]["time_s"], []
for b in p["baselines"]:
    assert abs(b["speedup"] * time - b["time_s"]) <= 1e-9 * b["time_s"], b
    if b["time_s"] >= time * (1 - 1e-9):
        continue
    why = b.get("outside")
    line = b["system"] + " is faster, but outside of what may be searched: "
    said = why and line + why + "." in " ".join(text.split())
    # with all techniques allowed only the scenario's own limits remain
    if not said or (all_of_them and "techniques" in why):
        bad.append((b["system"], b["time_s"], time, why))
print(bad)
sys.exit(bool(bad))
END

for file in "$abs_srcdir"/scenarios/data/*.yaml
do
	s=$(basename "$file" .yaml)
	test_expect_success "$s: nobody beats the plan of all techniques" '
		moecast plan '"$s"' --set search.techniques=all --json \
			>all.json &&
		moecast plan '"$s"' --set search.techniques=all >all.txt &&
		python3 judge.py all.json all.txt all
	'
	test_expect_success "$s: nor its own, without saying why" '
		moecast plan '"$s"' --json >own.json &&
		moecast plan '"$s"' >own.txt &&
		python3 judge.py own.json own.txt
	'
done

# With every degree and layout that they use in the space, nobody is left.
for s in janus-small-experts topology-two-nodes locmoe-ascend
do
	test_expect_success "$s: with their degrees and layouts nobody is" '
		moecast plan '"$s"' --set search.techniques=all \
			--set "search.degree=[1, 2, 4, 8]" \
			--set layout.ep=auto --set layout.esp=auto \
			--set layout.dp=auto --json >wide.json &&
		python3 - <<-EOF
		import json
		p = json.load(open("wide.json"))
		time = p["best"]["time_s"]
		slow = [b for b in p["baselines"]
		        if b["time_s"] < time * (1 - 1e-9)]
		assert not slow, slow
		EOF
	'
done

test_done
