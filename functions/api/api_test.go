package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
)

func settings(db *pgtest.Database) map[string]string {
	return map[string]string{
		"DATABASE_URL": db.URL(pgtest.App), "DATABASE_INSECURE": "true",
		"GOOGLE_CLOUD_PROJECT": "test", "PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	log := slog.New(slog.DiscardHandler)

	t.Run("makes a function that answers", func(t *testing.T) {
		t.Parallel()
		f, err := api.Build(t.Context(), env.Map(settings(db)), log)
		must(t, err)
		must(t, f.Health(t.Context()))
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/user", nil))
		if w.Code != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", w.Code)
		}
		f.Close(t.Context())
		if err := f.Health(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("health of a closed function is %v", err)
		}
	})

	for name, set := range map[string]map[string]string{
		"a missing setting":           {"DATABASE_URL": ""},
		"a database that is none":     {"DATABASE_URL": "http://example.com"},
		"a registration that is none": {"REGISTRATION": "closed"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			all := settings(db)
			for k, v := range set {
				all[k] = v
			}
			if _, err := api.Build(t.Context(), env.Map(all), log); !fault.Is(err, fault.NotConfigured) {
				t.Errorf("error is %v", err)
			}
		})
	}
}
