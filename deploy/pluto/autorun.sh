#!/bin/sh
# Stock Pluto firmware runs /mnt/jffs2/autorun.sh at boot: keeps the dead-man running, whatever ends it.
(while :; do
  sh /mnt/jffs2/bandpact-deadman.sh
  sleep 1
done) >/dev/null 2>&1 &
