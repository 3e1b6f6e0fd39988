package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/musterhq/muster/integration/linear"
)

// Judge checks a result: what went wrong, in words, and the report on the
// history.
func (out *Result) Judge(within time.Duration) ([]string, *linear.Report, error) {
	report, err := linear.Check(&out.History, within)
	if err != nil {
		return nil, nil, err
	}
	return append(append([]string(nil), out.Failures...), report.Violations...), report, nil
}

// Save writes the history to DIR/NAME.json, which can be judged again, and a
// page that shows the operations for which no order was found to DIR/NAME.html.
func (out *Result) Save(dir, name string, report *linear.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save history: %w", err)
	}
	file, err := os.Create(filepath.Join(dir, name+".json"))
	if err != nil {
		return fmt.Errorf("save history: %w", err)
	}
	if err := errors.Join(out.History.Write(file), file.Close()); err != nil {
		return err
	}
	page, err := os.Create(filepath.Join(dir, name+".html"))
	if err != nil {
		return fmt.Errorf("save history: %w", err)
	}
	return errors.Join(report.Visualize(page), page.Close())
}
