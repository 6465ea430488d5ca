# SPDX-License-Identifier: GPL-3.0-or-later
# All-gather, reduce-scatter and all-reduce against public measurements of
# H200 (NCCL 2.29.2), from 4 MB up, when all that is known are the samples that
# ship: two GPUs, NCCL 2.28.3. In the csv message_size is in elements of
# nccl_dtype and latency in milliseconds.
. "${srcdir:-.}/tests/test-lib.sh"

file=h200_sxm_nccl_2.29.2.csv
test_need_shared measured/$file
csv=$(cd "$shared_data" && pwd)/measured/$file

cat >compare.awk <<'EOT'
FILENAME == ARGV[1] {
	if ($1 !~ /^#/)
		predicted[$1] = $2
	next
}
{
	split($0, f, ",")
	bytes = f[8] * (f[6] == "half" ? 2 : 1)
}
f[4] == op && f[7] == ranks && bytes >= 4e6 && bytes in predicted {
	e = predicted[bytes] / (f[9] * 1000) - 1
	sum += e < 0 ? -e : e
	n++
}
END {
	if (!n)
		exit 1
	printf "%s of %d: mean error %.2f %% of %d rows\n", op, ranks,
	       100 * sum / n, n
	exit 100 * sum / n > bound
}
EOT

# errs OP CSV_OP RANKS BOUND [OPTIONS]
errs() {
	op=$1 name=$2 ranks=$3 bound=$4 &&
	shift 4 &&
	moecast alltoall h200.yaml --set cluster.nodes=1 \
		--set cluster.gpus_per_node=$ranks --op $op \
		-b 4MiB -e 1GiB "$@" >table 2>err &&
	awk -v op=$name -v ranks=$ranks -v bound=$bound -f compare.awk \
		table "$csv"
}

echo "cluster: hgx-h200-8x400g" >h200.yaml

# Without constants of its own (those of the public all-to-all): 17.8, 19.2
# and 4.8 %.
test_expect_success 'two GPUs: each collective by its own measurement' '
	errs allgather all_gather 2 8 &&
	errs reducescatter reduce_scatter 2 8 &&
	errs allreduce all_reduce 2 5 &&
	! errs allgather all_gather 2 8 --set profile.use=off &&
	! errs reducescatter reduce_scatter 2 8 --set profile.use=off
'

# Two GPUs do not tell what more of them cost: their ramp, carried over, would
# be 14-31 % off, so the constants of the GPU file stay. All-reduce of eight is
# 17 % off.
test_expect_success 'four and eight GPUs keep the constants of the GPU file' '
	errs allgather all_gather 4 10 &&
	errs reducescatter reduce_scatter 4 10 &&
	errs allreduce all_reduce 4 10 &&
	errs allgather all_gather 8 10 &&
	errs reducescatter reduce_scatter 8 10 &&
	errs allreduce all_reduce 8 20
'

test_done
