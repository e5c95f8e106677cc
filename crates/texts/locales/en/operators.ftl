# Operators, their roles, and what is recorded of what people do.

operator-name-taken = Another operator has this name. Choose another one.
operator-name-malformed = A name has letters, digits and hyphens, and at most { $most } of them.
operator-link-invalid = This link was used, has expired, or was withdrawn. On the server, maliknode operator link prints a new one for the first operator; an owner makes a new one for others.
operators-exist = There is an operator already. An owner invites others: maliknode operator add NAME --role ROLE
last-owner = This is the last owner. Make another operator an owner first.
role-unknown = Choose a role: read-only, support or owner.
operator-address = Operators are not served at your address. The setting is operator_from.
audit-time-malformed = Write a date such as 2026-11-27, or a time such as 2026-11-27T20:15:00Z.
audit-format-unknown = Choose csv or jsonl.
