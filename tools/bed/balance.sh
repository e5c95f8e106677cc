# shellcheck shell=bash
# What spreads browsers and workers over several control planes of a bed: HAProxy, as an operator would use it.

# write_balancer FILE PAGES-PORT WORKERS-PORT COUNT: the control planes answer pages on 127.0.0.1 at the COUNT ports after
# PAGES-PORT, and workers at the COUNT ports after WORKERS-PORT. Requests for pages go to each in turn, without stickiness;
# connections of workers as they are, because both sides show certificates.
write_balancer() {
  local file=$1 pages=$2 workers=$3 count=$4 n
  {
    printf '%s\n' 'defaults' '  timeout connect 1s' '  timeout client 1h' '  timeout server 1h' '  retries 3' '  option redispatch' \
      'listen pages' '  mode http' '  balance roundrobin' '  option forwardfor' "  bind 0.0.0.0:$pages" \
      '  option httpchk GET /readyz' '  default-server check inter 500 fall 1 rise 1 on-marked-down shutdown-sessions'
    for n in $(seq 1 "$count"); do printf '  server control%s 127.0.0.1:%s\n' "$n" "$((pages + n))"; done
    printf '%s\n' 'listen workers' '  mode tcp' '  balance roundrobin' "  bind 0.0.0.0:$workers" \
      '  default-server check inter 500 fall 1 rise 1 on-marked-down shutdown-sessions'
    for n in $(seq 1 "$count"); do printf '  server control%s 127.0.0.1:%s\n' "$n" "$((workers + n))"; done
  } >"$file"
}
