package alert_test

import (
	"testing"

	"github.com/mesherhq/mesher/shared/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
