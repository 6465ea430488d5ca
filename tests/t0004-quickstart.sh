# SPDX-License-Identifier: GPL-3.0-or-later
# quickstart's part before the build, on a machine made of stand-ins that
# lack everything: nothing is installed here.
. "${srcdir:-.}/tests/test-lib.sh"

stub() {	# stub NAME: a command whose body is on stdin
	{ echo "#!/bin/sh" && cat; } >"bin/$1" && chmod +x "bin/$1"
}

mkdir bin
stub dpkg-query <<'END'
exit 1
END
stub pkg-config <<'END'
exit 1
END
stub apt-get <<'END'
echo "apt-get $*" >>"$HOME/calls"
echo "frontend $DEBIAN_FRONTEND" >>"$HOME/calls"
END
stub sudo <<'END'
echo sudo >>"$HOME/calls"
exec "$@"
END
stub id <<'END'
echo "${FAKE_UID:-0}"
END

quickstart() {
	PATH=$PWD/bin:$PATH sh "$srcdir/quickstart" "$@" >out 2>err
}

test_expect_success '--help' '
	quickstart --help && test_grep "no-install" out && test ! -e calls
'

test_expect_success 'an unknown argument' '
	test_must_fail quickstart chekc && test_grep "chekc" err
'

test_expect_success '--no-install lists what is missing, and only that' '
	test_must_fail quickstart --no-install check &&
	test_grep "missing packages:.*libyaml-dev" out &&
	test_grep "libgsl-dev" out &&
	test ! -e calls
'

test_expect_success 'root: says what it installs, then calls apt' '
	rm -f calls &&
	test_must_fail quickstart &&
	test_grep "Installing with apt:.*libyaml-dev.*libjansson-dev" out &&
	test_grep "apt-get.* update" calls &&
	test_grep "apt-get.* install .*libyaml-dev" calls &&
	test_grep "frontend noninteractive" calls &&
	! grep sudo calls &&
	test_grep "still missing" err
'

test_expect_success 'a user: through sudo' '
	rm -f calls &&
	FAKE_UID=1000 && export FAKE_UID &&
	test_must_fail quickstart && test_grep sudo calls
'

test_expect_success 'apt fails: says so' '
	echo "exit 100" | stub apt-get &&
	test_must_fail quickstart &&
	test_grep "could not install: .*libgsl-dev" err
'

test_done
