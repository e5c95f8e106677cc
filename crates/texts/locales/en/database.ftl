# The database and its key file.

database-away = The database does not answer just now. Try again in a moment.
database-disk = The database cannot write: its disk is full or read-only.
schema-newer = The database was changed by a newer MalikNode (schema { $found }, this one knows up to { $known }). Start the newer version, or restore a backup.
schema-not-migrated = The database's schema could not be brought up to date: { $reason }
pooler-of-transactions = database_url leads to a pooler that gives each transaction another session, as pgbouncer does with pool_mode = transaction. MalikNode needs sessions of its own: set pool_mode = session and ignore_startup_parameters = extra_float_digits for its database, or use the address of PostgreSQL itself.
seal-key-other = The key file seal.key does not belong to this database: its private keys cannot be read. Restore the key file from the backup made with the database.
seal-key-unusable = The key file { $path } cannot be used: { $reason }.
seal-key-open = The key file { $path } can be read by other users (mode { $mode }). Run: chmod 600 { $path }
seal-key-malformed = The key file { $path } does not hold a key (32 bytes of base64). Restore it from the backup made with the database.

# Moving from SQLite to PostgreSQL: maliknode database move.

database-moved = The database was moved to PostgreSQL, and { $path } does not exist any more. Set database_url to the PostgreSQL database. To go back to the state before the move instead: mv { $file } { $path }
database-in-use = Another maliknode command uses the database in { $path }, or the server does. Wait until the command has ended, or stop the server: systemctl stop maliknode
copy-source-missing = There is no database { $path } to move.
copy-source-busy = Another process writes to { $path }. Stop the server, and wait until other maliknode commands have ended: systemctl stop maliknode
copy-nul-character = { $place } contains the character U+0000, which PostgreSQL cannot store. Nothing was moved. Correct this value first.
copy-value-unreadable = { $place } is damaged and cannot be read. Nothing was moved. Correct this value first, or restore a backup.
copy-target-address = This is no address of a PostgreSQL database. Write postgres://user:password@host/database, with special characters of the password as %40 and the like.
copy-target-unreachable = PostgreSQL at { $target } does not answer. Check the host, the port and the firewall: psql with the same address must work.
copy-target-refused = PostgreSQL at { $target } refuses the user { $user } or its password.
copy-target-unknown = The database { $target } does not exist. Make it, as PostgreSQL's administrator: createdb -E UTF8 -T template0 -O { $user } { $database }
copy-target-not-permitted = { $user } may not create tables in { $target }. Make it the owner of the database, as PostgreSQL's administrator: ALTER DATABASE "{ $database }" OWNER TO "{ $user }"
copy-target-read-only = { $target } is read-only, e.g. because it follows another server. Use the server that accepts changes.
copy-target-encoding = { $target } stores text as { $encoding }, which has not every character. Make another one with UTF8: createdb -E UTF8 -T template0 -O { $user } NAME
copy-target-not-empty = { $target } is not empty: look at the table { $table }. Everything is moved to an empty database only. Make a new one, or empty this one if nothing in it is needed.
copy-target-busy = Another process moves a database to { $target } or uses it. Wait until it has ended.
copy-target-disk-full = The disk of { $target } is full. Nothing was moved. Make room and try again.
copy-target-failed = PostgreSQL at { $target } failed, or the connection to it. Nothing was moved, unless everything was: try again to find out.
copy-target-schema = The PostgreSQL database cannot be used: { $reason }
copy-schema-differs = { $object } is not the same in both databases, so nothing was moved. Was a table changed by another program?
copy-differs = PostgreSQL does not return for the table { $table } what was moved to it. Nothing was moved. Check the server's disk and memory.
