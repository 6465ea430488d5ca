# SPDX-License-Identifier: GPL-3.0-or-later
# Figures: whole files of the right kind, and labels that stay labels.
. "${srcdir:-.}/tests/test-lib.sh"

draw=$top_builddir/tests/unit/draw_figures
test -x "$draw" || test_skip_all "tests/unit/draw_figures is not built"
program=${GNUPLOT:-$(command -v gnuplot)}

is_png() {	# signature and, at byte 16, width and height above 0
	set -- $(od -An -tu1 -N24 "$1")
	test "$1 $2 $3 $4 $5 $6 $7 $8" = "137 80 78 71 13 10 26 10" &&
	test $((${19} * 256 + ${20})) -gt 300 &&
	test $((${23} * 256 + ${24})) -gt 100
}

is_svg() {	# well-formed when an XML parser is at hand
	grep -q "<svg" "$1" && tail -n 2 "$1" | grep -q "</svg>" || return 1
	if command -v xmllint >/dev/null
	then
		xmllint --noout "$1"
	elif command -v python3 >/dev/null
	then
		python3 -c "import sys, xml.dom.minidom as m
m.parse(sys.argv[1])" "$1"
	fi
}

clean() {	# nothing but the figures and the report: no side effect
	! ls -A "$1" | grep -v -x -E '(figure[0-5]|speedup|gantt)\.(svg|png)|report\.txt' &&
	! find "$test_scratch" "$PWD" -name "pwned*" | grep .
}

test_expect_success 'without gnuplot: unavailable, no file' '
	mkdir none && GNUPLOT=$PWD/none/x &&
	export GNUPLOT && test_expect_code 77 "$draw" none .svg label &&
	test -z "$(ls none)"
'
if ! test -x "$program"
then
	test_skip "figures" "no gnuplot"
	test_done
	exit
fi

for suffix in .svg .png
do
	test_expect_success "all charts as $suffix" '
		rm -rf out && mkdir out &&
		"$draw" out '$suffix' "a plain label" && clean out &&
		test $(ls out/figure*'$suffix' | wc -l) -eq 6 &&
		for f in out/*.svg; do is_svg "$f" || exit 1; done &&
		for f in out/*.png; do is_png "$f" || exit 1; done
	'
done

test_expect_success 'the labels are in the SVG files' '
	"$draw" out .svg "a plain label" &&
	for f in out/figure*.svg
	do
		grep -q "a plain label" "$f" || exit 1
	done &&
	for word in "chosen plan" sequential degree-8 simulated "1.84x"
	do
		grep -q -e "$word" out/speedup.svg || exit 1
	done &&
	for word in compute intra inter dispatch combine forward backward
	do
		grep -q -e "$word" out/gantt.svg || exit 1
	done
'
test_expect_success 'the same input gives the same bytes' '
	mkdir again && "$draw" again .svg "a plain label" &&
	for f in again/*.svg
	do
		cmp "$f" "out/${f#again/}" || exit 1
	done
'

quote="'"
set -- '"; system "touch pwned"' "${quote}; system ${quote}touch pwned" \
	"${quote}${quote}${quote}; !touch pwned" '`touch pwned`' \
	'$(touch pwned)' "$(printf 'a\n!touch pwned\nsystem "touch pwned"\n')" \
	"$(printf '\\')" "$(printf '%s\\' "$quote")" '%s%n%d%1000000d' \
	'@x ^{a}_b &{c} ~d{e} {/Bold} }{' '{/:Bold }' 'EOD' \
	"$(printf 'EOD\n!touch pwned\n')" '<&>"]]><!--' '#' '' ' ' \
	"$(printf '\303\244\342\202\254 \360\237\230\200')" \
	"$(printf '\377\300\257\355\240\200')" "$(printf '\033[31m\001')" \
	"$(awk 'BEGIN { while (n++ < 5000) printf "wide " }')"
i=0
for label
do
	i=$((i + 1))
	printf '%s' "$label" >label
	test_expect_success "hostile label $i stays a label" '
		label=$(cat label) && rm -rf out && mkdir out &&
		"$draw" out .svg "$label" && clean out &&
		for f in out/*.svg; do is_svg "$f" || exit 1; done
	'
done
test_expect_success 'hostile labels in PNG files' '
	rm -rf out && mkdir out &&
	"$draw" out .png "\`touch pwned\` {/Bold \$(touch pwned)" &&
	clean out && for f in out/*.png; do is_png "$f" || exit 1; done
'

fake() {	# fake SCRIPT: a gnuplot that does that
	printf '#!/bin/sh\n%s\n' "$1" >fake && chmod +x fake &&
	GNUPLOT=$PWD/fake && export GNUPLOT && rm -rf out && mkdir out
}

test_expect_success 'what gnuplot says reaches the message; no file stays' '
	fake "cat >/dev/null; echo line 7: no such luck >&2; exit 1" &&
	test_expect_code 1 "$draw" out .svg label 2>err &&
	grep "no such luck" err && test -z "$(ls -A out)"
'
test_expect_success 'a gnuplot that dies early is a failure' '
	fake "exit 3" && test_expect_code 1 "$draw" out .svg label &&
	test -z "$(ls -A out)"
'
test_expect_success 'a gnuplot that writes nothing is a failure' '
	fake "cat >/dev/null" && test_expect_code 1 "$draw" out .svg label &&
	test -z "$(ls -A out)"
'
test_expect_success 'a folder that is not there is a failure' '
	test_expect_code 1 "$draw" nowhere/at/all .svg label 2>err &&
	grep nowhere err
'
test_done
