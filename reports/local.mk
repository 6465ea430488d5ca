noinst_LIBRARIES += libreports.a
libreports_a_SOURCES =
libreports_a_SOURCES += %D%/table.c %D%/table.h
