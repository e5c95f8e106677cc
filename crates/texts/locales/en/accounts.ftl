# Names, passwords, plans and accounts.

name-empty = Choose a name: it becomes your address.
name-too-long = That name is too long: 32 characters at most.
name-too-short = That name is too short: 3 characters at least.
name-characters = Use the letters a to z, digits and hyphens only.
name-hyphen = A name cannot begin or end with a hyphen.
name-third-hyphens = Two hyphens in third place are reserved on the internet.
name-reserved = “{ $name }” is reserved. Choose another name.
name-taken = “{ $name }” is taken. Choose another name.
name-in-use = That name is taken. Choose another one.
password-too-long = That password is too long: 256 characters at most.
password-too-short = Use 10 characters or more. Four random words are good.
password-guessable = That password is easily guessed. Four random words are good.
plan-not-chosen = Choose one of the plans.
plan-unknown = That plan does not exist. Choose one of those shown.
sign-ups-full = This server is full. Nothing was made. Try again later.
created-without-ticket = “{ $name }” is created, but you could not be signed in just now. Sign in with your new password.
account-name-wrong = That is not the account's name. Type { $name } to delete it.
tenant-unknown = there is no tenant { $name }; `maliknode tenant list` shows all
operator-unknown = There is no operator “{ $name }”.
