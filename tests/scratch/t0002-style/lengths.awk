function check() {
	if (name == "")
		return
	limit = name ~ /\.h$/ ? header_max : source_max
	if (lines > limit) {
		printf "%s: %d lines\n", name, lines
		bad = 1
	}
}
FNR == 1 { check(); name = FILENAME }
{ lines = FNR }
END { check(); exit bad }
