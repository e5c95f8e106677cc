# shellcheck shell=bash
# Checks the code without running it.

help_lint() {
  cat <<TEXT
./dev lint: cargo fmt --check; clippy with -D warnings for the server side and for the browser's (wasm32);
deny.toml (licences, and which crate may name which library) and the direction of our own crates'
dependencies, by tools/lint/dependencies.py; circles between files and the laws of docs/ARCHITECTURE.md, by
tools/lint/circles.py and laws.py; RustSec's advisories, by tools/lint/advisories.py; docs/SECURITY-ASVS.md by tools/lint/asvs.py, docs/reliability/nodes.md by tools/lint/faults.py;
the bill of materials by tools/sbom.py; shellcheck for the scripts; cloud-init's own schema for deploy/cloud-init;
promtool for deploy/prometheus, and Grafana's own types for deploy/grafana; systemd's measure
of what the units of deploy may do.
TEXT
}

lint_all() {
  cd "$ROOT"
  cargo fmt --all --check
  cargo fmt --manifest-path fuzz/Cargo.toml --check
  # The frontend has a separate call: otherwise cargo would build the pages with both `ssr` and `hydrate`.
  cargo clippy "${LOCKED[@]}" --workspace --exclude frontend --all-targets -- -D warnings
  cargo clippy "${LOCKED[@]}" -p frontend --target wasm32-unknown-unknown -- -D warnings
  python3 tools/lint/dependencies.py "${LOCKED[@]}"
  python3 tools/lint/circles.py
  python3 tools/lint/laws.py
  python3 tools/lint/advisories.py
  python3 tools/lint/asvs.py
  python3 tools/lint/faults.py
  python3 tools/sbom.py --check
  check_cloud_init
  check_monitoring
  check_units
  shellcheck -x dev .ci/run tools/bed/bed.sh tools/bed/inside.sh tools/bed/e2e.sh tools/dev/kernel-vm.sh
}

# Checks the machines' first files by cloud-init's own schema.
check_cloud_init() {
  local dir=$CACHE/cloud-init file
  for file in deploy/cloud-init/*.yaml; do
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$dir/usr/lib/python3/dist-packages /usr/bin/python3 "$dir/usr/bin/cloud-init" \
      schema --config-file "$file"
  done
}

cmd_lint() {
  with_lock setup_lint
  step "Lint" lint_all
}

setup_lint() {
  setup_sudo
  step "Packages" install_packages "${RUN_PACKAGES[@]}" "${LINT_PACKAGES[@]}"
  step "cloud-init's schema" setup_cloud_init
  step "promtool" setup_promtool
  step "Rust $RUST_VERSION with the wasm target" install_toolchain
}
