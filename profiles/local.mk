noinst_LIBRARIES += libprofiles.a
libprofiles_a_SOURCES =
libprofiles_a_SOURCES += %D%/store.c %D%/store.h
libprofiles_a_SOURCES += %D%/store_open.c %D%/store_sql.c %D%/store_sql.h
libprofiles_a_SOURCES += %D%/store_schema.c %D%/store_row.c
libprofiles_a_SOURCES += %D%/store_check.c
libprofiles_a_SOURCES += %D%/jsonl.c %D%/jsonl.h
