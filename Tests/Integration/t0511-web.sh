#!/usr/bin/env bash
# The web page in a real Chromium: with no node, with a lab's nodes while leases come and go, and with 1,000; who may read it, and what
# of others they see.
# Alone: a browser uses every core, and what it shows is waited for seconds.
. "$(dirname "$0")/lib.sh"

printf 'the-readers-token-0123\n' >"$work/reader-token"
printf 'the-proxys-token-45678\n' >"$work/proxy-token"
start_lab --nodes 3 --setting "controller.reader_token_file=$work/reader-token" --setting "controller.proxy_token_file=$work/proxy-token"
programs functions hold
library=$work/bin/libfunctions.so
url=$(cat "$(find "$FALLOW_LAB" -name fallowctld.url)")

mkfifo "$work/commands" "$work/replies"
TMPDIR=$work python3 "$here/programs/browser.py" "$work/commands" "$work/replies" 2>"$work/browser-said" &
exec {to}>"$work/commands" {from}<"$work/replies"
browser() { # COMMAND ARGUMENT...
	local reply
	python3 -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@" >&"$to"
	read -r -t 40 reply <&"$from" || { cat "$work/browser-said"; return 1; }
	[ "$reply" = ok ] || { echo "$reply"; return 1; }
}
fits() { browser true 'document.documentElement.scrollWidth <= innerWidth || [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll")).map((e) => e.className).join() || false'; }

# A fallowctld of its own, without nodes and without Slurm.
another() { # NAME SETTING...
	local name=$1
	shift
	mkdir -p "$work/$name"
	{
		printf '%s\n' 'cluster.name: <b>"another"</b>' 'controller.listen: 127.0.0.1:0' "state_directory: $work/$name" "munge.socket: $FALLOW_MUNGE_SOCKET"
		[ $# = 0 ] || printf '%s\n' "$@"
	} >"$work/$name.yaml"
	SLURM_CONF=/nonexistent/slurm.conf FALLOW_CONFIG=$work/$name.yaml "$FALLOW_LAB/bin/fallowctld" >"$work/$name.log" 2>&1 &
	another=$!
	within 10 test -s "$work/$name/fallowctld.url"
}
another empty "controller.proxy_token_file: $work/proxy-token"
lonely=$(cat "$work/empty/fallowctld.url") lonely_pid=$another

proves 'with no node the page loads' browser open "$lonely/"
proves '... from / by the way to /web/' browser true 'location.pathname === "/web/"'
proves '... and says what to do' browser true 'document.getElementById("no-nodes").innerText.includes("fallowd")'
proves '... and that slurmctld does not answer' browser true 'document.getElementById("slurm-silent").checkVisibility()'
proves '... the cluster'\''s hostile name is text' browser true 'document.querySelector(".cluster").textContent === "<b>\"another\"</b>"'
proves '... and nothing failed' browser clean
# An operator: everything is private while slurmctld has not said what is.
browser headers '{"X-Fallow-User": "root", "X-Fallow-Proxy-Token": "the-proxys-token-45678"}'
browser open "$lonely/web/"
browser true 'window.stayed = true'
FALLOW_MUNGE_SOCKET=$FALLOW_MUNGE_SOCKET python3 "$here/programs/crowd.py" "$lonely" n 1000 12 >"$work/crowd" 2>&1 &
crowd=$!
proves '1,000 nodes appear on the page by themselves' browser true 'document.querySelectorAll(".tile").length === 1000 && window.stayed' 30
proves '... in the order that people count in' browser true '[...document.querySelectorAll(".tile")].slice(1, 11).map((t) => t.dataset.node).join() === "n2,n3,n4,n5,n6,n7,n8,n9,n10,n11"'
within 20 grep -q reported "$work/crowd"
proves '... with what their jobs used' browser true 'parseInt(document.getElementById("f-used").textContent.replaceAll(",", "")) > 10000' 5
proves 'the page of 1,000 nodes loads whole' browser open "$lonely/web/?since=h6"
proves '... with the charts drawn' browser true '["capacity-chart", "gap-chart", "heat"].every((id) => !document.getElementById(id) || document.getElementById(id).checkVisibility()) && document.querySelector("#capacity-chart canvas").width > 500'
proves '... the heat map has fewer rows than nodes' browser true 'fetch("series?since=h6").then((r) => r.json()).then((d) => d.rows.length === 200 && d.rows[0].name.includes("5 nodes"))'
proves '... and nothing failed' browser clean
proves '... at most 100 leases are listed, and all are counted' browser true 'document.querySelectorAll("#running tr").length === 100 && parseInt(document.getElementById("lease-count").textContent) > 300' 20
browser size 390 844 mobile
browser open "$lonely/web/"
proves 'on a telephone nothing is wider than the screen' fits
browser size 1280 900
# Not the span that was asked for before there were nodes: answers stand for 20 s.
browser open "$lonely/web/?since=d7"
browser true 'document.getElementById("heat").checkVisibility()' 10
browser key Tab
proves 'by keyboard: first comes the way to the content' browser true 'document.activeElement.className === "skip"'
browser true 'document.querySelector(".tile").focus() || true'
browser key ArrowRight ArrowDown
proves '... arrow keys walk the nodes' browser true 'document.activeElement !== document.querySelector(".tile") && document.activeElement.offsetTop > document.querySelector(".tile").offsetTop && document.getElementById("node-details").innerText.startsWith(document.activeElement.dataset.node)' 3
browser key Tab
proves '... and Tab leaves them all' browser true '!document.activeElement.closest(".tiles")'
browser true 'document.querySelector("#heat canvas").focus() || true'
browser key ArrowRight ArrowDown
proves '... and the heat map' browser true 'document.getElementById("heat-readout").textContent.includes("n6 … n10")'
browser true 'document.title = getComputedStyle(document.body).backgroundColor'
browser scheme dark
proves 'who prefers it dark gets it dark' browser true 'getComputedStyle(document.body).backgroundColor !== document.title && getComputedStyle(document.body).backgroundColor.match(/\d+/g).every((c) => c < 60)'
browser scheme light
proves 'it prints' browser print "$work/page.pdf"
proves '... and nothing failed' browser clean
kill "$crowd" 2>/dev/null
wait "$crowd" 2>/dev/null
browser headers '{}'
browser open "$lonely/web/"
proves 'while slurmctld has not said what is private, readers see sums alone' browser true '!document.querySelector(".tile, #running tr") && !document.getElementById("heat") && document.querySelector("main").innerText.includes("PrivateData") && document.getElementById("f-cores").textContent === "64,000"'

viewers() { curl -sf -m 5 "$2/metrics" | grep -qx "fallow_page_viewers $1"; }
proves 'fallowctld counts who looks' within 3 viewers 1 "$lonely"
browser open 'about:blank'
proves '... and notices a browser that goes' within 3 viewers 0 "$lonely"
cat >"$work/many.py" <<'PYTHON'
import socket, sys, time
host, port = sys.argv[1].removeprefix("http://").split(":")
held, answers = [], []
for number in range(int(sys.argv[2])):
    one = socket.create_connection((host, int(port)), timeout=5)
    one.sendall(b"GET /web/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answers.append(one.recv(4096).split()[1].decode())
    held.append(one)
print(answers.count("200"), answers.count("429"), flush=True)
if len(sys.argv) > 3:
    # One that never reads is dropped, and the others are not.
    time.sleep(float(sys.argv[3]))
PYTHON
bounded_streams() { [ "$(python3 "$work/many.py" "$lonely" 70)" = '64 6' ]; }
proves 'it has 64 live streams and no more' bounded_streams
proves '... and room again when they go' within 5 viewers 0 "$lonely"
browser open "$lonely/web/"
kill -TERM "$lonely_pid"
gone_in_time() { ! kill -0 "$lonely_pid" 2>/dev/null; }
proves 'a browser that looks does not hold up fallowctld'\''s end' within 3 gone_in_time
proves '... and the page says that it is not live' browser true 'document.getElementById("live").dataset.state === "lost"' 5

another bare "controller.chart_library: /nonexistent/chart.js"
proves 'without Chart.js the page says so' browser open "$(cat "$work/bare/fallowctld.url")/web/"
proves '... and nothing failed' browser clean
browser open 'about:blank'
kill -TERM "$another"

# The lab: real nodes, real jobs, real leases.
proves 'the lab'\''s page loads' browser open "$url/web/"
proves '... with its nodes' browser true 'document.querySelectorAll(".tile:not(.silent)").length === 3'
browser true 'window.stayed = true'
"$work/bin/as" "$user" "$work/bin/hold" "$library" burn "$(beats_file first)" cpus=2 node=node1 wait=10 memory=268435456 >"$work/first" 2>&1 &
lease_shown() { browser true "[...document.querySelectorAll('#running tr')].some((row) => row.innerText.includes('$user') && row.innerText.includes('node1')) && window.stayed" 10; }
proves 'a lease appears while the page is open' lease_shown
proves '... and is counted' browser true 'document.getElementById("f-leased").textContent === "2" && document.getElementById("lease-count").textContent === "1"' 5
job=$(as "$other" sbatch --parsable --exclusive -w node1 -n8 -t 5 -o /dev/null --serverless=cpus=2,mem=100M --wrap 'srun -n1 sleep 60')
proves '... its revocation too' browser true 'document.querySelector("#ended .revoked")?.textContent === "taken back for the owner" && !document.querySelector("#running tr") && window.stayed' 15
proves '... and nothing failed' browser clean
job_known() { curl -sf -m 5 -o /dev/null "$url/web/jobs/$job"; }
within 15 job_known
proves 'the job has a page' browser open "$url/web/jobs/$job"
proves '... that says whose it is and what it said' browser true "document.querySelector('main').innerText.includes('$other') && document.querySelector('main').innerText.includes('cpus=2,mem=100M')"
proves '... and where it runs' browser true 'document.querySelector("main").innerText.includes("node1")'
proves '... and nothing failed' browser clean
browser size 390 844 mobile
proves '... and fits a telephone' fits
browser size 1280 900
still() { curl -sf -m 10 "$url/web/" >"$work/still" && [ "$(grep -o 'class="tile ' "$work/still" | wc -l)" = 3 ] && grep -q '<th scope="row"><i class="key used"></i>used by jobs' "$work/still"; }
proves 'without scripts there are the nodes and the tables' still

status() { curl -s -m 10 -o "$work/page" -w '%{http_code}' "$@"; }
answers() { # STATUS PATTERN CURL-ARGUMENTS...
	local want=$1 pattern=$2 got
	shift 2
	got=$(status "$@")
	[ "$got" = "$want" ] && grep -q -- "$pattern" "$work/page" || { echo "$got"; head -c 600 "$work/page"; return 1; }
}
proves 'a job that there is not has a page that says so' answers 404 'knows of no job' "$url/web/jobs/4000000"
proves '... and what is no job' answers 400 'is no job id' "$url/web/jobs/<script>"
proves 'a wrong span is refused with those that there are' answers 400 'd7' "$url/web/?since=yesterday"
proves 'another site'\''s name for this machine is refused' answers 403 'Host' -H 'Host: evil.example' "$url/web/"
proves 'a user that nobody vouches for is refused' answers 403 'counts only beside' -H 'X-Fallow-User: root' "$url/web/"
proves '... and one with a wrong token' answers 403 'is not the token' -H 'X-Fallow-User: root' -H 'X-Fallow-Proxy-Token: the-proxys-token-00000' "$url/web/"
proves 'a proxy'\''s user is known' answers 200 "class=\"viewer\">$other<" -H "X-Fallow-User: $other" -H 'X-Fallow-Proxy-Token: the-proxys-token-45678' "$url/web/"
proves '... an operator as one' answers 200 'root, operator' -H 'X-Fallow-User: root' -H 'X-Fallow-Proxy-Token: the-proxys-token-45678' "$url/web/"
proves 'signing in with a wrong token is refused' answers 403 'not the reader' -d 'token=the-readers-token-9999' "$url/web/sign-in"
cookie_given() { curl -s -m 5 -D - -o /dev/null -d 'token=the-readers-token-0123' "$url/web/sign-in" | grep -i '^set-cookie: fallow_reader=' | grep -i 'httponly' | grep -v the-readers; }
proves '... with the right one a cookie is given, which is not the token' cookie_given
policy() { curl -s -m 5 -D - -o /dev/null "$url/web/" | grep -i '^content-security-policy:' | grep "script-src 'self'" | grep -v unsafe; }
proves 'the policy lets no script run but the page'\''s own' policy

# The block of docs/operating.md, in a real nginx.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
documented() { sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$tree/docs/operating.md" | grep -v '^```' | sed "s|http://127.0.0.1:6880|$url|; s|<the token of [^>]*>|the-proxys-token-45678|"; }
port=$(free_port)
mkdir "$work/nginx"
printf '%s:{PLAIN}secret\n' "$other" >"$work/nginx/users"
{
	printf '%s\n' 'daemon off; worker_processes 1; user root;' "pid $work/nginx/pid; error_log $work/nginx/error;" 'events {}' 'http {' \
		"access_log off; client_body_temp_path $work/nginx/a; proxy_temp_path $work/nginx/b; fastcgi_temp_path $work/nginx/c;" \
		"uwsgi_temp_path $work/nginx/d; scgi_temp_path $work/nginx/e; server { listen 127.0.0.1:$port;"
	documented nginx | sed "s|/etc/nginx/users|$work/nginx/users|"
	echo '} }'
} >"$work/nginx/conf"
nginx -e "$work/nginx/error" -c "$work/nginx/conf" >"$work/nginx/said" 2>&1 &
nginx=$!
within 5 test -s "$work/nginx/pid"
browser headers "{\"Authorization\": \"Basic $(printf '%s:secret' "$other" | base64)\"}"
proves 'behind nginx, as documented, the page loads under another path' browser open "http://127.0.0.1:$port/fallow/"
proves '... for whom nginx let in' browser true "document.querySelector('.viewer').textContent === '$other'"
proves '... live' browser true 'document.getElementById("live").dataset.state === "on"' 5
proves '... and nothing failed' browser clean
proves '... and nobody else' answers 401 '' "http://127.0.0.1:$port/fallow/"
proves '... nor can they name another' answers 200 "class=\"viewer\">$other<" -u "$other:secret" -H 'X-Fallow-User: root' "http://127.0.0.1:$port/fallow/"

# And that for Apache, in a real one. Who signs in by OpenID Connect at a site does so by a password here.
apache_port=$(free_port)
mkdir "$work/apache"
printf '%s:{SHA}%s\n' "$other" "$(printf secret | openssl sha1 -binary | base64)" >"$work/apache/users"
{
	for module in mpm_event authn_core authn_file authz_core authz_user auth_basic headers proxy proxy_http; do
		echo "LoadModule ${module}_module /usr/lib/apache2/modules/mod_$module.so"
	done
	printf '%s\n' "Listen 127.0.0.1:$apache_port" 'ServerName localhost' 'User www-data' 'Group www-data' "PidFile $work/apache/pid" "ErrorLog $work/apache/error" "DefaultRuntimeDir $work/apache"
	documented apache | sed "s|AuthType openid-connect|AuthType Basic\nAuthName Fallow\nAuthUserFile $work/apache/users|"
} >"$work/apache/conf"
apache2 -f "$work/apache/conf" -DFOREGROUND >"$work/apache/said" 2>&1 &
apache=$!
within 5 test -s "$work/apache/pid"
proves 'behind Apache, as documented, the page loads' browser open "http://127.0.0.1:$apache_port/fallow/"
proves '... for whom Apache let in' browser true "document.querySelector('.viewer').textContent === '$other'"
proves '... live' browser true 'document.getElementById("live").dataset.state === "on"' 5
proves '... and nothing failed' browser clean
proves '... and nobody else' answers 401 '' "http://127.0.0.1:$apache_port/fallow/"
proves '... nor can they name another' answers 200 "class=\"viewer\">$other<" -u "$other:secret" -H 'X-Fallow-User: root' "http://127.0.0.1:$apache_port/fallow/"
browser headers '{}'
browser open 'about:blank'
kill "$nginx" "$apache"
wait "$nginx" "$apache" 2>/dev/null

printf 'PrivateData=jobs,usage\n' >>"$FALLOW_LAB/etc/slurm.conf"
scontrol reconfigure
hidden() { answers 404 'PrivateData' "$url/web/jobs/$job"; }
proves 'where Slurm'\''s PrivateData says jobs, others'\'' jobs are not shown' within 20 hidden
proves '... but one'\''s own are' answers 200 "$other" -H "X-Fallow-User: $other" -H 'X-Fallow-Proxy-Token: the-proxys-token-45678' "$url/web/jobs/$job"
proves '... and all of them to an operator' answers 200 "$other" -H 'X-Fallow-User: root' -H 'X-Fallow-Proxy-Token: the-proxys-token-45678' "$url/web/jobs/$job"
browser open "$url/web/"
proves '... and the page names nobody' browser true "!document.querySelector('main').innerText.includes('$other') && document.querySelectorAll('#ended tr').length === 0"
proves '... and nothing failed' browser clean
exec {to}>&-
finish
