package account_test

import (
	"testing"

	"github.com/mesherhq/mesher/shared/account"
)

func BenchmarkIdentify(b *testing.B) {
	f := setup(b)
	_, session := f.login(b, f.anna, "")
	_, token := f.token(b, f.anna, account.TokenSpec{}, "")
	for name, bearer := range map[string]string{"session": session, "token": token} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := account.Identify(b.Context(), f.app, week, bearer); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := account.Identify(b.Context(), f.app, week, bearer); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
