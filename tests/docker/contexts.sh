#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# variants: sid-v4
# more: trixie-v4
# timeout: 300
#
# Docker contexts over SSH: scripts/setup-contexts.sh, test-contexts.sh and test-multi-context.sh, from h1 to h2 and h3 with
# a real sshd each. (Compose 1.29 speaks SSH only with python3-paramiko; Compose 2 is what the scripts are for.)
. "$(dirname "$0")/lib.sh"
export ROUTER=0

lab_begin three-hosts
images_on h1 h2 h3

step "an sshd on h2 and h3"
sshd=$(command -v sshd) || sshd=
if [ -z "$sshd" ]; then # unpacked, not installed: no service of this machine
	"$TOP/lab/fetch.sh" "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$DIR/ssh" openssh-server ||
		skip "no sshd here, and it cannot be downloaded"
	sshd=$DIR/ssh/usr/sbin/sshd
fi
ssh-keygen -q -t ed25519 -N '' -f "$DIR/key"
# users of the sshds alone, in a mount namespace of their own: root with no password, and who sshd drops to
printf 'root:x:0:0:root:/root:/bin/sh\nsshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n' >"$DIR/passwd"
printf 'root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n' >"$DIR/shadow"
mkdir -p "$DIR/empty"
chmod 755 "$DIR/empty"
for h in h2 h3; do
	ssh-keygen -q -t ed25519 -N '' -f "$DIR/$h/host_key"
	address=$(cut -d/ -f1 "$DIR/$h/addresses" | head -n 1)
	eval "$(host_env $h | sed -n 's/^export PATH=/path=/p')"
	cat >"$DIR/$h/sshd_config" <<-END
		ListenAddress $address
		HostKey $DIR/$h/host_key
		AuthorizedKeysFile $DIR/key.pub
		StrictModes no
		UsePAM no
		PasswordAuthentication no
		PermitRootLogin prohibit-password
		PidFile none
		SetEnv DOCKER_HOST=unix://$DIR/$h/docker.sock PATH=$path
	END
	proc_start "$DIR/$h/sshd.proc" "$DIR/$h/sshd.log" nsenter --net="/run/netns/$(ns $h)" -- unshare --mount -- sh -c '
		mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow && mkdir -p /run/sshd &&
		mount --bind "$1/empty" /run/sshd && exec "$2" -D -e -f "$3"' sh "$DIR" "$sshd" "$DIR/$h/sshd_config"
	echo "$address $(cat "$DIR/$h/host_key.pub")" >>"$DIR/known_hosts"
done
# ssh reads its settings from the home of the user, whatever HOME says: a name in front of it that gives ours
mkdir "$DIR/bin"
cat >"$DIR/bin/ssh" <<END
#!/bin/sh
exec $(command -v ssh) -F none -o IdentityFile=$DIR/key -o IdentitiesOnly=yes -o UserKnownHostsFile=$DIR/known_hosts \\
	-o ConnectTimeout=5 "\$@"
END
chmod +x "$DIR/bin/ssh"
admin() { # CMD...: somebody at h1, with ssh keys to the others
	on h1 env PATH="$DIR/bin:$(eval "$(host_env h1)" && echo "$PATH")" CONTEXTS_FILE="$DIR/docker-contexts.json" "$@"
}
for h in h2 h3; do
	address=$(cut -d/ -f1 "$DIR/$h/addresses" | head -n 1)
	wait_until "sshd of $h" 10 admin ssh "root@$address" true
done
# Compose of a newer engine is a plugin: docker finds it in DOCKER_CONFIG
mkdir -p "$DIR/h1/config/cli-plugins"
ln -s "$(eval "$(host_env h1)" && echo "$COMPOSE_PROGRAM")" "$DIR/h1/config/cli-plugins/docker-compose"

step "setup-contexts.sh"
must_fail admin "$TOP/scripts/setup-contexts.sh" list # no file yet
cp "$TOP/docker-contexts.json.example" "$DIR/docker-contexts.json"
admin "$TOP/scripts/setup-contexts.sh" remove remote1
admin "$TOP/scripts/setup-contexts.sh" remove remote2
admin "$TOP/scripts/setup-contexts.sh" add remote1 ssh://root@192.0.2.2 "Remote host 1" docker-compose.stack-b.yml stack-b
admin "$TOP/scripts/setup-contexts.sh" add remote2 ssh://root@192.0.2.3 "Remote host 2" docker-compose.stack-c.yml stack-c
must_fail admin "$TOP/scripts/setup-contexts.sh" add 'a b' ssh://root@192.0.2.3 x docker-compose.stack-c.yml stack-c
must_fail admin "$TOP/scripts/setup-contexts.sh" add other http://192.0.2.3 x docker-compose.stack-c.yml stack-c
must_fail admin "$TOP/scripts/setup-contexts.sh" enable nobody
must_fail admin "$TOP/scripts/setup-contexts.sh" add too few
must_equal "contexts" "local remote1 remote2" "$(jq -r '.contexts | keys[]' "$DIR/docker-contexts.json" | xargs)"
must_fail jq -e '.contexts.remote1.enabled' "$DIR/docker-contexts.json"
must_contain "docker's own contexts" remote1 "$(admin docker context ls)"

step "test-contexts.sh"
out=$(admin "$TOP/scripts/test-contexts.sh") || fail "$out"
must_contain "test of remote1" 'ok +remote1: Docker [0-9.]+.*not enabled' "$out"
must_fail admin "$TOP/scripts/test-multi-context.sh" # one is enabled, two are needed
admin "$TOP/scripts/setup-contexts.sh" enable remote1
admin "$TOP/scripts/setup-contexts.sh" enable remote2
admin "$TOP/scripts/setup-contexts.sh" disable local
must_equal "enabled" "remote1 remote2" "$(jq -r '.contexts | to_entries[] | select(.value.enabled) | .key' "$DIR/docker-contexts.json" | xargs)"
admin "$TOP/scripts/setup-contexts.sh" enable local
must_contain "list" '^remote1 +yes +ssh://root@192.0.2.2 +stack-b' "$(admin "$TOP/scripts/setup-contexts.sh" list)"

step "test-multi-context.sh"
admin "$TOP/scripts/test-multi-context.sh"
for h in h1 h2 h3; do
	must_equal "containers of $h afterwards" '' "$(docker_on $h ps -aq)"
done

step "a host that does not answer is named"
"$TOP/lab/cut" h1 h2
must_fail admin "$TOP/scripts/test-contexts.sh"
must_contain "test with the cable cut" 'not ok +remote1' "$(admin "$TOP/scripts/test-contexts.sh" || true)"
