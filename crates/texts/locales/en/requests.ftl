# What a person reads whose request was refused.

not-found = There is nothing here under that address.
signed-out = You are signed out. Sign in and try again.
ticket-invalid = This link was used already or is too old. Sign in to go on.
sign-in-refused = The name or the password is wrong.
too-many-tries = Too many tries. Try again in { $seconds ->
        [one] 1 second
       *[other] { $seconds } seconds
    }.
too-many-tries-minutes = Too many tries. Try again in { $minutes ->
        [one] 1 minute
       *[other] { $minutes } minutes
    }.
signing-in-busy = Many people are signing in right now. Try again in a few seconds.
internal-error = Something went wrong on our side. Nothing was changed. Quote { $incident }.
unexpected = Something went wrong on our side. Nothing was changed.
password-not-processed = The password could not be processed. Try again. Quote { $incident }.
no-randomness = The server has no randomness. Nothing was created. Quote { $incident }.
state-not-sent = The state cannot be sent. Quote { $incident }.
form-incomplete = Something was missing in the form. Reload the page and try again.
server-starting = The server is still starting.
request-without-context = The request has no context.
verbatim = { $text }
