# Managed by the private-worker template: do not edit, an update replaces it.
# shellcheck shell=sh
# Calls the API with a service token, by curl. Needs URL (the API's address), CF_ACCESS_CLIENT_ID and
# CF_ACCESS_CLIENT_SECRET in the environment, from the program's secret store:
#
#   sh callers/curl.sh /
#   sh callers/curl.sh /echo --header 'Content-Type: application/json' --data '{"a": 1}'
#
# Of curl's options those that make a request may follow the path. The body of the answer goes to
# stdout, with --head its headers. Exit status: 0 for an answer below 400; 22 for another one of the
# API; 1 for a refusal of Access, the guard or Cloudflare's firewall, with a line that says why; 2 for
# missing or wrong settings; curl's own for what curl could not do.
# The secret goes through a pipe: it is on no command line, where `ps` would show it, and in no file.
set -eu +x # a trace would print the secret

fail() {
    printf 'curl.sh: %s\n' "$2" >&2
    exit "$1"
}

case ${URL:-} in
*'<'*) fail 2 'URL holds a placeholder: write the real name where <…> is' ;;
*@*) fail 2 'URL has a user name in it: leave it out' ;;
*[!A-Za-z0-9._~:/-]*) fail 2 'URL is the address alone, without spaces, ? or #: what follows is the first argument' ;;
https://[A-Za-z0-9]* | http://127.0.0.1:* | http://localhost:*) ;;
*) fail 2 "URL must be the API's address, https://…" ;;
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
case ${1:-} in
//* | '') fail 2 'usage: sh curl.sh /path [-X -H -d -F -G -I -T and the like: see the script]' ;;
/*) ;;
*) fail 2 'the first argument is a path and begins with /' ;;
esac
address=${URL%/}$1
shift

# A second address, --location or --proxy would take the secret elsewhere, --verbose would show it: only
# these options get to curl. What is refused is not repeated in the message: it may be a secret.
option='' number=1
for argument in "$@"; do
    number=$((number + 1))
    if [ -n "$option" ]; then
        option='' # this is its value, whatever it looks like
        continue
    fi
    case $argument in
    -X | -H | -d | -F | -T | -m | --request | --header | --data | --data-raw | --data-binary | \
        --data-urlencode | --json | --form | --upload-file | --max-time) option=$argument ;;
    -[XHdFTm]?* | -G | --get | -I | --head | --compressed) ;;
    *) fail 2 "argument $number is no option that may follow (-X -H -d --data-raw --data-binary --data-urlencode --json -F -T -G -I -m --compressed), nor the value of one: check the quotes" ;;
    esac
done
[ -z "$option" ] || fail 2 "$option needs a value"

body=$(mktemp 2>/dev/null) || fail 2 'no temporary file can be made: see TMPDIR'
trap 'rm -f "$body"' EXIT
trap 'exit 130' HUP INT TERM # by way of EXIT

# curl reads the token from the pipe as 3, so that --data @- gets this script's own input.
{ true 4<&0; } 2>/dev/null || exec </dev/null # closed
exec 4<&0

# --disable: a .curlrc could turn redirects on. --noproxy: no proxy gets what is for this computer.
# A curl before 7.84 leaves %header{} as it is.
code=0
seen=$(
    printf 'header = "%s: %s"\n' \
        CF-Access-Client-Id "$CF_ACCESS_CLIENT_ID" \
        CF-Access-Client-Secret "$CF_ACCESS_CLIENT_SECRET" |
        curl --disable --config /dev/fd/3 --silent --show-error --globoff --no-location \
            --noproxy 127.0.0.1,localhost --connect-timeout 10 --max-time 60 \
            --user-agent private-worker-curl/1.0 --output "$body" \
            --write-out '%{http_code} %header{cf-mitigated} %{redirect_url} %{content_type}
%header{www-authenticate}' \
            "$address" "$@" 3<&0 0<&4
) || code=$?
[ "$code" -eq 0 ] || exit "$code"

challenge=${seen#*"
"}
seen=${seen%%"
"*}
status=${seen%% *} seen=${seen#* }
mitigated=${seen%% *} seen=${seen#* }
redirect=${seen%% *} type=${seen#* }
case $status in
[1-9][0-9][0-9]) ;;
*) fail 2 'curl gave no status: see which curl is the first in PATH' ;;
esac

# A redirect to the login, by its host or path: a query may hold the same as text.
redirect=${redirect#*://}
host=${redirect%%/*}
case $host in *.cloudflareaccess.com) path=/cdn-cgi/access/login ;; *) path=/${redirect#*/} ;; esac
case $path in
/cdn-cgi/access/login*)
    fail 1 'Access wants a login: the token is wrong, expired or disabled, or its policy is not Service Auth'
    ;;
esac

# The guard's answers are exactly these. Other JSON is the API's, whatever it mentions.
case "$status $(head -c 40 "$body" | tr -d '\000')" in
'403 {"error": "forbidden"}')
    fail 1 'the guard refused: ALLOWED_SERVICE_TOKENS or a role lacks this Client ID, or Access is not in front'
    ;;
'500 {"error": "not_configured"}') fail 1 'the Worker is not set up: its log names the setting' ;;
'503 {"error": "keys_unavailable"}') fail 1 "the Worker cannot get Access's signing keys: try later" ;;
esac
json=no
case $(tr -d '\000[:space:]' <"$body" | head -c 1)${type%%;*} in
'{'* | '['* | '"'* | */json | *+json) json=yes ;;
esac
# Where agents can log in, Access refuses in JSON as well, and says where the login is.
case $status,$challenge in 401,*/.well-known/cloudflare-access-protected-resource*) json=no ;; esac
case $json,$mitigated,$status in
no,challenge,* | no,*,401 | no,*,403)
    # Cloudflare's own pages: a challenge, a block, an error code.
    if [ "$mitigated" = challenge ] ||
        grep -Eq 'rror( code)?:? 10[0-9]{2}|have been blocked|Just a moment' "$body"; then
        fail 1 "Cloudflare's firewall stopped the request before Access saw it: see the zone's security rules"
    fi
    fail 1 "Access refused with $status: the token is wrong, expired or disabled, or no Service Auth policy names it"
    ;;
esac
cat "$body"
[ "$status" -lt 400 ] || exit 22
