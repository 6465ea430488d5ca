#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# bench_sweep.sh [POINTS]: a sweep of one layer on 64 GPUs (the scenario
# `default` with one GPU of an expert group per rank: 6 exchanges x 16 pairs of
# degrees x capacities at every point), with one process and with two.
# Needs moecast in the current directory, as `make bench` runs it.
points=${1:-10000}
dir=$(mktemp -d) || exit
trap 'rm -rf "$dir"' EXIT

# POINTS = values of the NIC rate x 10 of its latency
rates=$(awk -v n="$((points / 10))" 'BEGIN {
	for (i = 0; i < n; i++)
		printf "%s%.3fGb/s", i ? "," : "", 100 + 700 * i / n
}')

run() { # run JOBS
	begin=$(date +%s%N)
	./moecast sweep default --set layout.ep=64 --set layout.esp=1 \
		--set "cluster.nic.bandwidth=$rates" \
		--set cluster.nic.latency=1us..10us+1 \
		--jobs "$1" --db "$dir/$1.db" --csv "$dir/$1.csv" \
		>/dev/null 2>"$dir/err" || { cat "$dir/err"; exit 1; }
	end=$(date +%s%N)
	awk -v jobs="$1" -v ns="$((end - begin))" \
		-v n="$(($(wc -l <"$dir/$1.csv") - 1))" 'BEGIN {
		printf("sweep, %d points, --jobs %d: %.1f s, %.0f points/s\n",
			n, jobs, ns / 1e9, n * 1e9 / ns)
	}'
	eval "ns$1=$((end - begin))"
}

run 1
run 2
cmp "$dir/1.csv" "$dir/2.csv" || exit
awk -v a="$ns1" -v b="$ns2" \
	'BEGIN { printf "two processes: %.2f times as fast as one\n", a / b }'
