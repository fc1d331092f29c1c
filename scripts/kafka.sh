#!/bin/sh
# Apache Kafka for tests, benches and trying things out: one broker, on this machine only.
#
#     scripts/kafka.sh fetch                             downloads it into the cache, once
#     scripts/kafka.sh run [--dir DIR] [--port PORT]     runs it in the foreground until Ctrl-C
#     scripts/kafka.sh start [--dir DIR] [--port PORT]   runs it in the background
#     scripts/kafka.sh stop [--dir DIR]                  stops it, wherever it runs
#
# DIR holds everything of one broker: its settings, its log, its data. The first start writes it,
# with PORT (9092; 0 for any that is free), and later ones go on with what is there. `run` and
# `start` print the bootstrap address, alone on a line, as soon as the broker answers; DIR/pid is
# the broker's own. `run --with-stdin` also ends when its standard input does, however its parent
# died, and `--ephemeral` then removes DIR. KAFKA_JVM_OPTS sets the heap and what else Java is told;
# KAFKA_FORMAT_OPTS is what else the first start formats the storage with, such as `--add-scram`.
#
# Needs Java 17 or later, and Maven for the download; `scripts/bootstrap.sh kafka` installs both.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${USAGE_RATER_CACHE:-$HOME/.cache/usage-rater}
kafka=$cache/kafka-4.1.1
patience_s=240

fail() { echo "kafka: $*" >&2; exit 3; }
usage() { sed -n '4,7s/^# *//p' "$0" >&2; exit 2; }

# The jars appear under their name all at once, so what is there is whole. It is downloaded anew
# where the pom has changed since.
fetch() {
    if cmp -s "$here/kafka/pom.xml" "$kafka/pom.xml"; then return; fi
    command -v mvn >/dev/null || fail "Maven is missing; scripts/bootstrap.sh kafka installs it"
    for old in "$kafka".partial.*; do
        [ ! -e "$old" ] || kill -0 "${old##*.}" 2>/dev/null || rm -rf "$old"
    done
    partial=$kafka.partial.$$
    mkdir -p "$partial"
    echo "Downloading Apache Kafka, 45 MB, once." >&2
    mvn --batch-mode --file "$here/kafka/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$partial/libs" >"$partial/maven.log" 2>&1 ||
        { tail -n 20 "$partial/maven.log" >&2; rm -rf "$partial"; fail "the download has failed"; }
    cp "$here/kafka/pom.xml" "$partial/pom.xml"
    # Another download may have been quicker.
    if ! cmp -s "$here/kafka/pom.xml" "$kafka/pom.xml"; then
        [ ! -e "$kafka" ] || mv "$kafka" "$partial/old"
        mv "$partial" "$kafka" 2>/dev/null || true
    fi
    rm -rf "$partial" "$kafka/old" "${kafka:?}/${partial##*/}"
    [ -e "$kafka/pom.xml" ] || fail "nothing at $kafka after the download"
    archive_classes
}

# Half the CPU of a start is spent on loading classes, so they are kept as Java maps them. The archive
# holds for these jars and this Java; where it does not fit, Java goes on without.
archive_classes() {
    first=$kafka/first-start
    {
        KAFKA_JVM_OPTS=-XX:ArchiveClassesAtExit=$kafka/classes.jsa.new \
            "$here/kafka.sh" start --dir "$first" --port 0 &&
            "$here/kafka.sh" stop --dir "$first" &&
            mv "$kafka/classes.jsa.new" "$kafka/classes.jsa"
    } >/dev/null 2>&1 || true
    rm -rf "$first"
}

# Everything Java writes beside its data goes into DIR: a broker that is killed leaves it behind.
java_with_kafka() {
    [ ! -e "$kafka/classes.jsa" ] || set -- -XX:SharedArchiveFile="$kafka/classes.jsa" "$@"
    # Several words.
    # shellcheck disable=SC2086
    exec java ${KAFKA_JVM_OPTS:--Xms256m -Xmx512m} -XX:+ExitOnOutOfMemoryError -XX:-UsePerfData \
        -Djava.io.tmpdir="$dir/tmp" -Djava.awt.headless=true \
        -Dlog4j2.configurationFile="$here/kafka/log4j2.properties" \
        -cp "$kafka/libs/*" "$@"
}

# A port nobody listens at, below those that the system gives to clients: a client that tries to
# reach a killed broker again and again would sooner or later get the broker's port as its own.
free_port() {
    while :; do
        drawn=$((10000 + $(od -An -N2 -tu2 /dev/urandom) % 22000))
        taken=$(printf ':%04X ' "$drawn")
        if ! grep -qs "^ *[0-9]*: [0-9A-F]*$taken" /proc/net/tcp /proc/net/tcp6; then
            echo "$drawn"
            return
        fi
    done
}

# Writes DIR, its settings last: a directory without them was never finished.
format() {
    rm -rf "$dir/data"
    mkdir -p "$dir/data"
    broker=127.0.0.1:$port
    [ "$port" != 0 ] || broker=127.0.0.1:$(free_port)
    controller=127.0.0.1:$(free_port)
    {
        cat "$here/kafka/server.properties"
        echo
        echo "listeners=PLAINTEXT://$broker,CONTROLLER://$controller"
        echo "controller.quorum.bootstrap.servers=$controller"
        echo "log.dirs=$dir/data"
    } >"$dir/server.properties.new"
    # Several words, in which brackets are no pattern.
    # shellcheck disable=SC2086
    (set -f
    java_with_kafka kafka.tools.StorageTool format --standalone --cluster-id usage-rater-on-loop-bac \
        --config "$dir/server.properties.new" ${KAFKA_FORMAT_OPTS:-}) >"$dir/format.log" 2>&1 ||
        { cat "$dir/format.log" >&2; fail "the storage in $dir could not be formatted"; }
    mv "$dir/server.properties.new" "$dir/server.properties"
}

address() {
    sed -n 's|^listeners=PLAINTEXT://\([^,]*\),.*|\1|p' "$dir/server.properties"
}

# Whether the broker of DIR runs; a number may have been given to another process since.
runs() {
    [ -s "$dir/pid" ] || return 1
    number=$(cat "$dir/pid")
    if [ -d /proc/self ]; then
        tr '\0' ' ' <"/proc/$number/cmdline"
    else
        ps -p "$number" -o args=
    fi 2>/dev/null | grep -qF " $dir/server.properties"
}

# Starts the broker and waits until it answers; false if it has ended instead.
launch() {
    [ ! -e "$dir/broker.log" ] || mv "$dir/broker.log" "$dir/broker.log.old"
    (trap '' HUP; java_with_kafka kafka.Kafka "$dir/server.properties") \
        </dev/null >"$dir/broker.log" 2>&1 3<&- &
    pid=$!
    echo "$pid" >"$dir/pid"
    waited=0
    until grep -qs 'Kafka Server started' "$dir/broker.log"; do
        kill -0 "$pid" 2>/dev/null || return 1
        [ "$waited" -lt $((patience_s * 10)) ] || { kill -KILL "$pid"; return 1; }
        sleep 0.1
        waited=$((waited + 1))
    done
}

# Launches; a port that was free a moment ago may have been taken meanwhile.
launch_somewhere() {
    fetch
    mkdir -p "$dir/tmp"
    ! runs || fail "the broker of $dir runs already, at $(address)"
    tries=0
    while :; do
        is_new=''
        [ -e "$dir/server.properties" ] || { is_new=yes; format; }
        [ "$port" = 0 ] || [ "$(address)" = "127.0.0.1:$port" ] ||
            fail "the broker of $dir has the address $(address); name another --dir"
        launch && return
        tries=$((tries + 1))
        if [ -n "$is_new" ] && [ "$port" = 0 ] && [ "$tries" -lt 5 ] &&
            grep -q 'Address already in use' "$dir/broker.log"; then
            rm -f "$dir/server.properties"
            continue
        fi
        tail -n 20 "$dir/broker.log" >&2
        fail "the broker does not start; all it said is in $dir/broker.log"
    done
}

run() {
    # Nobody may be left to read what the shell says when the broker is killed.
    trap '' PIPE
    launch_somewhere
    trap 'kill "$pid" 2>/dev/null' INT TERM HUP
    address
    if [ -n "$with_stdin" ]; then
        (cat >/dev/null; kill -KILL "$pid") <&3 3<&- >/dev/null 2>&1 &
        watchdog=$!
    elif [ -t 1 ]; then
        cat >&2 <<HINT

Kafka answers there until Ctrl-C; its data stays in $dir.
    KAFKA_BOOTSTRAP=$(address) usage-rater run --config CONFIG    # with mode = "kafka"
    KAFKA_BOOTSTRAP=$(address) make test                          # tests use it, not their own
HINT
    fi
    # A signal ends the first wait, not the broker.
    code=0
    while kill -0 "$pid" 2>/dev/null; do
        wait "$pid" && code=0 || code=$?
    done
    [ -z "$with_stdin" ] || kill "$watchdog" 2>/dev/null || true
    rm -f "$dir/pid"
    [ -z "$ephemeral" ] || rm -rf "$dir"
    exit "$code"
}

stop() {
    runs || { echo "kafka: no broker runs in $dir" >&2; exit 0; }
    pid=$(cat "$dir/pid")
    kill "$pid"
    waited=0
    while kill -0 "$pid" 2>/dev/null; do
        [ "$waited" -ne 300 ] || kill -KILL "$pid" 2>/dev/null || true
        sleep 0.1
        waited=$((waited + 1))
    done
    rm -f "$dir/pid"
}

[ $# -ge 1 ] || usage
command=$1
shift
dir=$cache/kafka-data
port='' with_stdin='' ephemeral=''
while [ $# -gt 0 ]; do
    case $1 in
    --dir) [ $# -ge 2 ] || usage; dir=$2; shift ;;
    --port) [ $# -ge 2 ] || usage; port=$2; shift ;;
    --with-stdin) with_stdin=yes ;;
    --ephemeral) ephemeral=yes ;;
    *) usage ;;
    esac
    shift
done
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
# Port 9092 unless said otherwise, or unless the directory has another already.
[ -n "$port" ] || { [ -e "$dir/server.properties" ] && port=0 || port=9092; }
exec 3<&0

case $command in
fetch) fetch ;;
run) run ;;
start) launch_somewhere; address ;;
stop) stop ;;
*) usage ;;
esac
