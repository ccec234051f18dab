#!/bin/bash
# Moves a VM with npm's wscat and Debian's jq: XO_WARMIG_URL=... XO_WARMIG_TOKEN=... migrate.sh VM SR
# wscat sends both messages at once; this server has taken the token before it looks at the second. Others on this machine can see the
# command lines of its processes: where that matters, use another example, or `xo-warmig migrate`.
set -eu
sign_in=$(jq -nc '{jsonrpc: "2.0", id: 1, method: "session.signIn", params: {token: env.XO_WARMIG_TOKEN}}')
migrate=$(jq -nc --arg vm "$1" --arg sr "$2" \
    '{jsonrpc: "2.0", id: 2, method: "vm.warmMigration", params: {$vm, $sr, startDestinationVm: true, deleteSourceVm: false}}')
coproc SERVER { wscat --connect "ws${XO_WARMIG_URL#http}/api/" --wait -1 --execute "$sign_in" --execute "$migrate"; }
jq -rn 'first(inputs | select(.error or .id == 2)) | if .error then "\(.error)\n" | halt_error(1) else .result end' <&"${SERVER[0]}"
