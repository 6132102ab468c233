package rawjson

// Postgres numeric takes 131072 digits before and 16383 after the decimal point once the exponent is applied.
// Nobody measures anything near that, so the bounds are far inside, where they need no arithmetic.
const (
	maxDigits   = 400
	maxExponent = 1000
)

// number reads a number that begins at i.
func (c *cleaner) number(start int) int {
	src, i := c.src, start
	if src[i] == '-' {
		i++
	}
	first := i
	i = skipDigits(src, i)
	if i == first {
		return c.expected(i, "expected a digit after '-'")
	}
	if src[first] == '0' && i > first+1 {
		return c.fail(first, "a number may not begin with 0")
	}
	digits := i - first
	if i < len(src) && src[i] == '.' {
		fraction := i + 1
		if i = skipDigits(src, fraction); i == fraction {
			return c.expected(i, "expected a digit after '.'")
		}
		digits += i - fraction
	}
	exponent := 0
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		power := i
		if i = skipDigits(src, power); i == power {
			return c.expected(i, "expected a digit in the exponent")
		}
		for _, d := range src[power:i] {
			exponent = min(exponent*10+int(d-'0'), maxExponent+1)
		}
	}
	if digits > maxDigits || exponent > maxExponent {
		return c.replace(start, i, `"`+string(src[start:i])+`"`)
	}
	return i
}

// skipDigits returns the index of the first byte at or after i that is not a digit.
func skipDigits(src []byte, i int) int {
	for i < len(src) && src[i]-'0' <= 9 {
		i++
	}
	return i
}
