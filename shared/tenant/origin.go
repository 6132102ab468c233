package tenant

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
)

const (
	originsMost    = 100
	originHostMost = 253 // characters, as in DNS
)

// originForm takes an origin apart: scheme, host and port.
var originForm = regexp.MustCompile(`^(https?)://((?:\*\.)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$`)

// normalOrigins returns origins as browsers write them, each once, in their order.
func normalOrigins(origins []string) ([]string, error) {
	out := make([]string, 0, min(len(origins), originsMost))
	for _, o := range origins {
		normal, err := normalOrigin(o)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, normal) {
			continue
		}
		if len(out) == originsMost {
			return nil, fault.New(fault.Invalid, "a project has %d allowed origins at most; *. stands for all subdomains", originsMost)
		}
		out = append(out, normal)
	}
	return out, nil
}

func normalOrigin(origin string) (string, error) {
	parts := originForm.FindStringSubmatch(strings.ToLower(origin))
	if parts == nil || len(parts[2]) > originHostMost {
		return "", errOrigin(origin)
	}
	scheme, host, port := parts[1], parts[2], parts[3]
	if strings.HasPrefix(host, "[") {
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil {
			return "", errOrigin(origin)
		}
		host = "[" + ip.String() + "]"
	}
	if port == "" {
		return scheme + "://" + host, nil
	}
	n, err := strconv.Atoi(port)
	switch {
	case err != nil || n < 1 || n > 65535:
		return "", errOrigin(origin)
	case scheme == "http" && n == 80, scheme == "https" && n == 443: // browsers leave it out
		return scheme + "://" + host, nil
	}
	return scheme + "://" + host + ":" + strconv.Itoa(n), nil
}

func errOrigin(origin string) error {
	const shown = 100
	if len(origin) > shown {
		origin = strings.ToValidUTF8(origin[:shown], "") + "…"
	}
	return fault.New(fault.Invalid, "%q is no origin; write http or https, a host and nothing behind it but a port, "+
		"as https://app.example.com, https://*.example.com or http://localhost:3000", origin)
}
