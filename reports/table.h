/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef REPORTS_TABLE_H
#define REPORTS_TABLE_H
#endif
