package account_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
)

func TestCheckPassword_Refuses(t *testing.T) {
	t.Parallel()
	about := []string{"Ada Lovelace", "ada.lovelace@analytical.example"}
	for _, tt := range []struct{ name, password, says string }{
		{"nothing", "", "fewer than 12"},
		{"eleven characters", "xK4#pq9!Lw2", "fewer than 12"},
		{"eleven characters of many bytes", "äöüßéèêñçåø", "fewer than 12"},
		{"over 256 bytes", strings.Repeat("xK4#pq9!Lw2y", 22), "more than 256"},
		{"broken UTF-8", "violet tractor \xff moons", "UTF-8"},
		{"one character", "aaaaaaaaaaaa", "repeats"},
		{"one character in both cases", "aAaAaAaAaAaAaA", "repeats"},
		{"two characters", "abababababab", "repeats"},
		{"four characters in disorder", "abcdbdacbdcadbca", "repeats"},
		{"one that is common as it is", "unbelievable", "common"},
		{"a common one with digits", "password1234", "common"},
		{"a common one with digits and signs", "Password1234!", "common"},
		{"a common one in capitals", "PASSWORD2026", "common"},
		{"a common one with stand-ins", "P@$$w0rd!234", "common"},
		{"a one for an L", "1etmein2019!", "common"},
		{"a one for an I", "pr1ncess2019", "common"},
		{"a word, a year and signs", "Sommer2026!!!!", "common"},
		{"another word and a year", "Company2026!", "common"},
		{"a year first", "1987!dragon!", "common"},
		{"a date", "198504121985", "common"},
		{"a common one twice", "passwordpassword", "common"},
		{"a common one three times", "monkeymonkeymonkey", "common"},
		{"a common one twice and digits", "dragondragon12", "common"},
		{"two common ones", "monkeydragon99", "common"},
		{"a common one backwards", "drowssap1234", "common"},
		{"a common one spread out", "p.a.s.s.w.o.r.d", "common"},
		{"a common one with a sign between", "pass-word-2026", "common"},
		{"signs around a common one", "!!!football!!!", "common"},
		{"a long word", "extraordinary", "common"},
		{"the alphabet", "abcdefghijkl", "common"},
		{"the alphabet backwards", "zyxwvutsrqpo", "common"},
		{"digits in order", "123456789012", "common"},
		{"digits downwards", "987654321098", "common"},
		{"pairs in order", "112233445566", "common"},
		{"a row of keys", "qwertyuiop12", "common"},
		{"a German row of keys", "qwertzuiopü1", "common"},
		{"a French row of keys", "azertyuiop123", "common"},
		{"two rows of keys", "asdfghjklzxcvbnm", "common"},
		{"a row of keys backwards", "poiuytrewq12", "common"},
		{"columns of keys", "1qaz2wsx3edc", "common"},
		{"columns of letter keys", "qazwsxedcrfv", "common"},
		{"the shifted digits", "!@#$%^&*()!@", "common"},
		{"six characters twice", "xkqzvbxkqzvb", "common"},
		{"seven characters again and again with digits", "xkqzxkqzxkqzx77", "common"},
		{"a sentence of love", "iloveyouforever", "common"},
		{"the name", "Ada Lovelace!", "your name"},
		{"the name run together", "adalovelace1815", "your name"},
		{"an initial and the surname", "ALovelace#42", "your name"},
		{"the name with stand-ins", "4da.L0ve1ace", "your name"},
		{"the name with a few other characters", "xk7lovelace9", "your name"},
		{"the address", "ada.lovelace@analytical.example", "your name"},
		{"the local part", "ada.lovelace99", "your name"},
		{"the domain", "analytical.example", "your name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := account.CheckPassword(tt.password, about...)
			if !fault.Is(err, fault.Invalid) || fault.CodeOf(err) != "weak_password" {
				t.Fatalf("CheckPassword(%q) = %v, want it refused as weak", tt.password, err)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("CheckPassword(%q) says %q, want %q", tt.password, err, tt.says)
			}
			if tt.password != "" && strings.Contains(err.Error(), tt.password) {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

func TestCheckPassword_Accepts(t *testing.T) {
	t.Parallel()
	about := []string{"Ada Lovelace", "ada.lovelace@analytical.example", "", "Bo", "@"}
	for _, password := range []string{
		"correct horse battery staple",
		"CorrectHorseBatteryStaple",
		"violet tractor 9 moons",
		"purple-elephant-dancing",
		"the cat sat on my hat",
		"Blumentopf hinter Garage",
		"we ate soup at midnight",
		"drei kleine Igel",
		"lovelace wrote about machines",
		"xkqzvbwmfjtr",
		"839174650283",
		"x#9!k$2@q%7&",
		"gT7$kLp0!zQe",
		"aB3dE6gH9jK2",
		"kW.3xz.Pq.8r",
		"Tr0ub4dor&3xyz",
		"hunter2-kangaroo-lamp",
		"моя собака любит сыр",
		"猫が好きな魚は鮭と鯖です",
		"ñandú saltó río lejos",
		strings.Repeat("ab", 6) + "then kangaroos",
		strings.Repeat("xK4#pq9!Lw2y", 8) + "tail of another sort",
	} {
		if err := account.CheckPassword(password, about...); err != nil {
			t.Errorf("CheckPassword(%q) = %v", password, err)
		}
	}
	for range 2000 {
		if random := rand.Text()[:12]; account.CheckPassword(random, about...) != nil {
			t.Errorf("CheckPassword(%q) refuses random characters", random)
		}
	}
}

func TestCheckPassword_KnowsNobodyByDefault(t *testing.T) {
	t.Parallel()
	const password = "zyrqvexlamo7"
	if err := account.CheckPassword(password); err != nil {
		t.Error(err)
	}
	if err := account.CheckPassword(password, "Zyr Qvexlamo"); err == nil {
		t.Error("a name is accepted")
	}
}

func FuzzCheckPassword(f *testing.F) {
	f.Add("correct horse battery staple", "Ada Lovelace")
	f.Add("\xff\x80ÄÄ", "@")
	f.Fuzz(func(t *testing.T, password, about string) {
		err := account.CheckPassword(password, about)
		if err != nil && fault.CodeOf(err) != "weak_password" {
			t.Errorf("CheckPassword(%q, %q) = %v", password, about, err)
		}
	})
}

func BenchmarkCheckPassword(b *testing.B) {
	name := strings.Repeat("ab.c", 60)
	for _, bench := range []struct{ name, password string }{
		{"passphrase", "correct horse battery staple"},
		{"one run of 256", strings.Repeat("abcdefghijklmnopqrstuvwxyz", 9) + "abcdefghijklmnopqrstuv"},
		{"runs of 256", strings.Repeat("aaabbbccde", 25) + "aaabbb"},
		{"digits of 256", strings.Repeat("0134571@$!", 25) + "013457"},
		{"names of 256", strings.Repeat("ab.cab.cabc", 23)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				_ = account.CheckPassword(bench.password, name, name+"@"+name)
			}
		})
	}
}
