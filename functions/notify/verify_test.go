package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/alert"
)

// verify checks the signature of a webhook, as docs/alerting.md shows it. A test compares the two.
func verify(header, secret string, body []byte, now time.Time) error {
	var at string
	var signatures []string
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "t":
			at = value
		case "v1":
			signatures = append(signatures, value)
		}
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return errors.New("the signature is too old")
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	for _, s := range signatures {
		if got, err := hex.DecodeString(s); err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New("the signature is not of this secret")
}

// secretsOf returns the secrets of a webhook whose signing secret was replaced just now.
func secretsOf(former, signing string) alert.ChannelSecrets {
	return alert.ChannelSecrets{Signing: signing, Former: former, FormerUntil: time.Now().Add(time.Hour)}
}
