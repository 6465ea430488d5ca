noinst_LIBRARIES += libprofiles.a
libprofiles_a_SOURCES =
libprofiles_a_SOURCES += %D%/store.c %D%/store.h
libprofiles_a_SOURCES += %D%/store_open.c %D%/store_sql.c %D%/store_sql.h
libprofiles_a_SOURCES += %D%/store_schema.c %D%/store_row.c
libprofiles_a_SOURCES += %D%/store_check.c
libprofiles_a_SOURCES += %D%/store_sweep.c %D%/store_sweep.h
libprofiles_a_SOURCES += %D%/jsonl.c %D%/jsonl.h
libprofiles_a_SOURCES += %D%/import.c %D%/import.h %D%/import_store.c
libprofiles_a_SOURCES += %D%/import_nccl.c %D%/nccl_log.c %D%/nccl_log.h
libprofiles_a_SOURCES += %D%/import_csv.c
libprofiles_a_SOURCES += %D%/import_topo_xml.c %D%/import_smi.c
libprofiles_a_SOURCES += %D%/import_model.c
libprofiles_a_SOURCES += %D%/fit.c %D%/fit.h %D%/fit_data.c
libprofiles_a_SOURCES += %D%/fit_model.c %D%/fit_model.h
libprofiles_a_SOURCES += %D%/fit_breaks.c %D%/fit_breaks.h
libprofiles_a_SOURCES += %D%/fit_lsq.c %D%/fit_lsq.h
libprofiles_a_SOURCES += %D%/fit_groups.c %D%/fit_groups.h
libprofiles_a_SOURCES += %D%/fit_store.c
libprofiles_a_SOURCES += %D%/contention.c %D%/contention.h

# The fits that ship, from the samples that ship.
shipped-fits: moecast$(EXEEXT)
	rm -f shipped-fits.db
	./moecast db shipped-fits.db \
		--load $(srcdir)/profiles/data/h200-x2.jsonl \
		--fits $(srcdir)/scenarios/data/profiles/h200-x2.fit.json
	rm -f shipped-fits.db
.PHONY: shipped-fits

# Measurements that ship, as moecast-run wrote them.
shippeddir = $(pkgdatadir)/profiles
dist_shipped_DATA = %D%/data/h200-x2.jsonl %D%/data/h200-x2.layers
dist_shipped_DATA += %D%/data/h200-x2-layers.jsonl
