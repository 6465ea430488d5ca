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
	-lm
moecast_SOURCES += %D%/cmd_import.c
moecast_SOURCES += %D%/cmd_report.c %D%/report_data.c %D%/report_data.h
moecast_SOURCES += %D%/cmd_validate.c %D%/validate.h %D%/validate_layers.c
moecast_SOURCES += %D%/validate_plans.c %D%/validate_run.c
moecast_SOURCES += %D%/validate_replay.c %D%/validate_judge.c
moecast_SOURCES += %D%/validate_print.c %D%/validate_draw.c
