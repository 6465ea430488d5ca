# SPDX-License-Identifier: GPL-3.0-or-later
# Layers on real GPUs when something goes wrong in the middle of a step, or
# there is not enough: one message, in time, and nothing is left behind.
. "${srcdir:-.}/tests/test-lib.sh"

run=$top_builddir/moecast-run
DEADLINE=10	# s without progress; starting two processes takes a few
SLACK=6

test -x "$run" || test_skip_all "moecast-run is not built"

# job FILE RANKS NODES ALGORITHM TOKENS FFN [HIDDEN]
job() {
	cat >"$1" <<END
{"backend": "cuda", "ranks": $2, "emulate_nodes": $(($3 > 1 ? $3 : 0)),
 "budget_s": 5, "deadline_s": $DEADLINE, "tiers": $tiers,
 "tasks": [{"op": "layer", "tokens": $5, "hidden": ${7:-256}, "ffn": $6,
  "experts": 8, "k": 2, "nodes": $3, "gpus_per_node": $(($2 / $3)),
  "plan": "ep=2 esp=1 tp=1 dp=$(($2 / 2)) pp=1 alltoall=$4 degree=1
 capacity=none techniques=baseline"}]}
END
	tr '\n' ' ' <"$1" >"$1.line" && mv "$1.line" "$1"
}

# group_gone ID: no process of that group is left, or soon; those that only
# wait for init to bury them do not count
group_gone() {
	i=0
	while cat /proc/[0-9]*/stat 2>/dev/null |
		awk -v g="$1" '$5 == g && $3 != "Z" { n++ } END { exit !n }'
	do
		sleep 0.05
		i=$((i + 1))
		test "$i" -lt 100 || return 1
	done
}

# go FILE [FAULT]: in a process group of its own; $code, $took
go() {
	began=$(date +%s)
	MOECAST_GPU_FAULT=${2-} setsid -w sh -c 'echo $$ >group
		exec timeout 60 "$0" "$1"' "$run" "$1" >out 2>err
	code=$?
	took=$(($(date +%s) - began))
	echo "exit code $code after $took s"
	tail -n 3 out
	tail -n 5 err
	group_gone "$(cat group)"
}

# fails CODE SECONDS MESSAGE: how the last one ended
fails() {
	test "$code" -eq "$1" && test "$took" -le "$2" &&
	test "$(grep -c '"type":"error"' out)" = 1 &&
	test_grep "\"type\":\"error\".*$3" out &&
	test_must_fail grep '"type":"end"' out
}

fault() {	# FAULT RANKS NODES ALGORITHM SECONDS MESSAGE
	job f.json "$2" "$3" "$4" 64 256
	go f.json "$1:1" && fails 1 "$5" "$6"
}

test_right() {	# RANKS NODES
	job good.json "$1" "$2" flat 64 256
	go good.json && test "$code" = 0 &&
	test "$(grep -c '"op":"layer".*"wrong":0' out)" = 2
}

# what there is of it; 77: no GPU, 2: other tiers
tiers='["nvlink"]'
job probe.json 2 1 flat 64 256
go probe.json >probe.out 2>&1
case $code in
77)
	test_skip_all "fewer than two GPUs" ;;
2)
	test_skip_all "no NVLink between two GPUs" ;;
esac
ls /dev/shm >shm.before
late=$((DEADLINE + SLACK))

test_expect_success "a layer is right" 'cat probe.out; test "$code" = 0 &&
	test "$(grep -c "\"op\":\"layer\".*\"wrong\":0" out)" = 2'
test_expect_success "out of GPU memory" '
	job f.json 2 1 flat 262144 65536 8192 && go f.json &&
	fails 1 30 "out of GPU memory: a buffer of"'
test_expect_success "fewer GPUs than ranks" '
	job f.json 64 1 flat 64 256 && go f.json &&
	fails 77 10 "64 ranks on a node, but only"'
test_expect_success "a CUDA call that fails" '
	fault call 2 1 flat $late "cudaMemsetAsync"'
test_expect_success "no memory in the middle of a step" '
	fault memory 2 1 flat $late "rank 1: out of GPU memory"'
test_expect_success "a kernel that writes nowhere" '
	fault address 2 1 flat $late ""'
test_expect_success "a rank that hangs" '
	fault hang 2 1 direct $late "no progress for $DEADLINE s"'
tiers='["socket"]'
test_expect_success "a rank that is killed" '
	fault kill 2 2 flat $late "the process of node 1 died"'
test_expect_success "a node that hangs" '
	fault hang 2 2 flat $late "no progress for $DEADLINE s"'
test_expect_success "the next run is right, on two nodes" 'test_right 2 2'
tiers='["nvlink"]'
test_expect_success "the next run is right, on one" 'test_right 2 1'
test_expect_success "nothing is left in /dev/shm" '
	ls /dev/shm >shm.after && test_cmp shm.before shm.after'
test_done
