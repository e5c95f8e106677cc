# shellcheck shell=bash
# Rust's side of the set-up: the pinned toolchain, the wasm target, cargo-leptos and wasm-bindgen.
# The two tools go to the cache folder, so that nobody's own ~/.cargo/bin is changed.

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

# cargo_tool BINARY PACKAGE VERSION FLAGS…
cargo_tool() {
  local binary=$1 package=$2 version=$3
  shift 3
  if [ -x "$TOOLS/bin/$binary" ] && grep -qs "^\"$package $version " "$TOOLS/.crates.toml"; then
    note "already there"
    return
  fi
  hint "cargo could not install $package $version; is crates.io reachable?"
  # A tool for the build need not be fast itself: without these it takes a quarter of an hour.
  # Away from the checkout, because cargo reads the settings of the folder it stands in.
  cd /
  env -u CARGO_TARGET_DIR \
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    cargo "+$RUST_VERSION" install --quiet --root "$TOOLS" --version "=$version" "$@" "$package"
}

setup_rust() {
  step "Rust $RUST_VERSION with the wasm target" install_toolchain
  step "wasm-bindgen $WASM_BINDGEN_VERSION|a minute or two" \
    cargo_tool wasm-bindgen wasm-bindgen-cli "$WASM_BINDGEN_VERSION"
  step "cargo-leptos $CARGO_LEPTOS_VERSION|some minutes" \
    cargo_tool cargo-leptos cargo-leptos "$CARGO_LEPTOS_VERSION" --locked --features no_downloads
}
