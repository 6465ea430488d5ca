#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# bench_sweep.sh [POINTS]: a sweep of one layer on 64 GPUs (the scenario
# `default` with one GPU of an expert group per rank: 6 exchanges x 16 pairs of
# degrees x capacities at every point), with one process and with two.
# Needs moecast in the current directory, as `make bench` runs it; with python3
# and /proc it says who worked and who waited, too.
points=${1:-10000}
dir=$(mktemp -d) || exit
trap 'rm -rf "$dir"' EXIT

# POINTS = values of the NIC rate x 10 of its latency
rates=$(awk -v n="$((points / 10))" 'BEGIN {
	for (i = 0; i < n; i++)
		printf "%s%.3fGb/s", i ? "," : "", 100 + 700 * i / n }')

# Linux counts for each process the time on a processor and that in the queue
# for one; the rest of its life it waited for something else.
cat >"$dir/watch.py" <<'END'
import os, subprocess, sys, time

LOOK_S = 0.02


def spent(pid):
    with open(f"/proc/{pid}/schedstat") as f:
        return [int(ns) / 1e9 for ns in f.read().split()[:2]]


def workers_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


jobs, out = int(sys.argv[1]), sys.argv[-1] + ".times"
began = time.monotonic()
run = subprocess.Popen(sys.argv[2:])
workers, beside, last = {}, 0, began
while not os.waitid(os.P_PID, run.pid,
                    os.WEXITED | os.WNOHANG | os.WNOWAIT):
    try:
        now = time.monotonic()
        for p in workers_of(run.pid):
            workers[p] = spent(p)
            last = now
        if last == now:
            beside = spent(run.pid)[0]
    except OSError:
        pass    # it has just ended
    time.sleep(LOOK_S)
parent = spent(run.pid)[0]
if run.wait():
    sys.exit(run.returncode)
lived = last - began
after = parent - beside
on = sum(w[0] for w in workers.values())
queue = sum(w[1] for w in workers.values())
idle = lived * len(workers) - on - queue
with open(out, "w") as f:
    # without others: all that the processors do, or each worker's own time
    alone = after + max((on + beside) / os.cpu_count(),
                        max(lived - w[1] for w in workers.values()))
    print(f"  processor: workers {on:.2f} s, parent {beside:.2f} s beside "
          f"them, {after:.2f} s after; workers waited {idle:.2f} s for "
          f"points, {queue:.2f} s for a processor", file=f)
    print(f"  with no other work on the machine about {alone:.2f} s", file=f)
END

sweep() { # sweep JOBS [COMMAND...]: with COMMAND before it
	jobs=$1
	shift
	"$@" ./moecast sweep default --set layout.ep=64 --set layout.esp=1 \
		--set "cluster.nic.bandwidth=$rates" \
		--set cluster.nic.latency=1us..10us+1 \
		--jobs "$jobs" --db "$dir/$jobs.db" --csv "$dir/$jobs.csv" \
		>/dev/null 2>"$dir/err" || { cat "$dir/err"; exit 1; }
}

run() { # run JOBS
	begin=$(date +%s%N)
	if command -v python3 >/dev/null && test -r /proc/self/schedstat
	then
		sweep "$1" python3 "$dir/watch.py" "$1"
	else
		sweep "$1"
	fi
	end=$(date +%s%N)
	awk -v jobs="$1" -v ns="$((end - begin))" \
		-v n="$(($(wc -l <"$dir/$1.csv") - 1))" 'BEGIN {
		printf("sweep, %d points, --jobs %d: %.1f s, %.0f points/s\n",
			n, jobs, ns / 1e9, n * 1e9 / ns)
	}'
	test ! -f "$dir/$1.csv.times" || cat "$dir/$1.csv.times"
	eval "ns$1=$((end - begin))"
}

run 1
run 2
cmp "$dir/1.csv" "$dir/2.csv" || exit
awk -v a="$ns1" -v b="$ns2" \
	'BEGIN { printf "two processes: %.2f times as fast as one\n", a / b }'
test ! -f "$dir/1.csv.times" || cat "$dir/1.csv.times" "$dir/2.csv.times" |
	awk '/no other work/ { t[n++] = $(NF - 1) } END {
	printf "  with no other work: %.2f times\n", t[0] / t[1] }'
