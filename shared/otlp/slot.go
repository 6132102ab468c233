package otlp

// slot is the meaning of an attribute that becomes part of an event's own fields.
type slot uint8

const (
	noSlot slot = iota
	exceptionType
	exceptionMessage
	exceptionStack
	codeFile
	codeFunction
	codeNamespace
	codeLine
	codeColumn
	// The slots from here on are taken from the span where an exception lacks them.
	userID
	userEmail
	userName
	requestMethod
	requestRoute
	requestStatus
	requestURL
	requestScheme
	requestHost
	requestPort
	requestPath
	requestQuery
	requestTarget
	requestAgent
	requestClient
	requestHeader // of any name; the last one only tells that there are some
	slots
)

const firstInherited = userID

// picked is the attributes of a record by their meaning.
type picked [slots]*value

// slotOf returns the meaning of a key, in the present and the earlier names of the semantic conventions.
func slotOf(key []byte) slot {
	switch string(key) {
	case "exception.type":
		return exceptionType
	case "exception.message":
		return exceptionMessage
	case "exception.stacktrace":
		return exceptionStack
	case "code.file.path", "code.filepath":
		return codeFile
	case "code.function.name", "code.function":
		return codeFunction
	case "code.namespace":
		return codeNamespace
	case "code.line.number", "code.lineno":
		return codeLine
	case "code.column.number", "code.column":
		return codeColumn
	case "user.id", "enduser.id":
		return userID
	case "user.email":
		return userEmail
	case "user.name":
		return userName
	}
	return requestSlotOf(key)
}

func requestSlotOf(key []byte) slot {
	switch string(key) {
	case "http.request.method", "http.method":
		return requestMethod
	case "http.route":
		return requestRoute
	case "http.response.status_code", "http.status_code":
		return requestStatus
	case "url.full", "http.url":
		return requestURL
	case "url.scheme", "http.scheme":
		return requestScheme
	case "server.address", "http.host", "http.server_name", "net.host.name":
		return requestHost
	case "server.port", "net.host.port":
		return requestPort
	case "url.path":
		return requestPath
	case "url.query":
		return requestQuery
	case "http.target":
		return requestTarget
	case "user_agent.original", "http.user_agent":
		return requestAgent
	case "client.address", "http.client_ip":
		return requestClient
	}
	if len(headerName(key)) > 0 {
		return requestHeader
	}
	return noSlot
}

// isTag reports whether an attribute of that meaning becomes a tag besides: those that many records share.
func (s slot) isTag() bool {
	switch s {
	case noSlot, requestMethod, requestRoute, requestStatus:
		return true
	default:
		return false
	}
}
