# SPDX-License-Identifier: GPL-3.0-or-later
# Every file of the tree is in the distribution, every data file is
# installed: Automake's lists are written by hand and easily forgotten.
. "${srcdir:-.}/tests/test-lib.sh"

unset MAKEFLAGS MFLAGS MAKELEVEL
test -f "$top_builddir/Makefile" ||
	test_skip_all "no Makefile in $top_builddir"

# What stays out of the tarball on purpose.
not_distributed='^(\.gitignore|\.gitattributes|\.ci/.*)$'

tree_files() {	# paths below DIR, tracked or about to be
	if test -e "$1/.git" && git -C "$1" status >/dev/null 2>&1
	then
		git -C "$1" ls-files -co --exclude-standard |
			while read -r f
			do
				test ! -f "$1/$f" || printf '%s\n' "$f"
			done
	else
		(cd "$1" && find base scenarios sim reports cli tests doc m4 \
			-type f -name '*.[chy15ms]*' -print)
	fi | grep -Ev "$not_distributed" | sort -u
}

listed() {	# listed TARGET: what make says, relative to the source tree
	${MAKE:-make} -s -C "$top_builddir" "$1" >list.raw &&
	sed -e "s|^$srcdir/||" -e 's|^\./||' -e 's|^\(\.\./\)*||' list.raw |
		sort -u
}

test_expect_success 'the lists can be read' '
	listed list-dist >dist && listed list-data >data &&
	test_grep -x cli/main.c dist && test_grep -x COPYING dist
'

test_expect_success 'every file is distributed' '
	tree_files "$srcdir" >tree &&
	comm -23 tree dist >forgotten &&
	test_cmp /dev/null forgotten
'

test_expect_success 'every data file is installed' '
	(cd "$srcdir" && find scenarios/data \( -name "*.yaml" -o \
		-name "*.json" \) -print) |
		sort >yaml &&
	comm -23 yaml data >forgotten &&
	test_cmp /dev/null forgotten
'

test_expect_success 'a forgotten file is noticed' '
	{ cat tree && echo scenarios/data/gpus/planted.yaml; } | sort >more &&
	comm -23 more dist >forgotten &&
	test_must_fail test_cmp /dev/null forgotten
'

test_expect_success 'no release that NEWS does not mention' '
	${MAKE:-make} -s -C "$top_builddir" dist-hook &&
	test_must_fail ${MAKE:-make} -s -C "$top_builddir" dist-hook \
		VERSION=9.9.9 2>err &&
	test_grep "NEWS does not mention moecast 9.9.9" err
'

test_done
