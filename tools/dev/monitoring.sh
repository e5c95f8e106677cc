# shellcheck shell=bash
# The tools that check deploy/prometheus and deploy/grafana: promtool, and Grafana's own types.

# Unpacks promtool out of Debian's prometheus. Installed itself, that package would start a server on this machine.
setup_promtool() {
  local new=$CACHE/prometheus.new
  if has promtool; then
    note "already there"
    return
  fi
  hint "apt could not download prometheus."
  apt-cache show prometheus >/dev/null 2>&1 || apt_update_once
  rm -rf "$new" && mkdir -p "$new" "$TOOLS/bin"
  (cd "$new" && apt-get -qq download prometheus)
  dpkg -x "$new"/prometheus_*.deb "$new"
  mv "$new/usr/bin/promtool" "$TOOLS/bin/promtool"
  rm -rf "$new"
  promtool --version >/dev/null
  note "unpacked"
}

# Checks the alerts with their tests, and the dashboard. server/tests/web/metrics.rs compares their names with the program's.
check_monitoring() {
  (
    cd "$ROOT/deploy/prometheus" || exit
    promtool check rules alerts.yml
    promtool test rules alerts_test.yml
    promtool check config --syntax-only prometheus.yml
  )
  check_dashboard
}

# Reads the dashboard by Grafana's types, which are in Go. Where they cannot be built, the tests still compare its names.
check_dashboard() {
  local program=$CACHE/grafana-check source=$ROOT/tools/lint/grafana stamp
  stamp=$(cat "$source"/* | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$program.stamp" 2>/dev/null)" != "$stamp" ]; then
    if ! has go || ! (cd "$source" && go build -mod=readonly -o "$program" .); then
      echo "Without Go 1.24 and its module proxy, Grafana's types are not asked about the dashboard."
      return
    fi
    printf '%s\n' "$stamp" >"$program.stamp"
  fi
  "$program" "$ROOT"/deploy/grafana/*.json
}
