package store

import (
	"bytes"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// usersMost is how many users are kept for a fingerprint. They are counted in the first transaction of an
// instance in each hour, and only where the issue has so many: that reads them all.
const usersMost = 100_000

// userValue is a user whom an event of a fingerprint affected.
type userValue struct {
	fingerprint, user uuid.UUID
	hour              hour
	key               uint64
}

// userHash returns what stands for the user of an event: for the user's id, or else IP address. It is nil for nobody.
func userHash(project uuid.UUID, e *event.Event) uuid.UUID {
	user := e.UserID
	if user == "" {
		if user = rawjson.Unquote(rawjson.Lookup(e.UserInfo, "ip_address")); user == "" {
			return uuid.Nil
		}
	}
	return issue.UserHash(project, user)
}

// pickUsers returns the users who are not known to be written, each once for a fingerprint, with the last hour.
func (m *memory) pickUsers(rows []row, found look) []userValue {
	type pair struct{ fingerprint, user uuid.UUID }
	var (
		picked []userValue
		at     = make(map[pair]int)
	)
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range rows {
		r := &rows[i]
		if r.user == uuid.Nil {
			continue
		}
		h, key := hourOf(r.receivedAt), join(m.hashID(r.fingerprint), m.hashID(r.user))
		if s := found.of(r.fingerprint); s.crowded || m.users.knows(key, h) && !s.unbound {
			continue
		}
		p := pair{r.fingerprint, r.user}
		if j, ok := at[p]; ok {
			picked[j].hour = max(picked[j].hour, h)
			continue
		}
		at[p] = len(picked)
		picked = append(picked, userValue{p.fingerprint, p.user, h, key})
	}
	slices.SortFunc(picked, func(a, b userValue) int {
		if c := bytes.Compare(a.fingerprint[:], b.fingerprint[:]); c != 0 {
			return c
		}
		return bytes.Compare(a.user[:], b.user[:])
	})
	return picked
}

// crowd returns what is known since h about there being room for users of a fingerprint.
func (m *memory) crowd(fingerprint uuid.UUID, h hour) (full, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	counted, ok := m.crowds.get(m.hashID(fingerprint))
	return counted&1 == 1, ok && hour(counted>>1) == h
}

// counted takes note of the users of a fingerprint.
func (m *memory) counted(fingerprint uuid.UUID, h hour, users int) (full bool) {
	full = users >= usersMost
	value := int64(h) << 1
	if full {
		value++
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crowds.put(m.hashID(fingerprint), value)
	return full
}

// usersSQL returns the part of the statement of counters that writes users, named affected, and counts those who
// are new to an issue, named newcomers. It reads batch.
func usersSQL(project uuid.UUID, users []userValue) string {
	if len(users) == 0 {
		return "newcomers as (select null::uuid as issue_id, 0::bigint as users where false)"
	}
	var (
		fingerprints, hashes = make([]uuid.UUID, len(users)), make([]uuid.UUID, len(users))
		hours                list
	)
	for i, u := range users {
		fingerprints[i], hashes[i] = u.fingerprint, u.user
		hours.add(int64(u.hour))
	}
	// Who has another fingerprint of the issue is not new to it. Each pair is looked up in the primary key, whatever
	// statistics there are: one user, such as an address of many, may have very many fingerprints.
	return strings.NewReplacer("$project", project.String(), "$fingerprints", commas(fingerprints),
		"$users", commas(hashes), "$hours", string(hours)).Replace(`
seen as materialized (
	select u.fingerprint, u.user_hash, to_timestamp(u.hour * 3600) as hour, coalesce(b.bound, b.issue_id) as issue_id
	from unnest('{$fingerprints}'::uuid[], '{$users}'::uuid[], '{$hours}'::bigint[]) as u (fingerprint, user_hash, hour)
	join batch b on b.fingerprint = u.fingerprint),
affected as (
	insert into mesher.issue_users as x (project_id, fingerprint, user_hash, seen_hour)
	select '$project', fingerprint, user_hash, hour from seen order by fingerprint, user_hash
	on conflict (project_id, fingerprint, user_hash) do update set seen_hour = excluded.seen_hour
	where x.seen_hour < excluded.seen_hour),
newcomers as materialized (
	select s.issue_id, count(distinct s.user_hash) as users from seen s
	where not coalesce((
		select true from mesher.issue_fingerprints f
		where f.project_id = '$project' and f.issue_id = s.issue_id and (
			select true from mesher.issue_users x
			where x.project_id = '$project' and (x.fingerprint, x.user_hash) >= (f.fingerprint, s.user_hash)
				and (x.fingerprint, x.user_hash) <= (f.fingerprint, s.user_hash) limit 1)
		limit 1), false)
	group by s.issue_id)`)
}
