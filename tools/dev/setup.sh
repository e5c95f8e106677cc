# shellcheck shell=bash
# Everything that must be there before a build, in the order in which the steps need each other.

help_setup() {
  cat <<TEXT
./dev setup [--tests]: installs what is missing, and only that; a second time it takes seconds.
  by apt       ${RUN_PACKAGES[*]}
               docker.io where no Docker Engine is there, nodejs and npm where Node is older than 20
  by rustup    Rust $RUST_VERSION with rustfmt, clippy and the wasm32 target
  by cargo     wasm-bindgen $WASM_BINDGEN_VERSION, cargo-leptos $CARGO_LEPTOS_VERSION (into $TOOLS)
  by npm       Tailwind's compiler and wasm-opt (into node_modules)
  image        $ADGUARD_IMAGE, pulled, or built from source where no image registry is reachable
--tests adds, by apt: ${TEST_PACKAGES[*]} ${LINT_PACKAGES[*]} postgresql chromium
  by npm: Playwright, openapi-typescript; by pip, into $CACHE/python: Schemathesis; and a kernel with WireGuard for a virtual machine, unpacked into $CACHE, not installed.
Without systemd, dockerd is started in the background. Packages are installed as root, by sudo where needed.
TEXT
}

help_image() {
  cat <<TEXT
./dev image: fetches $ADGUARD_IMAGE by 'docker pull', or builds it from its published source where no
image registry is reachable (needs Go $ADGUARD_GO or newer and Node 20), and keeps a copy in
$IMAGE_TAR for the test beds.
TEXT
}

# Asks for the password once, before the steps hide their output.
setup_sudo() {
  [ "$EUID" -ne 0 ] || return 0
  has sudo || die "Installing packages needs root: run this as root, or install sudo."
  sudo -n true 2>/dev/null || {
    say "Some steps need root; sudo may ask for your password."
    sudo -v || die "sudo was refused."
  }
}

setup_run() {
  step "Packages" install_packages "${RUN_PACKAGES[@]}"
  setup_rust
  step "Node.js" setup_node
  step "Tailwind and wasm-opt" npm_packages "$ROOT"
  try_step "Docker Engine" setup_engine
  [ "$STEP_RC" -eq 0 ] || explain_step
}

# Kept apart, because MalikNode runs without it: tunnels work, DNS says that it waits.
setup_image_or_say() {
  try_step "AdGuard Home image $ADGUARD_VERSION|pulled, or built in some minutes" setup_image
  IMAGE_RC=$STEP_RC
  [ "$IMAGE_RC" -eq 0 ] || explain_step 6
}

# Fetches the image beside the build, which needs the processor while this mostly waits for a network.
image_beside() {
  IMAGE_LOG=$LOGS/.image.$$
  mkdir -p "$LOGS"
  (
    setup_image_or_say
    exit "$IMAGE_RC"
  ) >"$IMAGE_LOG" 2>&1 &
  IMAGE_PID=$!
  trap 'kill "$IMAGE_PID" 2>/dev/null; exit 130' INT TERM
}

# Waits for it, and shows its last words.
finish_image() {
  IMAGE_RC=0
  wait "$IMAGE_PID" || IMAGE_RC=$?
  trap - INT TERM
  grep -v '^…' "$IMAGE_LOG" || true
  rm -f "$IMAGE_LOG"
}

setup_for_run() {
  setup_sudo
  setup_run
  image_beside
}

setup_tests() {
  step "Packages for the tests" install_packages "${TEST_PACKAGES[@]}" "${LINT_PACKAGES[@]}"
  step "cloud-init's schema" setup_cloud_init
  step "promtool" setup_promtool
  step "nginx and Caddy" setup_proxies
  step "BIND" setup_named
  step "PostgreSQL" install_postgresql
  step "pgbouncer" install_pgbouncer
  step "Playwright and openapi-typescript" npm_packages "$ROOT/end2end"
  step "Schemathesis" python_packages schemathesis "$ROOT/tools/test/schemathesis/requirements.txt"
  step "Chromium" setup_browser
  try_step "Kernel with WireGuard for a virtual machine" setup_vm_kernel
  [ "$STEP_RC" -eq 0 ] || explain_step
}

setup_browser() {
  local browser
  for browser in /usr/bin/chromium /usr/bin/google-chrome; do
    # Ubuntu's is a script that starts a snap, which does not run in a namespace.
    if [ -x "$browser" ] && ! grep -qs snap "$browser"; then
      note "$browser already there"
      return
    fi
  done
  # Not grep -q: it ends early, apt-cache then dies of SIGPIPE, and pipefail takes that for "no".
  if apt-cache policy chromium 2>/dev/null | grep 'Candidate: [0-9]' >/dev/null && ! grep -qs '^ID=ubuntu' /etc/os-release; then
    hint "apt could not install chromium."
    apt_install chromium
    note "installed"
  else
    hint "Playwright could not fetch its browser; any Chromium will do: CHROMIUM=/path/to/it ./dev test"
    cd "$ROOT/end2end" || return
    # The tests run as root, and Playwright looks in the home folder of who runs it.
    as_root_with_env npx playwright install --with-deps chromium
    note "Playwright's own"
  fi
}

setup_all() {
  setup_sudo
  setup_run
  setup_image_or_say
  if [ "${1:-}" = --tests ]; then setup_tests; fi
}

cmd_setup() {
  case ${1:-} in '' | --tests) ;; *) die "./dev setup knows --tests only, not '$1'." ;; esac
  with_lock setup_all "$@"
  if [ "$IMAGE_RC" -eq 0 ]; then
    say "Ready. The AdGuard Home image is $(image_origin)."
  else
    say "Ready, but without the AdGuard Home image: tunnels work, and each tenant's DNS waits for it (./dev image)."
  fi
}

image_alone() {
  setup_sudo
  try_step "Docker Engine" setup_engine
  [ "$STEP_RC" -eq 0 ] || explain_step
  step "AdGuard Home image $ADGUARD_VERSION" setup_image
}

cmd_image() {
  with_lock image_alone
  say "The AdGuard Home image is $(image_origin)."
}
