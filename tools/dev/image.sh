# shellcheck shell=bash
# The AdGuard Home image: pulled, or built from the published source where no image registry is
# reachable. Either way it has the official image's entrypoint, folders and arguments.

engine_has_image() { engine image inspect "$ADGUARD_IMAGE" >/dev/null 2>&1; }

# A copy outside the engine: the test beds' private engines load it, and so does this one after a prune.
save_image() {
  [ -s "$IMAGE_TAR" ] && return
  engine save "$ADGUARD_IMAGE" >"$IMAGE_TAR.part"
  mv "$IMAGE_TAR.part" "$IMAGE_TAR"
}

image_origin() {
  local label
  label=$(engine image inspect --format '{{index .Config.Labels "maliknode.origin"}}' "$ADGUARD_IMAGE" 2>/dev/null || true)
  [ "$label" = source ] && echo "built from source" || echo "from the image registry"
}

# Leaves the source with a built web UI and the binary in $1.
build_adguard() {
  local work=$1 module source
  # `go install …@version` is refused where a proxy lists no versions; downloading one exact version is not.
  module=$(cd / && go mod download -json "github.com/AdguardTeam/AdGuardHome@$ADGUARD_VERSION")
  source=$(sed -n 's/.*"Dir": "\(.*\)",\{0,1\}/\1/p' <<<"$module")
  rm -rf "$work"
  mkdir -p "$work/src"
  cp -r "$source/." "$work/src"
  chmod -R u+w "$work/src"
  # The module embeds build/static and ships it empty: without this the API works and every page is a 404.
  (cd "$work/src/client" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm run build-prod)
  # timetzdata: the official image has the time zones in a package; weekly schedules need them.
  (cd "$work/src" && CGO_ENABLED=0 go build -trimpath -tags timetzdata \
    -ldflags "-s -w -X github.com/AdguardTeam/AdGuardHome/internal/version.version=$ADGUARD_VERSION" \
    -o "$work/AdGuardHome" .)
}

import_adguard() {
  local work=$1 root=$1/root
  mkdir -p "$root/opt/adguardhome/conf" "$root/opt/adguardhome/work" "$root/etc/ssl/certs" "$root/tmp"
  chmod 1777 "$root/tmp"
  cp "$work/AdGuardHome" "$root/opt/adguardhome/"
  # Upstreams over HTTPS and TLS are checked against these.
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  # `import` works with every engine, with and without BuildKit, and needs no base image.
  tar -C "$root" --owner=0 --group=0 --numeric-owner -c . | engine import \
    --change 'ENTRYPOINT ["/opt/adguardhome/AdGuardHome"]' \
    --change 'CMD ["--no-check-update","-c","/opt/adguardhome/conf/AdGuardHome.yaml","-w","/opt/adguardhome/work"]' \
    --change 'WORKDIR /opt/adguardhome/work' \
    --change 'EXPOSE 53/tcp 53/udp 80/tcp 443/tcp 443/udp 853/tcp 853/udp 3000/tcp' \
    --change 'LABEL maliknode.origin=source' \
    - "$ADGUARD_IMAGE"
}

setup_image() {
  if ! engine_answers; then
    hint "The image waits for Docker; ./dev image fetches it later."
    return 1
  fi
  if engine_has_image; then
    save_image
    note "$(image_origin), already there"
    return
  fi
  if [ -s "$IMAGE_TAR" ] && engine load -i "$IMAGE_TAR"; then
    note "$(image_origin), loaded from the cache"
    return
  fi
  rm -f "$IMAGE_TAR"
  local pinned=${ADGUARD_IMAGE%:*}@$ADGUARD_DIGEST
  echo "Trying the image registry"
  if timeout 60 env DOCKER_CLI_HINTS=false docker pull "$pinned" || {
    [ "$EUID" -ne 0 ] && timeout 60 sudo -n docker pull "$pinned"
  }; then
    engine tag "$pinned" "$ADGUARD_IMAGE"
    save_image
    note "pulled"
    return
  fi
  local advice="No image registry answered"
  if ! has go; then
    hint "$advice, and building the image needs Go $ADGUARD_GO or newer (https://go.dev/dl/). Install it, or make docker.io reachable, then run ./dev image."
    return 1
  fi
  local version
  version=$(go env GOVERSION | sed 's/^go//')
  if ! at_least "$version" "$ADGUARD_GO"; then
    # Since 1.21 Go fetches the toolchain a module asks for, where its proxy is reachable.
    echo "Go $version is older than $ADGUARD_GO: it will try to fetch a newer one"
  fi
  hint "$advice, and building the image from source failed (Go $ADGUARD_GO or newer, Node 20 with npm and their registries are needed). ./dev image tries again."
  build_adguard "$CACHE/adguard-build"
  import_adguard "$CACHE/adguard-build"
  save_image
  rm -rf "$CACHE/adguard-build"
  note "built from source, as no image registry answered"
}
