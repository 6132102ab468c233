package mesher

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/schedule"
)

// List prices in dollars, before taxes and discounts, in a region of Google's first tier; what is free is free once for
// each billing account.
const (
	perCPUSecond, freeCPUSeconds   = 0.000024, 180_000
	perGiBSecond, freeGiBSeconds   = 0.0000025, 360_000
	perRequest, freeRequests       = 0.40 / 1e6, 2_000_000
	perQueueGiB, freeQueueGiB      = 40.0 / 1024, 10
	perRetainedGiB                 = 0.27
	perJob, freeJobs               = 0.10, 3
	perLogGiB, freeLogGiB          = 0.50, 50
	perSentGiB, freeSentGiB        = 0.12, 1
	gib                            = 1 << 30
	month                          = 730 * time.Hour
	leastBilled                    = 0.1 // seconds that an instance is billed for once it has something to do
	smallestMessage                = 1000
	eventBytes                     = 3000 // of an event on its way to the database
	logLineBytes                   = 1200
	loggedShare                    = 0.01
	loneMessage, eventInBatch      = 1500, 1000 // bytes compressed: of one event alone, and of each of several
	busyRate                       = 30         // events a second from which on two of a project meet in a message
	checks                         = 3 * 3 * 12 * 730
	jobSeconds                     = 1
	memoryOfHotPath, memoryOfOther = 0.5, 0.5 // GiB
)

// bill is what a month costs, in dollars.
type bill struct{ functions, queue, network, others float64 }

func (b bill) sum() float64 { return b.functions + b.queue + b.network + b.others }

// costs returns the bill of a month with so many events, sent one a request and evenly, which is the dearest way.
func costs(events float64) bill {
	seconds := month.Seconds()
	perMessage := 1.0
	if events/seconds >= busyRate {
		perMessage = 2
	}
	messages := events / perMessage
	size := loneMessage
	if perMessage > 1 {
		size = int(perMessage * eventInBatch)
	}

	// An instance is billed while it has a request. Requests that come at random keep one busy for this share of the time.
	busy := func(requests float64) float64 { return seconds * (1 - math.Exp(-leastBilled*requests/seconds)) }
	var runs float64
	for _, j := range schedule.Jobs() {
		runs += seconds / j.Period.Seconds()
	}
	hot := busy(events) + busy(messages)
	other := runs*jobSeconds + checks*leastBilled
	requests := events + messages + runs + checks

	published := messages * float64(max(size, smallestMessage)) / gib
	logged := (loggedShare*(events+messages) + runs + checks) * logLineBytes / gib
	return bill{
		functions: perCPUSecond*beyond(hot+other, freeCPUSeconds) +
			perGiBSecond*beyond(hot*memoryOfHotPath+other*memoryOfOther, freeGiBSeconds) +
			perRequest*beyond(requests, freeRequests),
		queue:   perQueueGiB*beyond(2*published, freeQueueGiB) + perRetainedGiB*published/30, // a day of it is kept
		network: perSentGiB * beyond(events*eventBytes/gib, freeSentGiB),
		others:  perJob*beyond(float64(len(schedule.Jobs())), freeJobs) + perLogGiB*beyond(logged, freeLogGiB),
	}
}

func beyond(used, free float64) float64 { return max(0, used-free) }

// TestCosts writes the table of docs/deploying.md anew and compares.
func TestCosts(t *testing.T) {
	var b strings.Builder
	b.WriteString("| Events a month | Functions | Pub/Sub | Network | Scheduler, logs | Together | A million events |\n|---|---|---|---|---|---|---|\n")
	for _, millions := range []float64{0, 1, 10, 100} {
		c := costs(millions * 1e6)
		each := "–"
		if millions > 0 {
			each = fmt.Sprintf("$%.2f", c.sum()/millions)
		}
		row(&b, fmt.Sprintf("%.0f million", millions), fmt.Sprintf("$%.2f", c.functions), fmt.Sprintf("$%.2f", c.queue),
			fmt.Sprintf("$%.2f", c.network), fmt.Sprintf("$%.2f", c.others), fmt.Sprintf("$%.2f", c.sum()), each)
	}
	sectionOf(t, "docs/deploying.md", "costs", b.String())
}

// By hand, for a month of 2,628,000 seconds.
func TestCosts_ByHand(t *testing.T) {
	t.Parallel()
	idle := costs(0)
	if want := 0.10 * float64(max(0, len(schedule.Jobs())-3)); math.Abs(idle.sum()-want) > 0.005 {
		t.Errorf("an idle month costs %+v; want nothing but jobs beyond the third: %.2f", idle, want)
	}
	// 100 million events in 50 million messages of 2,000 bytes: 93.13 GiB, each once in and once out, and 1/30 kept.
	c := costs(100e6)
	if want := (2*93.13-10)*40/1024 + 0.27*93.13/30; math.Abs(c.queue-want) > 0.05 {
		t.Errorf("Pub/Sub takes %.2f, want %.2f", c.queue, want)
	}
	// 3,000 bytes each to the database: 279.4 GiB, one of them free.
	if want := 278.4 * 0.12; math.Abs(c.network-want) > 0.05 {
		t.Errorf("the network takes %.2f, want %.2f", c.network, want)
	}
	// 150 million requests alone are $59.2; an instance of Ingest that is never idle is $66 at most, Store's no more.
	if c.functions < 59 || c.functions > 59+2*67+5 {
		t.Errorf("functions take %.2f, which is not between their parts", c.functions)
	}
	for _, millions := range []float64{1, 10, 100} {
		if less, more := costs(millions*1e6/2).sum(), costs(millions*1e6).sum(); more < less {
			t.Errorf("half of %.0f million events cost %.2f, all of them %.2f", millions, less, more)
		}
	}
}
