package monitor

// The codes of Details.Code: why a look found what it did, for programs. They are stable; new ones may come.
const (
	CodeOK                  = "ok"
	CodeSlow                = "slow"
	CodeTimeout             = "timeout"
	CodeRefusedAddress      = "refused_address"
	CodeRefusedPort         = "refused_port"
	CodeRefusedURL          = "refused_url"
	CodeRefusedHeader       = "refused_header"
	CodeRedirect            = "redirect"
	CodeDNS                 = "dns"
	CodeDNSNotFound         = "dns_not_found"
	CodeDNSNoRecords        = "dns_no_records"
	CodeRecords             = "records"
	CodeConnect             = "connect"
	CodeDisconnected        = "disconnected"
	CodeProtocol            = "protocol"
	CodeTLS                 = "tls"
	CodeCertificateExpiring = "certificate_expiring"
	CodeCertificateExpired  = "certificate_expired"
	CodeCertificateEarly    = "certificate_not_yet_valid"
	CodeCertificateOwn      = "certificate_self_signed"
	CodeCertificateUnknown  = "certificate_untrusted"
	CodeCertificateHost     = "certificate_host"
	CodeCertificateWeak     = "certificate_weak"
	CodeCertificateInvalid  = "certificate_invalid"
	CodeStatus              = "status"
	CodeHeader              = "header"
	CodeBody                = "body"
	CodeJSON                = "json"
	CodeTooLarge            = "too_large"
	CodeEncoding            = "encoding"
	CodeExpect              = "expect"
	CodeLogin               = "login"
	CodeQuery               = "query"
	CodeResult              = "result"
	CodeConfiguration       = "configuration"
	CodeCancelled           = "cancelled"
	CodeInternal            = "internal"
)

// Meaning is a code and what it means.
type Meaning struct{ Code, Doc string }

// Codes returns the codes of looks at services, in the order in which a look can end with them.
func Codes() []Meaning {
	return []Meaning{
		{CodeOK, "everything is as expected"},
		{CodeConfiguration, "the monitor cannot be looked at as it is configured"},
		{CodeRefusedAddress, "the host, or every address it leads to, must not be reached"},
		{CodeRefusedPort, "the port must not be reached"},
		{CodeRefusedURL, "the URL, or that of a redirect, has a form that is not taken"},
		{CodeRefusedHeader, "a header must not be sent"},
		{CodeDNS, "the name could not be looked up: a name server failed or refused"},
		{CodeDNSNotFound, "the name does not exist"},
		{CodeDNSNoRecords, "the name exists, but has no record of that type"},
		{CodeRecords, "an expected record is missing"},
		{CodeConnect, "no connection could be made"},
		{CodeDisconnected, "the other side ended the connection before it had answered"},
		{CodeTimeout, "the time was used up; the text says during what"},
		{CodeTLS, "no encrypted connection could be agreed on"},
		{CodeCertificateExpired, "the certificate has expired"},
		{CodeCertificateEarly, "the certificate is not valid yet"},
		{CodeCertificateOwn, "the certificate is signed by itself"},
		{CodeCertificateUnknown, "no authority that is trusted has signed the certificate; often an intermediate one is missing"},
		{CodeCertificateHost, "the certificate is another host's"},
		{CodeCertificateWeak, "the certificate's key or signature is weaker than browsers accept"},
		{CodeCertificateInvalid, "the certificate may not be used like this"},
		{CodeCertificateExpiring, "the certificate expires within the days that the monitor names"},
		{CodeProtocol, "the answer is not of the expected protocol"},
		{CodeRedirect, "a redirect too many, or one that would hand the request's body to another origin"},
		{CodeStatus, "the HTTP status is not among the expected ones"},
		{CodeHeader, "a condition of a header is not met"},
		{CodeBody, "a condition of the body is not met"},
		{CodeJSON, "a condition of the body's JSON is not met, or the body is not JSON"},
		{CodeTooLarge, "the answer is larger than what is read of it, so that a condition cannot be decided"},
		{CodeEncoding, "the body is compressed in a way that is not read"},
		{CodeExpect, "the answer does not contain the expected text"},
		{CodeLogin, "the database refused the login"},
		{CodeQuery, "the database refused the query"},
		{CodeResult, "the query's result is not the expected one"},
		{CodeSlow, "it took longer than the monitor allows"},
		{CodeCancelled, "Probe was stopped while it looked; says nothing of the service, which stays unknown"},
		{CodeInternal, "Probe itself failed; its log says why"},
	}
}
