#!/bin/sh
# Loads a proxy by wrk, and prints what the kernel and the apps had counted before and after. The proxy has core 0 for that
# time, everything else the other cores.
#
#   measure.sh <pid of its worker> <port> <whole seconds to warm up> <whole seconds>
set -eu
pid=$1 port=$2 warm=$3 seconds=$4
others=1-$(($(nproc) - 1))

count() {
  read -r ran waited turns <"/proc/$pid/schedstat"
  stolen=$(awk '$1 == "cpu0" { print $9 }' /proc/stat)
  opened=$(awk '/^Tcp: [0-9]/ { print $7 }' /proc/net/snmp)
  apps=$(curl -s http://127.0.0.1:9001/status | awk 'NR == 3 { print $1, $3 }')
  echo "COUNTED $ran $waited $turns $stolen $opened $apps"
}

load() {
  taskset -c "$others" wrk -t1 -c"${CONNECTIONS:-64}" -d"$1"s --timeout 5s -s /tmp/bench/load.lua "http://127.0.0.1:$port/"
}

taskset -acp 0 "$pid" >/dev/null
trap 'taskset -acp "$others" "$pid" >/dev/null' EXIT
load "$warm" >/dev/null
count
load "$seconds"
count
