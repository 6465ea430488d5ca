TEST_EXTENSIONS = .sh
TAP = env AM_TAP_AWK='$(AWK)' CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C \
	srcdir='$(srcdir)' top_builddir='$(abs_top_builddir)' \
	$(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP)
SH_LOG_DRIVER = $(TAP)
SH_LOG_COMPILER = $(SHELL)
UNIT_LIBS = libreports.a libsim.a libscenarios.a libbase.a \
	$(YAML_LIBS) $(JANSSON_LIBS) $(GSL_LIBS) $(CMOCKA_LIBS) -lm
unit_tests =
if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
# one block per unit test:
# unit_tests += tests/unit/test_x
# tests_unit_test_x_SOURCES = %D%/unit/test_x.c
# tests_unit_test_x_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_fair
tests_unit_test_fair_SOURCES = %D%/unit/test_fair.c
tests_unit_test_fair_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_symmetry
tests_unit_test_symmetry_SOURCES = %D%/unit/test_symmetry.c
tests_unit_test_symmetry_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_evq
tests_unit_test_evq_SOURCES = %D%/unit/test_evq.c
tests_unit_test_evq_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_net
tests_unit_test_net_SOURCES = %D%/unit/test_net.c
tests_unit_test_net_LDADD = $(UNIT_LIBS)
# make bench: how fast the simulator's parts are (not run by make check)
check_PROGRAMS += tests/bench/bench_fair
tests_bench_bench_fair_SOURCES = %D%/bench/bench_fair.c
tests_bench_bench_fair_LDADD = libsim.a libscenarios.a libbase.a \
	$(GSL_LIBS) -lm
.PHONY: bench
bench: tests/bench/bench_fair
	tests/bench/bench_fair
