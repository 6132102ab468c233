package pubsub

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// guard returns the option that makes a gRPC server refuse every request without the token, whatever its method. It
// looks at the headers alone: an interceptor would be asked after the message is read, and whoever has no token
// could fill the memory with messages that never end.
func guard(token string) grpc.ServerOption {
	want := sha256.Sum256([]byte("Bearer " + token))
	return grpc.InTapHandle(func(ctx context.Context, in *tap.Info) (context.Context, error) {
		if got := in.Header.Get("authorization"); len(got) == 1 {
			// Hashes are of one length; comparing the tokens would tell by its time whether theirs is the same.
			sum := sha256.Sum256([]byte(got[0]))
			if subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
				return ctx, nil
			}
		}
		return nil, status.Error(codes.Unauthenticated, "this Pub/Sub asks for its token, which PUBSUB_EMULATOR_TOKEN must hold")
	})
}
