function check() {
	if (name != "" && !seen) {
		print name ": no SPDX-License-Identifier in the first 3 lines"
		bad = 1
	}
}
FNR == 1 { check(); name = FILENAME; seen = 0 }
FNR <= 3 && /SPDX-License-Identifier: GPL-3.0-or-later/ { seen = 1 }
END { check(); exit bad }
