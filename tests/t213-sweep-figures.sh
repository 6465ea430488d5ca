# SPDX-License-Identifier: GPL-3.0-or-later
# moecast sweep -o and moecast report: the figures and the page of a sweep.
. "${srcdir:-.}/tests/test-lib.sh"

program=${GNUPLOT:-$(command -v gnuplot)}
test -x "$program" || test_skip_all "no gnuplot"
command -v python3 >/dev/null || test_skip_all "no python3"

cat >s.yaml <<'END'
cluster: "nodes=2(nic=4x400Gb/s) gpu=4(nvlink=450GB/s) fabric=rail"
model: {hidden: 1024, layers: 1, experts: 8, experts_per_token: 2,
        expert_ffn: 2048, sequence: 1024, batch_per_gpu: 1, name: toy}
layout: {ep: 8, esp: 1}
search: {alltoall: [flat, 2d], degree: [1, 2], capacity: none}
END
# uneven: the path of upgrades, which takes longest, is then left out
{ cat s.yaml; echo "routing: {kind: zipf, skew: 0.5}"; } >z.yaml
grid="--set cluster.nic.bandwidth=100Gb/s..400Gb/s*2 --set cluster.nodes=2,3,4"

# what a page is: markup that closes, no script, nothing from elsewhere
is_page() {
	python3 - "$1" <<-"END"
	import re, sys
	from html.parser import HTMLParser
	text = open(sys.argv[1], encoding="utf-8").read()
	class Page(HTMLParser):
	    stack, figures, texts = [], 0, 0
	    def handle_starttag(self, tag, attrs):
	        assert tag != "script" and tag != "link" and tag != "img"
	        for key, value in attrs:
	            assert not key.startswith("on"), key
	            if key in ("href", "src", "xlink:href"):
	                assert re.fullmatch(r"#\w+|[\w-]+\.png", value), value
	        if tag != "meta":
	            self.stack.append(tag)
	        self.figures += tag == "figure"
	    def handle_startendtag(self, tag, attrs):
	        if tag != "meta":
	            self.handle_starttag(tag, attrs)
	            self.stack.pop()
	    def handle_endtag(self, tag):
	        assert self.stack and self.stack.pop() == tag, tag
	p = Page()
	p.feed(text)
	assert not p.stack, p.stack
	assert not re.search(r"url\((?!#)", text)
	ids = re.findall(r" id=.([\w-]+)", text)
	assert len(ids) == len(set(ids)), "ids twice"
	print(p.figures)
	END
}

test_expect_success 'the directory has all, and nothing half' '
	moecast sweep z.yaml $grid --db a.db -o a >a.out &&
	for f in time time-other plans speedup memory gantt cluster \
		capacity-drop capacity-time
	do
		test -s a/$f.svg && test -s a/$f.png || exit 1
		echo $f.svg; echo $f.png
	done >names &&
	printf "sweep.csv\nsweep.html\nsweep.txt\n" >>names &&
	sort names >want && ls -A a | sort >have && test_cmp want have
'

test_expect_success 'memory is in a unit that the axis can show' '
	test_grep "memory per GPU (MB)" a/memory.svg
'

test_expect_success 'the page is whole and needs nothing else' '
	test "$(is_page a/sweep.html)" -eq 9 &&
	! grep -i -E "https?:|@import" a/sweep.html | grep -v w3.org
'

# the text without pictures: what the page says
page_text() {
	python3 - "$1" <<-"END"
	import re, sys
	text = open(sys.argv[1], encoding="utf-8").read()
	text = re.sub(r"(?s)<style.*?</style>|<svg.*?</svg>", "", text)
	text = re.sub(r"</t[dh]>", " | ", text)
	for old, new in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
	    text = re.sub(r"<[^>]*>", "", text) if old == "&lt;" else text
	    text = text.replace(old, new)
	print(text)
	END
}

test_expect_success 'the page says question, answer, sources, scenario' '
	page_text a/sweep.html >text &&
	for word in "The question" "cluster.nic.bandwidth: 100Gb/s, 200Gb/s, 400Gb/s" \
		"cluster.nodes: 2, 3, 4" "6 of 9 points have a plan" \
		"least step time: nic bandwidth 400Gb/s, nodes 2" \
		"Which upgrade pays next" "The next money goes to: nic" \
		"nic | " "Where every curve is from" \
		"exchanges between nodes | data sheet" \
		"All points" "Assumptions" "simulated" "The scenario" \
		"bandwidth: 12.5GB/s" "experts: 8"
	do
		grep -q -F -e "$word" text || { echo "no: $word"; exit 1; }
	done &&
	test "$(grep -c "^[124]00Gb/s | " text)" -eq 9
'

test_expect_success 'the table is what the CSV has' '
	python3 - <<-"END"
	import csv, re
	rows = list(csv.DictReader(open("a/sweep.csv")))
	page = open("a/sweep.html", encoding="utf-8").read()
	table = page[page.index("All points"):page.index("Assumptions")]
	lines = re.findall(r"<tr><td>(.*)</tr>", table)
	assert len(lines) == len(rows) == 9
	for row, line in zip(rows, lines):
	    cells = re.sub(r"<[^>]*>", "|", line)
	    assert ("|-|" in cells) == bool(row["reason"]), cells
	    if row["reason"]:
	        assert "layout" in cells
	    else:
	        assert row["alltoall"] in cells
	        gain = "%.2fx" % float(row["speedup_over_sequential"])
	        assert gain in cells, (gain, cells)
	END
'

# from the CSV again: median, least and most of the pairs, elasticity of the
# median, and which step gains most at each point
test_expect_success 'what every step brings is what the rows say' '
	page_text a/sweep.html >text &&
	python3 - <<-"END"
	import csv, math
	rows = list(csv.DictReader(open("a/sweep.csv")))
	rate = {(r["cluster.nic.bandwidth"], r["cluster.nodes"]):
	        float(r["tokens_per_s"]) for r in rows if not r["reason"]}
	bw = sorted({b for b, n in rate}, key=float)
	text = open("text").read()
	assert len(bw) == 3
	for a, b in zip(bw, bw[1:]):
	    gain = sorted(rate[b, n] / rate[a, n] for x, n in rate if x == a)
	    e = math.log(gain[len(gain) // 2]) / math.log(2)
	    want = "%+.1f %% (%+.1f .. %+.1f), elasticity %.2f" % (
	        100 * (gain[len(gain) // 2] - 1), 100 * (gain[0] - 1),
	        100 * (gain[-1] - 1), e)
	    assert want in text, (want, text)
	    for n in (k[1] for k in rate if k[0] == a):
	        want = "nic bandwidth %.0fGb/s: %+.1f %%" % (
	            float(b) * 8e-9, 100 * (rate[b, n] / rate[a, n] - 1))
	        assert want in text, want
	assert "nothing left" in text
	# nodes 3 has no plan, so no step from 2 to 3 or from 3 to 4
	assert "nodes 2 to 3 | - |" in text and "nodes 3 to 4 | - |" in text
	END
'

test_expect_success 'models by name are answered one by one, all are drawn' '
	sed "s/, name: toy//" z.yaml | grep -v "^model\|expert_ffn" >two.yaml &&
	moecast sweep two.yaml --set model.config=olmoe,qwen3-30b-a3b \
		--set cluster.nic.bandwidth=100Gb/s,400Gb/s \
		--set cluster.fabric.oversubscription=1,4 --set model.layers=1 \
		--set model.moe_layers=1 --set model.sequence=1024 \
		--set cluster.fabric.kind=rail,nonblocking \
		--set cluster.nodes=2,4,8 --db two.db -o two >two.out 2>err &&
	page_text two/sweep.html >text &&
	for word in "olmoe: nic bandwidth pays most at" \
		"qwen3-30b-a3b: nic bandwidth pays most at" \
		"step | olmoe | qwen3-30b-a3b" \
		"fabric oversubscription 4 to 1 |" \
		"letter | plan | best at"
	do
		grep -q -F -e "$word" text || { echo "no: $word"; exit 1; }
	done &&
	test "$(ls two | grep -c "^plans-.*svg")" -eq 8 &&
	test "$(ls two | grep -c "^time-[1-8].svg")" -eq 8 &&
	! ls two | grep memory
'

test_expect_success 'borders stand where the plan changes' '
	python3 - <<-"END"
	import csv, re
	# rows are nodes 2, 3, 4; nodes 3 has no plan: two borders between
	# rows over three columns, and those between columns of a row
	rows = list(csv.DictReader(open("a/sweep.csv")))
	plan = [tuple(r[k] for k in ("alltoall", "degree_forward", "ep", "dp",
	                             "degree_backward")) if not r["reason"]
	        else None for r in rows]
	at = lambda x, y: plan[x * 3 + y]
	want = sum(at(x, y) != at(x + 1, y) for x in range(2) for y in range(3))
	want += sum(at(x, y) != at(x, y + 1) for x in range(3) for y in range(2))
	svg = open("a/plans.svg").read()
	thick = re.findall(r"(?s)stroke-width=.2\.50.*?</g>", svg)
	got = sum(len(re.findall(r" L\d", g)) for g in thick)
	assert want >= 6, want
	assert got == want, (got, want)
	END
'

test_expect_success 'the same sweep again, and by one process: the same page' '
	moecast sweep z.yaml $grid --db a.db -o b >b.out 2>/dev/null &&
	for f in sweep.html sweep.csv plans.svg gantt.svg
	do
		cmp a/$f b/$f || exit 1
	done &&
	moecast sweep z.yaml $grid --db c.db --jobs 1 -o c >/dev/null &&
	cmp a/sweep.html c/sweep.html
'

test_expect_success 'even routing: until where the upgrade pays' '
	moecast sweep s.yaml --set cluster.nic.bandwidth=100Gb/s,200Gb/s \
		--db e.db -o e >/dev/null &&
	page_text e/sweep.html >text &&
	test_grep "first nic, from 12.5 GB/s" text
'

test_expect_success 'report shows the sweep from the database alone' '
	mkdir away && cp a.db away/ && cd away &&
	moecast report --db a.db -o r --json >r.json && cd .. &&
	test "$(is_page away/r/index.html)" -eq 9 &&
	page_text away/r/index.html >text &&
	test_grep "Sweep 1: z.yaml" text &&
	test_grep "Which upgrade pays next" text &&
	test_grep "\"figures\": 9" away/r.json &&
	cmp a/plans.svg away/r/sweep1-plans.svg &&
	sed -n "s/^ *\"r\/\(.*\)\",*\$/\1/p" away/r.json | sort >listed &&
	ls away/r | sort >there && test_cmp there listed
'

test_expect_success 'one key without numbers, and texts that would be markup' '
	mkdir "<b>&x" && cp z.yaml "<b>&x/z.yaml" &&
	moecast sweep "<b>&x/z.yaml" --set cluster.fabric.kind=rail,nonblocking \
		--set "model.name=</pre><script>alert(1)</script>" \
		--db m.db -o m >/dev/null &&
	test "$(is_page m/sweep.html)" -eq 8 &&
	test_grep "&lt;script&gt;alert" m/sweep.html &&
	! grep "<script" m/*.svg m/sweep.html
'

test_expect_success 'no point has a plan: a page that says why' '
	moecast sweep z.yaml --set cluster.nodes=3,5 --db n.db -o n >/dev/null &&
	test "$(is_page n/sweep.html)" -eq 0 &&
	page_text n/sweep.html >text &&
	test_grep "0 of 2 points have a plan" text &&
	test_grep "No point here has a plan" text
'

test_expect_success 'without gnuplot: table, CSV and a page without figures' '
	(
		GNUPLOT=$PWD/nowhere && export GNUPLOT &&
		moecast sweep z.yaml $grid --db a.db -o g >/dev/null 2>err
	) && test_grep "no figures" err &&
	test "$(ls g | tr "\n" " ")" = "sweep.csv sweep.html sweep.txt " &&
	test "$(is_page g/sweep.html)" -eq 0
'

test_expect_success 'a gnuplot that fails leaves no figure and no page' '
	cat >broken <<-"END" &&
	#!/bin/sh
	cat >/dev/null
	exit 1
	END
	chmod +x broken &&
	(
		GNUPLOT=$PWD/broken && export GNUPLOT &&
		test_expect_code 1 moecast sweep z.yaml $grid --db a.db -o f \
			>/dev/null 2>err
	) &&
	test "$(ls f | tr "\n" " ")" = "sweep.csv sweep.txt "
'

# rows and descriptions that no sweep writes: a page or one message
test_expect_success 'a database that somebody has changed' '
	python3 - <<-"END"
	import json, os, sqlite3, subprocess, shutil
	def change(name, sql, *values):
	    shutil.copy("a.db", "x.db")
	    db = sqlite3.connect("x.db")
	    db.execute(sql, values)
	    db.commit()
	    db.close()
	    run = subprocess.run(["moecast", "report", "--db", "x.db", "-o",
	                          "x"], capture_output=True, text=True)
	    assert run.returncode in (0, 2), (name, run)
	    assert run.returncode == 0 or run.stderr.count("\n") == 1, run
	    return run.returncode
	db = sqlite3.connect("a.db")
	about, = db.execute("select about from sweep").fetchone()
	row, = db.execute("select row from sweep_point where point = 0"
	                  ).fetchone()
	db.close()
	set_about = "update sweep set about = ?"
	set_row = "update sweep_point set row = ? where point = 0"
	a = json.loads(about)
	def with_axes(axes):
	    return json.dumps(dict(a, axes=axes))
	for text in ("text", "[]", "{}", "null", with_axes([]), with_axes(3),
	             with_axes([{"key": 1, "values": 2}]),
	             with_axes([{"key": "k", "values": [1, None]}] * 9),
	             with_axes([{"key": "k", "values": ["v"] * 4096}] * 3),
	             with_axes([{"key": "k", "values": ["v"]}]),
	             json.dumps(dict(a, scenario="]["))):
	    change(text[:60], set_about, text)
	r = json.loads(row)
	for more in ({"time_s": "x"}, {"time_s": -1}, {"time_s": 1e308},
	             {"knobs": 3}, {"knobs": {"techniques": [1, None]}},
	             {"baselines": [1, {"system": 3, "speedup": "x"}] * 40},
	             {"cluster.nodes": "<b>"}, {"cluster.nodes": -1e300},
	             {"memory_bytes": None, "tokens_per_s": []}):
	    change(more, set_row, json.dumps(dict(r, **more)))
	assert change("no row", set_row, "[") == 0
	assert "row of point 0 is damaged" in open("x/index.html").read()
	END
'

browser=
for name in chromium chromium-browser google-chrome
do
	test -n "$browser" || browser=$(command -v $name) || browser=
done
if test -z "$browser"
then
	test_skip "every figure is drawn" "no chromium"
else
	test_expect_success 'every figure is drawn, no text leaves its figure' '
		python3 "$srcdir/tests/page_drawn.py" a/sweep.html "$browser" \
			9 &&
		sed "s/<path/<poth/g; s/<text/<toxt/g" a/sweep.html >hurt.html &&
		! python3 "$srcdir/tests/page_drawn.py" hurt.html "$browser" 9
	'
fi

test_done
