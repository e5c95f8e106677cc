# Docker, its containers, networks and images.

docker-not-local = Docker's address “{ $host }” is not a unix socket. MalikNode needs the engine of this machine, e.g. DOCKER_HOST={ $example }
docker-timed-out = Docker has not answered for { $seconds } s: systemctl restart docker
docker-not-permitted = MalikNode may not use Docker's socket { $socket }: run it as root.
docker-down = Docker does not answer: systemctl start docker
docker-version-unknown = Docker does not report its version.
docker-containers-unlisted = Docker does not list its containers.
docker-networks-unlisted = Docker does not list its networks.
docker-image-uninspected = Docker cannot inspect the AdGuard Home image.
docker-container-uninspected = Docker cannot inspect the container { $name }.
docker-dns-container-uninspected = Docker cannot inspect a DNS container.
container-foreign = A container called { $name } is not MalikNode's. Rename or remove it: docker rename { $name } { $name }_old
container-address-taken = Another container has the address { $address } of { $name }: docker network inspect maliknode
container-disk-full = The disk is full: docker system df shows what uses the space.
container-folder-missing = A folder of { $name } is missing. The next try creates it.
container-not-started = Docker does not start { $name }: docker logs { $name }
container-not-removed = Docker does not remove a DNS container: docker rm -f { $id }
container-removal-unfinished = Docker does not finish removing a DNS container: docker rm -f { $id }
container-of-other-spec = { $name } was created from another specification and is removed first.
container-contended = Another program keeps creating and removing a container called { $name }: docker events --filter container={ $name }
image-missing = Waiting for the AdGuard Home image: run `./dev image`, or `docker pull { $image }`.
image-not-pulled = The AdGuard Home image cannot be pulled ({ $reason }): run `./dev image`, or `docker pull { $image }`.
pull-sent-nothing = the registry sent nothing
pull-absent = the registry does not have it
pull-limited = the registry allows no more pulls for now
pull-disk-full = the disk is full
pull-unreachable = the image registry is not reachable
network-overlaps = Docker's network “{ $name }” ({ $range }) overlaps with our { $ours }: choose another range in config.toml, or remove it: docker network rm { $name }
network-range-taken = The range { $range } for DNS containers is used by another Docker network: set addresses.containers in config.toml, or remove that network.
network-bridge-taken = The bridge { $bridge } belongs to another Docker network. Find it by docker network ls, then remove it by docker network rm.
network-not-created = Docker cannot create the network “{ $name }”.
network-foreign = A Docker network called “{ $name }” is not MalikNode's. Remove it: docker network rm { $name }
network-differs = The Docker network “{ $name }” was created with { $difference }. Remove its containers, then the network: docker network rm { $name }
network-other-range = another address range
network-other-bridge = another bridge
network-other-settings = other settings
