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
NVLINK_MEAN=0.033 NVLINK_P95=0.083 NVLINK_TAU=0.912 NVLINK_REGRET=0.006

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

# The least forecast of each layer's recorded plans that drop nothing more:
# "SECONDS LAYER" lines.
least_forecasts() {
	awk '
	/"predicted_s":/ { s = $2 + 0 }
	/"layer":/ { sub(/^ *"layer": "/, ""); sub(/",$/, ""); layer = $0 }
	/"allowed": true/ {
		if (!(layer in least) || s < least[layer])
			least[layer] = s
	}
	END { for (l in least) printf "%.12g %s\n", least[l], l }' "$1" |
	sort -k 2
}

# The layer as keys of a scenario.
sets_of() {
	for word in $1
	do
		value=${word#*=}
		case $word in
		gpu=*) echo "--set cluster.gpu=$value" ;;
		nodes=*) echo "--set cluster.nodes=$value" ;;
		gpus=*) echo "--set cluster.gpus_per_node=$value" ;;
		tokens=*) echo "--set model.sequence=$value" ;;
		ffn=*) echo "--set model.expert_ffn=$value" ;;
		k=*) echo "--set model.experts_per_token=$value" ;;
		hidden=* | experts=* | gated=* | dtype=*)
			echo "--set model.$word" ;;
		routing=*) echo "--set routing.kind=$value" ;;
		skew=* | seed=*) echo "--set routing.$word" ;;
		tier=shm | tier=socket) echo "--set profile.inter=$value" ;;
		esac
	done
}

test_expect_success 'the planner finds the least forecast of every layer' '
	cat >layer.yaml <<-\END &&
	cluster: {gpu: h200-sxm, nodes: 1, gpus_per_node: 2,
	    nic: {bandwidth: 100GB/s}}
	model: {layers: 1, batch_per_gpu: 1, sequence: 1024, hidden: 1024,
	    expert_ffn: 1024, experts: 8, experts_per_token: 2}
	layout: {ep: auto, esp: auto, tp: 1, dp: auto, pp: 1}
	END
	moecast validate --replay "$recorded" --tolerance 1000 --json >json &&
	least_forecasts json >least && test "$(wc -l <least)" -eq 21 &&
	while read -r seconds layer
	do
		moecast plan layer.yaml $(sets_of "$layer") --json >plan &&
		planned=$(sed -n "s/^    \"time_s\": \(.*\),$/\1/p" plan |
			head -n 1) &&
		awk -v p="$planned" -v r="$seconds" \
			"BEGIN { exit !(p > 0 && p <= r * 1.000001) }" || {
			echo "planned $planned, recorded $seconds: $layer"
			exit 1
		}
	done <least
'

test_done
