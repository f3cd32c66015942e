#!/bin/sh
# Runs on an ADALM-Pluto itself and mutes it when its host falls silent: cable pulled, host dead, program gone.
#
# The host writes a new number into the phase of a tone generator that is off (altvoltage3 of the DDS core), through
# libiio as everything else; this script repeats it in another (altvoltage2), so that the host sees it is guarded.
# Without a new number for LIMIT_MS the transmitter is attenuated, powered down, and its tone generators are zeroed, and
# so again for as long as it does not read back as silent. Muted from the start: what never beats never transmits.
IIO=${BANDPACT_IIO:-/sys/bus/iio/devices}
LIMIT_MS=${BANDPACT_LIMIT_MS:-1000}
POLL_S=${BANDPACT_POLL_S:-0.1}

device_named() {
  for folder in "$IIO"/iio:device*; do
    read -r name <"$folder/name" 2>/dev/null || continue
    [ "$name" != "$1" ] || { echo "$folder"; return 0; }
  done
  return 1
}

found=""
while [ -z "$found" ]; do
  if phy=$(device_named ad9361-phy) && dds=$(device_named cf-ad9361-dds-core-lpc); then found=yes; else sleep 1; fi
done
down=$phy/out_altvoltage1_TX_LO_powerdown
beat=$dds/out_altvoltage3_TX1_Q_F2_phase
echo_=$dds/out_altvoltage2_TX1_Q_F1_phase

# Milliseconds since boot, from the kernel's own clock, which nobody sets.
now_ms() {
  read -r up rest </proc/uptime
  whole=${up%%.*} part=${up#*.}
  now=$((whole * 1000 + (1$part - 100) * 10))
}

value() { value="" && read -r value rest <"$1" 2>/dev/null; }

mute() {
  for gain in "$phy"/out_voltage*_hardwaregain; do echo -89.75 >"$gain"; done
  echo 1 >"$down"
  for tone in "$dds"/out_altvoltage*_raw "$dds"/out_altvoltage*_scale; do echo 0 >"$tone"; done
}

silent() {
  for gain in "$phy"/out_voltage*_hardwaregain; do value "$gain" && [ "${value%%.*}" = -89 ] || return 1; done
  value "$down" && [ "$value" = 1 ]
}

pause() { sleep "$POLL_S" 2>/dev/null || usleep 100000 2>/dev/null || sleep 1; }

mute
value "$beat"
last=$value
now_ms
heard=$((now - LIMIT_MS - 1))
while :; do
  now_ms
  value "$beat"
  if [ -n "$value" ] && [ "$value" != "$last" ]; then
    last=$value heard=$now
    echo "$last" >"$echo_"
  fi
  [ $((now - heard)) -le "$LIMIT_MS" ] || silent || mute
  pause
done
