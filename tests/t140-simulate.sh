# SPDX-License-Identifier: GPL-3.0-or-later
# moecast simulate: plans as text and as files, both models, JSON, the trace.
. "${srcdir:-.}/tests/test-lib.sh"

MOECAST_CHECK=1
export MOECAST_CHECK

field() { # field KEY FILE: its first value in the JSON
	sed -n "s/^ *\"$1\": *\([^,]*\),*\$/\1/p" "$2" | head -n 1
}

# Exit code 2, nothing on stdout, one line on stderr that has the text.
refuses() { # refuses TEXT ARGUMENT...
	text=$1
	shift
	test_expect_code 2 moecast simulate "$@" >out 2>err &&
	test_cmp /dev/null out &&
	test_grep -F -e "$text" err &&
	test "$(wc -l <err)" -eq 1
}

cat >s.yaml <<'END'
cluster:
  nodes: 2
  gpus_per_node: 4
  gpu: h100-sxm
  intra: {kind: nvswitch, bandwidth: 450GB/s, latency: 1us}
  nic: {per_gpu: 1, bandwidth: 400Gb/s, latency: 3us}
  fabric: {kind: nonblocking}
model: {config: mixtral-8x7b, sequence: 1024}
layout: {ep: 8, esp: 1, tp: 1, dp: 1, pp: 1}
routing: {kind: zipf, skew: 0.5, seed: 1}
search: {alltoall: auto, degree: [1, 2, 4], capacity: auto}
END

tail="techniques=baseline"
seq="ep=8 esp=1 tp=1 dp=1 pp=1 alltoall=flat degree=1/1 capacity=none $tail"
pipe="ep=8 esp=1 tp=1 dp=1 pp=1 alltoall=2d degree=4/2 capacity=1.25 $tail"

test_expect_success 'the default plan: first layout, sequential, dropless' '
	moecast simulate s.yaml --json >out &&
	test "$(field plan out)" = "\"$seq\"" &&
	test "$(field model out)" = "\"flow\"" &&
	test "$(field drop_fraction out)" = 0.0
'

# ep=1 comes first and needs 198 GB per GPU
test_expect_success 'the default plan: the first layout that fits' '
	moecast simulate default --json >out &&
	test_grep "ep=4 esp=1 tp=1 dp=16" out &&
	awk -v m="$(field memory_bytes out)" "BEGIN { exit !(m < 80e9) }" &&
	moecast simulate default --set cluster.gpu.memory=1TB \
		--set constraints.memory=1TB --json >out &&
	test_grep "ep=1 esp=1 tp=1 dp=64" out &&
	moecast simulate default --set constraints.memory=1GB --json >out &&
	test_grep "ep=1 esp=1 tp=1 dp=64" out
'

test_expect_success 'a plan that needs more memory than there is: a warning' '
	moecast simulate default --set layout.ep=1 --set layout.esp=1 \
		>out 2>err &&
	test "$(wc -l <err)" -eq 1 &&
	test_grep "warning: the plan needs 19[0-9.]* GB per GPU" err &&
	moecast simulate default >out 2>err &&
	test ! -s err
'

test_expect_success 'single values of search: make the default plan' '
	moecast simulate s.yaml --set search.alltoall=2d \
		--set search.degree=4 --set search.capacity=1.25 \
		--json >out &&
	test_grep "alltoall=2d degree=4/4 capacity=1.25" out
'

test_expect_success 'JSON has the fields of the contract' '
	moecast simulate s.yaml --plan "$pipe" --json >out &&
	for key in time_s breakdown lanes lane busy_s links name \
		utilisation events forward_s backward_s plan memory_bytes \
		drop_fraction
	do
		test_grep "\"$key\":" out || return 1
	done &&
	test "$(field plan out)" = "\"$pipe\""
'

test_expect_success 'a file holds the plan as well as the argument' '
	echo "$pipe" >plan.txt &&
	moecast simulate s.yaml --plan "$pipe" --json >a &&
	moecast simulate s.yaml --plan plan.txt --json >b &&
	test_cmp a b
'

test_expect_success 'same input, same bytes' '
	moecast simulate s.yaml --plan "$pipe" --json >b &&
	test_cmp a b
'

# sequential but for the all-reduces, which run beside the last kernels
test_expect_success 'both models agree where nothing is shared' '
	moecast simulate s.yaml --plan "$seq" --model lane --json >lane &&
	moecast simulate s.yaml --plan "$seq" --model flow --json >flow &&
	test "$(field forward_s lane)" = "$(field forward_s flow)"
'

test_expect_success 'sharing takes time' '
	moecast simulate s.yaml --plan "$pipe" --model lane --json >lane &&
	moecast simulate s.yaml --plan "$pipe" --model flow --json >flow &&
	awk -v l="$(field time_s lane)" -v f="$(field time_s flow)" \
		"BEGIN { exit !(f > l && f < 2 * l) }"
'

test_expect_success 'forward and backward make the time' '
	awk -v t="$(field time_s flow)" -v f="$(field forward_s flow)" \
		-v b="$(field backward_s flow)" \
		"BEGIN { d = t - f - b; exit !(d < 1e-11 && d > -1e-11) }"
'

for algorithm in flat leader 2d lanes dedup pairwise
do
	test_expect_success "every op respects the program: $algorithm" '
		p="ep=8 esp=1 tp=1 dp=1 pp=1 alltoall=$algorithm" &&
		p="$p degree=3/5 capacity=1.5 $tail" &&
		moecast simulate s.yaml --plan "$p" >out &&
		p="ep=4 esp=2 tp=1 dp=1 pp=1 alltoall=$algorithm" &&
		p="$p degree=2/2 capacity=none $tail" &&
		moecast simulate s.yaml --plan "$p" \
			--set layout.ep=4 --set layout.esp=2 >out
	'
done

test_expect_success 'text fits 80 columns' '
	moecast simulate s.yaml --plan "$pipe" >out &&
	test_grep "^Plan " out && test_grep "^Time " out &&
	test_grep "expert_bwd_weight" out &&
	awk "length > 80 { exit 1 }" out
'

test_expect_success 'lanes have a table of their own' '
	awk "/^lane  *time  *of layer/ { if (last != \"\") exit 1; n++ }
	     /^compute / && !n { exit 1 }
	     { last = \$0 } END { exit n != 1 }" out
'

test_expect_success 'a trace: one event per op, three lanes' '
	moecast simulate s.yaml --plan "$seq" --trace t.json >out &&
	test_grep traceEvents t.json &&
	test "$(grep -o "\"ph\": *\"X\"" t.json | wc -l)" -eq 14 &&
	for lane in compute intra inter
	do
		test_grep "\"$lane\"" t.json || return 1
	done
'

test_expect_success 'a failed run leaves no trace' '
	test_expect_code 1 moecast simulate s.yaml --trace no/dir/t.json \
		>out 2>err &&
	test_cmp /dev/null out &&
	test ! -e no
'

test_expect_success 'wrong plans are refused' '
	refuses "plan: '\''ep'\'' is missing" s.yaml --plan "degree=1/1" &&
	refuses "alltoall" s.yaml --plan "alltoall=3d" &&
	refuses "no-such-file" s.yaml --plan no-such-file &&
	: >empty && refuses "empty: plan" s.yaml --plan empty &&
	head -c 100000 /dev/zero >zero && refuses zero s.yaml --plan zero &&
	refuses "7" s.yaml --plan \
		"ep=7 esp=1 tp=1 dp=1 pp=1 alltoall=flat degree=1/1 \
		 capacity=none $tail"
'

test_expect_success 'wrong usage is refused' '
	refuses "lane" s.yaml --model exact &&
	refuses "scenario file" &&
	refuses "missing.yaml" missing.yaml
'

test_done
