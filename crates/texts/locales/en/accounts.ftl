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
password-too-long = That password is too long: 128 characters at most.
password-too-short = Use 12 characters or more. Four random words are good.
password-guessable = That password is easily guessed. Four random words are good.
plan-not-chosen = Choose one of the plans.
plan-unknown = That plan does not exist. Choose one of those shown.
plan-id-malformed = Use 1 to { $most } of the letters a to z, digits and hyphens for the plan's id.
plan-name-malformed = Use 1 to { $most } visible characters for the plan's name.
plan-devices-range = A plan allows 1 to { $most } devices.
plan-data-range = A plan's data are 1 MB to 1 PB a month, or have no limit.
plan-speed-range = A speed is 64 kb/s to 10 Tb/s, or has no limit.
plan-not-slower = The speed once the data are used up must not be higher than the plan's own.
plan-day-range = The month begins on a day from 1 to 31. In a shorter month it is the last day.
plan-taken = There is a plan with that id. Choose another one.
plan-in-use = { $tenants ->
    [one] One tenant has this plan, so it cannot be deleted. Hide it, or give the tenant another plan.
   *[other] { $tenants } tenants have this plan, so it cannot be deleted. Hide it, or give them another plan.
}
at-limit-unknown = Choose what happens once the data are used up: slow or stop.
time-zone-unknown = There is no such time zone. Choose one of the list, for example Europe/Berlin.
sign-ups-full = This server is full. Nothing was made. Try again later.
created-without-ticket = “{ $name }” is created, but you could not be signed in just now. Sign in with your new password.
account-name-wrong = That is not the account's name. Type { $name } to delete it.
tenant-unknown = there is no tenant { $name }; `maliknode tenant list` shows all
operator-unknown = There is no operator “{ $name }”.
