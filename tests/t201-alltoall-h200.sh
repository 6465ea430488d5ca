# SPDX-License-Identifier: GPL-3.0-or-later
# The all-to-all table of 8 H200 against public measurements: NCCL 2.29.2,
# from 4 MB per rank up (below that repeats differ by up to a third). In the
# csv message_size is what one rank sends in all, in elements of nccl_dtype,
# and latency is in milliseconds.
. "${srcdir:-.}/tests/test-lib.sh"

file=h200_sxm_nccl_2.29.2.csv
test_need_shared measured/$file
shared_data=$(cd "$shared_data" && pwd)

# Mean error in percent over the sizes of both element types.
cat >compare.awk <<'EOF'
FILENAME == ARGV[1] {
	if ($1 !~ /^#/)
		predicted[$1] = $2
	next
}
{
	split($0, f, ",")
	bytes = f[8] * (f[6] == "half" ? 2 : 1)
}
f[4] == "alltoall" && f[7] == 8 && bytes >= 4e6 {
	measured = f[9] * 1000
	if (!(bytes in predicted)) {
		print "no prediction for " bytes
		exit 1
	}
	e = predicted[bytes] / measured - 1
	printf "%11d B %6s %9.2f us measured %9.2f predicted %+5.1f %%\n",
	       bytes, f[6], measured, predicted[bytes], 100 * e
	sum += e < 0 ? -e : e
	n++
}
END {
	if (!n)
		exit 1
	printf "mean error %.2f %% of %d rows\n", 100 * sum / n, n
	exit sum / n > 0.08
}
EOF

test_expect_success 'the mean error from 4 MB up is at most 8 %' '
	echo "cluster: hgx-h200-8x400g" >h200.yaml &&
	moecast alltoall h200.yaml --set cluster.nodes=1 -b 4MiB -e 1GiB \
		>table &&
	awk -f compare.awk table "$shared_data/measured/$file"
'

test_done
