# shellcheck shell=bash
# A real PostgreSQL for the store's tests: a temporary cluster on a free loopback port, with a password. A server
# that already runs on the machine is neither used nor changed.

# Debian's package would create and start a cluster when it is installed. This is prevented.
install_postgresql() {
  local dropin=/etc/postgresql-common/createcluster.d/maliknode-tests.conf
  if has_package postgresql || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; then
    note "$(basename "$(dirname "$(dirname "$(newest_postgres initdb)")")") already installed"
    return
  fi
  hint "apt could not install postgresql."
  apt_install postgresql-common
  as_root mkdir -p "${dropin%/*}"
  echo 'create_main_cluster = false' | as_root tee "$dropin" >/dev/null
  apt_install postgresql
  as_root rm -f "$dropin"
  as_root rmdir --ignore-fail-on-non-empty "${dropin%/*}"
  note "installed, without a running server"
}

# Provides pgbouncer for the tests, which start their own. Debian's package would start one at once and with each boot: with
# systemd, this is prevented.
install_pgbouncer() {
  local unit=/etc/systemd/system/pgbouncer.service
  if [ -x /usr/sbin/pgbouncer ]; then
    note "already installed"
    return
  fi
  hint "apt could not install pgbouncer."
  if has systemctl; then as_root ln -sf /dev/null "$unit"; fi
  apt_install pgbouncer
  if has systemctl; then
    as_root rm -f "$unit"
    as_root systemctl disable pgbouncer >/dev/null 2>&1 || true
  fi
  note "installed, without a running server"
}

newest_postgres() {
  compgen -G "/usr/lib/postgresql/*/bin/$1" | sort -V | tail -n 1
}

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$EUID" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

# Starts PostgreSQL and exports MALIKNODE_TEST_POSTGRES.
start_postgres() {
  local password port bin
  bin=$(dirname "$(newest_postgres initdb)")
  password=$(head -c 18 /dev/urandom | base64 | tr -d '+/=')
  PG_DIR=$(mktemp -d /tmp/maliknode-postgres.XXXXXX)
  printf '%s\n' "$password" >"$PG_DIR/password"
  if [ "$EUID" -eq 0 ]; then chown -R postgres "$PG_DIR"; fi
  as_postgres "$bin/initdb" -D "$PG_DIR/data" -U postgres -A scram-sha-256 --pwfile "$PG_DIR/password" -E UTF8 --locale=C.UTF-8 -N
  # A free port may be taken the next moment, so this tries a few.
  for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 10000))
    if as_postgres "$bin/pg_ctl" -D "$PG_DIR/data" -w -t 30 -l "$PG_DIR/log" \
      -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$PG_DIR -c fsync=off -c synchronous_commit=off -c full_page_writes=off" start; then
      export MALIKNODE_TEST_POSTGRES=postgres://postgres:$password@127.0.0.1:$port/postgres
      return
    fi
  done
  cat "$PG_DIR/log"
  return 1
}

stop_postgres() {
  [ -n "${PG_DIR:-}" ] || return 0
  as_postgres "$(newest_postgres pg_ctl)" -D "$PG_DIR/data" -m immediate -t 20 stop || true
  as_root rm -rf "$PG_DIR"
  PG_DIR=
}
