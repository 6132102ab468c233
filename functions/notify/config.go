package notify

import (
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Config is the settings of Notify.
type Config struct {
	Database postgres.Config
	Outbox   outbox.Config
	Channels alert.ChannelConfig

	AuthURL string `env:"AUTH_URL" doc:"public address of Auth, which the links in mails lead to, such as https://auth.example.com"`

	AlertURL string `env:"ALERT_URL" envDefault:"" doc:"where people look at an alert, for links in what is told of it, such as https://mesher.example.com/{organization_id}/alerts/{alert_id}; it may hold {project_id}, {rule_id}, {issue_id} and {monitor_id} too. Without it there are no links"`
	APIURL   string `env:"API_URL" envDefault:"" doc:"public address of API, for the addresses of issues and monitors in what webhooks are sent; without it there are none"`

	SMTPURL string `env:"SMTP_URL" envDefault:"" doc:"mail server, as smtp://user:password@host:587 (STARTTLS is required; off on this machine or with ?tls=none) or smtps://user:password@host:465; either this or MAIL_DIR is required"`
	From    string `env:"SMTP_FROM" envDefault:"" doc:"sender of mails, such as Mesher <mesher@example.com>; required with SMTP_URL"`
	MailDir string `env:"MAIL_DIR" envDefault:"" doc:"folder that mails are written to instead of being sent, for a laptop"`
}

const (
	// bodyMost is the largest push request, in bytes: a message names one notification.
	bodyMost = 64 << 10
	// memory is how many bytes of requests an instance holds at a time.
	memory = 8 << 20
	// mailsMost is how many mails an instance sends at a time: mail servers turn away who comes with many connections.
	// callsMost is how many requests to channels it makes at a time, of which laneMost to each. waitMost is how long others
	// wait for one of them to end.
	mailsMost = 10
	callsMost = 40
	waitMost  = 10 * time.Second
	// deliverMost bounds one delivery, but not what notes its end. It is shorter than a claim and than the
	// subscription's ack deadline.
	deliverMost = 30 * time.Second
	// sendMost bounds handing over one mail, from the connection to the last answer.
	sendMost = 15 * time.Second
	// settleMost is how long noting the end of a delivery is tried: a mail whose sending nobody knows of is
	// sent again.
	settleMost = 10 * time.Second
	// retryAfter is how long the queue is asked to wait for whoever delivers a notification already.
	retryAfter = 5 * time.Second
)

// defaultFrom is the sender of mails that are only written to files.
const defaultFrom = "Mesher <mesher@localhost>"

// baseURL returns the address of a setting that links begin with, without a slash at its end.
func baseURL(setting, s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", fault.New(fault.NotConfigured, "%s is not an address that links can begin with: expected https://host, with a path if need be and no query", setting)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// sender returns the address that mails come from.
func (c Config) sender() (*mail.Address, error) {
	from := c.From
	if from == "" && c.SMTPURL == "" {
		from = defaultFrom
	}
	a, err := mail.ParseAddress(from)
	if err != nil {
		return nil, fault.Wrap(err, fault.NotConfigured, "SMTP_FROM is not the address of a sender: expected Mesher <mesher@example.com>")
	}
	a.Name = oneLine(a.Name)
	return a, nil
}
