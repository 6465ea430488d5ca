# SPDX-License-Identifier: GPL-3.0-or-later
# The measurements that ship: made again they are the same, and forecasts with
# their GPU take them. (How well they fit: tests/unit/test_shipped.c.)
. "${srcdir:-.}/tests/test-lib.sh"

samples=$abs_srcdir/profiles/data/h200-x2.jsonl
fits=$abs_srcdir/scenarios/data/profiles/h200-x2.fit.json

scenario() {	# scenario GPUS_PER_NODE GPU
	cat <<END
cluster: {nodes: 1, gpus_per_node: $1, gpu: $2}
model: {hidden: 1024, layers: 1, experts: 8, experts_per_token: 2,
        expert_ffn: 2048, sequence: 1024, batch_per_gpu: 1, name: toy}
layout: {ep: $1, esp: 1}
search: {alltoall: flat, degree: [1, 2], capacity: none}
END
}

scenario 2 h200-sxm >two.yaml
scenario 4 h200-sxm >four.yaml
scenario 2 h100-sxm >other.yaml

# Words alike, numbers within 1e-9: another compiler rounds otherwise.
cat >same.awk <<'END'
{ gsub(/[][{}:,]/, " ") }
FNR == NR { line[FNR] = $0; next }
{
	n = split($0, a, " ")
	if (split(line[FNR], b, " ") != n)
		exit bad = 1
	for (i = 1; i <= n; i++) {
		d = a[i] - b[i]
		if (a[i] == b[i])
			continue
		if (a[i] !~ /^[-0-9]/ || d > 1e-9 * a[i] || -d > 1e-9 * a[i]) {
			print FNR ": " b[i] " is not " a[i]
			exit bad = 1
		}
	}
}
END { exit bad || FNR != length(line) }
END

test_expect_success 'fits of the shipped samples are the shipped fits' '
	moecast db p.db --load "$samples" --fits new.json >/dev/null &&
	awk -f same.awk "$fits" new.json
'

test_expect_success 'made twice they are the same bytes' '
	moecast db q.db --load "$samples" --fits again.json >/dev/null &&
	cmp new.json again.json
'

test_expect_success 'the file says where they come from' '
	test_grep "\"gpu\":\"NVIDIA H200\"" "$fits" &&
	test_grep "\"driver\":\"580" "$fits" &&
	test_grep "\"cuda\":\"13.0\"" "$fits" &&
	test_grep "\"nccl\":\"2.28.3\"" "$fits" &&
	test_grep "\"date\":\"2026-11-23" "$fits"
'

# note: the words of the line "costs", joined
note() {
	moecast plan "$@" 2>err | tr "\n" " " | sed "s/.*costs: //; s/ GPU: .*//"
}

test_expect_success 'a forecast takes them' '
	note two.yaml >got &&
	test_grep "measured (h200-x2: NVIDIA H200, 3 runs" got &&
	test_grep "products, exchanges inside a node, direct exchanges, memory" got
'

test_expect_success 'exchanges of more ranks than measured stay' '
	note four.yaml >got &&
	test_grep "measured (h200-x2" got &&
	test_grep "): products, memory; the rest" got &&
	moecast alltoall four.yaml -b 1MB -e 64MB >a &&
	moecast alltoall four.yaml -b 1MB -e 64MB --set profile.use=off >b &&
	test_cmp b a &&
	moecast alltoall two.yaml -b 1MB -e 64MB >a &&
	moecast alltoall two.yaml -b 1MB -e 64MB --set profile.use=off >b &&
	! cmp a b
'

test_expect_success 'the database of the same samples says the same' '
	moecast plan two.yaml 2>/dev/null | sed "/^simulated/,\$d" >a &&
	moecast plan two.yaml --set profile.db=p.db 2>/dev/null |
		sed "/^simulated/,\$d" >b &&
	test -s a &&
	test_cmp a b
'

test_expect_success 'off is the data sheet' '
	note two.yaml --set profile.use=off >got &&
	test_grep "^GPU data sheet and named efficiencies" got &&
	moecast plan two.yaml --set profile.use=off --json >j 2>err &&
	test_grep "\"costs\": \"datasheet\"" j &&
	test_cmp /dev/null err
'

test_expect_success 'other GPUs do not change' '
	moecast plan other.yaml >a 2>err &&
	moecast plan other.yaml --set profile.use=off >b &&
	test_cmp a b &&
	test_grep "costs: GPU data sheet" a &&
	test_cmp /dev/null err
'

test_expect_success 'a GPU whose speed was changed is not the measured one' '
	scenario 2 "{base: h200-sxm, sms: 100}" >s.yaml &&
	note s.yaml >got &&
	test_grep "^GPU data sheet" got &&
	scenario 2 "{base: h200-sxm, memory: 100GB}" >s.yaml &&
	note s.yaml >got &&
	test_grep "^measured (h200-x2" got &&
	scenario 2 "{base: h200-sxm, sms: 100, measured: h200-x2}" >s.yaml &&
	note s.yaml >got &&
	test_grep "^measured (h200-x2" got
'

refuses() {	# refuses MEASURED TEXT
	scenario 2 "{base: h200-sxm, measured: $1}" >s.yaml &&
	test_expect_code 2 moecast plan s.yaml >out 2>err &&
	test_cmp /dev/null out &&
	test_grep -F -e "$2" err &&
	test "$(wc -l <err)" -eq 1
}

test_expect_success 'files that are none are refused' '
	refuses h200-x3 "did you mean" &&
	refuses ./absent.json "absent.json" &&
	sed 1d "$fits" >f.json &&
	refuses ./f.json "f.json:" &&
	sed "s/moecast.fits.1/moecast.fits\/9/" "$fits" >f.json &&
	refuses ./f.json "schema" &&
	sed "s/\"ranks\": 2/\"ranks\": -2/" "$fits" >f.json &&
	refuses ./f.json "ranks" &&
	sed "s/\"b\": /\"b\": -/" "$fits" >f.json &&
	refuses ./f.json "coefficient is negative" &&
	sed "s/^   \[[0-9.]*,/   [0,/" "$fits" >f.json &&
	refuses ./f.json "products 1: point 1: 5 positive numbers" &&
	sed "s/\"dtype\": \"bf16\"/\"dtype\": \"int4\"/" "$fits" >f.json &&
	refuses ./f.json "int4"
'

# The scenario is in one directory, the GPU's file in another, what that names
# beside it: not what has that name beside the scenario, above, or (as long as
# the right one is there) where moecast runs.
test_expect_success 'measured: is relative to the file that names it' '
	mkdir -p far/gpus far/gpus/fits here &&
	sed "s/\"source\": \"[^\"]*\"/\"source\": \"the right one\"/" \
		"$fits" >far/gpus/fits/f.json &&
	test_grep "the right one" far/gpus/fits/f.json &&
	mkdir -p fits here/fits far/fits &&
	for d in fits here/fits far/fits
	do
		sed "s/\"source\": \"[^\"]*\"/\"source\": \"wrong\"/" \
			"$fits" >"$d/f.json" || exit 1
	done &&
	sed "s,^measured:.*,measured: fits/f.json," \
		"$abs_srcdir/scenarios/data/gpus/h200-sxm.yaml" \
		>far/gpus/g.yaml &&
	test_grep "^measured: fits/f.json" far/gpus/g.yaml &&
	scenario 2 ../far/gpus/g.yaml >here/s.yaml &&
	note here/s.yaml >got &&
	test_grep "measured (f.json: the right one)" got &&
	rm far/gpus/fits/f.json fits/f.json &&
	test_expect_code 2 moecast plan here/s.yaml >out 2>err &&
	test_grep "measured: cannot read .*fits/f.json" err &&
	scenario 2 "{base: ../far/gpus/g.yaml, measured: fits/f.json}" \
		>here/s.yaml &&
	note here/s.yaml >got &&
	test_grep "measured (f.json: wrong)" got
'

test_done
