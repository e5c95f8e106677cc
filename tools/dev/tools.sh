# shellcheck shell=bash
# Rust's side of the set-up: the pinned toolchain, the wasm target, cargo-leptos and wasm-bindgen.
# The two tools go to the cache folder, so that the user's ~/.cargo/bin stays unchanged.

install_toolchain() {
  if ! has rustup; then
    hint "Rust is missing. Install it by rustup (https://rustup.rs), then run ./dev again: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    return 1
  fi
  local sysroot
  # `rustup run` answers without installing anything, whatever RUSTUP_AUTO_INSTALL says.
  if sysroot=$(rustup run "$RUST_VERSION" rustc --print sysroot 2>/dev/null) &&
    [ -d "$sysroot/lib/rustlib/wasm32-unknown-unknown/lib" ] &&
    [ -x "$sysroot/bin/cargo-clippy" ] && [ -x "$sysroot/bin/rustfmt" ]; then
    note "already there"
    return
  fi
  hint "rustup could not install Rust $RUST_VERSION; is static.rust-lang.org reachable?"
  if ! rustup run "$RUST_VERSION" rustc --version; then
    rustup toolchain install "$RUST_VERSION" --profile minimal
  fi
  rustup component add --toolchain "$RUST_VERSION" rustfmt clippy
  rustup target add --toolchain "$RUST_VERSION" wasm32-unknown-unknown
}

# Where a tool's project publishes its own build for this machine; nothing where it does not.
prebuilt_url() {
  local binary=$1 version=$2 machine
  machine=$(uname -m)
  case $binary-$machine in
  cargo-leptos-x86_64 | cargo-leptos-aarch64)
    echo "https://github.com/leptos-rs/cargo-leptos/releases/download/v$version/cargo-leptos-$machine-unknown-linux-musl.tar.gz"
    ;;
  wasm-bindgen-x86_64)
    echo "https://github.com/wasm-bindgen/wasm-bindgen/releases/download/$version/wasm-bindgen-$version-x86_64-unknown-linux-musl.tar.gz"
    ;;
  wasm-bindgen-aarch64)
    echo "https://github.com/wasm-bindgen/wasm-bindgen/releases/download/$version/wasm-bindgen-$version-aarch64-unknown-linux-gnu.tar.gz"
    ;;
  esac
}

# prebuilt BINARY VERSION URL SHA256: the project's own build of a tool, where the internet is reachable and the
# archive is the pinned one. Fails quietly: compiling it is the other way.
prebuilt() {
  local binary=$1 version=$2 url=$3 sha256=$4 work=$TOOLS/.prebuilt-$1
  rm -rf "$work"
  mkdir -p "$work" "$TOOLS/bin"
  if curl --proto '=https' --tlsv1.2 -fsSL --connect-timeout 5 --max-time 120 -o "$work/archive.tar.gz" "$url" 2>/dev/null &&
    printf '%s  %s\n' "$sha256" "$work/archive.tar.gz" | sha256sum --check --status &&
    tar -xzf "$work/archive.tar.gz" -C "$work" --strip-components=1 &&
    [ -x "$work/$binary" ] && "$work/$binary" --version | grep -qF "$version"; then
    mv -f "$work/$binary" "$TOOLS/bin/$binary"
    printf '%s %s\n' "$binary" "$version" >"$TOOLS/.$binary-prebuilt"
    rm -rf "$work"
    return
  fi
  rm -rf "$work"
  return 1
}

# cargo_tool BINARY PACKAGE VERSION FLAGS…: compiles a tool into the cache.
cargo_tool() {
  local binary=$1 package=$2 version=$3
  shift 3
  hint "cargo could not install $package $version; is crates.io reachable?"
  # A tool for the build need not be fast itself: optimised, cargo-leptos takes a quarter of an hour. Only what
  # compresses the site would be slow for every build.
  # Away from the checkout, because cargo reads the settings of the folder it stands in.
  cd /
  env -u CARGO_TARGET_DIR \
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
    CARGO_PROFILE_RELEASE_DEBUG=none CARGO_PROFILE_RELEASE_PANIC=abort \
    cargo "+$RUST_VERSION" install --quiet --config 'profile.release.package.brotli.opt-level=2' \
    --root "$TOOLS" --version "=$version" "$@" "$package"
}

# build_tool BINARY PACKAGE VERSION FLAGS…: the tool, if it is not there: prebuilt, else compiled.
build_tool() {
  local binary=$1 package=$2 version=$3 url sha256
  if [ -x "$TOOLS/bin/$binary" ] && {
    grep -qs "^\"$package $version " "$TOOLS/.crates.toml" ||
      [ "$(cat "$TOOLS/.$binary-prebuilt" 2>/dev/null)" = "$binary $version" ]
  }; then
    note "already there"
    return
  fi
  url=$(prebuilt_url "$binary" "$version")
  sha256=${PREBUILT_SHA256[$binary-$version-$(uname -m)]:-}
  if [ -n "$url" ] && [ -n "$sha256" ] && prebuilt "$binary" "$version" "$url" "$sha256"; then
    note "prebuilt"
    return
  fi
  cargo_tool "$@"
  note "compiled"
}

setup_rust() {
  step "Rust $RUST_VERSION with the wasm target" install_toolchain
  step "wasm-bindgen $WASM_BINDGEN_VERSION|a minute or two" \
    build_tool wasm-bindgen wasm-bindgen-cli "$WASM_BINDGEN_VERSION"
  step "cargo-leptos $CARGO_LEPTOS_VERSION|some minutes" \
    build_tool cargo-leptos cargo-leptos "$CARGO_LEPTOS_VERSION" --locked --features no_downloads
}
