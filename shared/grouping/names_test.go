package grouping

import "testing"

// placed returns the part that a frame becomes, or what it is instead.
func placed(s style, module, file, function string) string {
	p := newParts()
	defer p.release()
	quote := func(text string) []byte {
		if text == "" {
			return nil
		}
		return []byte(`"` + text + `"`)
	}
	f := frame{style: s, module: quote(module), file: quote(file), function: quote(function)}
	switch n := p.nameOf(&f); n.sort {
	case generated:
		return "generated"
	case anonymous:
		return "anonymous"
	default:
		p.appendPlace(&f, n)
		return string(p.text[headLength:])
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		style                  style
		module, function, want string
	}{
		{golang, "main", "run.func1", "main run"},
		{golang, "main", "run.func1.2", "main run"},
		{golang, "main", "run.gowrap3", "main run"},
		{golang, "main", "Run.Run.func3.func4", "main Run"},
		{golang, "a.dev/shop/v2/cache", "(*Cache[go.shape.string]).Get", "a.dev/shop/cache (*Cache).Get"},
		{golang, "a.dev/v3", "(*Queue).Drain-fm", "a.dev (*Queue).Drain"},
		{golang, "a.dev/vendors", "f", "a.dev/vendors f"},
		{golang, "crypto/md5", "Sum", "crypto/md5 Sum"},
		{golang, "a.dev/x", "a.dev/x.Run", "a.dev/x Run"},
		{python, "shop.cart", "<listcomp>", "generated"},
		{python, "shop.cart", "total.<locals>.<lambda>", "shop.cart <lambda>"},
		{python, "shop.cart", "<module>", "shop.cart <module>"},
		{browser, "", "async Object.save [as run]", "a.js save"},
		{browser, "", "Cart.prototype.save", "a.js save"},
		{browser, "", "new Cart", "a.js Cart"},
		{browser, "", "async*save", "a.js save"},
		{browser, "", "HTMLButtonElement.<anonymous>", "anonymous"},
		{browser, "", "Form/this.go<", "anonymous"},
		{browser, "", "$t", "anonymous"},
		{node, "", "async Orders.create", "a.js Orders.create"},
		{node, "", "exports.create", "a.js create"},
		{jvm, "a.Daily", "lambda$build$3", "a.Daily build"},
		{jvm, "a.Main$1", "run", "a.Main run"},
		{jvm, "a.Model$load$2$1", "invokeSuspend", "a.Model load"},
		{jvm, "a.View", "onCreate$lambda$2", "a.View onCreate"},
		{jvm, "a.Daily$$Lambda$14/0x00007f3a", "apply", "generated"},
		{jvm, "a.Orders$$EnhancerBySpringCGLIB$$3f2a", "place", "generated"},
		{jvm, "jdk.proxy2.$Proxy87", "save", "generated"},
		{jvm, "a.Orders", "access$getRepo$p", "generated"},
		{jvm, "a.Cart$Companion", "of", "a.Cart$Companion of"},
		{jvm, "a.b", "c", "anonymous"},
		{dotnet, "Shop.Pay+<ChargeAsync>d__12", "MoveNext", "Shop.Pay ChargeAsync"},
		{dotnet, "Shop.Jobs+<>c__DisplayClass5_0", "<Run>b__0", "Shop.Jobs Run"},
		{dotnet, "Shop.Csv", "<Read>g__Cell|3_0", "Shop.Csv Read.Cell"},
		{dotnet, "Http+<<SendAsync>g__Core|83_0>d", "MoveNext", "Http SendAsync.Core"},
		{dotnet, "Shop.Cache`1[[System.String, Lib]]", "Get[T]", "Shop.Cache Get"},
		{ruby, "", "block (2 levels) in Cart#total", "a.js total"},
		{ruby, "", "rescue in total", "a.js total"},
		{ruby, "", "<main>", "a.js main"},
		{ruby, "", "_app_views_show_html_erb___392_700", "a.js _app_views_show_html"},
		{php, "", "App\\\\Cart->sum", "a.js App\\Cart::sum"},
		{php, "", "{closure:App\\\\Sync::handle():31}", "a.js {closure"},
		{php, "", "class@anonymous/srv/a.php:3$0::go", "a.js class@anonymous::go"},
		{rust, "", "shop::charge::h0123456789abcdef", "a.js shop::charge"},
		{rust, "", "shop::run::{{closure}}::h0123456789abcdef", "a.js shop::run"},
		{rust, "", "shop::run::{async_fn#0}::{closure#1}", "a.js shop::run"},
		{rust, "", "shop::Cache<K,V>::get", "a.js shop::Cache::get"},
		{rust, "", "shop::load::<u8>", "a.js shop::load"},
		{rust, "", "<shop::Entry<V> as core::Display>::fmt", "a.js <shop::Entry as core::Display>::fmt"},
		{native, "", "void shop::load<int>(std::vector<int>&) const", "a.js shop::load"},
		{native, "", "(anonymous namespace)::load(int) [clone .isra.0]", "a.js load"},
		{native, "", "shop::run()::{lambda(int)#1}::operator()(int) const", "a.js shop::run"},
		{native, "", "non-virtual thunk to shop::View::draw()", "generated"},
		{native, "", "shop::Cart::remove(int) (.cold)", "a.js shop::Cart::remove"},
		{native, "", "shop::Money::operator<(int)", "a.js shop::Money::operator<"},
		{apple, "", "-[Cart lineAt:]", "a.js -[Cart lineAt:]"},
		{apple, "", "closure #1 in closure #2 in CartView.body.getter", "a.js CartView.body.getter"},
		{apple, "", "partial apply for closure #1 in X", "generated"},
		{apple, "", "specialized Rows.at(_:)", "a.js Rows.at(_:)"},
		{apple, "", "(2) suspend resume partial function for Api.fetch(_:)", "a.js Api.fetch(_:)"},
		{beam, "Elixir.Shop.Orders", "Shop.Orders.charge/2", "Shop.Orders charge/2"},
		{beam, "Elixir.Shop.Import", "anonymous fn/1 in Shop.Import.rows/1", "Shop.Import rows/1"},
		{beam, "Shop.Import", "-rows/1-fun-2-", "Shop.Import rows/1"},
		{unknown, "main", "run.func1.2", "main run"},
		{unknown, "Foo", "Main$1", "Foo Main$"},
	}
	for _, tt := range tests {
		if got := placed(tt.style, tt.module, "a.js", tt.function); got != tt.want {
			t.Errorf("%q %q became %q, want %q", tt.module, tt.function, got, tt.want)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		style    style
		in, want string
	}{
		{python, "shop/payments.py", "shop/payments.py"},
		{python, "/tmp/ipykernel_4121/1839201.py", "ipykernel_#/#.py"},
		{golang, "/srv/build17/shop/main.go", "shop/main.go"},
		{dotnet, `C:\\agent\\_work\\12\\s\\src\\Shop\\Main.cs`, "Shop/Main.cs"},
		{php, "/var/www/html/app/Cart.php", "Cart.php"},
		{php, "/srv/releases/20261121103000/web.php", "web.php"},
		{browser, "app:///main.3f2c9a51.js?v=7", "main.#.js"},
		{browser, "https://cdn-a.example.com/assets/app.3f9a.js", "app.#.js"},
		{browser, "https://cdn-a.example.com/assets/index-DkG3_x9Q.js", "index-#.js"},
		{browser, "https://cdn-a.example.com/assets/data-settings.js", "data-settings.js"},
		{browser, "https://shop.example.com/static/chunk-2FA3.js", "chunk-#.js"},
		{browser, "chunk-0123456789abcdef.js", "chunk-#.js"},
		{browser, "webpack:///./src/cart/list.ts", "cart/list.ts"},
		{browser, "webpack://shop/./src/cart/list.ts?3f2a", "cart/list.ts"},
		{browser, "https://shop.example.com", "/"},
		{node, "node:net", "net"},
		{native, "v8/facade.cc", "v8/facade.cc"},
	}
	for _, tt := range tests {
		p := newParts()
		f := frame{style: tt.style, file: []byte(`"` + tt.in + `"`)}
		if got := string(p.appendFile(nil, &f)); got != tt.want {
			t.Errorf("file %q became %q, want %q", tt.in, got, tt.want)
		}
		p.release()
	}
}
