# shellcheck shell=bash
# What every part of ./dev agrees on: pinned versions, folders, and who is root.
# Nothing is done here, so that `./dev --help` can read it on any machine.

readonly ADGUARD_VERSION=v0.107.79
readonly ADGUARD_IMAGE=adguard/adguardhome:$ADGUARD_VERSION
# That of the list of images for all processors, as DEFAULT_IMAGE in server/src/config/settings.rs has it.
readonly ADGUARD_DIGEST=sha256:aba9e3bf0613be3ba3755e1fc311b126e2c24bec25e18b6483894a88283074f0
readonly ADGUARD_GO=1.26.6            # the oldest Go that this AdGuard Home builds with
# cargo-leptos 0.3.11 does not build with rustc 1.95 and --locked.
readonly CARGO_LEPTOS_VERSION=0.3.7
# Must equal the `wasm-bindgen` line of Cargo.toml: its output format changes with every release.
readonly WASM_BINDGEN_VERSION=0.2.127
# SHA-256 of the archives that the two projects publish, as https://github.com/taiki-e/install-action lists them. A tool
# whose checksum is not here is compiled.
declare -rA PREBUILT_SHA256=(
  [cargo-leptos-0.3.7-x86_64]=97f9269a23837918be8a01c18c46239d060d87bb070f65625381be4a41159eda
  [cargo-leptos-0.3.7-aarch64]=9b3c24b16fa3ddca29ea9e8e17df9607d864c406365dad468c6d5f6fcc37bea5
  [wasm-bindgen-0.2.127-x86_64]=61d4a7dc85acfa0d2354ccc0b8361928c7e52a746d17f28ebaa795ed3dc1614a
  [wasm-bindgen-0.2.127-aarch64]=1ce0ebd74e378d989651091f93c917bd7700996945d4c5ce37ec9507f149225c
)
readonly NODE_VERSION=24.21.0         # fetched only where the distribution's Node is older than 20
RUST_VERSION=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$ROOT/rust-toolchain.toml")
readonly RUST_VERSION

# Everything we make outside the checkout is under here: a fresh clone reuses it, `./dev clean` removes it.
CACHE=${MALIKNODE_CACHE:-$HOME/.cache/maliknode}
case $CACHE in /*) ;; *) CACHE=$PWD/$CACHE ;; esac
readonly CACHE
readonly TOOLS=$CACHE/tools
readonly LOGS=$CACHE/logs
readonly IMAGE_TAR=$CACHE/adguardhome-$ADGUARD_VERSION.tar
export MALIKNODE_CACHE=$CACHE
export CARGO_TARGET_DIR=$CACHE/target
# /usr/sbin holds nft, dockerd and modprobe and is not on every user's PATH.
export PATH=$TOOLS/bin:$ROOT/node_modules/.bin:$HOME/.cargo/bin:/usr/local/go/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Runs a command as root: directly, or by sudo.
as_root() {
  if [ "$EUID" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# What root's processes get of our environment, as NAME=VALUE words in ROOT_ENV: sudo drops nearly all.
root_env() {
  local name
  ROOT_ENV=()
  for name in PATH CARGO_TARGET_DIR CARGO_MANIFEST_DIR DOCKER_HOST CI CHROMIUM BASE RUST_LOG RUST_BACKTRACE "${!MALIKNODE_@}" "${!LEPTOS_@}"; do
    [ -z "${!name+x}" ] || ROOT_ENV+=("$name=${!name}")
  done
}

as_root_with_env() {
  if [ "$EUID" -eq 0 ]; then "$@"; return; fi
  root_env
  sudo env "${ROOT_ENV[@]}" "$@"
}

# The same in place of this script, so that Ctrl-C and signals reach the program itself.
as_root_exec() {
  if [ "$EUID" -eq 0 ]; then exec "$@"; fi
  root_env
  exec sudo env "${ROOT_ENV[@]}" "$@"
}

# CI must use Cargo.lock as committed; a developer who edits Cargo.toml wants it brought up to date.
if [ "${CI:-}" = true ]; then LOCKED=(--locked); else LOCKED=(); fi

has() { command -v "$1" >/dev/null 2>&1; }

# True if version $1 is $2 or newer.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# True where systemd is the init system, so that packages start their own services.
has_systemd() { [ -d /run/systemd/system ]; }
