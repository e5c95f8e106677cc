# shellcheck shell=bash
# What can be said about the code without running it.

help_lint() {
  cat <<TEXT
./dev lint: cargo fmt --check; clippy with -D warnings for the server side and for the browser's (wasm32);
deny.toml (licences, and which crate may name which library) and the direction of our own crates'
dependencies, by deploy/dev/dependencies.py; shellcheck for the scripts.
TEXT
}

lint_all() {
  cd "$ROOT"
  cargo fmt --all --check
  cargo fmt --manifest-path fuzz/Cargo.toml --check
  # Not with the frontend in one call: cargo would join `ssr` and `hydrate` in one build of the pages.
  cargo clippy "${LOCKED[@]}" --workspace --exclude frontend --all-targets -- -D warnings
  cargo clippy "${LOCKED[@]}" -p frontend --target wasm32-unknown-unknown -- -D warnings
  python3 deploy/dev/dependencies.py "${LOCKED[@]}"
  shellcheck -x dev .ci/run end2end/bed/bed.sh end2end/bed/inside.sh end2end/bed/e2e.sh deploy/dev/kernel-vm.sh
}

cmd_lint() {
  with_lock setup_lint
  step "Lint" lint_all
}

setup_lint() {
  setup_sudo
  step "Packages" install_packages "${RUN_PACKAGES[@]}" python3 shellcheck
  step "Rust $RUST_VERSION with the wasm target" install_toolchain
}
