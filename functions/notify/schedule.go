package notify

import (
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/outbox"
)

const (
	// firstWait is the time between the first two tries to deliver a notification. It doubles with each further one, up to
	// waitLongest, give or take a fifth, so that what failed together is not tried again together.
	firstWait   = 15 * time.Second
	waitLongest = time.Hour
	// giveUp is the age at which a mail about an account is given up that cannot be delivered, and giveUpAlert that of what is
	// told of alerts.
	giveUp      = 72 * time.Hour
	giveUpAlert = 24 * time.Hour
)

// pauseAfter returns how long to wait after a try, counted from 1, that failed. A receiver may ask for longer, but for no longer
// than waitLongest.
func pauseAfter(attempt int, asked time.Duration) time.Duration {
	const doublings = 8 // more than waitLongest anyway
	w := min(firstWait<<min(max(attempt-1, 0), doublings), waitLongest)
	w = w*4/5 + rand.N(w*2/5)
	return max(w, min(asked, waitLongest))
}

// late reports whether a notification is to be given up.
func late(d outbox.Delivery, now time.Time) bool {
	most := giveUp
	if d.ChannelID != uuid.Nil {
		most = giveUpAlert
	}
	return now.Sub(d.CreatedAt) > most
}
