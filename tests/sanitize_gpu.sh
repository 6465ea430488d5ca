#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# compute-sanitizer on the kernels' tests, on this host's GPUs:
#
#	tests/sanitize_gpu.sh [BUILD-DIRECTORY]
#
# One line for each run; exit 1 when one of them found something. Kernels that
# are not ours (cuBLAS, NCCL) are left out, and so are errors of calls: these
# libraries ask for kernels of other devices and take the answer. racecheck
# looks at one rank: it cannot follow what waits for another; on whole layers
# it ends with an error of its own ("failed to handle a hardware exception").
# Host backtraces are not made: those of the libraries' refused calls alone
# would take longer than the tests.
build=${1:-.}
unit=$build/tests/unit
skip='regex=nccl|nvjet|cutlass|cublas|splitK|gemm|gemv|sm90|sm80|xmma'
log=${TMPDIR:-/tmp}/sanitize.$$
bad=0

# check TOOL PROGRAM: with the environment given before it
check() {
	start=$(date +%s)
	compute-sanitizer --tool "$1" --target-processes all \
		--report-api-errors no --show-backtrace device \
		--kernel-name-exclude "$skip" \
		--print-limit 20 --error-exitcode 9 "$unit/$2" \
		>"$log" 2>&1
	rc=$?
	echo "$1 $2: exit $rc, $(grep -E 'Invalid|hazard|Error' "$log" |
			grep -vc 'SUMMARY: 0')" \
		"findings, $(grep -c '^\[       OK' "$log") tests," \
		"$(($(date +%s) - start)) s"
	test $rc = 0 || { bad=1; sed 's/^/    /' "$log" | head -40; }
}

trap 'rm -f "$log"' EXIT
command -v compute-sanitizer >/dev/null ||
	{ echo "compute-sanitizer is not installed"; exit 77; }
MOECAST_KERNELS_RANKS=1 CUDA_VISIBLE_DEVICES=0 check racecheck test_cuda_kernels
MOECAST_KERNELS_RANKS=1 CUDA_VISIBLE_DEVICES=0 check synccheck test_cuda_kernels
check memcheck test_cuda_kernels
# whole layers, small ones: every algorithm, on two ranks of one node and on
# two nodes
for ranks in 1x2 2x1; do
	MOECAST_LAYER_TEST=test_$ranks MOECAST_LAYER_CASE=tiny \
		NCCL_MAX_NCHANNELS=2 check memcheck test_cuda_layer
done
exit $bad
