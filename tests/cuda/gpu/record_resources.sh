#!/bin/sh
# record_resources.sh nvcc ... -o OBJECT ...
# Runs the compiler with -Xptxas=-v, and keeps what the assembler says of every kernel in OBJECT.resources.
object=
previous=
for argument; do
  [ "$previous" != -o ] || object=$argument
  previous=$argument
done
case $object in
  *.o) ;;
  *) exec "$@" ;;  # a link, or a question about dependencies
esac
"$@" -Xptxas=-v 2>"$object.output"
status=$?
# "ptxas info" lines, and the line of stack and spills below "Function properties".
pattern='^ptxas info|bytes stack frame'
grep -E "$pattern" "$object.output" >"$object.resources"
grep -vE "$pattern" "$object.output" >&2
rm -f "$object.output"
exit $status
