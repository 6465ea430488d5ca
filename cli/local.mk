bin_PROGRAMS += moecast
moecast_SOURCES =
moecast_SOURCES += %D%/main.c %D%/cli.c %D%/cli.h
moecast_SOURCES += %D%/cmd_plan.c
moecast_SOURCES += %D%/cmd_simulate.c
moecast_SOURCES += %D%/cmd_alltoall.c %D%/alltoall_matrix.c
moecast_SOURCES += %D%/alltoall.h %D%/matrix.c %D%/matrix.h
moecast_SOURCES += %D%/cmd_model.c
moecast_SOURCES += %D%/cmd_topo.c
moecast_SOURCES += %D%/cmd_capacity.c
moecast_SOURCES += %D%/cmd_keys.c
moecast_SOURCES += %D%/cmd_db.c
moecast_SOURCES += %D%/fill.c %D%/fill.h
moecast_SOURCES += %D%/profile_use.c %D%/profile_use.h
moecast_SOURCES += %D%/runner.c %D%/runner.h
moecast_SOURCES += %D%/cmd_profile.c %D%/child.c %D%/child.h
moecast_LDADD = libreports.a libsim.a libprofiles.a libscenarios.a libbase.a \
	$(YAML_LIBS) $(JANSSON_LIBS) $(EXPAT_LIBS) $(GSL_LIBS) $(SQLITE_LIBS) \
	$(MPI_LIBS) -lm
moecast_SOURCES += %D%/cmd_import.c
moecast_SOURCES += %D%/cmd_report.c %D%/report_data.c %D%/report_data.h
moecast_SOURCES += %D%/cmd_validate.c %D%/validate.h %D%/validate_layers.c
moecast_SOURCES += %D%/validate_plans.c %D%/validate_run.c
moecast_SOURCES += %D%/validate_replay.c %D%/validate_judge.c
moecast_SOURCES += %D%/validate_print.c %D%/validate_draw.c
moecast_SOURCES += %D%/cmd_sweep.c %D%/sweep.h %D%/sweep_out.c
moecast_SOURCES += %D%/sweep_grid.c %D%/sweep_grid.h %D%/sweep_mpi.c
moecast_SOURCES += %D%/sweep_point.c %D%/sweep_point.h
moecast_SOURCES += %D%/sweep_pool.c %D%/sweep_pool.h
moecast_SOURCES += %D%/cmd_sensitivity.c
moecast_SOURCES += %D%/cmd_reproduce.c
moecast_SOURCES += %D%/cmd_compress.c
moecast_SOURCES += %D%/report_layers.c %D%/report_layers.h
moecast_SOURCES += %D%/reproduce_hetu.c %D%/reproduce.h
moecast_SOURCES += %D%/jitter_jobs.c %D%/jitter_jobs.h
moecast_SOURCES += %D%/sweep_view.c %D%/sweep_view.h
moecast_SOURCES += %D%/sweep_figures.h %D%/sweep_draw.c
moecast_SOURCES += %D%/sweep_base.c %D%/sweep_page.c
moecast_SOURCES += %D%/sweep_next.c %D%/sweep_next.h %D%/sweep_tables.c
moecast_SOURCES += %D%/sweep_text.c
moecast_SOURCES += %D%/report_sweeps.c %D%/report_sweeps.h
moecast_SOURCES += %D%/cmd_share.c
moecast_SOURCES += \
	%D%/report_fits.c %D%/report_fits.h %D%/report_figures.c %D%/report_figures.h \
	%D%/report_products.c %D%/report_products.h
