# shellcheck shell=bash
# Installs packages of Debian 12, 13 and Ubuntu 24.04, only those that are missing.

# Needed to run MalikNode: a C toolchain for ring and SQLite, Python for the bill of materials, and the network tools.
RUN_PACKAGES=(ca-certificates curl build-essential pkg-config python3 nftables iproute2 iptables kmod procps)
# Needed only by the tests: a WireGuard implementation other than ours, a virtual machine for the kernel's
# WireGuard, network tools for hosts in namespaces, a load generator, a reader of OpenMetrics.
TEST_PACKAGES=(wireguard-tools wireguard-go haproxy qemu-system-x86 busybox-static cpio xz-utils zstd
  iputils-ping bind9-dnsutils iperf3 tcpdump wrk jq python3-venv
  python3-prometheus-client)
# Needed only by ./dev lint.
LINT_PACKAGES=(python3 shellcheck git systemd)

has_package() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -x installed >/dev/null; }

apt_get() {
  # Waits for the lock: a machine that has just booted often holds it for its own updates.
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -o DPkg::Lock::Timeout=300 -qq -y "$@"
}

apt_update_once() {
  [ -e "$STEP_NOTE.updated" ] || apt_get update
  : >"$STEP_NOTE.updated"
}

apt_install() {
  local missing=() name
  for name; do has_package "$name" || missing+=("$name"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  apt_update_once
  apt_get install --no-install-recommends "${missing[@]}"
}

install_packages() {
  local missing=() name
  for name; do has_package "$name" || missing+=("$name"); done
  if [ ${#missing[@]} -eq 0 ]; then
    note "already installed"
    return
  fi
  if ! has apt-get; then
    hint "This script installs packages by apt (Debian 12 or 13, Ubuntu 24.04). Install these yourself: ${missing[*]}"
    return 1
  fi
  hint "apt could not install: ${missing[*]}. See above; 'sudo apt-get update' and 'sudo dpkg --configure -a' often help."
  apt_install "${missing[@]}"
  note "installed ${missing[*]}"
}

# Unpacks cloud-init and installs the modules that it needs, for the check of deploy/cloud-init. Installed itself, it would
# set up this machine at the next boot.
setup_cloud_init() {
  local dir=$CACHE/cloud-init new=$CACHE/cloud-init.new modules
  if [ -x "$dir/usr/bin/cloud-init" ]; then
    note "already there"
    return
  fi
  hint "apt could not download cloud-init."
  apt-cache show cloud-init >/dev/null 2>&1 || apt_update_once
  rm -rf "$dir" "$new" && mkdir -p "$new"
  (cd "$new" && apt-get -qq download cloud-init)
  # "python3-yaml, python3-netifaces (>= 0.10.4), …"
  mapfile -t modules < <(dpkg-deb -f "$new"/cloud-init_*.deb Depends | grep -o 'python3-[a-z0-9-]*' | sort -u)
  apt_install "${modules[@]}"
  dpkg -x "$new"/cloud-init_*.deb "$new" && mv "$new" "$dir"
  note "unpacked"
}

# Provides nginx and Caddy for the tests of deploy/proxies, without installing them: their packages start servers.
setup_proxies() {
  local new=$CACHE/proxies.new
  if has nginx && has caddy; then
    note "already there"
    return
  fi
  hint "apt could not download nginx and caddy."
  apt-cache show nginx caddy >/dev/null 2>&1 || apt_update_once
  rm -rf "$new" && mkdir -p "$new" "$TOOLS/bin"
  (cd "$new" && apt-get -qq download nginx caddy)
  dpkg -x "$new"/nginx_*.deb "$new"
  dpkg -x "$new"/caddy_*.deb "$new"
  mv "$new/usr/sbin/nginx" "$new/usr/bin/caddy" "$TOOLS/bin/"
  rm -rf "$new"
  nginx -v 2>/dev/null && caddy version >/dev/null
  note "unpacked"
}

# Provides BIND's server for the tests of endpoints' names, without installing it: its package starts one. Its libraries
# are those of bind9-dnsutils, of the same version.
setup_named() {
  local new=$CACHE/named.new
  if has named && named -V >/dev/null 2>&1; then
    note "already there"
    return
  fi
  hint "apt could not download bind9."
  apt-cache show bind9 >/dev/null 2>&1 || apt_update_once
  rm -rf "$new" && mkdir -p "$new" "$TOOLS/bin"
  (cd "$new" && apt-get -qq download bind9)
  dpkg -x "$new"/bind9_*.deb "$new"
  mv "$new/usr/sbin/named" "$TOOLS/bin/"
  rm -rf "$new"
  # Libraries that were installed from an older index.
  named -V >/dev/null 2>&1 || apt_get install --no-install-recommends bind9-dnsutils
  named -V >/dev/null
  note "unpacked"
}

# Prints Node's major version, or nothing without Node.
node_major() { { node --version 2>/dev/null || true; } | sed -n 's/^v\([0-9]*\).*/\1/p'; }

# Provides Node 20 or newer: the installed one, else apt's. Debian 12 and Ubuntu 24.04 have 18; there, apt's
# npm fetches the binary of a newer version from the npm registry into the cache.
setup_node() {
  local major package
  major=$(node_major)
  if [ "${major:-0}" -ge 20 ] && has npm; then
    note "$(node --version) already installed"
    return
  fi
  hint "Node.js 20 or newer with npm is needed (https://nodejs.org/en/download)."
  has node || apt_install nodejs
  has npm || apt_install npm
  hash -r
  major=$(node_major)
  if [ "${major:-0}" -lt 20 ]; then
    package=node-linux-$(node -p process.arch)
    mkdir -p "$TOOLS/node" "$TOOLS/bin"
    (cd "$TOOLS/node" && npm install --prefix . --ignore-scripts --no-audit --no-fund --loglevel=error "$package@$NODE_VERSION")
    ln -sf "$TOOLS/node/node_modules/$package/bin/node" "$TOOLS/bin/node"
    hash -r
  fi
  [ "$(node_major)" -ge 20 ]
  note "$(node --version) installed"
}

# npm_packages FOLDER: installs the packages of its package-lock.json, once for each change of that file.
npm_packages() {
  local folder=$1 stamp
  stamp=$(sha256sum "$folder/package-lock.json" | cut -d' ' -f1)
  if [ "$(cat "$folder/node_modules/.maliknode-lock" 2>/dev/null)" = "$stamp" ]; then
    note "already installed"
    return
  fi
  hint "npm could not install the packages of $folder; is registry.npmjs.org reachable?"
  # No package needs its install script: binaries are separate packages.
  (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  printf '%s\n' "$stamp" >"$folder/node_modules/.maliknode-lock"
}

# python_packages NAME FILE: a virtual environment $CACHE/python/NAME with the packages of a file with their hashes, once for
# each change of that file.
python_packages() {
  local dir=$CACHE/python/$1 file=$2 stamp
  stamp=$(sha256sum "$file" | cut -d' ' -f1)
  if [ "$(cat "$dir/.maliknode-lock" 2>/dev/null)" = "$stamp" ] && [ -x "$dir/bin/python" ]; then
    note "already installed"
    return
  fi
  hint "pip could not install the packages of $file; is PyPI reachable?"
  rm -rf "$dir"
  mkdir -p "${dir%/*}"
  python3 -m venv "$dir"
  # Wheels only: nothing is built, and no package's script runs.
  "$dir/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r "$file"
  printf '%s\n' "$stamp" >"$dir/.maliknode-lock"
}
