# The runner. libgpu.a: everything but main(), for the unit tests.
noinst_LIBRARIES += libgpu.a
libgpu_a_SOURCES =
libgpu_a_SOURCES += %D%/backend.h
libgpu_a_SOURCES += %D%/work.c %D%/work.h %D%/fill.h
libgpu_a_SOURCES += %D%/ref_exchange.c %D%/ref_layer.c %D%/ref.h
