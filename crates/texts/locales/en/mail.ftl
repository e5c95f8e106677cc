# Mail addresses, and what is written to them.

mail-address-malformed = Write an address such as lina@example.org.
mail-address-not-ascii = Write the address in the letters a to z. A domain in other letters has such a form too, which begins with xn--.
mail-address-too-long = An address has { $most } characters at most.
mail-address-same = This is the account's address already.
mail-link-invalid = This link was used, has expired, or a newer one was sent. Sign in, and have another one sent under “Account”.
mail-not-set-up = This installation sends no mail. The setting is mail.server.
mail-given-up = A mail ({ $kind }) was given up after { $tries ->
    [one] one try
   *[other] { $tries } tries
}: { $answer }. `maliknode mail list` shows it, `maliknode mail retry` sends it again.
mail-not-taken = The mail server did not take it: { $answer }
mail-verify-subject = Is this the mail address of { $name }?
mail-verify-text = This address was given as that of the account { $name }. If it was you, confirm it by this link, within a day:
mail-verify-end = If it was not you, do nothing. Nothing more is sent here then.
mail-reset-subject = A new password for { $name }
mail-reset-text = A new password was asked for, for the account { $name }. This link sets one. It works once, within an hour:
mail-reset-end = If it was not you, do nothing: your password stays as it is.
mail-address-subject = The mail address of { $name } is being changed
mail-address-text = Mail for the account { $name } is to be sent to { $address } instead of here.
mail-address-removed = The mail address of the account { $name } was removed. This is the last mail that is sent here.
mail-sign-in-subject = A new sign-in to { $name }
mail-sign-in-text = The account { $name } was signed in to on a browser that was not used before: { $client }, from { $origin }.
mail-sign-in-unknown = The account { $name } was signed in to with a program that was not used before, from { $origin }.
mail-change-subject = { $name }: a change of your account
mail-change-text = { $change } The account is { $name }; the request came from { $origin }.
mail-change-unknown = { $change } The account is { $name }.
mail-changed-password = The password was changed.
mail-changed-factor-added = A second factor was added to your sign-in.
mail-changed-factor-removed = A second factor was removed from your sign-in.
mail-changed-recovery-codes = New recovery codes were made; the former ones stopped working.
mail-changed-token-made = An API token was made, with which a program acts for the account.
mail-quota-warned-subject = { $name }: { $percent } % of this month's data are used
mail-quota-warned-text = The devices of { $name } have used { $percent } % of this month's data.
mail-quota-reached-subject = { $name }: this month's data are used up
mail-quota-reached-text = The devices of { $name } have used all of this month's data. The page “Account” says what follows.
mail-quota-end = These warnings can be switched off under “Account”.
mail-test-subject = A test of MalikNode's mail
mail-test-text = This mail shows that MalikNode can send mail.
mail-not-you = If it was not you, sign in, change your password and end the other sessions. If you cannot sign in, ask your provider.
mail-footer = MalikNode at { $host }
check-mail = Mail
mail-server-ready = { $server } answers and accepts the settings
mail-server-refused = { $server } takes no mail: { $reason }
fix-mail = check mail.server, mail.user and the password in the configuration, then send a test: maliknode mail test ADDRESS
