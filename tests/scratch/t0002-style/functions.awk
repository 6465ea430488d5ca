FNR == 1 { start = 0 }
/^\{/ { start = FNR }
/^\}/ {
	if (start && FNR - start + 1 > max) {
		printf "%s:%d: a function of %d lines\n", FILENAME, start,
			FNR - start + 1
		bad = 1
	}
	start = 0
}
END { exit bad }
