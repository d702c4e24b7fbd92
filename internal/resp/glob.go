package resp

// match tells whether key is what a pattern of Redis's means: * and ?, [a-z],
// [^a], and \ before what is meant as it stands. It takes time in proportion to
// the product of their lengths at most: of several stars only the last is tried
// again.
func match(pattern, key []byte) bool {
	p, k := 0, 0
	star, from := -1, 0
	for k < len(key) {
		if p < len(pattern) && pattern[p] == '*' {
			star, from = p, k
			p++
			continue
		}
		if n, ok := matchOne(pattern[p:], key[k]); ok {
			p += n
			k++
			continue
		}
		if star < 0 {
			return false
		}
		from++
		p, k = star+1, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne tells whether b is what pattern begins with, and how long that is.
func matchOne(pattern []byte, b byte) (int, bool) {
	if len(pattern) == 0 {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		return matchClass(pattern, b)
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == b
		}
	}
	return 1, pattern[0] == b
}

// matchClass is matchOne for a class. One that does not end goes to the end of
// the pattern.
func matchClass(pattern []byte, b byte) (int, bool) {
	i, found := 1, false
	not := i < len(pattern) && pattern[i] == '^'
	if not {
		i++
	}
	for i < len(pattern) && pattern[i] != ']' {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			found = found || pattern[i+1] == b
			i += 2
		case i+2 < len(pattern) && pattern[i+1] == '-':
			lo, hi := min(pattern[i], pattern[i+2]), max(pattern[i], pattern[i+2])
			found = found || lo <= b && b <= hi
			i += 3
		default:
			found = found || pattern[i] == b
			i++
		}
	}
	return min(i+1, len(pattern)), found != not
}
