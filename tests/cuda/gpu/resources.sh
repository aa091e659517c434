#!/bin/sh
# resources.sh FOLDER...
# One line for each kernel and architecture that was compiled into the folders: what a thread and a block take. Fails when a
# kernel keeps registers or arrays in local memory, which is slow memory, or when there is no kernel. Tests
# have readers and kernels of their own: those are named and allowed.
demangle=$(command -v c++filt || echo cat)
find "$@" -name '*.resources' -exec cat {} + | awk '
  /Compiling entry function/ { split($0, part, "\047"); name = part[2]; architecture = part[4] }
  /bytes stack frame/ { stack = $1; spilled = $5 + $9 }
  /Used [0-9]+ registers/ && name != "" {
    registers = $0; sub(/.*Used /, "", registers); sub(/ registers.*/, "", registers)
    static = 0
    if (match($0, /[0-9]+ bytes smem/)) static = substr($0, RSTART) + 0
    printf "%-6s %3d registers %5d stack %5d spilled %6d shared  %s\n", architecture, registers, stack, spilled, static, name
    name = ""
  }' | sort -u -k 10,10 -k 1,1 | $demangle | awk '
  { print }
  $4 > 0 || $6 > 0 {
    if (/anonymous namespace|_GLOBAL__N/) allowed = allowed "\n" $0
    else bad = bad "\n" $0
  }
  END {
    if (NR == 0) { print "no kernel was compiled"; exit 1 }
    print NR " kernels, each counted once an architecture"
    if (allowed != "") print "in local memory, allowed:" allowed
    if (bad != "") { print "in local memory:" bad; exit 1 }
  }'
