package topic

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// DialLocal returns how a Pub/Sub on this machine is spoken to: in plain text, each request with the token unless
// that is empty.
func DialLocal(token string) []grpc.DialOption {
	dial := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if token != "" {
		dial = append(dial, grpc.WithPerRPCCredentials(bearer(token)))
	}
	return dial
}

// bearer is a token that goes with each request.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is false: the bytes do not leave the machine.
func (bearer) RequireTransportSecurity() bool { return false }
