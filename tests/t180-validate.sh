# SPDX-License-Identifier: GPL-3.0-or-later
# moecast validate with a runner that is played: what it is asked, what comes
# of its answers, and every way in which it can go wrong.
. "${srcdir:-.}/tests/test-lib.sh"

unset MOECAST_RUN

cat >two.yaml <<'END'
cluster: {nodes: 1, gpus_per_node: 2, gpu: h200-sxm}
model: {hidden: 1024, layers: 1, experts: 8, experts_per_token: 2,
        expert_ffn: 2048, sequence: 1024, batch_per_gpu: 1, name: toy}
layout: {ep: 2, esp: 1}
routing: {kind: zipf, skew: 1, seed: 3}
search: {alltoall: [flat, pairwise], degree: [1, 2], capacity: none}
END

# Answers every task; `times` has a step's seconds for each plan (FACTOR of
# them), else it is 1 ms. wrong=N: so many elements are wrong in all rows.
cat >runner.awk <<'END'
function field(name) {
	if (!match($0, "\"" name "\":[0-9]+"))
		return 0
	return substr($0, RSTART + length(name) + 3,
		      RLENGTH - length(name) - 3)
}
function text(name) {
	if (!match($0, "\"" name "\":\"[^\"]*\""))
		return ""
	return substr($0, RSTART + length(name) + 4,
		      RLENGTH - length(name) - 5)
}
function row(variant, s) {
	printf "{\"type\":\"sample\",\"op\":\"layer\",\"variant\":\"%s\"," \
		"\"tier\":\"nvlink\",\"dtype\":\"%s\",\"ranks\":2," \
		"\"nodes\":%d,\"m\":%d,\"n\":%d,\"k\":%d,\"batch\":%d," \
		"\"median_s\":%.9g,\"count\":%d,\"wrong\":%d,\"plan\":\"%s\"," \
		"\"layer\":\"some text %s\"}\n", variant, text("dtype"),
		field("nodes"), field("tokens"), field("hidden"),
		field("ffn"), field("experts"), s, count, wrong, text("plan"),
		text("label")
}
BEGIN {
	while ((getline line <"times") > 0) {
		split(line, a, "\t")
		step[a[1]] = a[2]
	}
	RS = "{\"op\":\"layer\""
	print "{\"type\":\"run\",\"backend\":\"host\",\"gpus\":0}"
}
NR == 1 { print >"job.head"; next }
{
	print >"job.tasks"
	s = text("plan") in step ? factor * step[text("plan")] : 1e-3
	row("forward", s / 3)
	row("step", s)
	n++
	fflush()
	if (stop && n >= stop)
		exit
}
END { if (!stop) printf "{\"type\":\"end\",\"samples\":%d}\n", 2 * n }
END

# play NAME AWK-OPTION... -- LINE...: a runner that answers and then does this
play() {
	play_name=$1 play_options=
	shift
	while test $# -gt 0 && test "$1" != --
	do
		play_options="$play_options -v $1"
		shift
	done
	test $# -eq 0 || shift
	{
		echo "#!/bin/sh"
		echo "echo \$\$ >$play_name.pid"
		echo "awk -v count=9 -v factor=1 -v wrong=0 -v stop=0 $play_options \\"
		echo "	-f runner.awk"
		printf '%s\n' "$@"
	} >"$play_name" && chmod +x "$play_name"
}

value() { # value NAME FILE: of the JSON's own fields
	sed -n "s/^  \"$1\": \([^,]*\),*\$/\1/p" "$2"
}

# A row's plan and predicted time, a tab between.
rows() {
	sed -n 's/^ *"plan": "\(.*\)",$/\1/p; s/^ *"predicted_s": \(.*\),$/\1/p' \
		"$1" | paste - -
}

samples() {
	moecast db "$1" --json | sed -n 's/^ *"samples": \([0-9]*\),*$/\1/p' |
		head -n 1
}

sound() {
	moecast db "$1" --check >/dev/null
}

group_gone() {
	i=0
	while kill -0 -- "-$(cat "$1")" 2>/dev/null
	do
		sleep 0.05
		i=$((i + 1))
		test "$i" -lt 100 || return 1
	done
}

play exact
play slow factor=1.5

test_expect_success 'the first time nothing fits: exit code 3' '
	test_expect_code 3 moecast validate two.yaml --db a.db --plans 2 \
		--spread 6 --runner "$PWD/exact" --json >first.json 2>err &&
	test_grep "the forecast is .* off on average, 5.0 % are allowed" err &&
	test "$(value schema first.json)" = "\"moecast.validate/1\"" &&
	rows first.json >times &&
	test "$(wc -l <times)" -ge 8 &&
	test "$(samples a.db)" -eq $((2 * $(wc -l <times))) && sound a.db
'

test_expect_success 'the job: baselines, degrees, algorithms, counts' '
	test_grep "\"backend\":\"cuda\"" job.head &&
	test_grep "\"tiers\":\[\"nvlink\"\]" job.head &&
	test_grep "\"ranks\":2" job.head &&
	for plan in "alltoall=flat degree=1/1" "alltoall=flat degree=2/2" \
		"alltoall=pairwise degree=1/1" "alltoall=flat degree=8/8" \
		"capacity=1.25"
	do
		test_grep -q "$plan" job.tasks || exit 1
	done &&
	! grep "alltoall=2d" job.tasks &&
	! grep -v "techniques=baseline" job.tasks &&
	test "$(sort times | uniq -d | wc -l)" -eq 0
'

# 2 ranks of 1024 tokens, top-2 of 8 experts: a row of counts sums to 2048.
test_expect_success 'the counts are those of the routing' '
	sed -n "s/.*\"counts\":\[\[\([0-9,]*\)\],\[\([0-9,]*\)\]\].*/\1 \2/p" \
		job.tasks >counts &&
	test "$(sort -u counts | wc -l)" -eq 1 &&
	awk "{ for (r = 1; r <= 2; r++) { n = split(\$r, a, \",\"); s = 0
		for (i = 1; i <= n; i++) s += a[i]
		if (n != 8 || s != 2048) exit 1 } }" counts &&
	test -s counts
'

test_expect_success 'a runner that takes the foretold times' '
	moecast validate two.yaml --db b.db --plans 2 --spread 6 \
		--runner "$PWD/exact" --json >json 2>err &&
	test_cmp /dev/null err &&
	awk -v e="$(value mean_abs_error json)" "BEGIN { exit !(e < 1e-6) }" &&
	test "$(value kendall_tau json)" = 1.0 &&
	test "$(value regret json)" = 0.0 &&
	test_grep "\"allowed\": false" json &&
	test "$(value chosen_is_fastest json)" = 1.0 &&
	test_grep "\"correct\": true" json && ! grep "\"correct\": false" json &&
	moecast validate two.yaml --db b.db --plans 2 --spread 6 \
		--runner "$PWD/exact" >out &&
	! grep ".\{81\}" out &&
	test_grep "The chosen plan is the fastest" out &&
	test_grep "^#1 " out && test_grep "^degree-8 " out
'

# Everything 1.5 times as slow: errors of 1/3, the order stays.
test_expect_success 'a slower machine: error, and the tolerance' '
	test_expect_code 3 moecast validate two.yaml --db b.db --plans 2 \
		--spread 6 --runner "$PWD/slow" --json >json 2>err &&
	awk -v e="$(value mean_abs_error json)" \
		"BEGIN { exit !(e > 0.3333 && e < 0.3334) }" &&
	test "$(value kendall_tau json)" = 1.0 &&
	moecast validate two.yaml --db b.db --plans 2 --spread 6 \
		--runner "$PWD/slow" --tolerance 34% >out
'

test_expect_success 'wrong results are no success, however fast' '
	play bad wrong=3 &&
	test_expect_code 3 moecast validate two.yaml --db w.db --plans 2 \
		--runner "$PWD/bad" --tolerance 1 --json >json 2>err &&
	test_grep "gave wrong results" err &&
	test_grep "\"correct\": false" json
'

test_expect_success 'layers of a list; what joins the nodes' '
	shape="tokens=1024 hidden=1024 ffn=2048 experts=8 k=2 gated=true" &&
	{
		echo "# gpu, nodes, gpus, tier, shape, routing"
		echo "gpu=h200-sxm nodes=1 gpus=2 tier=nvlink $shape" \
			"dtype=bf16 routing=uniform name=one"
		echo
		echo "gpu=h200-sxm nodes=2 gpus=1 tier=shm $shape" \
			"dtype=bf16 routing=zipf skew=1.2 seed=2 name=two"
	} >list &&
	moecast validate --layers list --db l.db --plans 2 --spread 8 \
		--tolerance 100 --runner "$PWD/exact" --json >json 2>err &&
	test_grep "\"tiers\":\[\"shm\"\]" job.head &&
	test_grep "\"nodes\":2,\"gpus_per_node\":1" job.tasks &&
	test_grep "alltoall=2d" job.tasks &&
	moecast db l.db --save l.jsonl >/dev/null &&
	test_grep "\"layer\":\"gpu=h200-sxm nodes=2 gpus=1 tier=shm tok" \
		l.jsonl &&
	test "$(grep -c "\"name\": \"one\"" json)" -eq 1 &&
	echo "gpu=h200-sxm nodes=1" >short &&
	test_expect_code 2 moecast validate --layers short --db l.db 2>err &&
	test_grep "short:1: layer: word .gpus. is missing" err
'

test_expect_success 'replayed: the same forecasts, no GPU, nothing written' '
	moecast validate --replay l.jsonl --tolerance 100 --json >again 2>err &&
	rows json | sort >before && rows again | sort >after &&
	test -s before && test_cmp before after &&
	test "$(value mean_abs_error json)" = "$(value mean_abs_error again)" &&
	moecast validate two.yaml --db none.db --replay l.jsonl \
		--tolerance 100 --json >third &&
	test ! -e none.db && test_cmp again third &&
	moecast validate --replay l.jsonl --tolerance 100 >out &&
	! grep ".\{81\}" out &&
	moecast validate --replay l.jsonl --tolerance 100 --json \
		--set profile.use=off >other && ! cmp -s again other
'

test_expect_success 'a replay passes over what it cannot foretell' '
	{
		cat l.jsonl
		sed -n "s/tokens=1024/tokens=x/p" l.jsonl | head -n 1
		sed -n "s/degree=1/degree=0/p" l.jsonl | head -n 1
		sed -n "s/=baseline/=lsh/p" l.jsonl | head -n 1
	} >odd.jsonl &&
	moecast validate --replay odd.jsonl --tolerance 100 --json >got 2>err &&
	test_cmp again got && test_grep "3 layers of .odd.jsonl. cannot" err &&
	head -n 1 l.jsonl >none.jsonl &&
	grep -v "\"op\":\"layer\"" none.jsonl >empty.jsonl &&
	test_expect_code 2 moecast validate --replay empty.jsonl 2>err &&
	test "$(wc -l <err)" -eq 1
'

test_expect_success 'layers are not what forecasts rest on' '
	moecast plan two.yaml --json >p1 &&
	test_expect_code 2 moecast plan two.yaml --set profile.db=b.db \
		>p2 2>err &&
	test_grep "no samples" err &&
	moecast validate two.yaml --db b.db --plans 2 --runner "$PWD/exact" \
		--json --tolerance 100 >json &&
	test_grep "\"cost_note\": \"measured (h200-x2" json
'

test_expect_success 'the best plans have one exchange under one name' '
	moecast validate two.yaml --db names.db --plans 4 --spread 0 \
		--runner "$PWD/exact" --json --tolerance 100 >json &&
	awk "/\"plan\":/ { sub(/alltoall=[^ ]*/, \"\"); plan = \$0 }
	/\"predicted_s\":/ { s = \$2 }
	/\"why\": \"#/ { print plan, s }" json >best &&
	test "$(wc -l <best)" -eq 4 && test "$(sort -u best | wc -l)" -eq 4
'

# ---- faults ----

run() {	# run DB RUNNER OPTION...
	run_db=$1 run_runner=$2
	shift 2
	moecast validate two.yaml --db "$run_db" --plans 2 --spread 6 \
		--runner "$PWD/$run_runner" "$@"
}

test_expect_success 'a runner that is killed in the middle of a step' '
	play dies stop=3 -- "kill -9 \$\$" &&
	test_expect_code 1 run k.db dies >out 2>err &&
	test_cmp /dev/null out && test "$(wc -l <err)" -eq 1 &&
	test_grep "killed by signal 9" err &&
	test_grep "keeps the 6 samples that were finished" err &&
	test "$(samples k.db)" -eq 6 && sound k.db && group_gone dies.pid &&
	run k.db exact >out && sound k.db
'

test_expect_success 'a runner that hangs: the deadline, nothing is left' '
	play hangs stop=2 -- "sleep 1000 & sleep 1000" &&
	test_expect_code 1 run h.db hangs --deadline 200ms >out 2>err &&
	test "$(wc -l <err)" -eq 1 &&
	test_grep "wrote nothing for 1.2 s and was killed" err &&
	test "$(samples h.db)" -eq 4 && sound h.db && group_gone hangs.pid &&
	run h.db exact >out
'

test_expect_success 'a runner that talks nonsense' '
	play noise stop=1 -- "echo Segmentation fault" "sleep 1000" &&
	test_expect_code 1 run n.db noise >out 2>err &&
	test "$(wc -l <err)" -eq 1 && test_grep "of moecast-run" err &&
	test "$(samples n.db)" -eq 2 && group_gone noise.pid &&
	play negative count=-9 &&
	test_expect_code 1 run n.db negative >out 2>err &&
	test "$(wc -l <err)" -eq 1 && test_grep "count" err &&
	play other label=case-999 &&
	sed "s/text(\"label\")/label/" runner.awk >odd.awk &&
	sed "s/runner.awk/odd.awk/" other >stranger && chmod +x stranger &&
	test_expect_code 1 run n.db stranger >out 2>err &&
	test_grep "not asked for" err && test "$(wc -l <err)" -eq 1 &&
	sound n.db
'

test_expect_success 'a runner that ends too early, or says why' '
	play early stop=2 &&
	test_expect_code 1 run e.db early >out 2>err &&
	test_grep "ended before its work did" err &&
	test_grep "keeps the 4 samples" err &&
	{
		echo "#!/bin/sh"
		echo "echo '\''{\"type\":\"error\",\"message\":\"2 GPUs, not 8\"}'\''"
		echo "exit 77"
	} >few && chmod +x few &&
	test_expect_code 77 run e.db few >out 2>err &&
	test_grep "validate: 2 GPUs, not 8" err &&
	{
		echo "#!/bin/sh"
		echo "echo '\''{\"type\":\"end\",\"samples\":0}'\''"
	} >lazy && chmod +x lazy &&
	test_expect_code 1 run e.db lazy >out 2>err &&
	test_grep "measured none of the plans" err && sound e.db
'

test_expect_success 'an interrupt ends the runner, too' '
	play long stop=1 -- "sleep 1000 & sleep 1000" &&
	rm -f long.pid &&
	{
		moecast validate two.yaml --db i.db --plans 2 \
			--runner "$PWD/long" &
	} && pid=$! && i=0 &&
	until test -s i.db && test "$(samples i.db)" = 2
	do
		sleep 0.05
		i=$((i + 1)) && test "$i" -lt 200 || exit 1
	done &&
	kill -TERM "$pid" && ! wait "$pid" &&
	group_gone long.pid && sound i.db
'

test_expect_success 'what is refused' '
	refuses() {
		text=$1
		shift
		test_expect_code 2 moecast validate "$@" >out 2>err &&
		test_cmp /dev/null out && test "$(wc -l <err)" -eq 1 &&
		test_grep -F -e "$text" err
	} &&
	refuses "--db FILE is missing" two.yaml &&
	refuses "is missing" --db x.db &&
	refuses "one of them" --layers list --replay l.jsonl &&
	refuses "one of them" two.yaml --layers list --db x.db &&
	refuses "neither shm nor socket" two.yaml --db x.db --tier=ib &&
	refuses "neither cuda nor host" two.yaml --db x.db --backend=rocm &&
	refuses "--plans" two.yaml --db x.db --plans 0 &&
	refuses "--tolerance" two.yaml --db x.db --tolerance=much &&
	refuses "--tier=shm or --tier=socket" two.yaml --db x.db \
		--set "cluster=nodes=2(nic=1x100GB/s) gpu=1:h200-sxm" &&
	refuses "nofile" nofile --db x.db &&
	refuses "nofile" --replay nofile &&
	test_expect_code 1 moecast validate two.yaml --db x.db \
		--runner /nowhere/run 2>err && test_grep "cannot run" err
'

if type gnuplot >/dev/null 2>&1
then
	test_expect_success 'figures' '
		moecast validate --replay l.jsonl --tolerance 100 -o fig \
			>out 2>err && test_cmp /dev/null err &&
		for f in predicted ranking-1 ranking-2
		do
			test -s fig/$f.svg && test -s fig/$f.png || exit 1
		done &&
		test "$(grep -c "<svg" fig/index.html)" -ge 3
	'
else
	test_skip 'figures' 'no gnuplot'
fi

test_done
