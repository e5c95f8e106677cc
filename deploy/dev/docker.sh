# shellcheck shell=bash
# Docker Engine: whichever is there is left alone; else Debian's, started by systemd or by us.

# The docker command, as root only where the user may not talk to the engine.
engine() {
  if [ "$EUID" -ne 0 ] && ! docker version >/dev/null 2>&1; then sudo docker "$@"; else docker "$@"; fi
}

engine_answers() { timeout 20 docker version >/dev/null 2>&1 || { [ "$EUID" -ne 0 ] && timeout 20 sudo -n docker version >/dev/null 2>&1; }; }

engine_version() { engine version --format '{{.Server.Version}}' 2>/dev/null; }

# Starts a dockerd of our own in the background, for machines without systemd (containers, CI).
start_engine_without_systemd() {
  local log=$LOGS/dockerd.log pid
  hint "dockerd did not start: see $log. Inside a container it needs --privileged. MalikNode runs without it, but DNS waits for it."
  as_root mkdir -p /var/run
  # The lock's descriptor (9) must not live on in the daemon.
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
    note "$(engine_version) already there"
    return
  fi
  if ! has dockerd; then
    hint "apt could not install docker.io; see https://docs.docker.com/engine/install/ and run ./dev again."
    apt_install docker.io
    # From Debian 13 on, the command is a package of its own.
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
    note "$(engine_version) started in the background, as no systemd is here (log: $LOGS/dockerd.log)"
  fi
}
