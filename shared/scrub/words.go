package scrub

// wordClass is what a word of a key says about its value.
type wordClass uint8

const (
	noWord    wordClass = iota
	strong              // names a secret wherever it stands: password in old_password_2
	strongs             // the same in the plural: a number is a count
	tail                // names a secret at the end of a key only: auth in x-auth, but not in auth_url
	tails               // the same in the plural
	carrier             // may follow a tail: session_id, pin_code
	describes           // at the end it says that the value is about a secret: token_type, password_length
	measures            // at the start it says that a number is a bound: max_token
)

// classOf returns the class of a word in lower case. Words that are written together are listed as such.
func classOf(word []byte) wordClass {
	switch string(word) {
	case "password", "passwd", "pwd", "passphrase", "passcode", "passwort", "secret", "token", "credential",
		"authorization", "cookie", "csrf", "xsrf", "jwt", "ssn", "cvv", "cvc", "iban", "apikey", "authtoken",
		"accesstoken", "accesskey", "secretkey", "privatekey", "clientsecret", "refreshtoken", "idtoken", "bearertoken",
		"sessionid", "sessionkey", "sessiontoken", "sessid", "phpsessid", "jsessionid", "csrftoken", "xsrftoken",
		"csrfmiddlewaretoken", "setcookie", "creditcard", "cardnumber", "ccnumber", "sshkey", "userpassword",
		"dbpassword", "pgpassword", "webhooksecret", "authorisation",
		"authcode", "authkey":
		return strong
	case "passwords", "passwds", "pwds", "passphrases", "secrets", "tokens", "credentials", "creds", "cookies",
		"jwts", "ssns", "ibans", "apikeys", "authtokens", "accesstokens", "accesskeys", "secretkeys", "privatekeys",
		"creditcards", "cardnumbers":
		return strongs
	case "auth", "session", "pin", "bearer", "otp", "totp":
		return tail
	case "sessions":
		return tails
	case "id", "key", "data", "value", "val", "header", "hash", "string", "str", "code", "number", "no":
		return carrier
	case "max", "min", "num", "total", "remaining", "avg":
		return measures
	}
	return describing(word)
}

// describing returns describes for the words that follow the name of a secret without giving it away.
func describing(word []byte) wordClass {
	switch string(word) {
	case "count", "counts", "length", "len", "size", "type", "types", "name", "names", "expires", "expiry", "expiration",
		"expire", "expired", "ttl", "age", "enabled", "disabled", "required", "valid", "invalid", "validity", "verified",
		"status", "limit", "limits", "used", "usage", "method", "methods", "mode", "scheme", "provider", "version",
		"algorithm", "alg", "policy", "policies", "strength", "attempts", "attempt", "retries", "time", "timeout", "at",
		"date", "duration", "kind", "format", "index", "field", "label", "placeholder", "prefix", "path", "file",
		"filename", "dir", "domain", "url", "uri", "endpoint", "manager", "service", "handler", "factory", "store",
		"class", "error", "errors", "reset", "changed", "updated", "created", "second", "seconds", "ms", "minutes",
		"present", "exists", "missing", "match", "matches", "rotation", "source", "position", "offset", "rate",
		"budget", "cost", "price", "consent", "failure", "failed", "failures", "exempt", "hint", "per", "bucket":
		return describes
	}
	return noWord
}

// isPhrase reports whether two words in lower case that follow each other name a secret.
func isPhrase(before, word []byte) bool {
	first := string(before)
	switch string(word) {
	case "key", "keys":
		switch first {
		case "api", "access", "private", "secret", "signing", "encryption", "decryption", "master", "account", "ssh",
			"pgp", "gpg", "service", "auth", "mesher", "storage", "shared", "client", "app", "deploy", "license", "aes",
			"rsa", "hmac", "write":
			return true
		}
	case "pass", "pw":
		switch first {
		case "db", "database", "user", "smtp", "mysql", "postgres", "pg", "redis", "admin", "root", "ftp", "mail", "proxy":
			return true
		}
	case "card", "cards":
		return first == "credit" || first == "debit"
	case "number", "num", "no", "nr":
		return first == "card" || first == "cc"
	case "word", "phrase":
		return first == "pass"
	case "code":
		return first == "pass" || first == "security"
	case "security":
		return first == "social"
	case "string":
		return first == "connection" || first == "conn"
	case "account":
		return first == "bank"
	case "signature":
		return first == "amz"
	}
	return false
}
