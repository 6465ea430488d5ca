# The runner's cuda backend, part of libgpu.a when configure found CUDA and
# NCCL. Programs that link libgpu.a take $(CUDA_LIBS) too (-lstdc++ in it:
# what nvcc writes around kernels wants it).
if HAVE_CUDA
libgpu_a_SOURCES += %D%/cuda.h %D%/cuda_backend.c %D%/cuda_run.c
libgpu_a_SOURCES += %D%/cuda_device.c %D%/cuda_comm.c %D%/cuda_exchange.c
libgpu_a_SOURCES += %D%/cuda_prepare.c %D%/cuda_turn.c %D%/cuda_calls.c
libgpu_a_SOURCES += %D%/cuda_gemm.c %D%/cuda_gemm.h \
	%D%/cuda_gemm_lt.c %D%/cuda_kernels.c
libgpu_a_SOURCES += %D%/k.h %D%/k_common.h
libgpu_a_SOURCES += %D%/k_fill.cu %D%/k_check.cu %D%/k_topk.cu
libgpu_a_SOURCES += %D%/k_sort.cu %D%/k_rows.cu
libgpu_a_SOURCES += %D%/k_elem.h %D%/k_layer.h
libgpu_a_SOURCES += %D%/k_layer_rows.cu %D%/k_layer_gate.cu
libgpu_a_SOURCES += %D%/cuda_layer.c %D%/cuda_layer_memory.c %D%/cuda_layer.h
libgpu_a_SOURCES += %D%/cuda_layer_comm.c %D%/cuda_layer_gate.c
libgpu_a_SOURCES += %D%/cuda_layer_pass.c %D%/cuda_layer_exchange.c
libgpu_a_SOURCES += %D%/cuda_layer_exchange.h
libgpu_a_SOURCES += %D%/cuda_layer_ops.c %D%/cuda_layer_run.c
libgpu_a_SOURCES += %D%/cuda_layer_direct.c
libgpu_a_SOURCES += %D%/cuda_layer_trace.c
libgpu_a_SOURCES += %D%/cuda_fault.c
libgpu_a_SOURCES += %D%/cuda_layer_part.c %D%/cuda_layer_check.c
libgpu_a_SOURCES += %D%/cuda_ffn.c %D%/cuda_ffn_product.c
libgpu_a_SOURCES += %D%/cuda_ffn_tune.c %D%/cuda_ffn.h
libgpu_a_SOURCES += %D%/cuda_ffn_int.h %D%/ffn_rows.h
libgpu_a_SOURCES += %D%/k_ffn.cu %D%/k_ffn.h
libgpu_a_SOURCES += %D%/cuda_direct.c %D%/cuda_direct.h
libgpu_a_SOURCES += %D%/cuda_direct_sums.c
libgpu_a_SOURCES += %D%/cuda_direct_bench.c %D%/cuda_direct_int.h
libgpu_a_SOURCES += %D%/cuda_direct_alltoall.c %D%/cuda_direct_alltoall.h
libgpu_a_SOURCES += %D%/cuda_direct_cells.c %D%/cuda_direct_cells.h
libgpu_a_SOURCES += %D%/k_direct.cu %D%/k_direct_rows.cu %D%/k_direct_copy.cu
libgpu_a_SOURCES += %D%/k_direct_cells.cu %D%/k_direct_sums.cu
libgpu_a_SOURCES += %D%/k_direct.h %D%/k_direct_common.h
endif
SUFFIXES += .cu
nvcc_verbose = $(nvcc_verbose_@AM_V@)
nvcc_verbose_ = $(nvcc_verbose_@AM_DEFAULT_V@)
nvcc_verbose_0 = @echo "  NVCC    " $@;
nvcc_verbose_1 =
.cu.o:
	$(nvcc_verbose)$(MKDIR_P) $(@D) && $(NVCC) $(CUDA_GENCODE) \
		$(NVCC_HOSTFLAGS) $(NVCCFLAGS) -I$(top_srcdir) \
		-MD -MP -MF $@.d -c -o $@ $<
-include %D%/*.o.d
CLEANFILES += %D%/*.o.d
