# Managed by the private-worker template: do not edit, an update replaces it.
# shellcheck shell=sh
# Calls the API with a service token, by curl. Needs URL (the API's address), CF_ACCESS_CLIENT_ID and
# CF_ACCESS_CLIENT_SECRET in the environment, from the program's secret store:
#
#   sh callers/curl.sh /
#   sh callers/curl.sh /echo --header 'Content-Type: application/json' --data '{"a": 1}'
#
# What follows the path goes to curl. The body of the answer goes to stdout. Exit status: 0 for an
# answer below 400; 22 for another one of the API; 1 for a refusal of Access or the guard, with a
# line that says why; 2 for missing or wrong settings; curl's own for what curl could not do.
# The secret goes through a pipe: it is on no command line, where `ps` would show it, and in no file.
set -eu

fail() {
    printf 'curl.sh: %s\n' "$2" >&2
    exit "$1"
}

case ${URL:-} in
https://*@*) fail 2 'URL has a user name in it: leave it out' ;;
https://?* | http://127.0.0.1:* | http://localhost:*) ;;
*) fail 2 "URL must be the API's address, https://…" ;;
esac
case ${1:-} in
//* | '') fail 2 'usage: sh curl.sh /path [more for curl]' ;;
/*) ;;
*) fail 2 'the first argument is a path and begins with /' ;;
esac
case ${CF_ACCESS_CLIENT_ID:-} in
'') fail 2 "CF_ACCESS_CLIENT_ID is not set: take it from the program's secret store" ;;
*[!A-Za-z0-9._-]*) fail 2 'CF_ACCESS_CLIENT_ID holds what no Client ID has: store the value alone' ;;
*.access) ;;
*) fail 2 'CF_ACCESS_CLIENT_ID must end in .access: it is no Client ID' ;;
esac
case ${CF_ACCESS_CLIENT_SECRET:-} in
'') fail 2 "CF_ACCESS_CLIENT_SECRET is not set: take it from the program's secret store" ;;
*.access) fail 2 'CF_ACCESS_CLIENT_SECRET is a Client ID: the two values are mixed up' ;;
*[!A-Za-z0-9._-]*) fail 2 'CF_ACCESS_CLIENT_SECRET holds what no secret has: store the value alone' ;;
esac

address=${URL%/}$1
shift
body=$(mktemp)
trap 'rm -f "$body"' EXIT

# --disable: a .curlrc could turn redirects on. --noproxy: no proxy gets what is for this computer.
# What must hold comes last, where it wins.
code=0
seen=$(
    printf 'header = "%s: %s"\n' \
        CF-Access-Client-Id "$CF_ACCESS_CLIENT_ID" \
        CF-Access-Client-Secret "$CF_ACCESS_CLIENT_SECRET" |
        curl --disable --config - --silent --show-error --globoff \
            --connect-timeout 10 --max-time 60 --user-agent private-worker-curl/1.0 \
            "$@" \
            --no-location --no-verbose --noproxy 127.0.0.1,localhost --output "$body" \
            --write-out '%{http_code} %{redirect_url}' "$address"
) || code=$?
[ "$code" -eq 0 ] || exit "$code"

status=${seen%% *}
case $seen in
3*.cloudflareaccess.com/* | 3*/cdn-cgi/access/login*)
    fail 1 'Access wants a login: the token is wrong, expired or disabled, or its policy is not Service Auth'
    ;;
esac
case $status in
401 | 403)
    if grep -Eq 'rror( code)?:? 1[0-9]{3}' "$body"; then
        fail 1 "Cloudflare's firewall stopped the request before Access saw it: see the zone's security rules"
    elif grep -q '^{"error": "forbidden"}' "$body"; then
        fail 1 'the guard refused: ALLOWED_SERVICE_TOKENS lacks this Client ID, or Access is not in front'
    elif ! grep -q '^[[:space:]]*[{["]' "$body"; then
        fail 1 "Access refused with $status: the token is wrong, expired or disabled, or no Service Auth policy names it"
    fi
    ;;
500) if grep -q '"not_configured"' "$body"; then fail 1 'the Worker is not set up: its log names the setting'; fi ;;
503) if grep -q '"keys_unavailable"' "$body"; then fail 1 "the Worker cannot get Access's signing keys: try later"; fi ;;
esac
cat "$body"
[ "$status" -lt 400 ] || exit 22
