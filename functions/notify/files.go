package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// files writes mails to a folder, where a laptop's user finds them: each as a mail program opens it (.eml), and its text
// with the link in one piece (.txt).
type files struct {
	dir  string
	from *mail.Address
	log  *slog.Logger
	now  func() time.Time
}

func (f *files) send(ctx context.Context, l letter) error {
	now := f.now()
	m, err := compose(l, f.from, now)
	if err != nil {
		return err
	}
	data, err := bytesOf(m)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s-%s", now.UTC().Format("20060102T150405.000Z"), l.kind, l.id)
	// The text first: whoever waits for the mail finds both.
	if err := errors.Join(f.write(name+".txt", []byte(readable(l))), f.write(name+".eml", data)); err != nil {
		return fmt.Errorf("write a mail to MAIL_DIR: %w", err)
	}
	f.log.InfoContext(ctx, "a mail is written", "template", l.kind, "recipient", l.to, "file", filepath.Join(f.dir, name+".eml"))
	return nil
}

// readable returns a mail as people read it in a terminal. The encoding of the mail itself breaks links.
func readable(l letter) string {
	return "To: " + oneLine(l.to) + "\nSubject: " + oneLine(l.subject) + "\n\n" + strings.ReplaceAll(strings.TrimRight(l.text, "\r\n"), "\r\n", "\n") + "\n"
}

// write creates a file that only its owner can read, at once as a whole: who watches the folder sees no half mail.
func (f *files) write(name string, data []byte) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(f.dir, ".mail-*") // created with mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(f.dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
