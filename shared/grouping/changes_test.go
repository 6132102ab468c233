package grouping_test

import (
	"fmt"
	"slices"
	"strings"
)

// neutral are the changes that must not matter.
func neutral() []change {
	return []change{
		{"lines and columns", func(e object, i int) bool {
			return eachFrame(e, func(f object) bool {
				f["lineno"], f["colno"], f["instruction_addr"] = 10+i, 5+70*i, fmt.Sprintf("0x%x", 0x7ff0+i*4096)
				return true
			})
		}},
		{"release, host, time and tags", func(e object, i int) bool {
			e["release"], e["server_name"], e["timestamp"] = fmt.Sprintf("shop@1.%d.0", i), fmt.Sprintf("web-%d", i), 1769860000+i
			e["tags"] = [][][]string{{{"a", "1"}, {"b", "2"}}, {{"b", "2"}, {"a", "1"}}}[i]
			return true
		}},
		words("ids in the text", " for order ord_9f3kZ2 of 9b2e7c1a-0000-4000-8000-00000000000a", " for order ord_Ab81xx of 0f0b2e7c-1111-4222-8333-123456789abc"),
		words("times in the text", " at 2026-11-21T10:00:00Z after 12ms", " at 2025-01-02 03:04:05.123 after 3m20s"),
		words("addresses in the text", " from 10.0.0.1:80 and ::1 as ann@example.com", " from 192.168.7.9:8080 and fe80::1%eth0 as bob@example.org"),
		words("pods and pointers in the text", " in web-7d9c5b6f4-x2x9z at 0x7f3a2c1b", " in web-6c8f9d7b5-kk2vq at 0xdeadbeef"),
		words("counts in the text", " (attempt 3, 12 MB of 40%)", " (attempt 11, 3.5 GiB of 97.5%)"),
		{"hashes of assets", func(e object, i int) bool {
			return eachFrame(e, func(f object) bool {
				change := func(s string) string {
					stem, ok := strings.CutSuffix(s, ".js")
					if !ok || strings.Contains(s, "node_modules") || strings.HasPrefix(s, "node:") || strings.Contains(s, "extension:") {
						return s
					}
					return stem + []string{".3f9a1b2c.js", ".00ffe1d2.js?v=7"}[i]
				}
				edit(f, "abs_path", change)
				return edit(f, "filename", change)
			})
		}},
		{"folder of the build", func(e object, i int) bool {
			return eachFrame(e, func(f object) bool {
				change := func(s string) string {
					if !strings.HasPrefix(s, "/") {
						return s
					}
					return []string{"/mnt/agent7", "/opt/ci/55"}[i] + s
				}
				edit(f, "abs_path", change)
				return edit(f, "filename", change)
			})
		}},
		{"noise of the engine in names", func(e object, i int) bool {
			if p := e["platform"]; p != "javascript" && p != "node" {
				return false
			}
			return i == 0 && len(entries(e)) > 0 || eachFrame(e, func(f object) bool {
				return edit(f, "function", func(s string) string {
					if strings.ContainsAny(s, ". */<[?") {
						return s
					}
					return "async Object." + s + " [as run]"
				})
			})
		}},
		{"counters of closures", func(e object, i int) bool {
			return eachFrame(e, func(f object) bool {
				swap := strings.NewReplacer(".func1", ".func7", "$lambda$2", "$lambda$9", "lambda$build$3", "lambda$build$5",
					"d__12", "d__99", "b__0", "b__8", "h0123456789abcdef", "h1123456789abcdee", "closure #1", "closure #8",
					"-fun-2-", "-fun-4-", "$Proxy112", "$Proxy4", "CGLIB$$3f2a91b0", "CGLIB$$1")
				return edit(f, "function", func(s string) string { return choose(i, s, swap.Replace(s)) }) ||
					edit(f, "module", func(s string) string { return choose(i, s, swap.Replace(s)) }) || i == 0
			})
		}},
		{"a frame of a library below", func(e object, i int) bool {
			found := false
			for _, entry := range entries(e) {
				list := frames(entry)
				if slices.ContainsFunc(list, func(f object) bool { return f["in_app"] == true }) && i == 1 {
					entry["stacktrace"].(object)["frames"] = append([]any{object{"module": "vendorlib", "function": "start", "in_app": false}},
						entry["stacktrace"].(object)["frames"].([]any)...)
				}
				found = found || len(list) > 0
			}
			return found && hasApp(e)
		}},
		{"depth of a recursion", func(e object, i int) bool {
			for _, entry := range entries(e) {
				if list := frames(entry); len(list) > 0 {
					all := entry["stacktrace"].(object)["frames"].([]any)
					for range 3 * i {
						all = append(all, all[len(all)-1])
					}
					entry["stacktrace"].(object)["frames"] = all
				}
			}
			return hasApp(e)
		}},
	}
}

func choose(i int, a, b string) string { return []string{a, b}[i] }

// hasApp reports whether each entry with frames has one that the client calls in-app.
func hasApp(e object) bool {
	found := false
	for _, entry := range entries(e) {
		if list := frames(entry); len(list) > 0 {
			if !slices.ContainsFunc(list, func(f object) bool { return f["in_app"] == true }) {
				return false
			}
			found = true
		}
	}
	return found
}

// innermost returns the last in-app frame of the last entry that has one, if frames decide about e.
func innermost(e object) object {
	chain := entries(e)
	if e["fingerprint"] != nil || len(chain) == 0 {
		return nil
	}
	for _, entry := range chain {
		if m, _ := entry["mechanism"].(object); m["synthetic"] == true && m["handled"] == true {
			return nil
		}
	}
	for _, entry := range slices.Backward(chain) {
		if kind, _ := entry["type"].(string); len(chain) > 1 && strings.Contains(transparent, kind) {
			continue
		}
		for _, f := range slices.Backward(frames(entry)) {
			module, _ := f["module"].(string)
			if name, _ := f["function"].(string); !strings.Contains(name+module, "$$") && !strings.Contains(name, ".func") && f["in_app"] == true && len(name) > 3 && !strings.ContainsAny(name, "<$#|{") && !strings.Contains(name, " in ") && !strings.Contains(name, "_erb_") && !strings.Contains(name, " for ") {
				return f
			}
		}
	}
	return nil
}

// transparent are the wrappers of the corpus that carry somebody else's error.
const transparent = "NestedServletException ServletException CompletionException System.AggregateException"

// telling are the changes that must matter.
func telling() []change {
	return []change{
		{"name of an in-app function", func(e object, i int) bool {
			f := innermost(e)
			return f != nil && edit(f, "function", func(s string) string { return choose(i, s, renamed(s)) }) || f != nil && i == 0
		}},
		{"place of an in-app function", func(e object, i int) bool {
			f := innermost(e)
			if f == nil || i == 0 {
				return f != nil
			}
			edit(f, "module", func(s string) string { return "other." + s })
			for _, key := range []string{"filename", "abs_path"} {
				edit(f, key, func(s string) string {
					at := max(strings.LastIndexAny(s, `/\`)+1, 0)
					return s[:at] + "other_" + s[at:]
				})
			}
			return true
		}},
		{"type of the exception", func(e object, i int) bool {
			chain := entries(e)
			if len(chain) == 0 || e["fingerprint"] != nil && !strings.Contains(fmt.Sprint(e["fingerprint"]), "type") {
				return false
			}
			last := chain[len(chain)-1]
			if m, _ := last["mechanism"].(object); m["synthetic"] == true {
				return false
			}
			edit(last, "type", func(s string) string { return choose(i, s, s+"Other") })
			return true
		}},
		{"order of the chain", func(e object, i int) bool {
			chain, ok := e["exception"].([]any)
			if !ok || len(chain) != 2 {
				return false
			}
			kind, _ := chain[1].(object)["type"].(string)
			if strings.Contains(transparent, kind) || strings.HasSuffix(kind, "Group") {
				return false
			}
			if i == 1 {
				chain[0], chain[1] = chain[1], chain[0]
			}
			return true
		}},
		{"status code", func(e object, i int) bool {
			return bare(e) && say(e, choose(i, " with status 404", " with status 500"))
		}},
		{"error code", func(e object, i int) bool { return bare(e) && say(e, choose(i, " (E1234)", " (E1235)")) }},
		{"a word", func(e object, i int) bool { return bare(e) && say(e, choose(i, " while reading", " while writing")) }},
	}
}

// renamed returns another name of a function, changed at the end of its own name, before arguments and hashes.
func renamed(s string) string {
	end := len(s)
	for _, mark := range []string{"(", "[", "/", "::h", " "} {
		if i := strings.Index(s, mark); i > 1 {
			end = min(end, i)
		}
	}
	return s[:end] + "Renamed" + s[end:]
}

// bare reports whether what e says decides: it has neither frames nor a fingerprint.
func bare(e object) bool {
	return e["fingerprint"] == nil && !eachFrame(e, func(object) bool { return true })
}
