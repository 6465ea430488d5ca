/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reports/table.h"
