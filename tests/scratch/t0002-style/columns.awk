BEGIN { for (i = 128; i < 192; i++) later = later sprintf("%c", i) }
length($0) > max / 8 {
	n = 0
	for (i = 1; i <= length($0); i++) {
		c = substr($0, i, 1)
		if (c == "\t")
			n += 8 - n % 8
		else if (c < "\200" || index(later, c) == 0)
			n++
	}
	if (n > max) {
		printf "%s:%d: %d columns\n", FILENAME, FNR, n
		bad = 1
	}
}
END { exit bad }
