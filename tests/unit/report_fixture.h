/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A plan report with known numbers, for the tests of its text and figures. */
#ifndef TESTS_UNIT_REPORT_FIXTURE_H
#define TESTS_UNIT_REPORT_FIXTURE_H

#include "reports/plan_text.h"

/* Static storage; the same each time. */
const struct plan_report *report_fixture(void);

#endif
