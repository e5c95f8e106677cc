# shellcheck shell=bash
# The systemd units of deploy/: how much each may do, by systemd's own measure (0 nothing, 10 everything).

# The most that systemd-analyze security may say of each unit, in tenths.
declare -rA UNIT_EXPOSURE=(
  [maliknode]=35
  [maliknode-worker]=35
  [maliknode-firewall]=35
  [maliknode-control-plane]=20
  [maliknode-wireguard]=20
)

# Fails for a unit that may do more than it should, and for one that is not in the list.
check_units() {
  local file name line level tenths rc=0
  if ! has systemd-analyze; then
    echo "systemd-analyze is missing: install systemd."
    return 1
  fi
  for file in "$ROOT"/deploy/*.service; do
    name=$(basename "$file" .service)
    line=$(systemd-analyze security --offline=true "$file" 2>/dev/null | tail -n 1)
    level=$(sed -n 's/.*: \([0-9]*\.[0-9]\) .*/\1/p' <<<"$line")
    tenths=$((10#${level/./}))
    if [ -z "${UNIT_EXPOSURE[$name]:-}" ] || [ -z "$level" ] || [ "$tenths" -gt "${UNIT_EXPOSURE[$name]}" ]; then
      echo "$name.service has the exposure ${level:-?}; tools/dev/units.sh allows ${UNIT_EXPOSURE[$name]:-none} tenths."
      rc=1
    fi
  done
  return "$rc"
}
