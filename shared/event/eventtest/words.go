package eventtest

// The words that events are made of. Changing them changes the issues and the size of an event.
var (
	services     = []string{"checkout", "billing", "catalog", "search", "identity"}
	levels       = []string{"error", "error", "error", "warning", "fatal"}
	environments = []string{"production", "production", "production", "staging"}
	regions      = []string{"europe-west1", "us-central1", "asia-east1"}
	routes       = []string{"/cart", "/orders/{id}", "/v1/payments", "/items/search", "/login", "/v1/refunds"}
	methods      = []string{"GET", "POST", "PUT"}
	categories   = []string{"http", "query", "cache"}
	nouns        = []string{"order", "payment", "stock", "invoice", "session", "price", "queue"}
	verbs        = []string{"Load", "Save", "Reserve", "Charge", "Refresh", "(*Store).Find", "(*Client).Do"}
)

// kinds are types of exceptions with what and why for their values.
var kinds = []struct{ name, what, why string }{
	{"*pgconn.PgError", "query", "deadlock detected"},
	{"*net.OpError", "dial of shard", "connection refused"},
	{"*payment.DeclinedError", "charge for order", "card declined"},
	{"*json.SyntaxError", "reply of request", "unexpected end of JSON input"},
	{"context.deadlineExceededError", "call", "context deadline exceeded"},
	{"*stock.ShortageError", "reservation of item", "out of stock"},
	{"*fs.PathError", "open of export", "no space left on device"},
}

// outer are the frames in which every request begins.
var outer = []struct {
	module, function string
	line             int
}{
	{"net/http", "(*conn).serve", 2092},
	{"net/http", "serverHandler.ServeHTTP", 3210},
	{"net/http", "HandlerFunc.ServeHTTP", 2220},
	{"acme.dev/web", "Recover.func1", 31},
	{"acme.dev/web", "Trace.func1.2", 58},
}
