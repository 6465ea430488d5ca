# SPDX-License-Identifier: GPL-3.0-or-later
# Layers that were recorded on two H200, predicted afresh: the forecast rests
# on benchmarks alone, and this holds how good it is.
. "${srcdir:-.}/tests/test-lib.sh"

recorded=$abs_srcdir/profiles/data/h200-x2-layers.jsonl
test -e "$recorded" || test_skip_all "no recorded layers"

# What was reached, held from below: all rows, and those over NVLink. The aims
# are 5 %, 12 %, 0.9 and 2 %: all are met but the order, 0.88, which is over
# NVLink; doc/model.md ("Recorded layers") says why.
MEAN=0.038 P95=0.108 TAU=0.879 REGRET=0.008
NVLINK_MEAN=0.033 NVLINK_P95=0.086 NVLINK_TAU=0.912 NVLINK_REGRET=0.006

value() {
	sed -n "s/^  \"$1\": \([^,]*\),*$/\1/p" json
}

# holds NAME OP BOUND
holds() {
	echo "$1 $(value "$1"), held is $2 $3"
	awk -v got="$(value "$1")" -v bound="$3" \
		"BEGIN { exit !(got $2 bound) }"
}

test_expect_success 'it can be replayed, and all results were right' '
	moecast validate --replay "$recorded" --tolerance 1000 --json >json \
		2>err && test_cmp /dev/null err &&
	test "$(grep -c "\"plan\":" json)" -ge 100 &&
	test "$(value wrong)" -eq 0 &&
	for tier in nvlink shm socket
	do
		test_grep -q "\"tier\": \"$tier\"" json || exit 1
	done &&
	test_grep "\"cost_note\": \"measured (h200-x2" json
'

test_expect_success 'mean error, all rows' 'holds mean_abs_error "<=" "$MEAN"'
test_expect_success '95th percentile' 'holds p95_abs_error "<=" "$P95"'
test_expect_success 'order of plans' 'holds kendall_tau ">=" "$TAU"'
test_expect_success 'regret of the choice' 'holds regret "<=" "$REGRET"'

test_expect_success 'those over NVLink alone' '
	{
		grep "\"type\":\"run\"" "$recorded" &&
		grep "tier=nvlink " "$recorded"
	} >nvlink.jsonl &&
	moecast validate --replay nvlink.jsonl --tolerance 1000 --json >json &&
	holds mean_abs_error "<=" "$NVLINK_MEAN" &&
	holds p95_abs_error "<=" "$NVLINK_P95" &&
	holds kendall_tau ">=" "$NVLINK_TAU" &&
	holds regret "<=" "$NVLINK_REGRET"
'

test_done
