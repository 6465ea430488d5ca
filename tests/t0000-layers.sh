# SPDX-License-Identifier: GPL-3.0-or-later
# Who may include whom, read off the #include lines; see doc/architecture.md.
# A fault prints FILE:LINE and what is wrong.
. "${srcdir:-.}/tests/test-lib.sh"

AWK=${AWK:-awk}
sources() {
	find "$1"/base "$1"/scenarios "$1"/sim "$1"/profiles "$1"/gpu \
		"$1"/reports "$1"/cli \( -name '*.[ch]' -o -name '*.cu' \) \
		-print | sort
}

# The table. "own": directories that a layer may include besides itself;
# "out": headers of other people, as prefixes; "file": one for a single file;
# libc is below.
cat >layers <<'END'
own base
own scenarios base
own sim base scenarios
own profiles base scenarios
own gpu base scenarios
own reports base scenarios
own cli base scenarios sim profiles reports
out scenarios yaml.h jansson.h expat.h
out sim gsl/
out profiles sqlite3.h gsl/
out gpu argp.h jansson.h cblas.h cuda nccl.h cublas
out gpu math_constants.h
file gpu/mpi_link.c mpi.h
file cli/sweep_mpi.c mpi.h
out reports jansson.h
out cli argp.h jansson.h gsl/gsl_errno.h
END

# ISO C, POSIX and Linux: everyone's
cat >libc <<'END'
assert.h complex.h ctype.h errno.h fenv.h float.h inttypes.h iso646.h limits.h
locale.h math.h setjmp.h signal.h stdalign.h stdarg.h stdatomic.h stdbool.h
stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h time.h
dirent.h fcntl.h fnmatch.h ftw.h glob.h libgen.h poll.h pthread.h regex.h
sched.h spawn.h unistd.h sys/ioctl.h sys/mman.h sys/resource.h sys/select.h
sys/prctl.h sys/socket.h sys/stat.h sys/time.h sys/types.h sys/wait.h
END

cat >layers.awk <<'END'
function fault(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad = 1 }
FILENAME == "layers" {
	if ($1 == "file")
		alone[$2, $3] = 1
	for (i = 3; i <= NF && $1 != "file"; i++) {
		if ($1 == "own")
			own[$2, $i] = 1
		else
			out[$2] = out[$2] " " $i
	}
	if ($1 == "own")
		layer_known[$2] = own[$2, $2] = 1
	next
}
FILENAME == "libc" { for (i = 1; i <= NF; i++) libc[$i] = 1; next }
FNR == 1 {
	n = split(FILENAME, part, "/")
	layer = part[n - 1]
	file = layer "/" part[n]
}
!/^[ \t]*#[ \t]*include/ { next }
/include[ \t]*"/ {
	split($0, q, "\"")
	if (q[2] == "config.h")
		next
	if (split(q[2], part, "/") < 2)
		fault("\"" q[2] "\" must be named by its directory")
	else if (!((layer, part[1]) in own))
		fault(layer "/ must not include " q[2])
	next
}
/include[ \t]*</ {
	header = $0
	sub(/^[^<]*</, "", header)
	sub(/>.*/, "", header)
	ok = header in libc || (file, header) in alone
	n = split(out[layer], allowed, " ")
	for (i = 1; i <= n; i++)
		ok = ok || index(header, allowed[i]) == 1
	if (!ok)
		fault(layer "/ must not include <" header ">")
	next
}
{ fault("an #include that cannot be read") }
END { exit bad }
END

# Only cli/ and the runner's gpu/main.c print to stdout and end the program.
# base/mem.c, out of memory, may _Exit(), and so may what stands between fork
# and exec. Comments and strings are taken out first.
cat >calls.awk <<'END'
function fault(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad = 1 }
FNR == 1 {
	n = split(FILENAME, part, "/")
	layer = part[n - 1]
	file = layer "/" part[n]
	in_comment = 0
}
layer == "cli" || file == "gpu/main.c" { next }
{
	line = $0
	gsub(/\\./, "", line)
	gsub(/"[^"]*"/, "\"\"", line)
	gsub(/\/\*[^*]*\*+([^\/*][^*]*\*+)*\//, "", line)
	if (in_comment) {
		if (!sub(/^.*\*\//, "", line))
			next
		in_comment = 0
	}
	if (sub(/\/\*.*/, "", line))
		in_comment = 1
	line = " " line
}
line ~ /[^A-Za-z0-9_](printf|vprintf|puts|putchar)[ \t]*\(/ ||
line ~ /[^A-Za-z0-9_]stdout[^A-Za-z0-9_]/ {
	fault("only cli/ writes to stdout")
}
line ~ /[^A-Za-z0-9_](exit|quick_exit|abort)[ \t]*\(/ {
	fault("only cli/ ends the program")
}
line ~ /[^A-Za-z0-9_](_exit|_Exit)[ \t]*\(/ &&
file != "base/mem.c" && file != "gpu/pass.c" &&
file != "gpu/team_fork.c" {
	fault("only cli/ ends the program")
}
END { exit bad }
END

check_includes() {
	$AWK -f layers.awk layers libc $(sources "$1")
}

check_calls() {
	$AWK -f calls.awk $(sources "$1")
}

test_expect_success 'every #include keeps to the layers' '
	check_includes "$srcdir"
'

test_expect_success 'only cli prints and exits' '
	check_calls "$srcdir"
'

# Guards that cannot fail guard nothing: one planted fault at a time.
plant() {	# plant FILE LINE: a small tree with one fault in it
	rm -rf tree &&
	mkdir -p tree/base tree/scenarios tree/sim tree/profiles tree/gpu \
		tree/reports tree/cli &&
	echo "int x; /* printf(1) exit(1) */" >tree/base/good.c &&
	echo "#include <stdio.h>" >>tree/base/good.c &&
	echo "#include \"base/x.h\"" >>tree/sim/good.c &&
	check_includes tree && check_calls tree &&
	printf '%s\n' "$2" >"tree/$1"
}

refused_include() {
	plant "$1" "$2" && test_must_fail check_includes tree
}

refused_call() {
	plant "$1" "$2" && test_must_fail check_calls tree
}

test_expect_success 'planted includes are found' '
	refused_include sim/x.c "#include \"reports/table.h\"" &&
	refused_include reports/x.c "#include \"sim/net.h\"" &&
	refused_include base/x.c "#include \"scenarios/keys.h\"" &&
	refused_include scenarios/x.h "# include \"sim/net.h\"" &&
	refused_include sim/x.c "#include <jansson.h>" &&
	refused_include reports/x.c "#include <gsl/gsl_rng.h>" &&
	refused_include base/x.c "#include <yaml.h>" &&
	refused_include sim/x.c "#include <cuda.h>" &&
	refused_include sim/x.c "#include \"profiles/store.h\"" &&
	refused_include profiles/x.c "#include \"sim/net.h\"" &&
	refused_include gpu/x.cu "#include \"profiles/store.h\"" &&
	refused_include cli/x.c "#include \"gpu/job.h\"" &&
	refused_include gpu/x.c "#include <sqlite3.h>" &&
	refused_include profiles/x.c "#include <cuda.h>" &&
	refused_include reports/x.c "#include \"profiles/store.h\"" &&
	refused_include cli/x.c "#include <sqlite3.h>" &&
	refused_include sim/x.c "#include \"net.h\"" &&
	refused_include gpu/x.c "#include <mpi.h>" &&
	refused_include sim/x.c "#include HEADER"
'

test_expect_success 'planted calls are found' '
	refused_call sim/x.c "	printf(\"hello\");" &&
	refused_call gpu/x.c "	printf(\"hello\");" &&
	refused_call gpu/x.c "	_exit(1);" &&
	refused_call reports/x.c "	fputs(text, stdout);" &&
	refused_call base/x.c "	exit(1);" &&
	refused_call base/x.c "	_Exit(1);" &&
	refused_call scenarios/x.c "	/* why */ abort();" &&
	refused_call sim/x.c "	puts(\"*/\"); /* exit( */"
'

test_done
