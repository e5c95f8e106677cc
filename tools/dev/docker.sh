# shellcheck shell=bash
# Provides a Docker engine. An existing one is not changed; otherwise Debian's is installed and started.

# Runs the docker command, as root only if the user may not use the engine.
engine() {
  if [ "$EUID" -ne 0 ] && ! docker version >/dev/null 2>&1; then sudo docker "$@"; else docker "$@"; fi
}

engine_answers() { timeout 20 docker version >/dev/null 2>&1 || { [ "$EUID" -ne 0 ] && timeout 20 sudo -n docker version >/dev/null 2>&1; }; }

engine_version() { engine version --format '{{.Server.Version}}' 2>/dev/null; }

# Starts dockerd in the background, on machines without systemd (containers, CI).
start_engine_without_systemd() {
  local log=$LOGS/dockerd.log pid
  hint "dockerd did not start: see $log. Inside a container it needs --privileged. MalikNode runs without Docker, but DNS waits for it."
  as_root mkdir -p /var/run
  # The daemon must not inherit the lock's descriptor (9).
  # shellcheck disable=SC2016 # the inner shell expands it
  as_root setsid sh -c 'exec dockerd >"$1" 2>&1 </dev/null' sh "$log" 9>&- &
  pid=$!
  for _ in $(seq 1 300); do
    if engine_answers; then return; fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 15 "$log"
  return 1
}

setup_engine() {
  if engine_answers; then
    note "$(engine_version) already running"
    return
  fi
  if ! has dockerd; then
    hint "apt could not install docker.io; see https://docs.docker.com/engine/install/ and run ./dev again."
    apt_install docker.io
    # Since Debian 13, the command is a separate package.
    has docker || apt_install docker-cli
  fi
  if has_systemd; then
    hint "Docker does not answer: see what 'systemctl status docker' says."
    as_root systemctl enable --now docker
    for _ in $(seq 1 100); do
      if engine_answers; then break; fi
      sleep 0.2
    done
    engine_answers
    note "$(engine_version) started by systemd"
  else
    start_engine_without_systemd
    note "$(engine_version) started in the background, because there is no systemd (log: $LOGS/dockerd.log)"
  fi
}
