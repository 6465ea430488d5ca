# SPDX-License-Identifier: GPL-3.0-or-later
# moecast profile on the host backend: the whole path, and every way in which
# the runner or the program itself can end too early.
. "${srcdir:-.}/tests/test-lib.sh"

test -x "$top_builddir/moecast-run" || test_skip_all "moecast-run is not built"
unset MOECAST_RUN

KILLS=50	# times that the program is killed

host() {	# host DB OPTION...: a profile that takes no time to speak of
	host_db=$1
	shift
	moecast profile --backend host --db "$host_db" --ranks 2 "$@"
}

samples() {	# samples DB: how many it holds
	moecast db "$1" --json | sed -n 's/^ *"samples": \([0-9]*\),*$/\1/p' |
		head -n 1
}

sound() {
	moecast db "$1" --check >check.out 2>&1 || {
		cat check.out
		return 1
	}
}

# group_gone FILE: no process of that group is left (the last ones may have
# to be buried by init first)
group_gone() {
	i=0
	while kill -0 -- "-$(cat "$1")" 2>/dev/null
	do
		sleep 0.05
		i=$((i + 1))
		test "$i" -lt 100 || return 1
	done
}

# fake NAME LINE...: a runner that says these things
fake() {
	fake_name=$1
	shift
	{
		echo "#!/bin/sh"
		printf '%s\n' "$@"
	} >"$fake_name" && chmod +x "$fake_name"
}

cat >run.jsonl <<'END'
{"type":"run","backend":"host","gpus":0}
END
{
	printf "{\"type\":\"sample\",\"op\":\"copy\",\"tier\":\"memory\","
	printf "\"dtype\":\"fp32\",\"ranks\":1,\"nodes\":1,"
	printf "\"bytes\":4096,\"median_s\":1e-6,\"count\":9}\n"
} >sample.jsonl

test_expect_success 'measure, store, fit' '
	test_profile_host h.db 2>err &&
	test_cmp /dev/null err &&
	test_grep "\"run\": 1," profile.json &&
	test_grep "\"alpha_s\":" profile.json &&
	test_grep "\"beta_s_per_byte\":" profile.json &&
	test_grep "\"r2\":" profile.json &&
	test_grep "\"mape\":" profile.json &&
	for op in alltoall allreduce gate stream copy
	do
		test_grep -q "\"op\": \"$op\"" profile.json || exit 1
	done &&
	sound h.db &&
	test "$(samples h.db)" -ge 45 &&
	test_grep "\"samples\": $(samples h.db)," profile.json
'

test_expect_success 'every result was checked and is right' '
	moecast db h.db --save h.jsonl &&
	grep "\"type\":\"sample\"" h.jsonl >rows &&
	! grep -v "\"wrong\":0" rows &&
	for op in alltoall sendrecv allgather reducescatter allreduce gemm \
		gate topk sort permute combine stream copy
	do
		test_grep -q "\"op\":\"$op\"" rows || exit 1
	done &&
	test_grep "\"variant\":\"uneven\"" rows >/dev/null
'

test_expect_success 'the forecast takes the database' '
	cat >s.yaml <<-EOF &&
	cluster: "nodes=1 gpu=8(nvlink=450GB/s)"
	model: {config: olmoe}
	layout: {ep: 8}
	profile: {db: h.db}
	EOF
	moecast plan s.yaml --json >plan.json &&
	test_grep "time_s" plan.json
'

test_expect_success 'a second run is added to the first' '
	before=$(samples h.db) &&
	host h.db --budget 1s >out &&
	test_grep "^run 2 in h.db" out &&
	test "$(samples h.db)" -gt "$before" &&
	sound h.db
'

test_expect_success 'two at once into one database' '
	{ host two.db --budget 1s --json >a.json 2>a.err & } && first=$! &&
	{ host two.db --budget 1s --json >b.json 2>b.err & } && second=$! &&
	wait "$first" && wait "$second" &&
	sum=$(sed -n "s/^  \"samples\": \([0-9]*\),$/\1/p" a.json b.json |
		awk "{ s += \$1 } END { print s }") &&
	test "$sum" -gt 0 && test "$(samples two.db)" -eq "$sum" &&
	sound two.db
'

test_expect_success 'no CUDA in this build is status 77' '
	if moecast-run --version >/dev/null &&
		echo "{\"backend\":\"cuda\"}" | moecast-run >cuda.out 2>&1
	then
		true
	elif grep -q "built without" cuda.out
	then
		test_expect_code 77 moecast profile --db c.db 2>err &&
		test_grep "built without CUDA" err
	fi
'

test_expect_success 'wrong usage' '
	test_expect_code 2 moecast profile 2>err && test_grep "\-\-db" err &&
	test_expect_code 2 host x.db --budget nine 2>err &&
	test_grep "\-\-budget" err &&
	test_expect_code 2 host x.db --budget 1s --tier nvlink 2>err &&
	test_grep "has no tier .nvlink" err &&
	test_expect_code 2 host x.db --emulate-nodes 2 2>err &&
	test_grep "cannot emulate nodes" err &&
	test_expect_code 2 moecast profile --backend tpu --db x.db 2>err &&
	test_grep "no backend .tpu" err &&
	test_expect_code 1 host x.db --runner "$PWD/none" 2>err &&
	test_grep "cannot run" err &&
	test_expect_code 2 host no/where/x.db 2>err
'

test_expect_success 'a runner that is killed: the samples stay' '
	host k.db --budget 20s >out 2>err &
	pid=$! &&
	i=0 &&
	until n=$(samples k.db 2>/dev/null) && test "${n:-0}" -ge 3
	do
		sleep 0.05
		i=$((i + 1)) && test "$i" -lt 1200 || exit 1
	done &&
	child=$(awk -v p="$pid" "\$4 == p { print \$1 }" \
		/proc/[0-9]*/stat 2>/dev/null | head -n 1) &&
	if test -z "$child"	# $pid is the subshell of host()
	then
		exit 1
	fi &&
	grand=$(awk -v p="$child" "\$4 == p { print \$1 }" \
		/proc/[0-9]*/stat 2>/dev/null | head -n 1) &&
	kill -9 "${grand:-$child}" &&
	! wait "$pid" &&
	test_grep "killed by signal 9" err &&
	test_grep "keeps the [0-9]* samples" err &&
	test "$(samples k.db)" -ge 3 && sound k.db
'

test_expect_success 'a runner that hangs: the deadline, and nothing is left' '
	fake hung "echo \$\$ >hung.pid" "cat run.jsonl" \
		"cat sample.jsonl" "sleep 1000 & sleep 1000" &&
	test_expect_code 1 host d.db --deadline 200ms --runner "$PWD/hung" \
		2>err &&
	test_grep "wrote nothing for 1.2 s and was killed" err &&
	test "$(samples d.db)" -eq 1 && sound d.db &&
	group_gone hung.pid
'

test_expect_success 'a runner that talks nonsense: one clear error' '
	fake noise "cat run.jsonl" "cat sample.jsonl" \
		"echo Segmentation fault" "sleep 1000" &&
	test_expect_code 1 host n.db --runner "$PWD/noise" 2>err &&
	test "$(wc -l <err)" -eq 1 &&
	test_grep "line 3 of moecast-run" err &&
	fake binary "head -c 200000 /dev/zero" &&
	test_expect_code 1 host n.db --runner "$PWD/binary" 2>err &&
	test "$(wc -l <err)" -eq 1 &&
	test_grep "line of more than 65536 bytes" err &&
	fake early "cat run.jsonl" &&
	test_expect_code 1 host n.db --runner "$PWD/early" 2>err &&
	test_grep "ended before its work did" err &&
	fake silent "exit 5" &&
	test_expect_code 1 host n.db --runner "$PWD/silent" 2>err &&
	test_grep "ended with status 5 and said nothing" err &&
	fake orphan "cat sample.jsonl" &&
	test_expect_code 1 host n.db --runner "$PWD/orphan" 2>err &&
	test_grep "before its run" err &&
	test "$(samples n.db)" -eq 1 && sound n.db
'

test_expect_success 'what the runner says is handed on' '
	fake sad "echo '\''{\"type\":\"error\",\"message\":\"no luck\"}'\''" \
		"exit 77" &&
	test_expect_code 77 host s.db --runner "$PWD/sad" 2>err &&
	test_grep "moecast profile: no luck$" err &&
	MOECAST_RUN=$PWD/sad test_expect_code 77 host s.db 2>err
'

test_expect_success 'an interrupt ends the runner, too' '
	fake long "echo \$\$ >long.pid" "cat run.jsonl" \
		"sleep 1000 & sleep 1000" &&
	{
		moecast profile --backend host --db i.db \
			--runner "$PWD/long" &
	} && pid=$! &&
	i=0 &&
	until test -s long.pid
	do
		sleep 0.05
		i=$((i + 1)) && test "$i" -lt 200 || exit 1
	done &&
	kill -TERM "$pid" && ! wait "$pid" &&
	group_gone long.pid
'

# Where in $reach the moments are comes from a generator with a fixed seed; how
# far the program is at each depends on the machine, and on purpose so. Where
# several kills in a row come before the first sample, $reach doubles.
test_expect_success 'killed at fifty moments: the database stays sound' '
	awk -v n="$KILLS" "BEGIN { srand(2385)
		for (i = 0; i < n; i++) printf \"%.3f\n\", rand() }" \
		</dev/null >shares &&
	began=$(date +%s) && n=0 && last=0 && idle=0 && reach=0.25 &&
	while read -r share
	do
		if test "$idle" -ge 5
		then
			idle=0
			reach=$(awk "BEGIN { print 2 * $reach }")
		fi
		idle=$((idle + 1))
		moment=$(awk "BEGIN { printf \"%.3f\", $share * $reach }")
		moecast profile --backend host --ranks 2 --budget 5s \
			--db kill.db >/dev/null 2>&1 &
		pid=$!
		sleep "$moment"
		kill -9 "$pid"
		wait "$pid" 2>/dev/null
		test -e kill.db || continue
		sound kill.db || exit 1
		now=$(samples kill.db)
		if test "$now" -lt "$last"
		then
			echo "$last samples before, $now after kill $n"
			exit 1
		fi
		test "$now" -eq "$last" || idle=0
		last=$now
		n=$((n + 1))
	done <shares &&
	took=$(($(date +%s) - began)) &&
	echo "$n kills with a database, $last samples, to $reach s, $took s" &&
	test "$n" -ge 25 && test "$last" -gt 10
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
