#!/bin/sh
# Tells nginx where the replicas of a service are; nginx-upstream.yaml beside this file has the whole of it.
#
#   endpoints:
#     on_change: [./nginx-upstream.sh, /etc/nginx/upstreams/api.conf, /etc/nginx/nginx.conf]
#
# Writes `upstream api {...}` with every address that is ready, whole, and has nginx read it, if nginx runs and if all
# of its configuration is good. It is run again with each change, and until it ends with 0.
set -eu
file=$1 conf=$2

{
    echo "upstream $BLACKHOLE_SERVICE {"
    for address in $(printf %s "$BLACKHOLE_ENDPOINTS" | tr , ' '); do
        echo "    server $address max_fails=0;" # who is well is known better here than from a request that failed
    done
    # An upstream without a server is an error. This one is answered by 502 at once.
    [ -n "$BLACKHOLE_ENDPOINTS" ] || echo "    server 127.0.0.1:1 down;"
    echo "}"
} >"$file.new"
mv "$file.new" "$file"

pid_file=$(sed -n 's/^[[:space:]]*pid[[:space:]]\{1,\}\(.*\);.*/\1/p' "$conf")
pid=$(cat "$pid_file" 2>/dev/null || true)
if [ -z "$pid" ] || ! kill -0 "$pid" 2>/dev/null; then
    exit 0 # it does not run, and reads the file when it is started
fi
nginx -t -q -c "$conf"
kill -HUP "$pid"
