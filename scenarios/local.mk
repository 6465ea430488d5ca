noinst_LIBRARIES += libscenarios.a
libscenarios_a_SOURCES =
libscenarios_a_SOURCES += %D%/scenario.h
libscenarios_a_SOURCES += %D%/keys.c %D%/keys.h
libscenarios_a_SOURCES += %D%/technique.c %D%/technique.h
libscenarios_a_SOURCES += %D%/plan.c %D%/plan.h
libscenarios_a_SOURCES += %D%/program.c %D%/program.h
