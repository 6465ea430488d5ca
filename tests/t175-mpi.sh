# SPDX-License-Identifier: GPL-3.0-or-later
# moecast-run as several processes of mpirun, host backend.
. "${srcdir:-.}/tests/test-lib.sh"

test -x "$top_builddir/moecast-run" || test_skip_all "moecast-run is not built"
command -v mpirun >/dev/null 2>&1 || test_skip_all "no mpirun"
grep -q "^#define HAVE_MPI 1" "$top_builddir/config.h" ||
	test_skip_all "configured without MPI"

OMPI_ALLOW_RUN_AS_ROOT=1
OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
OMPI_MCA_btl_vader_single_copy_mechanism=none
OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM
export OMPI_MCA_btl_vader_single_copy_mechanism
export OMPI_MCA_rmaps_base_oversubscribe

cat >job.json <<'END'
{"backend": "host", "budget_s": 30, "tasks": [
 {"op": "alltoall", "min_bytes": 65536, "max_bytes": 65536},
 {"op": "alltoall", "variant": "uneven", "min_bytes": 65536,
  "max_bytes": 65536},
 {"op": "sendrecv", "min_bytes": 65536, "max_bytes": 65536},
 {"op": "allgather", "min_bytes": 65536, "max_bytes": 65536},
 {"op": "reducescatter", "min_bytes": 65536, "max_bytes": 65536},
 {"op": "allreduce", "min_bytes": 65536, "max_bytes": 65536},
 {"op": "sort", "min_bytes": 65536, "max_bytes": 65536},
 {"op": "gemm", "m": [32], "n": [32], "k": [32],
  "beside": "alltoall", "beside_bytes": [65536]}]}
END

together() {	# together N JOB: its lines in out, the rest in err
	timeout 60 mpirun -np "$1" "$top_builddir/moecast-run" "$2" \
		>out 2>err
}

# begin N JOB: the same in the background, $pid, until it has samples
begin() {
	{
		timeout 60 mpirun -np "$1" "$top_builddir/moecast-run" "$2" \
			>out 2>err &
	} && pid=$! && i=0
	until test "$(grep -c "\"type\":\"sample\"" out)" -ge 2
	do
		sleep 0.05
		i=$((i + 1)) && test "$i" -lt 900 || return 1
	done
}

# member RANK JOB: the process of that rank, $member
member() {
	member=$(grep -l -a -z "^OMPI_COMM_WORLD_RANK=$1" \
		$(grep -l -a "$2" /proc/[0-9]*/cmdline 2>/dev/null |
			sed "s/cmdline/environ/") 2>/dev/null |
		sed "s/[^0-9]//g" | head -n 1)
	test -n "$member"
}

# every_op N: each op is there, of N ranks, and right
every_op() {
	grep "\"type\":\"sample\"" out >rows &&
	test "$(grep -c "\"ranks\":$1,\"nodes\":1," rows)" -eq \
		"$(wc -l <rows)" &&
	! grep -v "\"wrong\":0" rows &&
	for op in alltoall sendrecv allgather reducescatter allreduce sort gemm
	do
		grep -q "\"op\":\"$op\"" rows || exit 1
	done &&
	test_grep -q "\"variant\":\"uneven\"" rows &&
	test_grep -q "\"beside\":\"gemm\"" rows &&
	test "$(grep -c "\"type\":\"run\"" out)" -eq 1 &&
	test_grep "\"type\":\"end\"" out
}

# whole N: job.json as N processes. Beside an exchange that takes longer than
# 20 ms nothing is measured, and where the processors have other work to do any
# may take that long: then once more.
whole() {
	for try in 1 2 3 4 5
	do
		together "$1" job.json || return 1
		grep -q "\"beside\":\"gemm\"" out && return 0
	done
}

test_expect_success 'two processes are two ranks' '
	whole 2 && every_op 2
'

test_expect_success 'four processes' '
	whole 4 && every_op 4
'

test_expect_success 'one process is as if there were no mpirun' '
	whole 1 && every_op 4
'

test_expect_success 'a wrong job ends all, and says why once' '
	echo "{\"backend\": \"host\", \"ranks\": 5}" >bad.json &&
	test_must_fail together 2 bad.json &&
	test "$(wc -l <out)" -eq 1 &&
	test_grep "one rank in each of mpirun.s 2 processes" out &&
	echo "{\"backend\": \"abacus\"}" >bad.json &&
	test_must_fail together 2 bad.json &&
	test_grep "no backend .abacus" out &&
	echo "{\"backend\": \"host\", \"emulate_nodes\": 2}" >bad.json &&
	test_must_fail together 2 bad.json &&
	test_grep "nodes are emulated by one process" out
'

test_expect_success 'a process that is killed ends the others' '
	sed "s/\"budget_s\": 30/\"budget_s\": 50/" job.json >long.json &&
	sed "s/\"max_bytes\": 65536/\"max_bytes\": 16777216/" long.json \
		>longer.json &&
	begin 3 longer.json &&
	member 2 longer.json && kill -9 "$member" &&
	began=$(date +%s) &&
	! wait "$pid" &&
	test $(($(date +%s) - began)) -lt 15 &&
	test_grep -i "signal 9" err &&
	i=0 &&
	while grep -l -a "longer.json" /proc/[0-9]*/cmdline >left 2>/dev/null
	do
		sleep 0.1
		i=$((i + 1)) && test "$i" -lt 50 || exit 1
	done
'

# Shorter, a machine with other work to do comes to it before the stop.
test_expect_success 'a process that stops: the deadline ends all' '
	sed "s/\"budget_s\"/\"deadline_s\": 5, \"budget_s\"/" longer.json \
		>stuck.json &&
	begin 2 stuck.json &&
	member 1 stuck.json && kill -STOP "$member" &&
	! wait "$pid" &&
	test_grep "no progress for 5 s" out
'

test_done
