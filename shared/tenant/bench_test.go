package tenant_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// BenchmarkReportUsage measures the statement that an instance makes every five seconds, for fifty limited projects.
func BenchmarkReportUsage(b *testing.B) {
	pool := pgtest.New(b).Pool(b, pgtest.Ingest)
	report := tenant.UsageReport{At: time.Now(), Keys: map[uuid.UUID]time.Time{}}
	for range 50 {
		id := uuid.New()
		report.Minutes = append(report.Minutes, tenant.MinuteUsage{Project: id, At: report.At, Usage: tenant.Usage{Accepted: 1}})
		report.Claims = append(report.Claims, tenant.Claim{Subject: id, Limit: 1000, Demand: 1})
		report.Budgets = append(report.Budgets, id)
	}
	instances := []uuid.UUID{uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New()}
	for i := range b.N {
		report.Instance = instances[i%len(instances)]
		if _, err := tenant.ReportUsage(b.Context(), pool, report); err != nil {
			b.Fatal(err)
		}
	}
}
