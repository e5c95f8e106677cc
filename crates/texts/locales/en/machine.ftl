# The machine's disk and memory.

disk-read-failed = Reading { $path } failed: is the disk full or read-only?
disk-write-failed = Writing { $path } failed: is the disk full or read-only?
disk-remove-failed = Removing { $path } failed: is the disk full or read-only?
folder-not-made = Making the folder { $path } failed: is the disk full or read-only?
folder-not-closed = Closing the folder { $path } failed: is the disk full or read-only?
folder-name-foreign = “{ $folder }” is not a tenant's folder.
disk-work-interrupted = Work on the disk was interrupted.
meminfo-unreadable = { $path } cannot be read.
meminfo-incomplete = { $path } does not say what is free.
container-memory-unknown = The memory of the DNS containers cannot be read: MalikNode has to run on the same machine as Docker, outside a container.
memory-read-broke-off = A part of MalikNode broke off; it is tried again.
