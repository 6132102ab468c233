package scrub_test

import (
	"testing"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
	"github.com/mesherhq/mesher/shared/scrub"
)

// scrubber returns a scrubber for rules.
func scrubber(t testing.TB, rules scrub.Rules) *scrub.Scrubber {
	t.Helper()
	p, err := scrub.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return p.NewScrubber()
}

// TestKeys asks each key whether a text under it is scrubbed, as a member, in a pair, and beside a name.
func TestKeys(t *testing.T) {
	t.Parallel()
	s := scrubber(t, scrub.DefaultRules())
	for want, keys := range map[string][]string{scrub.Filtered: secretKeys, "v": innocentKeys} {
		for _, key := range keys {
			name := string(rawjson.AppendString(nil, key))
			for _, form := range [...]struct{ before, after string }{
				{`{` + name + `:`, `}`},
				{`{"a":[[` + name + `,`, `],["b",1]]}`},
				{`{"a":{"name":` + name + `,"value":`, `}}`},
			} {
				in := form.before + `"v"` + form.after
				e := event.Event{Extra: []byte(in), Tags: []byte("{}")}
				s.Scrub(&e)
				if got, want := string(e.Extra), form.before+`"`+want+`"`+form.after; got != want {
					t.Errorf("%s became %s", in, got)
				}
				if (e.Meta != nil) != (want == scrub.Filtered) {
					t.Errorf("meta %s of %s", e.Meta, in)
				}
			}
		}
	}
}

var secretKeys = []string{
	"password", "PASSWORD", "Password", "passwd", "pwd", "userPassword", "user_password", "user-password", "user.password",
	"password2", "old_password", "newPassword", "password_confirmation", "passwordHash", "hashed_password", "db_password",
	"dbPass", "DB_PASS", "MYSQL_PWD", "smtp_pass", "pass_word", "passphrase", "pass-phrase", "passcode", "secret", "Secrets",
	"client_secret", "clientSecret", "CLIENT-SECRET", "secret_id", "secretKey", "AWS_SECRET_ACCESS_KEY", "token", "tokens",
	"accessToken", "access_token", "refresh_token", "refreshToken", "id_token", "idToken", "csrf_token", "csrfmiddlewaretoken",
	"X-CSRF-Token", "XSRF-TOKEN", "xsrf", "csrf", "_csrf", "token2", "oauth2_token", "OAuthToken", "api_key", "apikey", "apiKey",
	"api-key", "APIKEY", "APIKey", "API_KEY", "x-api-key", "X-Api-Key", "x-mesher-key", "X-Mesher-Key", "x-sentry-auth",
	"X-Sentry-Auth", "authorization", "Authorization", "Proxy-Authorization", "HTTP_AUTHORIZATION", "auth", "basic_auth", "authKey",
	"auth_token", "authcode", "auth_code", "cookie", "cookies", "Cookie", "set-cookie", "Set-Cookie", "setCookie", "HTTP_COOKIE",
	"session", "sessionid", "session_id", "sessionId", "SESSION", "JSESSIONID", "PHPSESSID", "user_session", "session-key",
	"credentials", "Credential", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Security-Token", "creds", "private_key", "privateKey",
	"PRIVATE-KEY", "access_key", "accessKeyId", "secret_access_key", "signing_key", "encryptionKey", "jwt", "JWT", "jwtToken",
	"bearer", "bearer_token", "pin", "PIN", "user_pin", "pinCode", "pin_number", "ssn", "SSN", "user_ssn", "social_security_number",
	"credit_card", "creditCard", "creditcard", "credit_card_number", "card_number", "cardNumber", "card-no", "ccNumber", "cc_num",
	"cvv", "CVV2", "cvc", "security_code", "iban", "IBAN", "user_iban", "bank_account", "otp", "connection_string", "connString",
	"user[password]", "user%5Bpassword%5D", "$password", "password ", "APP_KEY", "auth_data",
}

var innocentKeys = []string{
	"author", "authors", "Author", "authority", "authored", "authenticated", "tokenizer", "tokenize", "tokenized", "detokenizer",
	"secretary", "secretariat", "passenger", "passengers", "pass", "passed", "passing", "bypass", "compass", "password_length",
	"passwordReset", "password_changed_at", "password_reset_url", "has_password_policy", "session_count", "sessionCount",
	"session_duration", "session_start", "session_timeout", "session_manager", "pinned", "pinning", "ping", "pinterest", "spin",
	"pins_total", "opinion", "shipping", "token_type", "tokenType", "token_count", "max_tokens_limit", "token_expires_at",
	"token_url", "auth_url", "authUrl", "auth_method", "auth_type", "auth_provider", "auth_service", "is_authenticated",
	"cookie_consent", "cookie_name", "cookies_enabled", "cookiecutter", "api_version", "api", "apis", "key", "keys", "keyboard",
	"primary_key", "foreign_key", "public_key", "cache_key", "keyword", "monkey", "access", "access_level", "accessed", "private",
	"client", "client_id", "user", "username", "user_id", "email_count", "card", "cards", "card_type", "cardinality", "discard",
	"number", "order_number", "phone", "credit", "credits", "credit_limit", "credit_card_type", "security", "code", "error_code",
	"status_code", "zip_code", "jwt_algorithm", "secret_name", "secretName", "credentials_file", "private_key_path", "sid", "ssnake",
	"cvvx", "ibanez", "csrf_failure", "path", "name", "title", "id", "trace_id", "span_id", "request_id", "signature", "sig", "hash",
	"cipher", "encryption", "bearings", "bearer_count", "database", "connection", "connections", "string", "wordpass", "basic", "digest",
	"", "…", "日本", "a_very_long_key_that_goes_on_and_on_and_on_without_an_end",
}

func TestValuesOfSecretKeys(t *testing.T) {
	t.Parallel()
	s := scrubber(t, scrub.DefaultRules())
	for _, tt := range []struct{ in, want string }{
		{`{"password":12345}`, `{"password":"[Filtered]"}`},
		{`{"password":-1.5e3,"b":2}`, `{"password":"[Filtered]","b":2}`},
		{`{"auth":{"user":"a","deep":[{"x":1}]},"b":2}`, `{"auth":"[Filtered]","b":2}`},
		{`{"cookies":[["a","b"]]}`, `{"cookies":"[Filtered]"}`},
		{`{"password":true,"secret":false,"token":null}`, `{"password":true,"secret":false,"token":null}`},
		{`{"password":"","secret":{},"token":[]}`, `{"password":"","secret":{},"token":[]}`},
		{`{"password":"true","secret":"None"}`, `{"password":"true","secret":"None"}`},
		{`{"tokens":512,"max_token":9,"sessions":"12"}`, `{"tokens":512,"max_token":9,"sessions":"12"}`},
		{`{"tokens":["a"],"max_token":"abc"}`, `{"tokens":"[Filtered]","max_token":"[Filtered]"}`},
		{`{"password":"[Filtered]"}`, `{"password":"[Filtered]"}`},
		{`{"a":{"b":[{"c":{"apiKey":"x","d":1}}]}}`, `{"a":{"b":[{"c":{"apiKey":"[Filtered]","d":1}}]}}`},
		{`{"pass\u00adword":"x"}`, `{"pass\u00adword":"x"}`},
		{`{"fields":["password","email"]}`, `{"fields":["password","email"]}`},
		{`{"headers":[["Accept","a"],["Authorization",["x","y"]]]}`, `{"headers":[["Accept","a"],["Authorization","[Filtered]"]]}`},
		{`{"value":"S","name":"Authorization"}`, `{"value":"[Filtered]","name":"Authorization"}`},
		{`{"Name":"Authorization","Value":"S"}`, `{"Name":"Authorization","Value":"[Filtered]"}`},
		{`{"key":"Authorization","val":["S"]}`, `{"key":"Authorization","val":"[Filtered]"}`},
		{`{"field":"password","value":"S"}`, `{"field":"password","value":"[Filtered]"}`},
		{`{"VAL":"S","a":{"name":"x"},"HEADER":"Cookie"}`, `{"VAL":"[Filtered]","a":{"name":"x"},"HEADER":"Cookie"}`},
		{`{"value":"S","a":{"name":"Cookie"},"name":"x"}`, `{"value":"S","a":{"name":"Cookie"},"name":"x"}`},
		{`{"headers":[["Authorization","a","b"]]}`, `{"headers":[["Authorization","a","b"]]}`},
		{`{"q":{"key":"token","value":7}}`, `{"q":{"key":"token","value":"[Filtered]"}}`},
	} {
		e := event.Event{Extra: []byte(tt.in)}
		s.Scrub(&e)
		if got := string(e.Extra); got != tt.want {
			t.Errorf("%s became %s, want %s", tt.in, got, tt.want)
		}
	}
}
