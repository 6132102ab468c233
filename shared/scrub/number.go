package scrub

// number looks at the digits at i, where a word begins, and returns where to go on: after the word, or after a
// match.
func (t *scanner) number(i int) int {
	s := t.text
	digits := i
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	if t.defaults && digits-i >= 3 && !t.continued(i) {
		if t.mode != idText || digits-i != len(s) {
			if end := card(s, i, digits); end > 0 {
				return t.match(i, end, byCard)
			}
		}
		if digits-i == 3 {
			if end := ssn(s, i); end > 0 {
				return t.match(i, end, bySSN)
			}
		}
	}
	if t.ips && !t.continued(i) {
		end := ipv4(s, i)
		if end == 0 {
			end = t.ipv6(i)
		}
		if end > 0 {
			return t.match(i, end, byIP)
		}
	}
	return wordEnd(s, digits)
}

// continued reports whether the digits at i go on from digits before a dash or dot.
func (t *scanner) continued(i int) bool {
	return i-2 >= t.floor && (t.text[i-1] == '-' || t.text[i-1] == '.') && isDigit(t.text[i-2])
}

// continues reports whether what stands at end goes on with the number before it.
func continues(s []byte, end int) bool {
	if end >= len(s) {
		return false
	}
	return isWord(s[end]) || (s[end] == '-' || s[end] == '.') && end+1 < len(s) && isDigit(s[end+1])
}

// card returns the end of a card number at i, or 0. The first digits go to end. Groups are divided by the same
// space or dash throughout, as they are printed on cards: 4-4-4-4, with 3 more for the longest, 4-6-5 and 4-6-4.
func card(s []byte, i, end int) int {
	var number [19]byte
	n := copy(number[:], s[i:min(end, i+len(number))])
	switch first := end - i; {
	case first > len(number):
		return 0
	case first == 4:
		if end >= len(s) || s[end] != ' ' && s[end] != '-' {
			return 0
		}
		end, n = groups(s, end, &number)
	case first < 13:
		return 0
	}
	if n < 13 || continues(s, end) || !isCard(number[:n]) {
		return 0
	}
	return end
}

// groups reads the groups of digits after the first four, which end at i.
func groups(s []byte, i int, number *[19]byte) (end, n int) {
	divider, n := s[i], 4
	var sizes [4]int
	count := 0
	for count < len(sizes) && i < len(s) && s[i] == divider {
		size := 0
		for i+1+size < len(s) && isDigit(s[i+1+size]) && size < 7 {
			size++
		}
		if size < 3 || n+size > len(number) {
			break
		}
		if done := sizes == [4]int{4, 4, 4} && size != 3; done {
			break
		}
		copy(number[n:], s[i+1:i+1+size])
		sizes[count] = size
		n, i, count = n+size, i+1+size, count+1
		if sizes == [4]int{6, 5} || sizes == [4]int{6, 4} {
			break
		}
	}
	switch sizes {
	case [4]int{4, 4, 4}, [4]int{4, 4, 4, 3}, [4]int{6, 5}, [4]int{6, 4}:
		return i, n
	}
	return 0, 0
}

// isCard reports whether digits begin like the cards of a network, are as many, and have the right check digit.
// Times since the epoch begin with 1 until 2033, which no card does.
func isCard(digits []byte) bool {
	head := 0
	for _, d := range digits[:4] {
		head = head*10 + int(d-'0')
	}
	return ofNetwork(head, len(digits)) && luhn(digits)
}

// ofNetwork reports whether cards that begin with the four digits of head have that many.
func ofNetwork(head, length int) bool {
	switch {
	case head/1000 == 4: // Visa
		return length == 13 || length == 16 || length == 19
	case head >= 5100 && head <= 5599, head >= 2221 && head <= 2720: // Mastercard
		return length == 16
	case head/100 == 34, head/100 == 37: // American Express
		return length == 15
	case head >= 3000 && head <= 3059, head/100 == 36, head/100 == 38, head/100 == 39: // Diners Club
		return length == 14
	case head >= 3528 && head <= 3589: // JCB
		return length == 16
	case head == 6011, head >= 6440 && head <= 6599: // Discover
		return length == 16 || length == 19
	case head/100 == 62: // UnionPay
		return length >= 16
	}
	return false
}

// luhn reports whether the last digit checks the others.
func luhn(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		n := int(d - '0')
		if (len(digits)-i)%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// ssn returns the end of a social security number of the United States at i, or 0.
func ssn(s []byte, i int) int {
	const form = "000-00-0000"
	if len(s)-i < len(form) {
		return 0
	}
	for n := range len(form) {
		if form[n] == '0' != isDigit(s[i+n]) || form[n] == '-' && s[i+n] != '-' {
			return 0
		}
	}
	area, group, serial := string(s[i:i+3]), string(s[i+4:i+6]), string(s[i+7:i+11])
	if area == "000" || area == "666" || area[0] == '9' || group == "00" || serial == "0000" || continues(s, i+len(form)) {
		return 0
	}
	return i + len(form)
}
