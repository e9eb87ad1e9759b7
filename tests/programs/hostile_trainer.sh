#!/usr/bin/env bash
# A stand-in for a trainer whose log means harm to whoever shows it: markup, escapes of terminals, marks of direction, a
# very long line. It runs out of memory on 4 nodes. Arguments: iterations, nodes, milliseconds an iteration.
set -eu
iterations=$1 nodes=$2 milliseconds=$3
echo '</script><script>alert("log")</script><img src=x onerror=alert(1)>'
printf '\033[31mred\033[0m \033]0;title\007 \u202egnp.exe\u202c [link](javascript:alert(1)) **bold** \u2028 end\n'
printf 'x%.0s' {1..5000} && echo
if ((nodes == 4)); then
    echo 'RuntimeError: CUDA out of memory. Tried to allocate <b onclick=alert(1)>2.00 GiB</b>' && exit 1
fi
for ((i = 1; i <= iterations; i++)); do
    printf ' iteration %8d/%8d | consumed samples: %12d | elapsed time per iteration (ms): %.1f |' \
        "$i" "$iterations" "$((i * 16))" "$milliseconds"
    printf ' learning rate: 1.000E-04 | global batch size: %5d | lm loss: %.6E |\n' 16 9
done
