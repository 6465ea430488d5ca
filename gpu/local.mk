# The runner. libgpu.a: everything but main(), for the unit tests.
noinst_LIBRARIES += libgpu.a
libgpu_a_SOURCES =
libgpu_a_SOURCES += %D%/backend.c %D%/backend.h
libgpu_a_SOURCES += %D%/work.c %D%/work.h %D%/fill.h
libgpu_a_SOURCES += %D%/ref_exchange.c %D%/ref_layer.c %D%/ref.h
libgpu_a_SOURCES += %D%/layer.h %D%/layer_exchange.h %D%/layer_route.h
libgpu_a_SOURCES += %D%/layer_regroup.h %D%/layer_ref.h %D%/layer_math.h
libgpu_a_SOURCES += %D%/layer_ref.c %D%/layer_ref_ffn.c
libgpu_a_SOURCES += %D%/layer_ref_weight.c %D%/layer_check.c
libgpu_a_SOURCES += %D%/layer_ref_int.h
libgpu_a_SOURCES += %D%/layer_exchange.c %D%/layer_exchange_moves.c
libgpu_a_SOURCES += %D%/layer_exchange_int.h %D%/layer_dedup.c
libgpu_a_SOURCES += %D%/layer_route.c %D%/parallel.c %D%/parallel.h
libgpu_a_SOURCES += %D%/layer_plan.c %D%/layer_plan.h %D%/layer_table.c
libgpu_a_SOURCES += %D%/layer_table.h %D%/layer_order.h
libgpu_a_SOURCES += %D%/layer_regroup.c %D%/layer_case.c
libgpu_a_SOURCES += %D%/layer_json.c %D%/layer_json.h
libgpu_a_SOURCES += %D%/layer_dense.c %D%/layer_dense.h
libgpu_a_SOURCES += %D%/job.c %D%/job.h
libgpu_a_SOURCES += %D%/stats.c %D%/stats.h %D%/adapt.c %D%/adapt.h
libgpu_a_SOURCES += %D%/bench.c %D%/bench.h
libgpu_a_SOURCES += %D%/bench_layer.c %D%/bench_layer.h
libgpu_a_SOURCES += %D%/run_layer.c %D%/run_layer.h
libgpu_a_SOURCES += %D%/suite.c %D%/suite_standard.c %D%/suite.h
libgpu_a_SOURCES += %D%/run.c %D%/run.h %D%/pass.c %D%/pass.h
libgpu_a_SOURCES += %D%/watchdog.c %D%/watchdog.h
libgpu_a_SOURCES += %D%/ranks.c %D%/ranks.h
libgpu_a_SOURCES += %D%/team.c %D%/team_fork.c %D%/team.h
libgpu_a_SOURCES += %D%/mpi_link.c %D%/mpi_link.h
libgpu_a_SOURCES += %D%/turn.c %D%/turn.h %D%/host_turn.c
libgpu_a_SOURCES += %D%/host.c %D%/host.h
libgpu_a_SOURCES += %D%/host_exchange.c %D%/host_kernels.c
libgpu_a_SOURCES += %D%/host_layer.c %D%/host_layer.h %D%/host_layer_comm.c
libgpu_a_SOURCES += %D%/host_layer_chunk.c %D%/host_layer_gate.c
libgpu_a_SOURCES += %D%/host_layer_expert.c

bin_PROGRAMS += moecast-run
moecast_run_SOURCES = %D%/main.c
moecast_run_LDADD = libgpu.a libscenarios.a libbase.a
moecast_run_LDADD += $(GPU_LIBS)
GPU_LIBS = $(MPI_LIBS) $(CUDA_LIBS) $(OPENBLAS_LIBS) $(JANSSON_LIBS) -lm -lpthread

include %D%/cuda.mk
