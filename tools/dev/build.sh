# shellcheck shell=bash
# Building and starting the product. Both the server and the browser's part come from cargo-leptos:
# a plain `cargo build -p server` would not know the names of the files that the pages link.

export LEPTOS_OUTPUT_NAME=maliknode
# Leptos then compiles a component's view once, and not once for each place that shows it: the program is a fifth smaller
# (leptos' Cargo.toml, "erase_components"). cargo-leptos sets it by itself for debug builds. Pages and script must agree on it.
readonly RELEASE_FLAGS='--cfg erase_components'

help_build() {
  cat <<TEXT
./dev build [--debug]: builds the binary and the site; nothing is done where nothing has changed.
  binary  $CARGO_TARGET_DIR/release/maliknode (debug/ with --debug)
  site    $CARGO_TARGET_DIR/release/site, which the binary finds beside itself
  bill    $CARGO_TARGET_DIR/release/maliknode.cdx.json, what the program is made of (CycloneDX; tools/sbom.py)
Needs what ./dev setup installs.
TEXT
}

help_run() {
  cat <<TEXT
./dev run [--port N] [--root DIR] [--release] [-- ARGS…]
  1. installs what is missing (see ./dev setup --help)
  2. builds MalikNode, and fetches the AdGuard Home image at the same time
  3. starts it as root: maliknode serve --root DIR --listen 127.0.0.1:N --base localhost:N
and prints what to open and the operator's first sign-in. Ctrl-C stops the server; tunnels stay up.
  --port N    default 8085
  --root DIR  where the data are, default /etc/maliknode; the database is SQLite unless its configuration says otherwise
  --release   the optimised build, as for a real server; it takes twice as long to build
  -- ARGS     passed on to 'maliknode serve'
The first time, on two cores: about 11 minutes where only package registries are reachable (cargo-leptos 5, the build 4,
the image 1.5), perhaps 5 where the internet is (prebuilt tools and the image are downloaded; added up, not measured). After that, seconds.
TEXT
}

binary_of() { printf '%s/%s/maliknode' "$CARGO_TARGET_DIR" "$1"; }
# Beside the binary, where it looks for it. A site of its own for each profile, because file names carry
# a hash that only the binary built with them knows.
site_of() { printf '%s/%s/site' "$CARGO_TARGET_DIR" "$1"; }
bill_of() { printf '%s/%s/maliknode.cdx.json' "$CARGO_TARGET_DIR" "$1"; }

# Everything a build reads, by name, size and time: cargo-leptos would run its optimisers each time.
build_fingerprint() {
  (
    cd "$ROOT"
    find Cargo.toml Cargo.lock rust-toolchain.toml package-lock.json app frontend server crates migrations style public \
      docs/PRIVACY.md \
      -name target -prune -o -type f -printf '%p %s %T@\n' 2>/dev/null | LC_ALL=C sort
    printf '%s %s\n' "$ROOT" "$1"
  ) | sha256sum | cut -d' ' -f1
}

# build_product release|debug
build_product() {
  local profile=$1 stamp=$CACHE/built-$1 fingerprint
  # cargo's locks are not enough: two runs of cargo-leptos empty the same site.
  exec 7>"$CACHE/build.lock"
  flock -n 7 || { echo "Another ./dev builds; waiting for it." && flock 7; }
  fingerprint=$(build_fingerprint "$profile")
  if [ "$(cat "$stamp" 2>/dev/null)" = "$fingerprint" ] && [ -x "$(binary_of "$profile")" ] && [ -d "$(site_of "$profile")" ]; then
    note "nothing has changed"
    exec 7>&-
    return
  fi
  hint "The build failed; the whole log is $STEP_LOG"
  rm -f "$stamp"
  cd "$ROOT"
  export LEPTOS_SITE_ROOT
  LEPTOS_SITE_ROOT=$(site_of "$profile")
  if [ "$profile" = release ]; then
    # -P also writes .br and .gz, which the server sends as they are.
    RUST_BACKTRACE=0 RUSTFLAGS=$RELEASE_FLAGS cargo leptos build --release -P
  else
    RUST_BACKTRACE=0 cargo leptos build
  fi
  python3 "$ROOT/tools/sbom.py" --out "$(bill_of "$profile")"
  printf '%s\n' "$fingerprint" >"$stamp"
  exec 7>&-
}

cmd_build() {
  local profile=release
  case ${1:-} in '' | --release) ;; --debug) profile=debug ;; *) die "./dev build knows --debug only, not '$1'." ;; esac
  step "Build, $profile|some minutes the first time" build_product "$profile"
  say "Built $(binary_of "$profile")"
}

cmd_run() {
  local port=8085 root=/etc/maliknode profile=debug
  while [ $# -gt 0 ]; do
    case $1 in
    --port) port=${2:-} && shift ;;
    --port=*) port=${1#*=} ;;
    --root) root=${2:-} && shift ;;
    --root=*) root=${1#*=} ;;
    --release) profile=release ;;
    --debug) profile=debug ;;
    --) shift && break ;;
    *) die "./dev run does not know '$1'; see ./dev run --help." ;;
    esac
    shift || die "The last option needs a value; see ./dev run --help."
  done
  [[ $port =~ ^[0-9]+$ ]] && [ "$port" -ge 1 ] && [ "$port" -le 65535 ] || die "--port needs a number from 1 to 65535, not '$port'."
  [ -n "$root" ] || die "--root needs a folder."
  root=$(realpath -m "$root")

  with_lock setup_for_run
  step "Build, $profile|some minutes the first time" build_product "$profile"
  finish_image
  say
  say "${bold}Open http://localhost:$port${plain} · data in $root · Ctrl-C stops the server, tunnels stay up"
  [ "$IMAGE_RC" -eq 0 ] || say "Each tenant's DNS waits for the AdGuard Home image: ./dev image"
  say
  cd "$ROOT"
  as_root_exec "$(binary_of "$profile")" serve --root "$root" --listen "127.0.0.1:$port" --base "localhost:$port" "$@"
}
