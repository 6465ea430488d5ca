# SPDX-License-Identifier: GPL-3.0-or-later
# The part of the style that can be counted: licence line, lengths.
. "${srcdir:-.}/tests/test-lib.sh"

AWK=${AWK:-awk}
LINE_MAX=100
FUNCTION_MAX=80
SOURCE_MAX=600
HEADER_MAX=250

files() {	# files DIR: every C and shell file of the project
	find "$1"/base "$1"/scenarios "$1"/sim "$1"/profiles "$1"/gpu \
		"$1"/reports "$1"/cli "$1"/tests \
		-path "$1/tests/scratch" -prune -o \
		\( -name '*.[ch]' -o -name '*.cu' -o -name '*.sh' \) -print | sort
	find "$1" -maxdepth 2 \( -path "$1/quickstart" -o \
		-path "$1/.ci/run" \) -print
}

c_files() {
	files "$1" | grep -e '\.[ch]$' -e '\.cu$'
}

cat >spdx.awk <<'END'
function check() {
	if (name != "" && !seen) {
		print name ": no SPDX-License-Identifier in the first 3 lines"
		bad = 1
	}
}
FNR == 1 { check(); name = FILENAME; seen = 0 }
FNR <= 3 && /SPDX-License-Identifier: GPL-3.0-or-later/ { seen = 1 }
END { check(); exit bad }
END

# A tab goes to the next multiple of 8; bytes of UTF-8 after the first are
# not counted where awk sees bytes.
cat >columns.awk <<'END'
BEGIN { for (i = 128; i < 192; i++) later = later sprintf("%c", i) }
length($0) > max / 8 {
	n = 0
	for (i = 1; i <= length($0); i++) {
		c = substr($0, i, 1)
		if (c == "\t")
			n += 8 - n % 8
		else if (c < "\200" || index(later, c) == 0)
			n++
	}
	if (n > max) {
		printf "%s:%d: %d columns\n", FILENAME, FNR, n
		bad = 1
	}
}
END { exit bad }
END

cat >lengths.awk <<'END'
function check() {
	if (name == "")
		return
	limit = name ~ /\.h$/ ? header_max : source_max
	if (lines > limit) {
		printf "%s: %d lines\n", name, lines
		bad = 1
	}
}
FNR == 1 { check(); name = FILENAME }
{ lines = FNR }
END { check(); exit bad }
END

# A body is what stands between a "{" and the next "}" in column one; a data
# table opens with "= {" and does not count.
cat >functions.awk <<'END'
FNR == 1 { start = 0 }
/^\{/ { start = FNR }
/^\}/ {
	if (start && FNR - start + 1 > max) {
		printf "%s:%d: a function of %d lines\n", FILENAME, start,
			FNR - start + 1
		bad = 1
	}
	start = 0
}
END { exit bad }
END

check_spdx() {
	$AWK -f spdx.awk $(files "$1")
}

check_columns() {
	$AWK -v max=$LINE_MAX -f columns.awk $(files "$1")
}

check_lengths() {
	$AWK -v source_max=$SOURCE_MAX -v header_max=$HEADER_MAX \
		-f lengths.awk $(c_files "$1")
}

check_functions() {
	$AWK -v max=$FUNCTION_MAX -f functions.awk $(c_files "$1")
}

check_blanks() {	# no blanks at the end of a line, and no CR
	! grep -nE "[ 	]\$|$(printf '\r')" $(files "$1") /dev/null
}

test_expect_success 'every file names its licence' '
	check_spdx "$srcdir"
'
test_expect_success "no line over $LINE_MAX columns" '
	check_columns "$srcdir"
'
test_expect_success "no .c over $SOURCE_MAX lines, no .h over $HEADER_MAX" '
	check_lengths "$srcdir"
'
test_expect_success "no function over $FUNCTION_MAX lines" '
	check_functions "$srcdir"
'
test_expect_success 'no blanks at line ends' '
	check_blanks "$srcdir"
'

# Guards that cannot fail guard nothing: one planted fault at a time.
SPDX="/* SPDX-License-Identifier: GPL-3.0-or-later */"
tree() {
	rm -rf tree &&
	mkdir -p tree/base tree/scenarios tree/sim tree/profiles tree/gpu \
		tree/reports tree/cli tree/tests &&
	echo "$SPDX" >tree/sim/x.c &&
	check_spdx tree && check_columns tree && check_lengths tree &&
	check_functions tree && check_blanks tree
}

repeat() {	# repeat N TEXT: N lines
	$AWK -v n="$1" -v text="$2" 'BEGIN { while (n-- > 0) print text }'
}

test_expect_success 'planted faults are found: licence' '
	tree && echo "int x;" >tree/sim/y.h &&
	test_must_fail check_spdx tree
'
test_expect_success 'planted faults are found: columns' '
	tree && repeat 99 x | tr -d "\n" >>tree/sim/x.c &&
	check_columns tree &&
	printf "yy\n" >>tree/sim/x.c && test_must_fail check_columns tree &&
	tree && repeat 12 "" | tr "\n" "\t" >>tree/sim/x.c &&
	echo "12345" >>tree/sim/x.c && test_must_fail check_columns tree
'
test_expect_success 'planted faults are found: file length' '
	tree && repeat 599 "" >>tree/sim/x.c && check_lengths tree &&
	echo >>tree/sim/x.c && test_must_fail check_lengths tree &&
	tree && repeat 251 "" >tree/sim/y.h &&
	test_must_fail check_lengths tree
'
test_expect_success 'planted faults are found: function length' '
	tree &&
	{ echo "{"; repeat 78 "	x;"; echo "}"; } >>tree/sim/x.c &&
	check_functions tree &&
	{ echo "{"; repeat 79 "	x;"; echo "}"; } >>tree/sim/x.c &&
	test_must_fail check_functions tree
'
test_expect_success 'planted faults are found: blanks' '
	tree && echo "int x; " >>tree/sim/x.c &&
	test_must_fail check_blanks tree
'

test_done
