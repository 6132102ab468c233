package notify

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/outbox"
)

// nasty is what somebody may put into an error message.
const nasty = "<!channel> @everyone *bold* [click](https://evil.example) <https://evil.example|here> `code` & \u202e|\r\n> quote :smile: ~x~ _y_ \\"

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func storyOf(event string) alert.Story {
	id := func(n byte) uuid.UUID { return uuid.UUID{6: 0x70, 8: 0x80, 15: n} }
	told := alert.Told{
		ID: id(1), Status: "active", Severity: "critical", Kind: "new_issue", Title: nasty, Subject: id(2),
		OrganizationID: id(3), ProjectID: id(4), RuleID: id(5), RuleName: "New <issues>", IssueID: id(2), StartedAt: at("2026-03-04T05:06:07Z"),
		Snapshot: json.RawMessage(`{"count": 12345678901, "culprit": "shop/pay.charge", "nested": {"a": 1}, "error_message": "<!here> broke"}`),
	}
	s := alert.Story{
		ID: id(9), Event: event, CreatedAt: at("2026-03-04T05:06:08Z"), Organization: alert.Named{ID: id(3), Name: "Acme"},
		Project: &alert.Named{ID: id(4), Name: "Shop"}, Rule: &alert.Named{ID: id(5), Name: "New <issues>"}, Channel: alert.Named{ID: id(6), Name: "On call"},
	}
	switch event {
	case "fired":
		s.Alert = &told
	case "resolved", "combined":
		told.Status, told.ResolvedAt, told.ResolvedWhy = "resolved", at("2026-03-04T06:16:07Z"), "it is over"
		s.Alert, s.Event, s.Combined = &told, "resolved", event == "combined"
	case "digest", "digest_resolved":
		s.Digest = &alert.Folded{
			ID: id(9), Fired: 843, Resolved: 2, Open: 831, Since: at("2026-03-04T05:06:07Z"), Until: at("2026-03-04T05:11:00Z"),
			Severity: "critical", Alerts: []alert.Told{told, told},
		}
	case "budget":
		s.Project, s.Rule, s.Budget = nil, nil, &outbox.BudgetData{Budget: 60, Until: at("2026-03-04T06:06:07Z")}
	case "test":
		s.Project, s.Rule = nil, nil
	}
	return s
}

var testLinks = links{alert: "https://mesher.example.com/{organization_id}/{project_id}/alerts/{alert_id}?issue={issue_id}&monitor={monitor_id}", api: "https://api.example.com/api/v1"}

func TestPayloads(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"fired", "resolved", "combined", "digest", "digest_resolved", "budget", "test"} {
		s := storyOf(event)
		m := testLinks.words(s)
		for kind, body := range map[string]func() ([]byte, error){
			"slack":     func() ([]byte, error) { return slackBody(m) },
			"discord":   func() ([]byte, error) { return discordBody(m) },
			"pagerduty": func() ([]byte, error) { return pagerDutyBody(m, s, "R0UTING") },
			"webhook":   func() ([]byte, error) { return webhookBody(s, testLinks) },
		} {
			if event == "digest_resolved" && kind != "pagerduty" {
				continue // no other kind has it
			}
			t.Run(kind+" "+event, func(t *testing.T) {
				t.Parallel()
				got, err := body()
				if err != nil {
					t.Fatal(err)
				}
				golden(t, kind+"_"+event, got)
			})
		}
	}
}

// golden compares JSON with a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var v any
	if err := json.Unmarshal(got, &v); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	indented, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".golden.json")
	if *update {
		if err := os.WriteFile(path, append(indented, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; make it with go test ./functions/notify -run TestPayloads -update", err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(indented)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// No service takes what somebody wrote into an error for a mention, a link or a format.
func TestPayloads_AreInert(t *testing.T) {
	t.Parallel()
	m := testLinks.words(storyOf("fired"))
	body, err := slackBody(m)
	if err != nil {
		t.Fatal(err)
	}
	var slack struct {
		Text   string
		Blocks []slackBlock
	}
	if err := json.Unmarshal(body, &slack); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<!", "<@", "<https://evil", "@everyone", "@channel", "](", "<issues", "*bold", "`code", ":smile:", "~x", "_y_", "\u202e"} {
		if strings.Contains(slack.Text, bad) {
			t.Errorf("Slack's text has %q: %s", bad, slack.Text)
		}
	}
	for _, b := range slack.Blocks {
		texts := b.Elements
		if b.Text != nil {
			texts = append(texts, *b.Text)
		}
		for _, text := range texts {
			if text.Type != "plain_text" && !strings.HasPrefix(text.Text, "<https://mesher.example.com/") {
				t.Errorf("what others wrote is formatted: %+v", text)
			}
			if text.Type == "plain_text" && (text.Emoji == nil || *text.Emoji) {
				t.Errorf("names of pictures become pictures: %+v", text)
			}
		}
	}

	if body, err = discordBody(m); err != nil {
		t.Fatal(err)
	}
	var discord struct {
		Content         string
		AllowedMentions map[string][]string `json:"allowed_mentions"`
		Embeds          []discordEmbed
	}
	if err := json.Unmarshal(body, &discord); err != nil {
		t.Fatal(err)
	}
	if parse, ok := discord.AllowedMentions["parse"]; !ok || len(parse) != 0 || len(discord.AllowedMentions) != 1 || discord.Content != "" {
		t.Errorf("mentions are allowed: %s", body)
	}
	for _, bad := range []string{"](", "@everyone", " <https", " *bold", " `code", " [click"} {
		if strings.Contains(discord.Embeds[0].Title, bad) {
			t.Errorf("Discord's title has %q: %s", bad, discord.Embeds[0].Title)
		}
	}
}

// Whatever is told, it keeps within the limits of each service.
func TestPayloads_KeepToLimits(t *testing.T) {
	t.Parallel()
	s := storyOf("digest")
	long := strings.Repeat("*é", 5000)
	for i := range s.Digest.Alerts {
		s.Digest.Alerts[i].Title = long
	}
	s.Rule.Name, s.Project.Name, s.Organization.Name = long, long, long
	one := storyOf("fired")
	one.Alert.Title, one.Rule.Name = long, long
	facts := map[string]string{}
	for i := range 100 {
		facts[strings.Repeat("k", i+1)] = long
	}
	one.Alert.Snapshot, _ = json.Marshal(facts)
	for _, s := range []alert.Story{s, one} {
		m := testLinks.words(s)
		body, err := slackBody(m)
		if err != nil {
			t.Fatal(err)
		}
		var slack struct {
			Text   string
			Blocks []slackBlock
		}
		if err := json.Unmarshal(body, &slack); err != nil {
			t.Fatal(err)
		}
		if n := runes(slack.Text); n > slackBlockMost {
			t.Errorf("Slack's text has %d characters", n)
		}
		if n := runes(slack.Blocks[0].Text.Text); n > slackHeaderMost {
			t.Errorf("Slack's header has %d characters", n)
		}
		if n := runes(slack.Blocks[1].Text.Text); n > slackBlockMost {
			t.Errorf("Slack's section has %d characters", n)
		}
		if body, err = discordBody(m); err != nil {
			t.Fatal(err)
		}
		var discord struct{ Embeds []discordEmbed }
		if err := json.Unmarshal(body, &discord); err != nil {
			t.Fatal(err)
		}
		e := discord.Embeds[0]
		all := runes(e.Title) + runes(e.Description)
		for _, f := range e.Fields {
			if all += runes(f.Name) + runes(f.Value); runes(f.Name) > discordNameMost || runes(f.Value) > discordValueMost {
				t.Errorf("a field of %d and %d characters", runes(f.Name), runes(f.Value))
			}
		}
		if runes(e.Title) > discordTitleMost || runes(e.Description) > discordTextMost || all > discordAllMost {
			t.Errorf("an embed of %d, %d, in all %d characters", runes(e.Title), runes(e.Description), all)
		}
		if body, err = pagerDutyBody(m, s, "R0UTING"); err != nil {
			t.Fatal(err)
		}
		var event pagerDutyEvent
		if err := json.Unmarshal(body, &event); err != nil {
			t.Fatal(err)
		}
		if runes(event.Payload.Summary) > pagerDutySummaryMost || len(body) > 512<<10 {
			t.Errorf("an event of %d bytes with a summary of %d", len(body), runes(event.Payload.Summary))
		}
	}
}

func TestTame_CutsNoEscape(t *testing.T) {
	t.Parallel()
	for most := 3; most < 20; most++ {
		got := tame(strings.Repeat("a*", 20), most)
		if trimmed := strings.TrimSuffix(got, "…"); runes(got) > most || strings.HasSuffix(trimmed, `\`) {
			t.Errorf("cut to %d: %q", most, got)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		template string
		ok       bool
	}{
		{"", true},
		{"https://mesher.example.com/{organization_id}/alerts/{alert_id}", true},
		{"http://127.0.0.1:8080/{project_id}?rule={rule_id}&monitor={monitor_id}", true},
		{"https://mesher.example.com/{org}/alerts", false},
		{"mesher.example.com/{alert_id}", false},
		{"javascript:alert({alert_id})", false},
		{"https://user:password@mesher.example.com/", false},
	} {
		if _, err := newLinks(Config{AlertURL: tt.template}); err == nil != tt.ok {
			t.Errorf("%s: %v", tt.template, err)
		}
	}
}
