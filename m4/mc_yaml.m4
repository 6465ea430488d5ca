# SPDX-License-Identifier: GPL-3.0-or-later
# libyaml: scenario and data files, with line and column.
AC_DEFUN([MC_YAML], [
	MC_LIB([YAML], [yaml], [yaml-0.1], [yaml.h], [yaml_parser_parse],
		[-lyaml], [required], [libyaml-dev])
])
