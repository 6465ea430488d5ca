# SPDX-License-Identifier: GPL-3.0-or-later
# moecast db: text, JSON, JSON lines in and out, the check, refusals.
. "${srcdir:-.}/tests/test-lib.sh"

field() { # field KEY: its value in the JSON in `out`
	sed -n "s/^  *\"$1\": *\([^,]*\),*\$/\1/p" out | head -n 1
}

# The exit code, one line on stderr that has the text, nothing on stdout.
refuses() { # refuses CODE TEXT ARGUMENT...
	code=$1 text=$2
	shift 2
	test_expect_code "$code" moecast db "$@" >out 2>err &&
	test_cmp /dev/null out &&
	test_grep -F -e "$text" err &&
	test "$(wc -l <err)" -eq 1
}

# a \ joins lines here
cat >two.jsonl <<END
{"type":"run","backend":"cuda","source":"moecast-run","host":"node7",\
"gpu":"NVIDIA H200","gpus":2,"date":"2026-11-22T15:04:05Z"}
{"type":"sample","op":"alltoall","variant":"even","tier":"nvlink","ranks":2,\
"bytes":1048576.0,"median_s":1.5e-05,"count":20,"wrong":0}
{"type":"progress","done":1,"total":3,"what":"alltoall"}
{"type":"sample","op":"alltoall","variant":"even","tier":"nvlink","ranks":2,\
"bytes":4194304.0,"median_s":2.14e-05,"count":20,"wrong":0}
{"type":"sample","op":"stream","tier":"memory","ranks":1,"bytes":1e9,\
"median_s":0.000233,"count":20,"wrong":-1}
{"type":"end","samples":3}
{"type":"run","backend":"host","gpus":0}
{"type":"sample","op":"gemm","dtype":"fp32","m":64,"n":32,"k":16,"batch":8,\
"median_s":0.001,"count":3,"wrong":0}
END

test_expect_success 'JSON lines make a database' '
	moecast db p.db --load=two.jsonl --json >out 2>err &&
	test_cmp /dev/null err &&
	test "$(field schema)" = "\"moecast.db/1\"" &&
	test "$(field schema_version)" = 4 &&
	test "$(field runs)" = 2 &&
	test "$(field samples)" = 4 &&
	test "$(field fits)" = 0 &&
	test "$(field problems)" = "[]" &&
	test "$(field gpu)" = "\"NVIDIA H200\""
'

test_expect_success 'text within 80 columns' '
	moecast db p.db >out &&
	test_grep "schema version 4, 2 runs, 4 samples, 0 fits" out &&
	test_grep "2026-11-22T15:04:05Z.*cuda.*node7.*2.*NVIDIA H200.*3" out &&
	test_grep "alltoall *nvlink *2 *0 *2 *1.05 MB to 4.19 MB" out &&
	test_grep "gemm" out &&
	! grep ".\{81\}" out
'

test_expect_success 'the same lines again add nothing' '
	moecast db p.db --load=two.jsonl --json >out &&
	test "$(field runs)" = 2 &&
	test "$(field samples)" = 4 &&
	head -n 6 two.jsonl >one.jsonl &&
	moecast db p.db --load=one.jsonl --json >out &&
	test "$(field samples)" = 4
'

test_expect_success 'out and in again: the same lines' '
	moecast db p.db --save=out.jsonl >/dev/null &&
	moecast db q.db --load=out.jsonl >/dev/null &&
	moecast db q.db --save=again.jsonl >/dev/null &&
	test_cmp out.jsonl again.jsonl &&
	test "$(grep -c "\"sample\"" again.jsonl)" -eq 4 &&
	moecast db p.db --load=out.jsonl --json >out &&
	test "$(field samples)" = 4
'

test_expect_success 'lines that cannot be used are named' '
	{
		echo "{\"type\":\"sample\",\"op\":\"copy\",\"median_s\":1}" &&
		cat one.jsonl &&
		echo "{\"type\":\"sample\",\"op\":\"copi\",\"median_s\":1}" &&
		echo "{\"type\":\"sample\",\"op\":\"copy\",\"median_s\":-1}" &&
		printf "{\"type\":\"sample\",\"op\":\"co"
	} >odd.jsonl &&
	moecast db odd.db --load=odd.jsonl --json >out 2>err &&
	test "$(field samples)" = 3 &&
	test_grep "odd.jsonl:1: .*before the first run" err &&
	test_grep "odd.jsonl:8: .*did you mean .copy." err &&
	test_grep "odd.jsonl:9: .*median_s" err &&
	test_grep "odd.jsonl:10: .*no JSON" err &&
	test "$(wc -l <err)" -eq 4
'

test_expect_success 'a text without samples makes no run' '
	echo "{\"type\":\"run\",\"backend\":\"host\"}" >none.jsonl &&
	refuses 2 "no run with samples" p.db --load=none.jsonl &&
	: >empty.jsonl &&
	refuses 2 "no run with samples" p.db --load=empty.jsonl &&
	moecast db p.db --json >out && test "$(field runs)" = 2
'

test_expect_success 'the check finds nothing wrong' '
	moecast db p.db --check >out &&
	test_grep "no problems" out
'

# The file ends with pages of rows: noise in the last one.
test_expect_success 'the check finds damage, exit code 3' '
	size=$(wc -c <p.db) &&
	cp p.db bad.db &&
	awk "BEGIN { for (i = 0; i < 4096; i++) printf \"%c\", 33 + i % 90 }" |
		dd of=bad.db bs=1 seek=$((size - 4096)) conv=notrunc 2>dd &&
	test_expect_code 3 moecast db bad.db --check >out 2>err &&
	test_grep "problems:" out &&
	test_grep "bad.db.*problem" err &&
	test_expect_code 3 moecast db bad.db --check --json >out 2>err &&
	test_grep "\"problems\": \[$" out
'

test_expect_success 'reading leaves no file behind' '
	mkdir still && cp p.db still/ &&
	cksum still/p.db >before &&
	moecast db still/p.db --check >/dev/null &&
	cksum still/p.db >after &&
	test_cmp before after &&
	test "$(ls still)" = p.db
'

test_expect_success 'an empty file is an old version: --migrate' '
	: >old.db &&
	moecast db old.db --check --json >out &&
	test "$(field schema_version)" = 0 &&
	test ! -s old.db &&
	moecast db old.db --migrate --json >out &&
	test "$(field schema_version)" = 4 &&
	moecast db old.db --check >out && test_grep "version 4, 0 runs" out
'

test_expect_success 'what is refused' '
	refuses 2 "No such file" nowhere.db &&
	refuses 2 "No such file" nowhere.db --migrate &&
	test ! -e nowhere.db &&
	refuses 2 "No such file" no/where.db --load=one.jsonl &&
	refuses 2 "nowhere.jsonl" p.db --load=nowhere.jsonl &&
	refuses 2 "a directory" . &&
	refuses 2 "not an SQLite file" two.jsonl &&
	refuses 2 "not an SQLite file" two.jsonl --load=two.jsonl &&
	head -c 5000 p.db >cut.db &&
	refuses 2 "damaged" cut.db &&
	refuses 2 "damaged" cut.db --load=one.jsonl &&
	refuses 2 "is missing" &&
	refuses 2 "scenario keys" p.db --set a=b
'

# user_version is the big-endian number at byte 60 of the file.
test_expect_success 'a newer version' '
	cp p.db new.db &&
	printf "\000\000\000\007" |
		dd of=new.db bs=1 seek=60 conv=notrunc 2>dd &&
	refuses 2 "schema version 7" new.db &&
	refuses 2 "newer moecast" new.db --migrate
'

test_expect_success 'a place that cannot be written' '
	refuses 1 "cannot write" p.db --save=/proc/moecast.jsonl &&
	refuses 1 "cannot write" /proc/moecast.db --load=one.jsonl
'

test_done
