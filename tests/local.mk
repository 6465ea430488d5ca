TEST_EXTENSIONS = .sh
TAP = env AM_TAP_AWK='$(AWK)' CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C \
	srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' \
	MAKE='$(MAKE)' AWK='$(AWK)' \
	$(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP)
LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/unit-tap.sh
SH_LOG_DRIVER = $(TAP)
SH_LOG_COMPILER = $(SHELL)
UNIT_LIBS = libreports.a libsim.a libprofiles.a libscenarios.a libbase.a \
	$(YAML_LIBS) $(JANSSON_LIBS) $(EXPAT_LIBS) $(GSL_LIBS) \
	$(SQLITE_LIBS) $(CMOCKA_LIBS) -lm
unit_tests =
if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
shell_tests =
TESTS += $(shell_tests)
EXTRA_DIST += $(shell_tests) %D%/test-lib.sh %D%/unit-tap.sh

# one block per unit test:
# unit_tests += tests/unit/test_x
# tests_unit_test_x_SOURCES = %D%/unit/test_x.c
# tests_unit_test_x_LDADD = $(UNIT_LIBS)
# one line per shell test (tests/test-lib.sh says how they look):
# shell_tests += %D%/t1234-topic.sh

shell_tests += %D%/t0000-layers.sh
shell_tests += %D%/t0001-dist.sh
shell_tests += %D%/t0002-style.sh
shell_tests += %D%/t0003-configure.sh
shell_tests += %D%/t0004-quickstart.sh
shell_tests += %D%/t1000-help.sh

unit_tests += tests/unit/test_units
tests_unit_test_units_SOURCES = %D%/unit/test_units.c
tests_unit_test_units_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_curve
tests_unit_test_curve_SOURCES = %D%/unit/test_curve.c
tests_unit_test_curve_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_outfile
tests_unit_test_outfile_SOURCES = %D%/unit/test_outfile.c
tests_unit_test_outfile_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_nearest
tests_unit_test_nearest_SOURCES = %D%/unit/test_nearest.c
tests_unit_test_nearest_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_hf_config
tests_unit_test_hf_config_SOURCES = %D%/unit/test_hf_config.c
tests_unit_test_hf_config_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_search
tests_unit_test_search_SOURCES = %D%/unit/test_search.c
tests_unit_test_search_LDADD = $(UNIT_LIBS)
EXTRA_DIST += %D%/unit/route_help.h
unit_tests += tests/unit/test_route
tests_unit_test_route_SOURCES = %D%/unit/test_route.c
tests_unit_test_route_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_capacity
tests_unit_test_capacity_SOURCES = %D%/unit/test_capacity.c
tests_unit_test_capacity_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_workload
tests_unit_test_workload_SOURCES = %D%/unit/test_workload.c
tests_unit_test_workload_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_route_file
tests_unit_test_route_file_SOURCES = %D%/unit/test_route_file.c
tests_unit_test_route_file_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_plan
tests_unit_test_plan_SOURCES = %D%/unit/test_plan.c
tests_unit_test_plan_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_program
tests_unit_test_program_SOURCES = %D%/unit/test_program.c
tests_unit_test_program_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_exec
tests_unit_test_exec_SOURCES = %D%/unit/test_exec.c %D%/unit/exec_stub.h
tests_unit_test_exec_LDADD = $(UNIT_LIBS)

shell_tests += %D%/t120-model.sh
unit_tests += tests/unit/test_data
tests_unit_test_data_SOURCES = %D%/unit/test_data.c
tests_unit_test_data_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_coll
tests_unit_test_coll_SOURCES = %D%/unit/test_coll.c %D%/unit/coll_bench.h
tests_unit_test_coll_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_coll_direct
tests_unit_test_coll_direct_SOURCES = %D%/unit/test_coll_direct.c
tests_unit_test_coll_direct_SOURCES += %D%/unit/coll_bench.h
tests_unit_test_coll_direct_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_link_rows
tests_unit_test_link_rows_SOURCES = %D%/unit/test_link_rows.c
tests_unit_test_link_rows_SOURCES += %D%/unit/coll_bench.h
tests_unit_test_link_rows_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_coll_mirror
tests_unit_test_coll_mirror_SOURCES = %D%/unit/test_coll_mirror.c
tests_unit_test_coll_mirror_SOURCES += %D%/unit/coll_bench.h
tests_unit_test_coll_mirror_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_coll_least
tests_unit_test_coll_least_SOURCES = %D%/unit/test_coll_least.c
tests_unit_test_coll_least_SOURCES += %D%/unit/coll_bench.h
tests_unit_test_coll_least_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_coll_even
tests_unit_test_coll_even_SOURCES = %D%/unit/test_coll_even.c
tests_unit_test_coll_even_SOURCES += %D%/unit/coll_bench.h
tests_unit_test_coll_even_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_fair
tests_unit_test_fair_SOURCES = %D%/unit/test_fair.c
tests_unit_test_fair_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_evq
tests_unit_test_evq_SOURCES = %D%/unit/test_evq.c
tests_unit_test_evq_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_net
tests_unit_test_net_SOURCES = %D%/unit/test_net.c
tests_unit_test_net_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_table
tests_unit_test_table_SOURCES = %D%/unit/test_table.c
tests_unit_test_table_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_trace
tests_unit_test_trace_SOURCES = %D%/unit/test_trace.c
tests_unit_test_trace_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_plan_text
tests_unit_test_plan_text_SOURCES = %D%/unit/test_plan_text.c \
	%D%/unit/report_fixture.c %D%/unit/report_fixture.h
tests_unit_test_plan_text_LDADD = $(UNIT_LIBS)
EXTRA_DIST += %D%/golden/plan.txt %D%/golden/plan-explain.txt

shell_tests += %D%/t200-alltoall.sh
shell_tests += %D%/t201-alltoall-h200.sh
shell_tests += %D%/t202-alltoall-deepep.sh
shell_tests += %D%/t203-ring-h200.sh
shell_tests += %D%/t204-direct.sh
shell_tests += %D%/t1300-capacity.sh

# `make bench` builds and runs these; one block each:
bench_programs =
EXTRA_PROGRAMS += $(bench_programs)
bench_scripts = $(srcdir)/%D%/bench/bench_sweep.sh
EXTRA_DIST += %D%/bench/bench_sweep.sh
bench: $(bench_programs) moecast
	@for p in $(bench_programs); do echo "== $$p"; ./$$p || exit; done
	@for p in $(bench_scripts); do echo "== $$p"; sh $$p || exit; done
.PHONY: bench
bench_programs += tests/bench/bench_fair
tests_bench_bench_fair_SOURCES = %D%/bench/bench_fair.c
tests_bench_bench_fair_LDADD = $(UNIT_LIBS)

EXTRA_DIST += %D%/unit/scenario_help.h
unit_tests += tests/unit/test_doc
tests_unit_test_doc_SOURCES = %D%/unit/test_doc.c
tests_unit_test_doc_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_keys
tests_unit_test_keys_SOURCES = %D%/unit/test_keys.c
tests_unit_test_keys_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_scenario
tests_unit_test_scenario_SOURCES = %D%/unit/test_scenario.c
tests_unit_test_scenario_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_layout
tests_unit_test_layout_SOURCES = %D%/unit/test_layout.c
tests_unit_test_layout_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_cluster_text
tests_unit_test_cluster_text_SOURCES = %D%/unit/test_cluster_text.c
tests_unit_test_cluster_text_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_scenario
TESTS += tests/fuzz/fuzz_scenario
tests_fuzz_fuzz_scenario_SOURCES = %D%/fuzz/fuzz_scenario.c
tests_fuzz_fuzz_scenario_LDADD = libscenarios.a libbase.a \
	$(YAML_LIBS) $(JANSSON_LIBS) $(EXPAT_LIBS) -lm
unit_tests += tests/unit/test_cost
tests_unit_test_cost_SOURCES = %D%/unit/test_cost.c
tests_unit_test_cost_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_memory
tests_unit_test_memory_SOURCES = %D%/unit/test_memory.c
tests_unit_test_memory_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t140-simulate.sh
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/draw_figures
endif
tests_unit_draw_figures_SOURCES = %D%/unit/draw_figures.c \
	%D%/unit/report_fixture.c %D%/unit/report_fixture.h
tests_unit_draw_figures_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t150-topo.sh
shell_tests += %D%/t151-figures.sh
EXTRA_DIST += %D%/golden/topo-rail.txt %D%/golden/topo-fat.txt
EXTRA_DIST += %D%/golden/topo-faults.txt %D%/golden/topo-faults-figure.txt

shell_tests += %D%/t110-keys.sh
shell_tests += %D%/t111-bad-scenario.sh
unit_tests += tests/unit/test_exec_flows
tests_unit_test_exec_flows_SOURCES = %D%/unit/test_exec_flows.c
tests_unit_test_exec_flows_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t160-plan.sh
shell_tests += %D%/t2000-readme.sh
bench_programs += tests/bench/bench_coll
tests_bench_bench_coll_SOURCES = %D%/bench/bench_coll.c
tests_bench_bench_coll_LDADD = $(UNIT_LIBS)
bench_programs += tests/bench/bench_plan
tests_bench_bench_plan_SOURCES = %D%/bench/bench_plan.c
tests_bench_bench_plan_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_sample
tests_unit_test_sample_SOURCES = %D%/unit/test_sample.c
tests_unit_test_sample_LDADD = $(UNIT_LIBS)
if HAVE_CUDA
unit_tests += tests/unit/test_cuda
unit_tests += tests/unit/test_cuda_layer
unit_tests += tests/unit/test_cuda_kernels
endif
tests_unit_test_cuda_kernels_SOURCES = %D%/unit/test_cuda_kernels.c
tests_unit_test_cuda_kernels_LDADD = libgpu.a libscenarios.a libbase.a \
	$(CMOCKA_LIBS) $(GPU_LIBS)
EXTRA_DIST += %D%/sanitize_gpu.sh
tests_unit_test_cuda_layer_SOURCES = %D%/unit/test_cuda_layer.c
tests_unit_test_cuda_layer_LDADD = libgpu.a libscenarios.a libbase.a \
	$(CMOCKA_LIBS) $(GPU_LIBS)
tests_unit_test_cuda_SOURCES = %D%/unit/test_cuda.c
tests_unit_test_cuda_LDADD = libgpu.a libscenarios.a libbase.a \
	$(CMOCKA_LIBS) $(GPU_LIBS)

store_help = %D%/unit/store_help.c %D%/unit/store_help.h
unit_tests += tests/unit/test_store
tests_unit_test_store_SOURCES = %D%/unit/test_store.c $(store_help)
tests_unit_test_store_LDADD = $(UNIT_LIBS)

EXTRA_DIST += %D%/unit/import_help.h
unit_tests += tests/unit/test_import_nccl
tests_unit_test_import_nccl_SOURCES = %D%/unit/test_import_nccl.c
tests_unit_test_import_nccl_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_import_topo
tests_unit_test_import_topo_SOURCES = %D%/unit/test_import_topo.c
tests_unit_test_import_topo_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t172-import.sh
unit_tests += tests/unit/test_store_file
tests_unit_test_store_file_SOURCES = %D%/unit/test_store_file.c $(store_help)
tests_unit_test_store_file_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_store_kill
tests_unit_test_store_kill_SOURCES = %D%/unit/test_store_kill.c $(store_help)
tests_unit_test_store_kill_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t170-db.sh
shell_tests += %D%/t900-hostile.sh

unit_tests += tests/unit/test_exec_pool
tests_unit_test_exec_pool_SOURCES = %D%/unit/test_exec_pool.c
tests_unit_test_exec_pool_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_coll_ring
tests_unit_test_coll_ring_SOURCES = %D%/unit/test_coll_ring.c
tests_unit_test_coll_ring_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_jsonl
tests_unit_test_jsonl_SOURCES = %D%/unit/test_jsonl.c $(store_help)
tests_unit_test_jsonl_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_exec_meet
tests_unit_test_exec_meet_SOURCES = %D%/unit/test_exec_meet.c
tests_unit_test_exec_meet_SOURCES += %D%/unit/exec_stub.h
tests_unit_test_exec_meet_LDADD = $(UNIT_LIBS)

# for t172-profile-use.sh
check_PROGRAMS += tests/unit/make_profile
tests_unit_make_profile_SOURCES = %D%/unit/make_profile.c
tests_unit_make_profile_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_fit
tests_unit_test_fit_SOURCES = %D%/unit/test_fit.c
tests_unit_test_fit_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_fit_data
tests_unit_test_fit_data_SOURCES = %D%/unit/test_fit_data.c
tests_unit_test_fit_data_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_measured
tests_unit_test_measured_SOURCES = %D%/unit/test_measured.c
tests_unit_test_measured_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_fit_store
tests_unit_test_fit_store_SOURCES = %D%/unit/test_fit_store.c
tests_unit_test_fit_store_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_cost_layer
tests_unit_test_cost_layer_SOURCES = %D%/unit/test_cost_layer.c
tests_unit_test_cost_layer_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_cost_measured
tests_unit_test_cost_measured_SOURCES = %D%/unit/test_cost_measured.c
tests_unit_test_cost_measured_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_cost_calls
tests_unit_test_cost_calls_SOURCES = %D%/unit/test_cost_calls.c
tests_unit_test_cost_calls_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t172-profile-use.sh
shell_tests += %D%/t176-report.sh
unit_tests += tests/unit/test_chart_fit
tests_unit_test_chart_fit_SOURCES = %D%/unit/test_chart_fit.c
tests_unit_test_chart_fit_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_shipped
tests_unit_test_shipped_SOURCES = %D%/unit/test_shipped.c $(store_help)
tests_unit_test_shipped_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t177-shipped.sh
unit_tests += tests/unit/test_runner
tests_unit_test_runner_SOURCES = %D%/unit/test_runner.c
tests_unit_test_runner_LDADD = $(RUN_LIBS)

RUN_LIBS = libgpu.a libscenarios.a libbase.a $(CMOCKA_LIBS) $(GPU_LIBS)
unit_tests += tests/unit/test_job
tests_unit_test_job_SOURCES = %D%/unit/test_job.c
tests_unit_test_job_LDADD = $(RUN_LIBS)
unit_tests += tests/unit/test_adapt
tests_unit_test_adapt_SOURCES = %D%/unit/test_adapt.c
tests_unit_test_adapt_LDADD = $(RUN_LIBS)
unit_tests += tests/unit/test_bench
tests_unit_test_bench_SOURCES = %D%/unit/test_bench.c
tests_unit_test_bench_LDADD = $(RUN_LIBS)
unit_tests += tests/unit/test_host
tests_unit_test_host_SOURCES = %D%/unit/test_host.c
tests_unit_test_host_LDADD = $(RUN_LIBS)
shell_tests += %D%/t174-profile.sh
shell_tests += %D%/t178-layers.sh
shell_tests += %D%/t175-mpi.sh
unit_tests += tests/unit/test_fit_shipped
tests_unit_test_fit_shipped_SOURCES = %D%/unit/test_fit_shipped.c
tests_unit_test_fit_shipped_LDADD = $(UNIT_LIBS)
EXTRA_DIST += %D%/unit/layer_help.h %D%/unit/layer_world.h
unit_tests += tests/unit/test_layer_exchange
tests_unit_test_layer_exchange_SOURCES = %D%/unit/test_layer_exchange.c
tests_unit_test_layer_exchange_LDADD = $(RUN_LIBS)
unit_tests += tests/unit/test_layer_ref
tests_unit_test_layer_ref_SOURCES = %D%/unit/test_layer_ref.c
tests_unit_test_layer_ref_LDADD = $(RUN_LIBS)
unit_tests += tests/unit/test_host_layer
tests_unit_test_host_layer_SOURCES = %D%/unit/test_host_layer.c
tests_unit_test_host_layer_LDADD = $(RUN_LIBS)

# `make bench_gpu`: on the GPUs of this host; needs CUDA and NCCL
if HAVE_CUDA
EXTRA_PROGRAMS += tests/bench/bench_gpu tests/bench/bench_layer
tests_bench_bench_layer_SOURCES = %D%/bench/bench_layer.c
tests_bench_bench_layer_LDADD = libgpu.a libscenarios.a libbase.a $(GPU_LIBS)
bench_gpu_checks = %D%/bench/bench_gpu_rank.c %D%/bench/bench_gpu.h
bench_gpu_checks += %D%/bench/bench_gpu_check.c %D%/bench/bench_gpu_ffn.c
tests_bench_bench_gpu_SOURCES = %D%/bench/bench_gpu.c $(bench_gpu_checks)
tests_bench_bench_gpu_SOURCES += %D%/bench/bench_gpu_layer.c
tests_bench_bench_gpu_SOURCES += %D%/bench/bench_gpu_tune.c
tests_bench_bench_gpu_SOURCES += %D%/bench/bench_gpu_tune.h
tests_bench_bench_gpu_SOURCES += %D%/bench/bench_gpu_product.c
tests_bench_bench_gpu_SOURCES += %D%/bench/bench_gpu_watch.c
tests_bench_bench_gpu_LDADD = libgpu.a libscenarios.a libbase.a $(GPU_LIBS)

unit_tests += tests/unit/test_cuda_direct
endif
tests_unit_test_cuda_direct_SOURCES = %D%/unit/test_cuda_direct.c
tests_unit_test_cuda_direct_SOURCES += $(bench_gpu_checks)
tests_unit_test_cuda_direct_LDADD = libgpu.a libscenarios.a libbase.a \
	$(CMOCKA_LIBS) $(GPU_LIBS)

unit_tests += tests/unit/test_ffn_rows
tests_unit_test_ffn_rows_SOURCES = %D%/unit/test_ffn_rows.c
tests_unit_test_ffn_rows_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_accuracy
tests_unit_test_accuracy_SOURCES = %D%/unit/test_accuracy.c
tests_unit_test_accuracy_LDADD = $(UNIT_LIBS)

unit_tests += tests/unit/test_layer_text
tests_unit_test_layer_text_SOURCES = %D%/unit/test_layer_text.c
tests_unit_test_layer_text_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t210-sweep.sh
shell_tests += %D%/t211-sensitivity.sh
shell_tests += %D%/t180-validate.sh

unit_tests += tests/unit/test_contention
tests_unit_test_contention_SOURCES = %D%/unit/test_contention.c
tests_unit_test_contention_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t181-recorded.sh
unit_tests += tests/unit/test_layer_plan
tests_unit_test_layer_plan_SOURCES = %D%/unit/test_layer_plan.c
tests_unit_test_layer_plan_LDADD = $(RUN_LIBS)
unit_tests += tests/unit/test_layer_case
tests_unit_test_layer_case_SOURCES = %D%/unit/test_layer_case.c
tests_unit_test_layer_case_LDADD = $(RUN_LIBS)
shell_tests += %D%/t192-gpu-faults.sh
unit_tests += tests/unit/test_order
tests_unit_test_order_SOURCES = %D%/unit/test_order.c %D%/unit/exec_stub.h
tests_unit_test_order_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_gradient_slots
tests_unit_test_gradient_slots_SOURCES = %D%/unit/test_gradient_slots.c
tests_unit_test_gradient_slots_SOURCES += %D%/unit/exec_stub.h
tests_unit_test_gradient_slots_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_chain
tests_unit_test_chain_SOURCES = %D%/unit/test_chain.c
tests_unit_test_chain_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_stages
tests_unit_test_stages_SOURCES = %D%/unit/test_stages.c
tests_unit_test_stages_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_gradient
tests_unit_test_gradient_SOURCES = %D%/unit/test_gradient.c
tests_unit_test_gradient_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t190-reproduce.sh
unit_tests += tests/unit/test_tech_lsh
tests_unit_test_tech_lsh_SOURCES = %D%/unit/test_tech_lsh.c
tests_unit_test_tech_lsh_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_tech_condense
tests_unit_test_tech_condense_SOURCES = %D%/unit/test_tech_condense.c
tests_unit_test_tech_condense_LDADD = $(UNIT_LIBS)
bench_programs += tests/bench/bench_tech
tests_bench_bench_tech_SOURCES = %D%/bench/bench_tech.c
tests_bench_bench_tech_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_tech_migrate
tests_unit_test_tech_migrate_SOURCES = %D%/unit/test_tech_migrate.c
tests_unit_test_tech_migrate_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_faults
tests_unit_test_faults_SOURCES = %D%/unit/test_faults.c %D%/unit/coll_bench.h
tests_unit_test_faults_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_jitter
tests_unit_test_jitter_SOURCES = %D%/unit/test_jitter.c
tests_unit_test_jitter_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t212-faults.sh
bench_programs += tests/bench/bench_scale
tests_bench_bench_scale_SOURCES = %D%/bench/bench_scale.c
tests_bench_bench_scale_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t213-share.sh
unit_tests += tests/unit/test_tech_gates
tests_unit_test_tech_gates_SOURCES = %D%/unit/test_tech_gates.c
tests_unit_test_tech_gates_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_tech_locmoe
tests_unit_test_tech_locmoe_SOURCES = %D%/unit/test_tech_locmoe.c
tests_unit_test_tech_locmoe_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_tech_hetu
tests_unit_test_tech_hetu_SOURCES = %D%/unit/test_tech_hetu.c
tests_unit_test_tech_hetu_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t180-compress.sh
unit_tests += tests/unit/test_techniques
tests_unit_test_techniques_SOURCES = %D%/unit/test_techniques.c
tests_unit_test_techniques_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_tech_ops
tests_unit_test_tech_ops_SOURCES = %D%/unit/test_tech_ops.c
tests_unit_test_tech_ops_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_rivals
tests_unit_test_rivals_SOURCES = %D%/unit/test_rivals.c
tests_unit_test_rivals_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_search_block
tests_unit_test_search_block_SOURCES = %D%/unit/test_search_block.c
tests_unit_test_search_block_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_block
tests_unit_test_block_SOURCES = %D%/unit/test_block.c %D%/unit/exec_stub.h
tests_unit_test_block_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_repro_rows
tests_unit_test_repro_rows_SOURCES = %D%/unit/test_repro_rows.c
tests_unit_test_repro_rows_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_repro_run
tests_unit_test_repro_run_SOURCES = %D%/unit/test_repro_run.c
tests_unit_test_repro_run_LDADD = $(UNIT_LIBS)
bench_programs += tests/bench/bench_fsmoe
tests_bench_bench_fsmoe_SOURCES = %D%/bench/bench_fsmoe.c
tests_bench_bench_fsmoe_LDADD = $(UNIT_LIBS)
unit_tests += tests/unit/test_step
tests_unit_test_step_SOURCES = %D%/unit/test_step.c
tests_unit_test_step_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t182-validate-host.sh
shell_tests += %D%/t191-techniques.sh
shell_tests += %D%/t193-rivals.sh
unit_tests += tests/unit/test_chart_heat
tests_unit_test_chart_heat_SOURCES = %D%/unit/test_chart_heat.c
tests_unit_test_chart_heat_LDADD = $(UNIT_LIBS)
shell_tests += %D%/t213-sweep-figures.sh
EXTRA_DIST += %D%/page_drawn.py
bench_programs += tests/bench/bench_scale

unit_tests += tests/unit/test_cost_public
tests_unit_test_cost_public_SOURCES = %D%/unit/test_cost_public.c
tests_unit_test_cost_public_LDADD = $(UNIT_LIBS)
