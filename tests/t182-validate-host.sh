# SPDX-License-Identifier: GPL-3.0-or-later
# moecast validate on the host backend: real layers, every algorithm, the
# whole loop of profile and forecast, and a runner that is killed.
. "${srcdir:-.}/tests/test-lib.sh"

test -x "$top_builddir/moecast-run" || test_skip_all "moecast-run is not built"
unset MOECAST_RUN

small="hidden: 32, layers: 1, experts: 4, experts_per_token: 2,
	expert_ffn: 64, sequence: 64, batch_per_gpu: 1, dtype: fp32"

cat >one.yaml <<END
cluster: {nodes: 1, gpus_per_node: 2, gpu: h200-sxm}
model: {$small}
layout: {ep: 2, esp: 1}
routing: {kind: zipf, skew: 1, seed: 3}
search: {alltoall: flat, degree: [1, 2], capacity: none}
END
cat >four.yaml <<END
cluster: {nodes: 2, gpus_per_node: 2, gpu: h200-sxm,
          nic: {bandwidth: 100GB/s}}
model: {$small}
layout: {ep: 4, esp: 1}
search: {alltoall: auto, degree: [1, 2], capacity: none}
END

host() {	# host SCENARIO DB OPTION...: whatever the times are
	host_scenario=$1 host_db=$2
	shift 2
	moecast validate "$host_scenario" --db "$host_db" --backend host \
		--tolerance 1e6 "$@"
}

value() {
	sed -n "s/^  \"$1\": \([^,]*\),*$/\1/p" "$2"
}

layers() {
	moecast db "$1" --save rows.jsonl >/dev/null &&
		grep -c "\"op\":\"layer\"" rows.jsonl
}

test_expect_success 'real layers: right results, two rows a plan' '
	host one.yaml a.db --plans 2 --spread 3 --json >json &&
	n=$(grep -c "\"plan\":" json) && test "$n" -ge 6 &&
	test "$(grep -c "\"correct\": true" json)" -eq "$n" &&
	test "$(layers a.db)" -eq $((2 * n)) &&
	test_grep -q "\"layer\":\"gpu=h200-sxm nodes=1 gpus=2 tier=nvlink" \
		rows.jsonl &&
	! grep "\"layer\":\"[^g]" rows.jsonl &&
	moecast db a.db --check >/dev/null
'

test_expect_success 'every algorithm on 2 nodes of 2 ranks' '
	host four.yaml b.db --tier=shm --plans 1 --spread 7 --json >json &&
	for a in flat leader 2d lanes dedup pairwise
	do
		test_grep -q "alltoall=$a " json || exit 1
	done &&
	! grep "\"correct\": false" json && ! grep "\"correct\": null" json
'

test_expect_success 'what was recorded is foretold as it was' '
	host four.yaml c.db --tier=shm --plans 2 --spread 2 --json >json &&
	moecast db c.db --save c.jsonl >/dev/null &&
	moecast validate --replay c.jsonl --tolerance 1e6 --json >again &&
	for f in json again
	do
		sed -n "/\"plan\"/,/\"error\"/p" $f >$f.rows
	done &&
	test -s json.rows && test_cmp json.rows again.rows
'

test_expect_success 'with benchmarks in the database the forecast is of them' '
	test_profile_host p.db &&
	host one.yaml p.db --plans 1 --spread 0 --json >json 2>err &&
	test_grep "\"cost_note\": \"measured (p.db" json &&
	first=$(sed -n "s/.*\"predicted_s\": \(.*\),/\1/p" json | head -n 1) &&
	host one.yaml p.db --plans 1 --spread 0 --json >json 2>err &&
	test "$(sed -n "s/.*\"predicted_s\": \(.*\),/\1/p" json |
		head -n 1)" = "$first"
'

if type gnuplot >/dev/null 2>&1
then
	test_expect_success 'a report shows layers, too' '
		moecast report --db p.db -o report --json >json &&
		test -s report/layers.svg && test -s report/layers-1.png &&
		test_grep "report/layers-1.svg" json &&
		test_grep "forecast against measured: mean error" \
			report/index.html
	'
else
	test_skip 'a report shows layers, too' 'no gnuplot'
fi

# The runner is the program's only child.
test_expect_success 'the runner is killed: finished rows stay, the next works' '
	{
		moecast validate one.yaml --db k.db --backend host --plans 8 \
			--spread 40 --set model.sequence=2048 >out 2>err &
	} && pid=$! && i=0 &&
	until test -s k.db && n=$(layers k.db) && test "${n:-0}" -ge 2
	do
		sleep 0.05
		i=$((i + 1)) && test "$i" -lt 1200 || exit 1
	done &&
	child=$(sed -n "s/ .*) . $pid .*//p" /proc/[0-9]*/stat 2>/dev/null |
		head -n 1) &&
	test -n "$child" && kill -9 "$child" &&
	! wait "$pid" && test_grep "killed by signal 9" err &&
	test "$(wc -l <err)" -eq 1 && test_cmp /dev/null out &&
	test_grep "keeps the [0-9]* samples" err &&
	moecast db k.db --check >/dev/null && test "$(layers k.db)" -ge 2 &&
	host one.yaml k.db --plans 1 --spread 0 >out
'

test_expect_success 'what the runner refuses is said, nothing is stored' '
	test_expect_code 2 host one.yaml r.db --plans 1 --spread 0 \
		--set cluster.gpus_per_node=512 --set layout.ep=4 \
		--set layout.dp=128 >out 2>err &&
	test "$(wc -l <err)" -eq 1 && test_cmp /dev/null out &&
	test "$(layers r.db)" -eq 0 &&
	test_expect_code 2 host one.yaml r.db --plans 1 --spread 0 \
		--set model.dtype=fp8 >out 2>err &&
	test "$(wc -l <err)" -eq 1 && test_grep "dtype" err
'

refuses() {	# refuses TEXT JSON-FIELDS: of a layer's task
	{
		echo "{\"backend\": \"host\", \"ranks\": 2, \"tasks\": [{"
		echo "\"op\": \"layer\", \"gpus_per_node\": 2, $2}]}"
	} >job.json &&
	test_expect_code 2 "$top_builddir/moecast-run" job.json >got &&
	test "$(wc -l <got)" -eq 1 && test_grep -F -e "$1" got
}

test_expect_success 'absurd layers' '
	shape="\"tokens\": 64, \"hidden\": 32, \"ffn\": 64, \"experts\": 4" &&
	plan="\"plan\": \"ep=2 esp=1 tp=1 dp=1 pp=1 alltoall=flat degree=1 \
capacity=none techniques=baseline\"" &&
	refuses "tokens" "\"tokens\": -1, \"hidden\": 32, \"ffn\": 64, \
		\"experts\": 4, \"k\": 2, $plan" &&
	refuses "tokens" "\"tokens\": 1e12, \"hidden\": 32, \"ffn\": 64, \
		\"experts\": 4, \"k\": 2, $plan" &&
	refuses "k" "$shape, \"k\": 9, $plan" &&
	refuses "counts" "$shape, \"k\": 2, $plan, \"counts\": [[1, 2, 3, 4]]" &&
	refuses "counts" "$shape, \"k\": 2, $plan, \
		\"counts\": [[64, 64, 0, 1], [64, 64, 0, 0]]" &&
	refuses "degree" "$shape, \"k\": 2, \"plan\": \"ep=2 esp=1 tp=1 dp=1 \
pp=1 alltoall=flat degree=0 capacity=none techniques=baseline\"" &&
	refuses "plan" "$shape, \"k\": 2" &&
	refuses "color" "$shape, \"k\": 2, $plan, \"color\": 3"
'

test_expect_success 'no runner is left behind' '
	i=0 &&
	while grep -l -a -F "$top_builddir/moecast-run" \
		/proc/[0-9]*/cmdline >left 2>/dev/null
	do
		sleep 0.1
		i=$((i + 1)) && test "$i" -lt 100 || break
	done &&
	test "$i" -lt 100
'

test_done
