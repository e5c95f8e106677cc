# The database and its key file.

database-away = The database does not answer just now. Try again in a moment.
database-disk = The database cannot write: its disk is full or read-only.
schema-newer = The database was changed by a newer MalikNode (schema { $found }, this one knows up to { $known }). Start the newer version, or restore a backup.
schema-not-migrated = The database's schema could not be brought up to date: { $reason }
seal-key-other = The key file seal.key does not belong to this database: its private keys cannot be read. Restore the key file from the backup made with the database.
seal-key-unusable = The key file { $path } cannot be used: { $reason }.
seal-key-open = The key file { $path } can be read by other users (mode { $mode }). Run: chmod 600 { $path }
seal-key-malformed = The key file { $path } does not hold a key (32 bytes of base64). Restore it from the backup made with the database.
