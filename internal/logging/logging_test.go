package logging_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/musterhq/muster/internal/logging"
)

func TestNew(t *testing.T) {
	var out bytes.Buffer
	logger, err := logging.New(&out, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("quiet")
	logger.Warn("loud", "component", "test")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, `"component":"test"`) {
		t.Errorf("logged %s", got)
	}
	for _, bad := range [][2]string{{"xml", "info"}, {"text", "chatty"}} {
		if _, err := logging.New(&out, bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), "choose") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
