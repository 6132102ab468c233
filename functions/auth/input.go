package auth

import "github.com/mesherhq/mesher/shared/account"

// What the routes take. Lengths only bound the work; the models say what is right.

type registerInput struct {
	Body struct {
		Email    string    `json:"email" maxLength:"400"`
		Password concealed `json:"password" maxLength:"1000" doc:"12 characters or more, none of the common ones, and not what is known of the user"`
		Name     string    `json:"name,omitempty" maxLength:"200"`
	}
}

type loginInput struct {
	Body struct {
		Email    string    `json:"email" maxLength:"400"`
		Password concealed `json:"password" maxLength:"1000"`
		Cookie   bool      `json:"cookie,omitempty" doc:"answer the session token as a cookie, for a browser"`
	}
}

type verifyInput struct {
	Body struct {
		Token    concealed `json:"token" maxLength:"200" doc:"from the link in the mail"`
		Password concealed `json:"password" maxLength:"1000"`
		Cookie   bool      `json:"cookie,omitempty" doc:"answer the session token as a cookie, for a browser"`
	}
}

type acceptInput struct {
	Body struct {
		Token    concealed `json:"token" maxLength:"200" doc:"from the link in the mail"`
		Name     string    `json:"name,omitempty" maxLength:"200" doc:"of a new account"`
		Password concealed `json:"password,omitempty" maxLength:"1000" doc:"of a new account"`
		Cookie   bool      `json:"cookie,omitempty" doc:"answer the session token of a new account as a cookie, for a browser"`
	}
}

type tokenInput struct {
	Body struct {
		Token concealed `json:"token" maxLength:"200" doc:"from the link in the mail"`
	}
}

type emailInput struct {
	Body struct {
		Email string `json:"email" maxLength:"400"`
	}
}

type passwordInput struct {
	Body struct {
		Password concealed `json:"password" maxLength:"1000"`
	}
}

type changeEmailInput struct {
	Body struct {
		Email    string    `json:"email" maxLength:"400" doc:"the new address"`
		Password concealed `json:"password" maxLength:"1000"`
	}
}

type changePasswordInput struct {
	Body struct {
		Current concealed `json:"current_password" maxLength:"1000"`
		New     concealed `json:"new_password" maxLength:"1000" doc:"12 characters or more, none of the common ones, and not what is known of the user"`
	}
}

// whoami is who is logged in.
type whoami struct {
	User    account.User    `json:"user"`
	Session account.Session `json:"session"`
}
